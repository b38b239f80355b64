//! Configuration documents: what is read is shown as it can be read again, and secrets are shown nowhere.

use std::time::Duration;

use fuzz::{Choices, Effort, run, within};
use serde_json::{Map, Value, json};
use watchpost_core::{Definition, Spec};
use watchpost_wire::config::{self, Configuration, Defaults, Masking, document, read_monitor, settings_document};
use watchpost_wire::tree::{Format, Problems, Tree};

use crate::tree::problems_are_readable;

/// Stands for whatever is secret. Written where secrets belong, and where people put them by mistake.
const SECRET: &str = "hUnTeR2";

/// The keys of a map, and what each may hold: by the name of another map, or a value right here.
#[expect(clippy::too_many_lines, reason = "a table")]
fn keys(of: &str) -> &'static [(&'static str, &'static str)] {
    match of {
        "root" => &[
            ("server", "server"),
            ("log", "log"),
            ("storage", "storage"),
            ("network", "network"),
            ("alerting", "alerting"),
            ("defaults", "defaults"),
            ("monitors", "[monitor]"),
            ("channels", "any"),
            ("monitor", "any"),
        ],
        "server" => &[("listen", "addresses"), ("base_url", "url"), ("tls", "any")],
        "log" => &[("level", "word"), ("format", "word"), ("file", "word")],
        "storage" => &[("url", "database"), ("keep", "keep"), ("size_max", "size")],
        "keep" => &[("results", "duration"), ("history", "duration")],
        "network" => &[("ca_files", "words"), ("private_targets", "word")],
        "alerting" => &[("cannot_tell_after", "duration"), ("send", "any")],
        "defaults" => &[
            ("interval", "duration"),
            ("timezone", "zone"),
            ("timeout", "duration"),
            ("fail_after", "count"),
            ("recover_after", "count"),
            ("retry", "pace"),
            ("while_down", "pace"),
            ("group", "word"),
            ("tags", "words"),
            ("active", "flag"),
            ("expect", "expect"),
        ],
        "monitor" => &[
            ("id", "word"),
            ("name", "word"),
            ("group", "word"),
            ("tags", "words"),
            ("http", "http"),
            ("tcp", "tcp"),
            ("tls", "tls"),
            ("udp", "udp"),
            ("icmp", "icmp"),
            ("dns", "dns"),
            ("expect", "expect"),
            ("interval", "duration"),
            ("cron", "cron"),
            ("timezone", "zone"),
            ("retry", "pace"),
            ("while_down", "pace"),
            ("timeout", "duration"),
            ("fail_after", "count"),
            ("recover_after", "count"),
            ("active", "flag"),
            ("regions", "words"),
            ("heartbeat", "any"),
        ],
        "http" => &[
            ("url", "url"),
            ("method", "word"),
            ("headers", "headers"),
            ("body", "secret"),
            ("auth", "auth"),
            ("redirects", "count"),
            ("verify_tls", "word"),
            ("body_max", "size"),
            ("read_body", "flag"),
            ("tcp_first", "flag"),
            ("version", "word"),
            ("ip", "word"),
            ("body_file", "any"),
        ],
        "auth" => &[("bearer", "token"), ("basic", "basic"), ("token", "secret")],
        "basic" => &[("user", "word"), ("password", "secret"), ("pasword", "secret")],
        "tcp" => &[("address", "address"), ("send", "secret"), ("expect", "word"), ("ip", "word")],
        "tls" => &[("address", "address"), ("server_name", "word"), ("verify_tls", "word"), ("ip", "word")],
        "udp" => &[("address", "address"), ("send", "secret"), ("ip", "word")],
        "icmp" => &[("host", "host"), ("count", "count"), ("size", "count"), ("ip", "word")],
        "dns" => &[("name", "host"), ("type", "record"), ("server", "server_address"), ("protocol", "word")],
        "expect" => &[
            ("status", "status"),
            ("body", "body"),
            ("json", "[json]"),
            ("headers", "header_map"),
            ("latency", "latency"),
            ("certificate", "certificate"),
            ("loss", "loss"),
            ("dns", "dns_expect"),
        ],
        "body" => &[("contains", "words"), ("matches", "patterns"), ("lacks", "words")],
        "json" => &[
            ("path", "path"),
            ("equals", "any"),
            ("matches", "pattern"),
            ("contains", "word"),
            ("exists", "flag"),
            ("min", "number"),
            ("max", "number"),
        ],
        "header_map" => &[("x-a", "header"), ("X-A", "header"), ("b", "header"), ("ä", "header")],
        "header" => &[("equals", "word"), ("matches", "pattern"), ("contains", "word"), ("exists", "flag")],
        "latency" => &[("degraded", "duration"), ("down", "duration")],
        "certificate" => &[("warn", "duration")],
        "loss" => &[("degraded", "percent"), ("down", "percent")],
        "dns_expect" => &[("rcode", "rcode"), ("answers", "words"), ("exact", "flag")],
        "pace" => &[("every", "duration")],
        _ => &[],
    }
}

