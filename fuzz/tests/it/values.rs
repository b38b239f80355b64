//! Values as people write them: durations, sizes, status codes, targets, times, schedules, ids.

use std::time::Duration;

use fuzz::{Choices, Effort, run, within};
use regex::Regex;
use watchpost_core::expect::{JsonPath, Pattern, StatusSet};
use watchpost_core::schedule::{Cron, Schedule};
use watchpost_core::spec::{HttpUrl, Spec};
use watchpost_core::time::words;
use watchpost_core::{MonitorId, Timestamp};
use watchpost_wire::config::{
    Defaults, Masking, document, duration_text, monitor_for_url, parse_duration, parse_size, read_monitor, size_text,
};
use watchpost_wire::tree::{Format, Tree};

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "5",
    "9",
    "00",
    "10",
    "60",
    "99",
    "1000",
    "18446744073709551615",
    "99999999999999999999",
    ".",
    ".5",
    "1.5",
    "0.001",
    "-",
    "+",
    " ",
    "_",
    "e",
    "ms",
    "s",
    "m",
    "h",
    "d",
    "w",
    "y",
    "B",
    "kB",
    "KiB",
    "MiB",
    "GiB",
    "TiB",
    "x",
    "é",
];

/// What the JSON Schema promises to editors about a duration, and about a size.
fn promised(key: &str) -> Regex {
    let schema = watchpost_wire::config::schema();
    let find = |name: &str, property: &str| {
        let found = schema.pointer(&format!("/$defs/{name}/properties/{property}"));
        let text = found.unwrap().to_string();
        let (_, pattern) = text.split_once("\"pattern\":").unwrap();
        let mut stream = serde_json::Deserializer::from_str(pattern).into_iter::<String>();
        stream.next().unwrap().unwrap()
    };
    Regex::new(&match key {
        "duration" => find("Pace", "every"),
        _ => find("Storage", "size_max"),
    })
    .unwrap()
}

#[test]
fn a_duration_means_what_the_schema_says_and_reads_back() {
    run("durations", Effort { inputs: 300_000, bytes_max: 32 }, |bytes| {
        thread_local!(static PROMISED: Regex = promised("duration"));
        let text = Choices::new(bytes).soup(NUMBERS, 12);
        let Ok(duration) = parse_duration(&text) else { return };
        assert!(PROMISED.with(|p| p.is_match(text.trim())), "`{text}` is taken, and the schema refuses it");
        let written = duration_text(duration);
        if duration.as_millis() <= i64::MAX as u128 {
            assert_eq!(parse_duration(&written), Ok(duration), "`{text}` is shown as `{written}`");
        }
        assert!(!words(duration).is_empty());
    });
}

#[test]
fn a_size_means_what_the_schema_says_and_reads_back() {
    run("sizes", Effort { inputs: 200_000, bytes_max: 32 }, |bytes| {
        thread_local!(static PROMISED: Regex = promised("size"));
        let text = Choices::new(bytes).soup(NUMBERS, 8);
        let Ok(size) = parse_size(&text) else { return };
        assert!(PROMISED.with(|p| p.is_match(text.trim())), "`{text}` is taken, and the schema refuses it");
        assert_eq!(parse_size(&size_text(size)), Ok(size), "`{text}`");
    });
}

#[test]
fn a_set_of_status_codes_reads_back_and_holds_what_it_names() {
    const CODES: &[&str] = &[
        "200", "299", "99", "100", "599", "600", "404", "2", "0", "-", ",", " ", "xx", "XX", "2xx", "5XX", "+",
        "65536", "é",
    ];
    run("status_sets", Effort { inputs: 15_000, bytes_max: 32 }, |bytes| {
        let text = Choices::new(bytes).soup(CODES, 12);
        let Ok(set) = StatusSet::parse(&text) else { return };
        assert!(text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || "-,xX".contains(c)), "{text}");
        assert_eq!(StatusSet::parse(&set.to_string()), Ok(set.clone()));
        let one = text.split([',', '-']).map(str::trim).find_map(|part| part.parse::<u16>().ok());
        assert!(one.is_none_or(|code| set.contains(code)), "{text}");
        assert!((0..=u16::MAX).all(|code| !set.contains(code) || (100..=599).contains(&code)));
    });
}

