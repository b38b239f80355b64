//! What comes from the network and the system: echo replies, redirects, certificates, DNS answers, the hosts file, and
//! what judging makes of an answer's body.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fuzz::{Choices, Effort, run, within};
use watchpost_checks::fuzz::{
    Led, dns_answer, dns_question, echo_reply, echo_request, facts, first_request, hosts, redirect,
};
use watchpost_core::monitor::Secret;
use watchpost_core::observe::{HttpSeen, Observation};
use watchpost_core::spec::{DnsSpec, HttpSpec, RecordType, Spec};
use watchpost_core::{Definition, Timestamp, Verdict, judge};
use watchpost_wire::config::{Defaults, monitor_for_url, read_monitor};
use watchpost_wire::tree::{Format, Tree};

fn definition(json: &serde_json::Value) -> Definition {
    let tree = Tree::parse_text("w.yml", Format::Json, &json.to_string()).unwrap();
    read_monitor(&tree, &Defaults::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn http(url: &str) -> Option<HttpSpec> {
    match monitor_for_url(url, &Defaults::default()).ok()?.spec {
        Spec::Http(spec) => Some(*spec),
        _ => None,
    }
}

#[test]
fn an_echo_reply_gives_the_token_that_was_sent_and_nothing_else_does() {
    run("echo", Effort { inputs: 200_000, bytes_max: 96 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let (v6, header) = (choices.one_in(2), choices.one_in(2));
        let token = choices.bits();
        let size = (choices.bits() & 0xffff) as u16;
        let mut packet = echo_request(v6, 7, token, size);
        assert!((16..=1_480).contains(&packet.len()));
        assert_eq!(echo_reply(v6, false, &packet), None, "a request is no reply");
        packet[0] = if v6 { 129 } else { 0 };
        assert_eq!(echo_reply(v6, false, &packet), Some(token));
        let words = 5 + choices.below(11);
        let ip = [vec![0x40 | u8::try_from(words).unwrap()], vec![0; words * 4 - 1], packet.clone()].concat();
        assert_eq!(echo_reply(v6, true, &ip), Some(token));
        let rest = choices.rest();
        if let Some(read) = echo_reply(v6, header, rest) {
            assert!(rest.windows(8).any(|eight| eight == read.to_be_bytes()), "a token out of nowhere");
        }
    });
}

const LOCATIONS: &[&str] = &[
    "http://",
    "https://",
    "//",
    "/",
    "\\",
    "a.example",
    "b.example",
    ":443",
    ":80",
    ":444",
    ":0",
    ":99999",
    "?",
    "#",
    "@",
    "u:p@",
    "..",
    "../",
    ".",
    "%",
    "%00",
    "%zz",
    "%2e%2e",
    " ",
    "\t",
    "é",
    "\u{ad}",
    "ß",
    "日本",
    "[::1]",
    "127.0.0.1",
    "0x7f.1",
    "javascript:",
    "ftp://",
    "file:///etc",
    "data:,",
    "A",
    "|",
    "^",
    "`",
    "{",
    "}",
    "\"",
    "<",
    ">",
    "'",
    "*",
    "~",
    ";",
    "=",
    "&",
    "+",
    ",",
    "!",
    "$",
    "(",
];

#[test]
fn a_redirect_leads_to_what_can_be_requested_and_takes_no_secret_elsewhere() {
    run("redirects", Effort { inputs: 50_000, bytes_max: 96 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let mut spec = http("https://user:hunter2@a.example/dir/page?q=1").unwrap();
        spec.headers = vec![("X-Key".to_owned(), Secret::new("hunter2")), ("Accept".to_owned(), Secret::new("a/b"))];
        let status = *choices.pick(&[301, 302, 303, 307, 308, 200, 304, 500]);
        let location = match choices.one_in(8) {
            true => choices.rest().to_vec(),
            false => choices.soup(LOCATIONS, 10).into_bytes(),
        };
        match redirect(&spec, status, &location) {
            None => {}
            Some(Led::Nowhere) => assert!(matches!(status, 200 | 304 | 500)),
            Some(Led::Astray(told)) => assert!(told.chars().count() <= 200),
            Some(Led::On { url, at_home, requests }) => {
                assert!(matches!(url.scheme(), "http" | "https") && !url.host_str().unwrap().is_empty());
                assert!(url.username().is_empty() && url.password().is_none());
                let home = (url.scheme(), url.host_str(), url.port()) == ("https", Some("a.example"), None);
                assert_eq!(at_home, home, "{url}");
                let [http1, http2] = *requests;
                let headers = http1.unwrap_or_else(|fault| panic!("{url}: {fault:?}"));
                assert_eq!(headers.contains_key("authorization"), at_home);
                assert_eq!(headers.contains_key("x-key"), at_home);
                assert!(headers["host"].to_str().unwrap().starts_with(url.host_str().unwrap()));
                // HTTP/2 has its authority checked by a parser of its own; a name it refuses resolves nowhere.
                let odd = |c: char| "\"{}`".contains(c);
                assert!(http2.is_ok() || url.host_str().unwrap().contains(odd), "{url}: {http2:?}");
            }
        }
    });
}

/// What RFC 3986 section 2.1 makes of a text, found in another way than the check finds it.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let digits: String = part.chars().take(2).filter(char::is_ascii_hexdigit).collect();
        match digits.len() {
            2 => {
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            _ => bytes.extend_from_slice(format!("%{part}").as_bytes()),
        }
    }
    bytes
}

#[test]
fn credentials_in_a_url_are_sent_decoded_once() {
    const CREDENTIALS: &[&str] = &[
        "%", "%41", "%4", "%+5", "% 5", "%zz", "%25", "%40", "%c3%a9", "%ff", "+", "a", "é", ":", "%3a", "!", "\"", "0",
    ];
    run("credentials", Effort { inputs: 50_000, bytes_max: 48 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let written = choices.soup(CREDENTIALS, 8);
        let Some(spec) = http(&format!("http://u:{written}@a.example/")) else { return };
        let Some(password) = spec.url.parsed().password() else { return };
        let wanted = [b"u:".to_vec(), String::from_utf8_lossy(&decoded(password)).into_owned().into_bytes()].concat();
        let headers = first_request(&spec).unwrap();
        let sent = headers["authorization"].to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(sent).unwrap(), wanted, "{written}");
    });
}