/// What a value of this sort may be: what is right first, which is taken more often.
fn words(sort: &str) -> &'static [&'static str] {
    match sort {
        "duration" => &["30s", "10s", "100ms", "1m", "1h30m", "7d", "5y", "0s", "1.5s", "30", "x"],
        "size" => &["1MiB", "1B", "512KiB", "2GiB", "16MiB", "1000kB", "1"],
        "count" => &["1", "2", "3", "10", "56", "0", "1000", "1_0", "-1", "x"],
        "flag" => &["true", "false", "True", "yes"],
        "number" => &["0", "1", "-1.5", "1e3", "0.1", "1_000", "nan", "x"],
        "percent" => &["20", "20%", "100%", "1%", "0", "101"],
        "url" => &[
            "https://a.example.org",
            "http://u:hUnTeR2@a/",
            "http://[::1]:1/?q=a#f",
            "https://ä.example/b c",
            "ftp://x",
            "",
            "http://u:p/hUnTeR2@a",
        ],
        "address" => &["a.example.org:80", "[::1]:443", "1.2.3.4:1", "b", "tcp://c:9", "::1", "a:0"],
        "server_address" => &["1.1.1.1", "1.1.1.1:5353", "::1", "[::1]:53", "[fe80::1%3]:53", "x"],
        "addresses" => &["127.0.0.1:0", "[::1]:8080", "localhost:80", "0.0.0.0:8080", "x"],
        "host" => &["a.example.org", "192.0.2.1", "::1", "[::1]", "ß", "_x._tcp.a.", ".", "a:1", ""],
        "database" => &["sqlite://w.db", "sqlite:x", "postgres://u:hUnTeR2@h/d", "sqlite://"],
        "zone" => &["UTC", "Europe/Riga", "Nowhere"],
        "cron" => &["*/5 * * * *", "0 3 * * MON-FRI", "@daily", "30 2 31 2 *", "x"],
        "record" => &["A", "aaaa", "TXT", "AAA"],
        "status" => &["200-399", "2xx", "200,204", "99"],
        "rcode" => &["NOERROR", "nxdomain", "X"],
        "path" => &["$.a", "$", "$.a[?@.b == 1].c", "x"],
        "pattern" | "patterns" => &["^a+$", "(", "\\d", "", "x"],
        _ => &[
            "a",
            "b",
            "info",
            "json",
            "POST",
            "head-then-get",
            "any",
            "4",
            "auto",
            "fallback",
            "deny",
            "local",
            "",
            "off",
            "1.10",
            "a b",
            "ä",
            "..",
        ],
    }
}