const TARGETS: &[&str] = &[
    "http://",
    "https://",
    "tcp://",
    "tls://",
    "udp://",
    "icmp://",
    "dns://",
    "TCP://",
    "Icmp://",
    "DNS://",
    "HTTP://",
    "ftp://",
    "://",
    "a",
    "example.org",
    "localhost",
    "xn--nxasmq6b",
    "ß.de",
    "日本",
    "_dmarc",
    ".",
    "..",
    ":",
    ":80",
    ":0",
    ":65536",
    "/",
    "//",
    "/a/b",
    "?q=1",
    "#f",
    "@",
    "u:p@",
    "user:hunter2@",
    "u%40:p%2f@",
    "[",
    "]",
    "[::1]",
    "[::1%1]",
    "::1",
    "1.2.3.4",
    "0x7f.1",
    "127.1",
    "1.2.3",
    "%",
    "%zz",
    "%41",
    "\\",
    " ",
    "\t",
    "\n",
    "\0",
    "\u{200b}",
    "-",
    "*",
    "'",
    "\"",
    "<",
    "^",
    "|",
];

#[test]
fn a_target_typed_by_hand_is_one_monitor_or_a_refusal() {
    run("targets", Effort { inputs: 20_000, bytes_max: 48 }, |bytes| {
        let text = Choices::new(bytes).soup(TARGETS, 8);
        let defaults = Defaults::default();
        let Ok(monitor) = monitor_for_url(&text, &defaults) else { return };
        let (scheme, rest) = text.split_once("://").unwrap();
        for scheme in [scheme.to_ascii_lowercase(), scheme.to_ascii_uppercase()] {
            let again = monitor_for_url(&format!("{scheme}://{rest}"), &defaults);
            let again = again.unwrap_or_else(|e| panic!("`{text}` with {scheme}: {e}"));
            assert_eq!(again.spec.kind(), monitor.spec.kind());
            if !matches!(monitor.spec, Spec::Http(_)) {
                assert_eq!(again.spec, monitor.spec);
            }
        }
        if text.matches("hunter2").count() == 1 {
            password_is_not_shown(&monitor.spec, &monitor.name);
        }
        // What is shown of it names the same target.
        let port = match &monitor.spec {
            Spec::Tcp(tcp) => Some(&tcp.address),
            Spec::Tls(tls) => Some(&tls.address),
            Spec::Udp(udp) => Some(&udp.address),
            Spec::Http(_) | Spec::Icmp(_) | Spec::Dns(_) => None,
        };
        if let Some(address) = port {
            assert!(address.port > 0 && !address.host.is_empty() && !address.host.contains(char::is_whitespace));
            let again = monitor_for_url(&format!("{}://{address}", monitor.kind()), &defaults);
            assert_eq!(again.map(|again| again.spec), Ok(monitor.spec.clone()));
        }
        // The same text in a file.
        let written = serde_json::json!({ "id": "a", monitor.kind().as_str(): text }).to_string();
        let tree = Tree::parse_text("w.yml", Format::Json, &written).unwrap();
        assert_eq!(read_monitor(&tree, &defaults).map(|read| read.spec).ok(), Some(monitor.spec));
    });
}

fn password_is_not_shown(spec: &Spec, name: &str) {
    let Spec::Http(http) = spec else { return };
    let Some(password) = http.url.parsed().password() else { return };
    let shown = url::Url::parse(&http.url.shown()).unwrap();
    assert_eq!(shown.password(), Some("***"));
    assert_eq!((shown.username(), shown.host_str()), (http.url.parsed().username(), http.url.parsed().host_str()));
    if password == "hunter2" {
        let debug = format!("{:?} {name} {}", http.url, spec.target());
        assert!(!debug.contains("hunter2"), "{debug}");
    }
}

#[test]
fn a_url_is_kept_as_written_and_parses_again() {
    run("urls", Effort { inputs: 200_000, bytes_max: 64 }, |bytes| {
        let text = Choices::new(bytes).soup(TARGETS, 10);
        let Ok(url) = HttpUrl::parse(&text) else { return };
        assert_eq!(url.written(), text);
        assert!(matches!(url.parsed().scheme(), "http" | "https") && !url.parsed().host_str().unwrap().is_empty());
        assert_eq!(HttpUrl::parse(url.parsed().as_str()).map(|u| u.parsed().clone()), Ok(url.parsed().clone()));
    });
}