thread_local!(static CERTIFICATES: OnceCell<Vec<Vec<u8>>> = const { OnceCell::new() });

/// Certificates with many names, few, none.
fn certificates() -> Vec<Vec<u8>> {
    let make = |names: Vec<String>| {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap().der().to_vec()
    };
    let names =
        vec!["a.example.org".to_owned(), "*.b.example".to_owned(), "192.0.2.1".to_owned(), "2001:db8::1".to_owned()];
    let many = (0..150).map(|n| format!("{n}.example.org")).collect();
    vec![make(names), make(Vec::new()), make(many)]
}

#[test]
fn any_certificate_is_described_within_bounds() {
    run("certificates", Effort { inputs: 40_000, bytes_max: 256 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let whole = CERTIFICATES.with(|cell| cell.get_or_init(certificates).clone());
        let mut chain: Vec<Vec<u8>> = Vec::new();
        for _ in 0..choices.below(4) {
            let one = choices.pick(&whole).clone();
            chain.push(match choices.below(4) {
                0 => one,
                1 => choices.rest().to_vec(),
                _ => choices.mutated(&one, &["\0", "0", "\u{2}\u{1}", "0\u{3}", "\u{7f}", "\u{17}\r", "*", "\u{80}"]),
            });
        }
        let Some(told) = within(Duration::from_secs(1), "certificates", || facts(&chain)) else { return };
        assert_eq!(usize::from(told.chain), chain.len());
        assert!(told.names.len() <= 100 && told.names.iter().all(|name| name.chars().count() <= 300));
        assert!(told.subject.chars().count() <= 300 && told.issuer.chars().count() <= 300);
        assert!(told.chain_not_after <= told.not_after);
        assert!(told.fingerprint.len() == 64 && told.fingerprint.bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(told.not_after.to_string().ends_with('Z'));
    });
}

#[test]
fn any_dns_answer_is_told_within_bounds_and_only_to_its_own_question() {
    run("dns_answers", Effort { inputs: 60_000, bytes_max: 256 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let record = *choices.pick(&RecordType::ALL);
        let name = choices.word(&["example.org", ".", "_a._tcp.b.", "ß.example", "192.0.2.1", "a\\046b.c"]).to_owned();
        let spec = DnsSpec { name, record, server: None, tcp: false };
        let Some(mut message) = dns_question(&spec) else { return };
        let id = u16::from_be_bytes([message[0], message[1]]);
        message[2] |= 0x80; // it is an answer
        message[11] = 0; // without EDNS
        message.truncate(message.len() - 11);
        assert!(dns_answer(&spec, id, &message).is_some_and(|told| told.answers.is_empty()));
        assert_eq!(dns_answer(&spec, id.wrapping_add(1), &message), None);
        let count = choices.byte() % 4;
        message[7] = count;
        for _ in 0..count {
            let kind = message[message.len() - 3];
            message.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 9, 0]);
            let length = choices.byte() % 40;
            message.push(length);
            message.extend((0..length).map(|_| choices.byte()));
        }
        let bytes = match choices.below(4) {
            0 => choices.mutated(&message, &["\0", "\u{1}", "\u{3f}", "\u{7f}"]),
            1 => choices.rest().to_vec(),
            _ => message,
        };
        let told = within(Duration::from_secs(1), "a message", || dns_answer(&spec, id, &bytes));
        let Some(told) = told else { return };
        assert!(told.answers.len() <= 256 && told.answers.iter().all(|answer| answer.chars().count() <= 1_024));
        assert!(!told.rcode.is_empty() && told.rcode.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
    });
}