/// One of these words, one of the first of them rather than the last.
fn likely<'w>(choices: &mut Choices<'_>, words: &[&'w str]) -> &'w str {
    let (one, other, third) = (choices.below(words.len()), choices.below(words.len()), choices.below(words.len()));
    words[one.min(other).min(third)]
}

/// A secret as people have them: with separators, quotes and blanks in it.
fn secret(choices: &mut Choices<'_>) -> String {
    let odd =
        ["", "", ",", ", ", "\"", "'", "}", "]", ": ", "=", "@", "\\", "{", "[", "#", " #", "%", "ä", "\\\"", "''"];
    let (before, after) = (choices.word(&odd), choices.word(&odd));
    format!("x{before}{SECRET}{after}y")
}

fn value(choices: &mut Choices<'_>, sort: &str, depth: usize) -> Value {
    // Now and then something else stands there.
    let sort = if choices.one_in(100) { choices.word(&["any", "word", "secret", "monitor", "auth"]) } else { sort };
    if depth == 0 {
        return Value::from("deep");
    }
    if let Some(item) = sort.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return (0..choices.below(4)).map(|_| value(choices, item, depth - 1)).collect();
    }
    match sort {
        "any" => crate::tree::value(choices, 2),
        "secret" => Value::from(secret(choices)),
        "token" => Value::from(format!("x{SECRET}{}", choices.word(&["", ",", "'", "\"", "}", "=", "\\"]))),
        "auth" if !choices.one_in(6) => match choices.one_in(2) {
            true => json!({ "bearer": value(choices, "token", depth - 1) }),
            false => json!({ "basic": { "user": "null", "password": secret(choices) } }),
        },
        "headers" => match choices.one_in(8) {
            // As curl takes them, which is a mistake here.
            true => json!([format!("X-Plain: {}", secret(choices))]),
            false => (0..choices.below(3))
                .map(|n| (["X-Plain", "Accept", "x-plain"][n].to_owned(), Value::from(secret(choices))))
                .collect::<Map<_, _>>()
                .into(),
        },
        "words" | "patterns" | "addresses" | "status" => {
            (0..choices.below(3)).map(|_| Value::from(likely(choices, words(sort)))).collect()
        }
        "monitor" => monitor(choices, depth),
        sort => match keys(sort) {
            [] if choices.one_in(16) => Value::from(choices.text(8)),
            [] => Value::from(likely(choices, words(sort))),
            keys => keys
                .iter()
                .filter(|_| choices.one_in(3))
                .map(|(key, sort)| ((*key).to_owned(), (*sort).to_owned()))
                .collect::<Vec<_>>()
                .into_iter()
                .map(|(key, sort)| (key, value(choices, &sort, depth - 1)))
                .collect::<Map<_, _>>()
                .into(),
        },
    }
}

/// A monitor that has a chance: one kind, with the key that it needs, and a few more keys.
pub(crate) fn monitor(choices: &mut Choices<'_>, depth: usize) -> Value {
    let (kind, key, sort) = *choices.pick(&[
        ("http", "url", "url"),
        ("tcp", "address", "address"),
        ("tls", "address", "address"),
        ("udp", "address", "address"),
        ("icmp", "host", "host"),
        ("dns", "name", "host"),
    ]);
    let mut spec = Map::from_iter([(key.to_owned(), Value::from(likely(choices, words(sort))))]);
    for (key, sort) in keys(kind) {
        if choices.one_in(5) {
            spec.insert((*key).to_owned(), value(choices, sort, depth - 1));
        }
    }
    let mut monitor = Map::from_iter([(kind.to_owned(), Value::Object(spec))]);
    for (key, sort) in keys("monitor") {
        let is_a_kind = matches!(*key, "http" | "tcp" | "tls" | "udp" | "icmp" | "dns");
        if choices.one_in(if is_a_kind { 100 } else { 5 }) {
            monitor.insert((*key).to_owned(), value(choices, sort, depth - 1));
        }
    }
    Value::Object(monitor)
}

/// The document as text in one of the languages, in one of the forms people write.
fn written(choices: &mut Choices<'_>, document: &Value) -> (Format, String) {
    match (choices.below(4), document) {
        (0, _) => (Format::Json, document.to_string()),
        (1, _) => (Format::Json, format!("{document:#}")),
        (2, Value::Object(map)) => (Format::Toml, crate::tree::toml_document(map)),
        _ => (Format::Yaml, yaml(choices, document, 0)),
    }
}

/// Block YAML; texts plain where they may be, else in either sort of quotes.
fn yaml(choices: &mut Choices<'_>, value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() => {
            let entry = |(key, value): (&String, &Value)| {
                format!("\n{margin}{}:{}", quoted(choices, key), yaml(choices, value, indent + 2))
            };
            map.iter().map(entry).collect()
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(|item| format!("\n{margin}-{}", yaml(choices, item, indent + 2))).collect()
        }
        Value::String(text) => format!(" {}", quoted(choices, text)),
        other => format!(" {other}"),
    }
}

fn quoted(choices: &mut Choices<'_>, text: &str) -> String {
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let plain = begins && !text.contains(": ") && !text.contains(" #") && !text.ends_with([':', ' ']);
    match choices.below(3) {
        0 if plain && !text.contains(|c: char| c.is_control() || c > '\u{ff}') => text.to_owned(),
        1 if !text.contains(|c: char| c.is_control() || c > '\u{ff}') => format!("'{}'", text.replace('\'', "''")),
        _ => crate::tree::escaped(&Value::from(text).to_string()),
    }
}

pub(crate) fn read(format: Format, text: &str) -> Result<Configuration, Problems> {
    config::read(Tree::parse_text("w.yml", format, text)?)
}