#[test]
fn a_time_is_written_as_it_is_read() {
    const TIMES: &[&str] = &[
        "2026-11-20",
        "T",
        "t",
        " ",
        "02:17:11",
        ".007",
        ".000000001",
        "Z",
        "z",
        "+02:00",
        "-23:59",
        "+25:99",
        "[Europe/Riga]",
        "[u-ca=iso8601]",
        "1969-12-31",
        "0001-01-01",
        "-009999-01-01",
        "9999-12-31",
        "23:59:60",
        "24:00:00",
        "-",
        ":",
        "60",
        "é",
    ];
    run("times", Effort { inputs: 200_000, bytes_max: 48 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let millis = choices.signed();
        let at = Timestamp::from_millis(millis);
        let shown = at.to_string();
        let again: Timestamp = shown.parse().unwrap_or_else(|e| panic!("{millis} is shown as {shown}: {e}"));
        if (-62_135_596_800_000..=Timestamp::MAX.as_millis()).contains(&millis) {
            assert_eq!(again, at);
        }
        assert!(at.since(again) == Duration::ZERO || again.since(at) == Duration::ZERO);
        assert!(at.hour() <= at);
        if let Ok(read) = choices.soup(TIMES, 8).parse::<Timestamp>() {
            assert!(read.hour() <= read && read.since(read.hour()) < Duration::from_secs(3_600));
        }
    });
}

#[test]
fn a_cron_expression_comes_due_in_order_or_is_refused() {
    const CRON: &[&str] = &[
        "*", "*/5", "0", "1", "7", "30", "31", "59", "60", "2-4", "4-2", "1,2", "L", "#2", "5#5", "5L", "LW", "15W",
        "?", "MON", "SUN-SAT", "FEB", "29", "@daily", "@yearly", "@reboot", " ", " ", " ", " ", "  ", "/", "/0", "-",
        ",", "+", "é", "\n",
    ];
    const ZONES: &[&str] = &[
        "UTC",
        "Europe/Riga",
        "America/New_York",
        "Asia/Kathmandu",
        "",
        "/",
        "../UTC",
        "Nowhere/City",
        "+02:00",
        "\0",
    ];
    run("cron", Effort { inputs: 20_000, bytes_max: 64 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let zone = choices.word(ZONES);
        let after = Timestamp::from_secs(1_700_000_000 + i64::from(choices.byte()) * 1_234_567);
        let text = match choices.below(3) {
            0 => choices.soup(CRON, 16),
            _ => (0..5 + choices.below(2)).map(|_| choices.word(CRON)).collect::<Vec<_>>().join(" "),
        };
        let parsed = within(Duration::from_secs(1), &text, || Cron::parse(&text, zone));
        let Ok(cron) = parsed else { return };
        assert_eq!((cron.expression(), cron.timezone()), (&*text, zone));
        let next = within(Duration::from_secs(1), &text, || cron.next_after(after));
        let Some(next) = next else { return };
        assert!(next > after);
        let before = within(Duration::from_secs(1), &text, || cron.previous_before(next + Duration::from_millis(1)));
        assert_eq!(before, Some(next), "`{text}` in {zone}");
        assert_eq!(Schedule::Cron(cron.clone()), Schedule::Cron(Cron::parse(&text, zone).unwrap()));
    });
}

#[test]
fn an_id_made_of_a_name_fits_a_path_and_is_the_id_of_itself() {
    run("slugs", Effort { inputs: 100_000, bytes_max: 64 }, |bytes| {
        let name = Choices::new(bytes).text(24);
        let slug = MonitorId::slug(&name);
        let text = slug.as_str();
        assert!(text.chars().all(|c| c.is_alphanumeric() || c == '-'), "{name:?}: {text:?}");
        assert!(!text.starts_with('-') && !text.ends_with('-') && !text.contains("--"), "{name:?}: {text:?}");
        assert_eq!(MonitorId::slug(text), slug, "{name:?}");
        assert_eq!(text.is_empty(), !name.chars().any(|c| c.to_lowercase().any(char::is_alphanumeric)));
    });
}