#[test]
fn the_hosts_file_gives_only_addresses_that_are_in_it() {
    const LINES: &[&str] = &[
        "127.0.0.1",
        "::1",
        "192.0.2.1",
        "1.2.3",
        "fe80::1%eth0",
        " ",
        "\t",
        "\n",
        "\r\n",
        "#",
        "a",
        "A",
        "a.",
        "b.example",
        "é",
        "\0",
        "\u{a0}",
    ];
    run("hosts", Effort { inputs: 150_000, bytes_max: 96 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let text = choices.soup(LINES, 30);
        for name in ["a", "b.example", "é", ""] {
            let found = hosts(&text, name);
            assert!(found.len() <= 16);
            let in_it = |address: &IpAddr| {
                text.lines().any(|line| {
                    let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
                    words.next().and_then(|first| first.parse().ok()) == Some(*address)
                        && words.any(|word| word.eq_ignore_ascii_case(name))
                })
            };
            assert!(found.iter().all(in_it), "{name}: {found:?} of {text:?}");
        }
    });
}

/// An answer of any kind, judged by any expectation: a verdict with a short reason, in no time.
#[test]
fn any_body_is_judged_at_once_with_a_short_reason() {
    const BODY: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        "\"a\":",
        "\"b\"",
        "1",
        "1e999",
        "-0",
        "null",
        "true",
        ",",
        "é",
        "\u{1b}[2J",
        "\n",
        "\"\\ud800\"",
        "{\"a\":1}",
    ];
    run("judging", Effort { inputs: 8_000, bytes_max: 256 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let path = choices.word(&["$.a", "$..*", "$", "$[?@.a == 1]", "$..a[0]"]);
        let op = *choices.pick(&["equals", "contains", "matches", "min", "exists"]);
        let expected = match op {
            "min" => serde_json::json!(1.5),
            "exists" => serde_json::json!(choices.one_in(2)),
            "matches" => serde_json::json!(choices.word(&["1", "^a+$", "é|\\{"])),
            _ => serde_json::json!(choices.word(&["1", "a", "true", "null", "{\"a\":1}"])),
        };
        let definition = definition(&serde_json::json!({
            "id": "a", "http": "http://a.example/",
            "expect": { "json": [{ "path": path, op: expected }], "headers": { "x-a": { "contains": "b" } }, "body": { "lacks": "zz" } },
        }));
        let unit = choices.soup(BODY, 4);
        let body = match choices.below(3) {
            0 => choices.soup(BODY, 40),
            1 => unit.repeat(20_000 / unit.len().max(1)),
            _ => serde_json::json!({ "a": [choices.text(200) + &"é".repeat(300)] }).to_string(),
        };
        let mut seen = Observation::begin(Timestamp::EPOCH);
        seen.http = Some(HttpSeen {
            status: 200,
            url: "http://a.example/".to_owned(),
            version: "1.1",
            headers: vec![("x-a".to_owned(), choices.text(300) + choices.word(&["b", ""]))],
            body_bytes: body.len() as u64,
            body: Some(if choices.one_in(4) { choices.rest().to_vec() } else { body.into_bytes() }),
            truncated: false,
            redirects: 0,
        });
        match within(Duration::from_secs(1), path, || judge(&definition, &seen)) {
            Verdict::Pass => {}
            Verdict::Fail(reason) | Verdict::Degraded(reason) => {
                assert!(reason.text.chars().count() < 400 && !reason.text.contains(char::is_control), "{reason:?}");
            }
            Verdict::Inconclusive(fault) => panic!("{fault:?}"),
        }
    });
}