fn shown_again(definition: &Definition) -> Definition {
    let shown = document(definition, Masking::Hidden).to_string();
    let tree = Tree::parse_text("w.yml", Format::Json, &shown).unwrap();
    let again = read_monitor(&tree, &Defaults::default()).unwrap_or_else(|e| panic!("{shown} does not read back: {e}"));
    assert_eq!(document(&again, Masking::Hidden).to_string(), shown);
    again
}

/// The effective document is a document of the same monitor.
fn is_shown_as_it_reads(definition: &Definition) {
    let mut again = shown_again(definition);
    let mut definition = definition.clone();
    // What is not in a monitor's document, and the order of what is a map there.
    again.source = definition.source.clone();
    again.cannot_tell_after = definition.cannot_tell_after;
    for definition in [&mut again, &mut definition] {
        std::sync::Arc::make_mut(&mut definition.expect).headers.sort_by_key(|header| header.name.clone());
        if let Spec::Http(http) = &mut definition.spec {
            http.headers.sort_by_key(|(name, _)| name.clone());
        }
    }
    let secret = match &definition.spec {
        Spec::Http(http) => {
            http.body.is_some()
                || http.auth.is_some()
                || !http.headers.is_empty()
                || http.url.parsed().password().is_some()
        }
        Spec::Tcp(tcp) => tcp.send.is_some(),
        Spec::Udp(udp) => udp.send.is_some(),
        Spec::Tls(_) | Spec::Icmp(_) | Spec::Dns(_) => false,
    };
    match secret {
        true => assert_eq!(again.expect, definition.expect),
        false => assert_eq!(again, definition),
    }
}

/// Nothing that shows a configuration shows a secret of it.
fn secrets_stay(configuration: &Configuration) {
    for definition in &configuration.monitors {
        // A name is not a secret, wherever it was copied from.
        let copied = [&definition.name, definition.id.as_str(), definition.group.as_deref().unwrap_or_default()];
        if copied.iter().any(|text| text.contains(SECRET)) {
            continue;
        }
        for masking in [Masking::Hidden, Masking::Fingerprint] {
            let shown = document(definition, masking);
            for key in ["http", "tcp", "udp"] {
                let text = secrets_of(&shown[key]);
                assert!(!text.contains(SECRET), "{masking:?}: {text}");
            }
        }
    }
}

/// The part of a document in which secrets are.
fn secrets_of(spec: &Value) -> String {
    let auth = &spec["auth"];
    let secret = ["url", "headers", "body", "send"].map(|key| &spec[key]);
    format!("{secret:?} {} {}", auth["bearer"], auth["basic"]["password"])
}

#[test]
fn a_configuration_that_holds_is_shown_as_it_reads_and_without_its_secrets() {
    run("configurations", Effort { inputs: 4_000, bytes_max: 512 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let document = match choices.one_in(3) {
            true => value(&mut choices, "root", 8),
            false => json!({ "monitors": [monitor(&mut choices, 8)] }),
        };
        let (format, text) = written(&mut choices, &document);
        let configuration = within(Duration::from_secs(2), &text, || read(format, &text));
        match configuration {
            Ok(configuration) => {
                configuration.monitors.iter().for_each(|definition| is_shown_as_it_reads(definition));
                secrets_stay(&configuration);
                settings_are_shown_as_they_read(&configuration);
            }
            Err(problems) => problems_are_readable(&problems, &text),
        }
    });
}

fn settings_are_shown_as_they_read(configuration: &Configuration) {
    let shown = settings_document(&configuration.settings);
    let again = Tree::parse_text("", Format::Json, &shown.to_string()).and_then(config::read);
    let again = again.unwrap_or_else(|e| panic!("{shown} does not read back: {e}"));
    assert_eq!(settings_document(&again.settings), shown);
}