const PATHS: &[&str] = &[
    "$",
    "@",
    ".",
    "..",
    "*",
    "[",
    "]",
    "[*]",
    "[0]",
    "[-1]",
    "[1:2:3]",
    "[::0]",
    "['a']",
    "[\"a\"]",
    "[?",
    "(",
    ")",
    "((",
    "))",
    "!",
    "!(",
    "&&",
    "||",
    "==",
    "!=",
    "<=",
    ">",
    "1",
    "1e400",
    "-0",
    "true",
    "null",
    "'a'",
    "length(",
    "count(",
    "match(",
    "search(",
    "value(",
    ",",
    " ",
    "a",
    "b",
    "a.b",
    "$.a",
    "@.a",
    "é",
    "\\u0041",
    "\\ud800",
    "9007199254740993",
];

#[test]
fn any_json_path_is_read_at_once_and_selects_what_is_there() {
    run("json_paths", Effort { inputs: 50_000, bytes_max: 96 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let json = crate::tree::value(&mut choices, 4);
        let text = match choices.below(4) {
            0 => choices.soup(PATHS, 30),
            1 => {
                let unit = choices.soup(PATHS, 3);
                let times = choices.below(500 / unit.len().max(1));
                format!("$[?{}@.a{}", unit.repeat(times), choices.soup(PATHS, 3).repeat(20))
            }
            _ => format!("${}", choices.soup(PATHS, 12)),
        };
        let parsed = within(Duration::from_secs(1), &text, || JsonPath::parse(&text));
        let Ok(path) = parsed else { return };
        assert_eq!(path.as_str(), text);
        let found = within(Duration::from_secs(1), &text, || path.first(&json));
        assert!(found.is_none_or(|found| contains(&json, found)));
    });
}

fn contains(json: &serde_json::Value, part: &serde_json::Value) -> bool {
    std::ptr::eq(json, part)
        || match json {
            serde_json::Value::Array(items) => items.iter().any(|item| contains(item, part)),
            serde_json::Value::Object(map) => map.values().any(|value| contains(value, part)),
            _ => false,
        }
}

#[test]
fn any_pattern_is_read_at_once_and_matches_in_linear_time() {
    const PATTERNS: &[&str] = &[
        "a",
        ".",
        "*",
        "+",
        "?",
        "{9}",
        "{1000}",
        "{1,}",
        "(",
        ")",
        "(?:",
        "(?i)",
        "(?x)",
        "|",
        "[",
        "]",
        "^",
        "$",
        "\\w",
        "\\p{L}",
        "\\b",
        "\\",
        "[^a]",
        "(a+)+",
        "\\x{10ffff}",
        "(?<n>",
        "\\1",
        "(?=",
        "é",
        "[[:alpha:]]",
        "&&",
        "--",
        "~~",
    ];
    run("patterns", Effort { inputs: 4_000, bytes_max: 64 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let text = choices.soup(PATTERNS, 24);
        let parsed = within(Duration::from_secs(2), &text, || Pattern::parse(&text));
        let Ok(pattern) = parsed else { return };
        assert_eq!(pattern.as_str(), text);
        let body = (choices.text(8) + "a").repeat(200);
        within(Duration::from_secs(2), &text, || pattern.matches(&body));
    });
}

/// What the page and `config show` say of a target: it reads back as the same monitor.
#[test]
fn a_monitor_that_is_only_a_target_is_shown_as_it_can_be_written() {
    run("bare_targets", Effort { inputs: 20_000, bytes_max: 64 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let kind = choices.word(&["http", "tcp", "tls", "udp", "icmp", "dns"]);
        let long = "a".repeat(choices.below(300));
        let target = choices.soup(TARGETS, 8) + &long;
        let target = if kind == "http" { format!("http://{target}") } else { target };
        let read = |text: &str| {
            let tree = Tree::parse_text("w.yml", Format::Json, text).unwrap();
            read_monitor(&tree, &Defaults::default())
        };
        let Ok(definition) = read(&serde_json::json!({ kind: target }).to_string()) else { return };
        let Spec::Http(http) = &definition.spec else {
            let shown = document(&definition, Masking::Hidden).to_string();
            let again = read(&shown).unwrap_or_else(|e| panic!("{shown} does not read back: {e}"));
            assert_eq!(again, definition);
            return;
        };
        let shown = document(&definition, Masking::Hidden).to_string();
        let again = read(&shown).unwrap_or_else(|e| panic!("{shown} does not read back: {e}"));
        if http.url.parsed().password().is_none() {
            assert_eq!(again, definition);
        }
    });
}