/// A request with secrets in all the shapes that people might try, most of them wrong.
fn indiscreet(choices: &mut Choices<'_>) -> Value {
    let mut spec = Map::new();
    let s = secret(choices);
    let url = match choices.below(4) {
        0 | 1 => "https://a.example.org".to_owned(),
        2 => format!("https://u:{SECRET}@a.example.org:x/"),
        _ => format!("https://u:p/{SECRET}@a.example.org/"),
    };
    spec.insert("url".into(), url.into());
    let headers = match choices.below(8) {
        0 => json!({ "X-Plain": s, "x-plain": s }),
        1 => json!([format!("X-Plain: {s}")]),
        2 => json!(s),
        3 => json!({ "X-Plain": [s] }),
        4 => json!({ "X Plain": s, "Accept": { "a": s } }),
        5 => json!({ "content-length": s }),
        6 => json!({ "X-Plain": format!("\n{s}") }),
        _ => Value::Null,
    };
    spec.insert("headers".into(), headers);
    let s = secret(choices);
    let auth = match choices.below(10) {
        0 => json!(s),
        1 => json!([s]),
        2 => json!({ "basic": s }),
        3 => json!({ "basic": { "password": s } }),
        4 => json!({ "basic": { "user": "a", "pasword": s } }),
        5 => json!({ "bearer": [s] }),
        6 => json!({ "bearer": format!("{s} b") }),
        7 => json!({ "basic": { "user": "a:b", "password": s }, "bearer": s }),
        8 => json!({ "tokn": s }),
        _ => Value::Null,
    };
    spec.insert("auth".into(), auth);
    let s = secret(choices);
    let body = match choices.below(5) {
        0 => json!(s),
        1 => json!([s, s]),
        2 => json!({ "a": s }),
        _ => Value::Null,
    };
    spec.insert("body".into(), body);
    spec.insert(choices.word(&["method", "metod"]).into(), "head-then-get".into());
    Value::Object(spec)
}

/// Where secrets belong, and something that is wrong with or beside them: what is said and shown of it keeps them.
#[test]
fn a_problem_beside_a_secret_does_not_show_it() {
    run("secrets_in_problems", Effort { inputs: 15_000, bytes_max: 96 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let s = secret(&mut choices);
        let (kind, spec) = match choices.below(4) {
            0 => ("tcp", json!({ "address": choices.word(words("address")), "send": s, "sennd": 1 })),
            1 => ("udp", json!({ "send": [s], "ip": "7", "address": "a:1" })),
            _ => ("http", indiscreet(&mut choices)),
        };
        let document = crate::tree::without_nulls(
            json!({ "monitors": [{ kind: spec, choices.word(&["id", "nme"]): { "a": 1 } }] }),
        );
        let (format, text) = written(&mut choices, &document);
        let problems = read(format, &text).map(|_| ()).unwrap_err().to_string();
        assert!(!problems.contains(SECRET), "{problems}\n{text}");
    });
}

/// What a megabyte of one thing costs: about what it weighs.
#[test]
fn a_megabyte_of_nonsense_is_refused_in_a_moment() {
    let many = |unit: &str| unit.repeat(1_000_000 / unit.len());
    let numbered = |line: fn(usize) -> String| (0..40_000).map(line).collect::<String>();
    let bomb: String = (1..20).map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{}, ", n - 1).repeat(9))).collect();
    let texts = [
        (Format::Json, many("[")),
        (Format::Json, many("{\"a\":")),
        (Format::Json, format!("{{\"monitors\":[{}1]}}", many("1,"))),
        (Format::Json, format!("{{\"a\":\"{}\"}}", many("\\u0041"))),
        (Format::Json, format!("{{{}\"z\":1}}", numbered(|n| format!("\"k{n}\":{n},")))),
        (Format::Toml, format!("a = [{}1]", many("1,"))),
        (Format::Toml, format!("monitors = [{}1]", many("{},"))),
        (Format::Toml, format!("a = {}", many("["))),
        (Format::Toml, format!("{}a = 1", many("a."))),
        (Format::Toml, numbered(|n| format!("[k{n}]\na=1\n"))),
        (Format::Yaml, many("[")),
        (Format::Yaml, many("- ")),
        (Format::Yaml, many("? ")),
        (Format::Yaml, many("&a ")),
        (Format::Yaml, many("{a: ")),
        (Format::Yaml, format!("a0: &a0 [x]\n{bomb}")),
        (Format::Yaml, numbered(|n| format!("k{n}: &k{n} 1\n"))),
        (Format::Yaml, format!("a: \"{}\"", many("\\x41"))),
        (Format::Yaml, format!("monitors:\n{}", many("- http: x\n"))),
        (Format::Yaml, format!("monitors: [{}]", many("{http: x}, "))),
        (Format::Yaml, format!("x: {}", many("token: "))),
        (Format::Yaml, format!("monitors: [{{http: {{url: 'http://{}', heders: 1}}}}]", many("a:b@"))),
    ];
    for (format, text) in texts {
        let what = format!("{format:?} {}...", text.chars().take(40).collect::<String>());
        let said =
            within(Duration::from_secs(5), &what, || read(format, &text).map(|_| ()).map_err(|e| e.to_string().len()));
        assert!(matches!(said, Err(length) if length < 60_000) || said.is_ok(), "{what}: {said:?}");
    }
}
