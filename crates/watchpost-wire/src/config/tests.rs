#![expect(
    clippy::too_many_lines,
    clippy::needless_pass_by_value,
    reason = "tables of cases, with what is expected written in place"
)]

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;

use watchpost_core::spec::{HttpAuth, Spec};

use super::*;
use crate::tree::Format;

fn load(text: &str) -> Result<Configuration, Problems> {
    let mut tree = Tree::parse_text("watchpost.yml", Format::Yaml, text)?;
    tree.substitute(&|_| None)?;
    read(tree)
}

/// What is said about a broken configuration.
fn refused(text: &str, expected: Expect) {
    let said = match load(text) {
        Ok(loaded) => format!("accepted: {:?}\n", loaded.monitors),
        Err(problems) => format!("{problems}\n"),
    };
    expected.assert_eq(&said);
}

fn monitor(text: &str) -> Definition {
    let tree = Tree::parse_text("", Format::Yaml, text).unwrap();
    read_monitor(&tree, &Defaults::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The effective document, but for what every monitor has.
fn effective(text: &str, expected: Expect) {
    let definition = monitor(text);
    let mut shown = document(&definition, Masking::Hidden);
    for key in ["timeout", "fail_after", "recover_after", "active", "regions", "interval", "tags"] {
        let defaults = json!({ "timeout": "10s", "fail_after": 1, "recover_after": 1, "active": true,
            "regions": ["local"], "interval": "1m", "tags": [] });
        if shown[key] == defaults[key] {
            shown.as_object_mut().unwrap().remove(key);
        }
    }
    expected.assert_eq(&format!("{shown:#}\n"));
}

#[test]
fn nothing_written_is_a_configuration() {
    for text in ["", "# nothing\n", "monitors:\n", "server:\ndefaults:\nmonitors: []\n", "{}"] {
        let loaded = load(text).unwrap();
        assert_eq!(loaded.settings, Settings::default(), "{text:?}");
        assert!(loaded.monitors.is_empty());
    }
}

#[test]
fn a_misspelt_key_is_told_with_the_nearest_right_one() {
    refused(
        "server: { listen: 127.0.0.1:1 }\nlgo: {}\nmonitors:\n  - id: a\n    http: { url: \"http://a.example.org\", metod: GET }\n    intervall: 30s\n  - id: b\n    tcp: { address: \"b:1\", sendd: x }\n    zzz: 1\n",
        expect![[r#"
            watchpost.yml:2:1: unknown key `lgo`; did you mean `log`?
            2 | lgo: {}
              | ^
            watchpost.yml:5:42: unknown key `metod`; did you mean `method`?
            5 |     http: { url: "http://a.example.org", metod: GET }
              |                                          ^
            watchpost.yml:6:5: unknown key `intervall`; did you mean `interval`?
            6 |     intervall: 30s
              |     ^
            watchpost.yml:8:28: unknown key `sendd`; did you mean `send`?
            8 |     tcp: { address: "b:1", sendd: x }
              |                            ^
            watchpost.yml:9:5: unknown key `zzz`; expected `id`, `name`, `group`, `tags`, `http`, `tcp`, `tls`, `udp`, `icmp`, `dns`, `expect`, `interval`, `cron`, `timezone`, `retry`, `while_down`, `timeout`, `fail_after`, `recover_after`, `active` or `regions`
            9 |     zzz: 1
              |     ^
        "#]],
    );
}

#[test]
fn a_key_that_is_not_built_yet_is_not_unknown() {
    refused(
        "channels: { ops: {} }\nserver: { tls: {}, trusted_proxies: [] }\nnetwork: { uplink: [] }\nalerting: { send: true }\ndefaults: { alert: [ops] }\nstorage: { url: \"postgres://db/x\" }\nmonitors:\n  - { id: a, heartbeat: { every: 1h } }\n  - { id: b, http: \"http://b\", depends_on: [a], regions: [eu] }\n",
        expect![[r#"
            watchpost.yml:1:1: `channels` is not supported yet in this version
            1 | channels: { ops: {} }
              | ^
            watchpost.yml:2:11: `tls` is not supported yet in this version
            2 | server: { tls: {}, trusted_proxies: [] }
              |           ^
            watchpost.yml:2:20: `trusted_proxies` is not supported yet in this version
            2 | server: { tls: {}, trusted_proxies: [] }
              |                    ^
            watchpost.yml:3:12: `uplink` is not supported yet in this version
            3 | network: { uplink: [] }
              |            ^
            watchpost.yml:4:13: `send` is not supported yet in this version
            4 | alerting: { send: true }
              |             ^
            watchpost.yml:5:13: `alert` is not supported yet in this version
            5 | defaults: { alert: [ops] }
              |             ^
            watchpost.yml:6:17: `storage.url: postgres://` is not supported yet in this version; write sqlite://watchpost.db
            6 | storage: { url: "postgres://db/x" }
              |                 ^
            watchpost.yml:8:14: `heartbeat` is not supported yet in this version
            8 |   - { id: a, heartbeat: { every: 1h } }
              |              ^
            watchpost.yml:9:32: `depends_on` is not supported yet in this version
            9 |   - { id: b, http: "http://b", depends_on: [a], regions: [eu] }
              |                                ^
        "#]],
    );
}

#[test]
fn every_problem_is_told_at_once() {
    refused(
        "server: { listen: [localhost:80, nowhere, 127.0.0.1:80], base_url: watch.example.org }\nlog: { level: inof, format: text }\nstorage: { keep: { results: 35 }, size_max: 2G }\nnetwork: { private_targets: denied }\nmonitors:\n  - { id: a, http: { url: \"htp://x\" }, interval: 60, timeout: 1h, fail_after: 0, active: maybe }\n  - { id: a, name: B, tcp: db }\n  - nonsense\n  - { id: a, udp: \"x:1\" }\n  - { name: a, udp: \"x:1\" }\n",
        expect![[r#"
            watchpost.yml:1:34: `nowhere` is not an address to listen on; write for example 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080
            1 | server: { listen: [localhost:80, nowhere, 127.0.0.1:80], base_url: watch.example.org }
              |                                  ^
            watchpost.yml:1:43: `127.0.0.1:80` is listed twice
            1 | server: { listen: [localhost:80, nowhere, 127.0.0.1:80], base_url: watch.example.org }
              |                                           ^
            watchpost.yml:1:68: not a URL: relative URL without a base; write for example https://watch.example.org/sub
            1 | server: { listen: [localhost:80, nowhere, 127.0.0.1:80], base_url: watch.example.org }
              |                                                                    ^
            watchpost.yml:2:15: unknown value `inof`; did you mean `info`?
            2 | log: { level: inof, format: text }
              |               ^
            watchpost.yml:3:29: `35` has no unit; write `35s` for seconds
            3 | storage: { keep: { results: 35 }, size_max: 2G }
              |                             ^
            watchpost.yml:3:45: `2G` is not a size; write for example 512KiB, 1MiB or 2GiB
            3 | storage: { keep: { results: 35 }, size_max: 2G }
              |                                             ^
            watchpost.yml:4:29: unknown value `denied`; expected `allow` or `deny`
            4 | network: { private_targets: denied }
              |                             ^
            watchpost.yml:6:50: `60` has no unit; write `60s` for seconds
            6 |   - { id: a, http: { url: "htp://x" }, interval: 60, timeout: 1h, fail_after: 0, active: maybe }
              |                                                  ^
            watchpost.yml:6:63: `1h` is not between 100ms and 5m
            6 |   - { id: a, http: { url: "htp://x" }, interval: 60, timeout: 1h, fail_after: 0, active: maybe }
              |                                                               ^
            watchpost.yml:6:79: expected a whole number from 1 to 1000, got `0`
            6 |   - { id: a, http: { url: "htp://x" }, interval: 60, timeout: 1h, fail_after: 0, active: maybe }
              |                                                                               ^
            watchpost.yml:6:90: expected `true` or `false`, got `maybe`
            6 |   - { id: a, http: { url: "htp://x" }, interval: 60, timeout: 1h, fail_after: 0, active: maybe }
              |                                                                                          ^
            watchpost.yml:7:28: `db` has no port; write for example db.example.org:5432 or [::1]:5432
            7 |   - { id: a, name: B, tcp: db }
              |                            ^
            watchpost.yml:8:5: expected a map, got a text
            8 |   - nonsense
              |     ^
            watchpost.yml:10:13: the id `a` is already used at watchpost.yml:9:11; give one of them another `id`
            10 |   - { name: a, udp: "x:1" }
               |             ^
        "#]],
    );
}

#[test]
fn no_more_than_fifty_problems_are_told() {
    let text = (0..200).fold("monitors:\n".to_owned(), |text, i| text + &format!("  - {{ id: m{i}, tcp: x }}\n"));
    let problems = load(&text).expect_err("broken");
    assert_eq!(problems.list().len(), 50);
    assert!(problems.to_string().ends_with("more"), "{problems}");
}

#[test]
fn limits_of_monitors_are_told_at_the_exact_key() {
    let cases = [
        "id: a",
        "id: a\nhttp: http://a\ntcp: a:1",
        "id: ''\nicmp: a",
        "name: '!!!'\nicmp: a",
        "id: ..\nicmp: a",
        "id: \"a\\nb\"\nicmp: a",
        "icmp: a:1",
        "icmp: { host: a, count: 0, size: 9999 }",
        "icmp: { count: 5 }",
        "icmp: { hots: a }",
        "tcp: ::1",
        "tcp: '[::1]'",
        "tcp: 'a:0'",
        "tcp: 'a:70000'",
        "tcp: udp://a:1",
        "tcp: 'a b:1'",
        "dns: { name: a..b }",
        "dns: { name: a, type: AAAAA, server: one.one, protocol: tls }",
        "tls: { address: a, verify_tls: maybe }",
        "http: a.example.org",
        "http: 'http://'",
        "http: { url: http://a, method: CONNECT }",
        "http: { url: http://a, method: head-then-get, body: x }",
        "http: { url: http://a, redirects: 51, body_max: 1, version: 3, ip: v4 }",
        "http: { url: http://a, headers: { 'a b': c, X: 1, x: 2, Content-Length: 5, Y: \"a\\r\\nb\" } }",
        "http: { url: http://a, auth: {} }",
        "http: { url: http://a, auth: { basic: { user: u, password: p }, bearer: t } }",
        "http: { url: http://a, auth: { basic: { user: u } } }",
        "http: http://a\nexpect: { loss: { down: 5% }, dns: {} }",
        "icmp: a\nexpect: { status: 200, body: x, loss: { degraded: 50, down: 20 } }",
        "http: http://a\nexpect: { status: [200, 9], latency: { degraded: 5s, down: 1s }, body: { matches: '(' } }",
        "http: http://a\nexpect: { json: [ { path: a.b }, { path: $.a, matches: '[' , min: 2, max: 1 }, { path: $, exists: false, equals: 1 } ] }",
        "http: http://a\nexpect: { headers: { x-a: { matches: '*' }, 'b c': x } }",
        "http: { url: http://a, read_body: false }\nexpect: { body: ok }",
        "http: { url: http://a, method: HEAD }\nexpect: { json: { path: $.a } }",
        "dns: a\nexpect: { dns: { rcode: NOPE, exact: true } }",
        "dns: a\nexpect: { dns: { rcode: NXDOMAIN, answers: [1.1.1.1] } }",
        "icmp: a\ncron: '0 3 * * *'\ninterval: 5s",
        "icmp: a\ncron: nonsense",
        "icmp: a\ncron: '0 3 * * *'\ntimezone: Europe/Rgia",
        "icmp: a\ntimezone: Europe/Riga",
        "icmp: a\ncron: '0 0 30 2 *'",
        "icmp: a\ninterval: 10ms\ntimeout: 6m\nretry: 5s\nwhile_down: { every: 0s }",
        "icmp: a\nfail_after: many\nrecover_after: 1001",
        "icmp: a\nactive: yes",
        "icmp: a\nname:\n  - x",
        "icmp: a\nname: null\ntags: [a, null]",
        "icmp: a\ntags: { a: b }",
    ];
    let mut said = String::new();
    for case in cases {
        let text = format!("monitors:\n  - {}\n", case.replace('\n', "\n    "));
        said += &format!("{}\n", case.replace('\n', " | "));
        match load(&text) {
            Ok(loaded) => said += &format!("  ACCEPTED {:?}\n", loaded.monitors),
            Err(problems) => {
                for problem in problems.list() {
                    let place = problem.place.unwrap();
                    said += &format!("  {}:{} {}\n", place.line - 1, place.column - 4, problem.message);
                }
            }
        }
    }
    expect![[r#"
        id: a
          1:1 nothing to check: a monitor has one of `http`, `tcp`, `tls`, `udp`, `icmp`, `dns`
        id: a | http: http://a | tcp: a:1
          3:6 a monitor checks one thing: `http` and `tcp` are both set; make two monitors
        id: '' | icmp: a
          1:5 `id` must not be empty
        name: '!!!' | icmp: a
          1:7 no id can be made of `!!!`; write one as `id:`
        id: .. | icmp: a
          1:5 `.` and `..` cannot be ids, for they mean something else in paths
        id: "a\nb" | icmp: a
          1:5 `id` must be one line without control characters
        icmp: a:1
          1:7 ICMP has no ports; write `a`
        icmp: { host: a, count: 0, size: 9999 }
          1:25 expected a whole number from 1 to 100, got `0`
          1:34 expected a whole number from 8 to 1472, got `9999`
        icmp: { count: 5 }
          1:7 the key `host` is missing here
        icmp: { hots: a }
          1:9 unknown key `hots`; did you mean `host`?
        tcp: ::1
          1:6 an IPv6 address needs brackets and a port: [::1]:5432
        tcp: '[::1]'
          1:6 `[::1]` has no port; write for example db.example.org:5432 or [::1]:5432
        tcp: 'a:0'
          1:6 the port `0` is not between 1 and 65535
        tcp: 'a:70000'
          1:6 the port `70000` is not between 1 and 65535
        tcp: udp://a:1
          1:6 `udp://` is not an address of a tcp monitor; write for example db.example.org:5432 or [::1]:5432
        tcp: 'a b:1'
          1:6 `a b` is not a host name or address
        dns: { name: a..b }
          1:14 `a..b` is not a DNS name
        dns: { name: a, type: AAAAA, server: one.one, protocol: tls }
          1:23 `AAAAA` is none of the record types A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV, TXT, DS, HTTPS; did you mean `AAAA`?
        tls: { address: a, verify_tls: maybe }
          1:32 `maybe` is none of true, false, fallback
        http: a.example.org
          1:7 not a URL: relative URL without a base; write it as https://host/path
        http: 'http://'
          1:7 not a URL: empty host; write it as https://host/path
        http: { url: http://a, method: CONNECT }
          1:32 the method CONNECT cannot be checked with
        http: { url: http://a, method: head-then-get, body: x }
          1:53 `body` cannot be sent with HEAD; write another `method`
        http: { url: http://a, redirects: 51, body_max: 1, version: 3, ip: v4 }
          1:35 expected a whole number from 0 to 50, got `51`
          1:49 `1` has no unit; write `1B` for bytes
        http: { url: http://a, headers: { 'a b': c, X: 1, x: 2, Content-Length: 5, Y: "a\r\nb" } }
          1:42 this is not the name of a header
          1:54 the header `x` is set twice
          1:73 the header `Content-Length` is set by the request itself
          1:79 the header `Y` must be one line without control characters
        http: { url: http://a, auth: {} }
          1:30 write one of `basic: { user: U, password: P }` and `bearer: TOKEN`
        http: { url: http://a, auth: { basic: { user: u, password: p }, bearer: t } }
          1:30 write one of `basic: { user: U, password: P }` and `bearer: TOKEN`
        http: { url: http://a, auth: { basic: { user: u } } }
          1:39 the key `password` is missing here
        http: http://a | expect: { loss: { down: 5% }, dns: {} }
          2:11 `expect.loss` does not fit a monitor of kind http, which has `status`, `body`, `json`, `headers`, `latency`, `certificate`
          2:31 `expect.dns` does not fit a monitor of kind http, which has `status`, `body`, `json`, `headers`, `latency`, `certificate`
        icmp: a | expect: { status: 200, body: x, loss: { degraded: 50, down: 20 } }
          2:11 `expect.status` does not fit a monitor of kind icmp, which has `latency`, `loss`
          2:24 `expect.body` does not fit a monitor of kind icmp, which has `latency`, `loss`
          2:51 `degraded` must not be more than `down`
        http: http://a | expect: { status: [200, 9], latency: { degraded: 5s, down: 1s }, body: { matches: '(' } }
          2:19 `9` is not a status code or range between 100 and 599; write for example 200-399 or 200,204
          2:50 `degraded` must be shorter than `down`
          2:83 not a regular expression: unclosed group
        http: http://a | expect: { json: [ { path: a.b }, { path: $.a, matches: '[' , min: 2, max: 1 }, { path: $, exists: false, equals: 1 } ] }
          2:27 not a JSONPath (RFC 9535, such as $.db.state): at position 0, parser error
          2:56 not a regular expression: unclosed character class
          2:67 `min` is more than `max`
          2:99 what is not there cannot hold anything else
        http: http://a | expect: { headers: { x-a: { matches: '*' }, 'b c': x } }
          2:38 not a regular expression: repetition operator missing expression
          2:52 `b c` is not the name of a header
        http: { url: http://a, read_body: false } | expect: { body: ok }
          2:17 `expect.body` needs the body, which `read_body: false` leaves unread
        http: { url: http://a, method: HEAD } | expect: { json: { path: $.a } }
          2:17 `expect.json` needs a body, and an answer to HEAD has none; use GET
        dns: a | expect: { dns: { rcode: NOPE, exact: true } }
          2:25 `NOPE` is not a response code; expected one of NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN, YXRRSET, NXRRSET, NOTAUTH, NOTZONE
          2:38 `exact` needs `answers`
        dns: a | expect: { dns: { rcode: NXDOMAIN, answers: [1.1.1.1] } }
          2:44 an answer with an error code has no records to compare
        icmp: a | cron: '0 3 * * *' | interval: 5s
          2:7 `cron` and `interval` exclude each other; keep one
        icmp: a | cron: nonsense
          2:7 `nonsense` is not a cron expression (minute hour day month weekday): Invalid pattern: Pattern must have between 5 and 7 fields.
        icmp: a | cron: '0 3 * * *' | timezone: Europe/Rgia
          3:11 `Europe/Rgia` is not a time zone of the IANA database, such as Europe/Riga
        icmp: a | timezone: Europe/Riga
          2:11 `timezone` is for `cron`; an interval has none
        icmp: a | cron: '0 0 30 2 *'
          2:7 `0 0 30 2 *` never comes due
        icmp: a | interval: 10ms | timeout: 6m | retry: 5s | while_down: { every: 0s }
          2:11 `10ms` is not between 100ms and 31d
          3:10 `6m` is not between 100ms and 5m
          4:8 expected a map, got a text
          5:22 `0s` is not between 100ms and 31d
        icmp: a | fail_after: many | recover_after: 1001
          2:13 expected a whole number, got `many`
          3:16 expected a whole number from 1 to 1000, got `1001`
        icmp: a | active: yes
          2:9 expected `true` or `false`, got `yes`
        icmp: a | name: |   - x
          3:3 expected text, got a list
        icmp: a | name: null | tags: [a, null]
          3:11 expected text, got nothing; quote `null` if it is meant as text
        icmp: a | tags: { a: b }
          2:7 expected text, got a map
    "#]].assert_eq(&said);
}

#[test]
fn a_secret_is_not_repeated_in_a_message() {
    let text = "monitors:\n  - http: { url: 'ftp://me:hunter2@a', headers: { 'b ad': hunter2 }, body: [hunter2] }\n  - http: { url: 'http://a', auth: { bearer: hunter2 hunter2, barer: hunter2 } }\n";
    let said = load(text).expect_err("broken").to_string();
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn short_forms_say_the_same_as_long_ones() {
    let pairs = [
        ("id: a\nhttp: http://h/", "id: a\nhttp: { url: http://h/ }"),
        ("id: a\ntcp: h:1", "id: a\ntcp: { address: tcp://h:1 }"),
        ("id: a\ntcp: '[::1]:9'", "id: a\ntcp: { address: 'tcp://[::1]:9/' }"),
        ("id: a\ntls: h", "id: a\ntls: { address: tls://h:443 }"),
        ("id: a\nudp: h:9", "id: a\nudp: { address: udp://h:9 }"),
        ("id: a\nicmp: ::1", "id: a\nicmp: { host: 'icmp://[::1]', count: 3, size: 56 }"),
        ("id: a\ndns: h", "id: a\ndns: { name: dns://h, type: a }"),
        (
            "id: a\nhttp: http://h\nexpect: { status: 204, body: ok, headers: { A: b }, certificate: 14d }",
            "id: a\nhttp: http://h\nexpect: { status: ['204'], body: { contains: [ok] }, headers: { a: { equals: b } }, certificate: { warn: 2w } }",
        ),
        ("icmp: h\ntags: x", "id: h\nname: h\nicmp: h\ntags: [x]"),
        ("icmp: h\nname: The Host!", "id: the-host\nname: The Host!\nicmp: h"),
        ("udp: localhost:34197", "id: localhost-34197\nname: localhost:34197\nudp: localhost:34197"),
    ];
    for (short, long) in pairs {
        assert_eq!(monitor(short), monitor(long), "{short}");
    }
}

#[test]
fn text_is_text() {
    let definition = monitor(
        "id: 443\nname: off\ngroup: 010\ntags: [1.10, 12:30, 1_000, yes]\nhttp: { url: http://h, headers: { X: 007 }, auth: { bearer: 123456789012345678901234 } }",
    );
    assert_eq!(definition.id.as_str(), "443");
    assert_eq!(definition.name, "off");
    assert_eq!(definition.group.as_deref(), Some("010"));
    assert_eq!(definition.tags, ["1.10", "12:30", "1_000", "yes"]);
    let Spec::Http(http) = &definition.spec else { panic!() };
    assert_eq!(http.headers[0].1.reveal(), "007");
    assert!(matches!(&http.auth, Some(HttpAuth::Bearer(token)) if token.reveal() == "123456789012345678901234"));
}

#[test]
fn a_whole_http_monitor() {
    effective(
        r#"
id: plex
name: Plex
group: Media
tags: [home]
http: { url: "https://plex.example.org", method: get, headers: { Accept: text/html }, body: null, auth: { basic: { user: u, password: p } },
        redirects: 10, verify_tls: fallback, body_max: 1MiB, read_body: true }
expect: { status: "200-399", body: { contains: ok, matches: "re", lacks: no }, json: [ { path: "$.db.state", equals: up }, { path: $.v, equals: 1.10 }, { path: $.n, min: 1 }, { path: $.x, equals: null } ],
          headers: { x-version: { matches: "^2" } }, latency: { degraded: 500ms, down: 5s }, certificate: { warn: 14d } }
interval: 30s
retry: { every: 5s }
while_down: { every: 480s }
fail_after: 3
active: true
regions: [local]
"#,
        expect![[r#"
            {
              "expect": {
                "body": {
                  "contains": [
                    "ok"
                  ],
                  "lacks": [
                    "no"
                  ],
                  "matches": [
                    "re"
                  ]
                },
                "certificate": {
                  "warn": "14d"
                },
                "headers": {
                  "x-version": {
                    "matches": "^2"
                  }
                },
                "json": [
                  {
                    "equals": "up",
                    "path": "$.db.state"
                  },
                  {
                    "equals": "1.10",
                    "path": "$.v"
                  },
                  {
                    "min": 1.0,
                    "path": "$.n"
                  },
                  {
                    "equals": null,
                    "path": "$.x"
                  }
                ],
                "latency": {
                  "degraded": "500ms",
                  "down": "5s"
                },
                "status": "200-399"
              },
              "fail_after": 3,
              "group": "Media",
              "http": {
                "auth": {
                  "basic": {
                    "password": "***",
                    "user": "u"
                  }
                },
                "body_max": "1MiB",
                "headers": {
                  "Accept": "***"
                },
                "ip": "any",
                "method": "GET",
                "read_body": true,
                "redirects": 10,
                "tcp_first": false,
                "url": "https://plex.example.org",
                "verify_tls": "fallback",
                "version": "auto"
              },
              "id": "plex",
              "interval": "30s",
              "name": "Plex",
              "retry": {
                "every": "5s"
              },
              "tags": [
                "home"
              ],
              "while_down": {
                "every": "8m"
              }
            }
        "#]],
    );
}

#[test]
fn the_other_kinds() {
    effective(
        "tcp: { address: 'db:5432', send: \"PING\\r\\n\", expect: PONG, ip: 4 }",
        expect![[r#"
        {
          "expect": {},
          "id": "db-5432",
          "name": "db:5432",
          "tcp": {
            "address": "db:5432",
            "expect": "PONG",
            "ip": "4",
            "send": "***"
          }
        }
    "#]],
    );
    effective(
        "tls: { address: 'mail:993', server_name: mail.example.org, verify_tls: false }",
        expect![[r#"
        {
          "expect": {},
          "id": "mail-993",
          "name": "mail:993",
          "tls": {
            "address": "mail:993",
            "ip": "any",
            "server_name": "mail.example.org",
            "verify_tls": false
          }
        }
    "#]],
    );
    effective(
        "udp: { address: 'localhost:34197', send: hello }\ncron: '*/5 * * * *'",
        expect![[r#"
        {
          "cron": "*/5 * * * *",
          "expect": {},
          "id": "localhost-34197",
          "name": "localhost:34197",
          "timezone": "UTC",
          "udp": {
            "address": "localhost:34197",
            "ip": "any",
            "send": "***"
          }
        }
    "#]],
    );
    effective(
        "{ id: gw, icmp: { host: 192.168.1.1, count: 5 }, expect: { loss: { degraded: 20, down: 60% } } }",
        expect![[r#"
        {
          "expect": {
            "loss": {
              "degraded": "20%",
              "down": "60%"
            }
          },
          "icmp": {
            "count": 5,
            "host": "192.168.1.1",
            "ip": "any",
            "size": 56
          },
          "id": "gw",
          "name": "gw"
        }
    "#]],
    );
    effective(
        "dns: { name: example.org, type: mx, server: '[::1]:5353', protocol: tcp }\nexpect: { dns: { answers: 10 mail.example.org } }",
        expect![[r#"
            {
              "dns": {
                "name": "example.org",
                "protocol": "tcp",
                "server": "[::1]:5353",
                "type": "MX"
              },
              "expect": {
                "dns": {
                  "answers": [
                    "10 mail.example.org"
                  ],
                  "exact": false
                }
              },
              "id": "example-org-mx-1-5353",
              "name": "example.org MX @[::1]:5353"
            }
        "#]],
    );
}

#[test]
fn settings_are_taken_over() {
    let loaded = load(
        "server: { listen: [localhost:0, '[::1]:8080'], base_url: https://watch.example.org/sub/ }\nlog: { level: debug, format: json, file: w.log }\nstorage: { url: sqlite:///var/w.db, keep: { results: 7d, history: 1y }, size_max: 512MiB }\nnetwork: { ca_files: [ca.pem, /etc/ca.pem], private_targets: deny }\nalerting: { cannot_tell_after: 5m }\ndefaults: { interval: 30s, timeout: 5s, fail_after: 2, recover_after: 3, retry: { every: 1s }, group: g, tags: [t], expect: { status: 2xx, latency: { down: 3s }, loss: { down: 50% }, certificate: 7d } }\nmonitors: [ { http: 'http://h' }, { icmp: h, tags: [] , expect: { latency: { down: 1s } } } ]\n",
    )
    .unwrap();
    expect![[r#"
        {
          "alerting": {
            "cannot_tell_after": "5m"
          },
          "log": {
            "file": "w.log",
            "format": "json",
            "level": "debug"
          },
          "network": {
            "ca_files": [
              "ca.pem",
              "/etc/ca.pem"
            ],
            "private_targets": "deny"
          },
          "server": {
            "base_url": "https://watch.example.org/sub",
            "listen": [
              "127.0.0.1:0",
              "[::1]:8080"
            ]
          },
          "storage": {
            "keep": {
              "history": "365d",
              "results": "7d"
            },
            "size_max": "512MiB",
            "url": "sqlite:///var/w.db"
          }
        }
    "#]]
    .assert_eq(&format!("{:#}\n", settings_document(&loaded.settings)));
    let [http, icmp] = &*loaded.monitors else { panic!() };
    expect![[r#"
        Definition { id: "http-h", name: "http://h", group: Some("g"), tags: ["t"], spec: Http(HttpSpec { url: http://h, method: One("GET"), headers: [], body: None, auth: None, redirects: 10, verify_tls: Yes, version: Auto, ip: Any, body_max: 1048576, read_body: true, tcp_first: false }), expect: Expect { status: 200-299, body: TextExpect { contains: [], matches: [], lacks: [] }, json: [], headers: [], latency: LatencyExpect { degraded: None, down: Some(3s) }, certificate_warn: Some(604800s), loss: LossExpect { degraded: 100, down: 100 }, dns: DnsExpect { rcode: None, answers: [], exact: false } }, schedule: Every(30s), pace: Pace { retry: Some(1s), while_down: None }, thresholds: Thresholds { fail_after: 2, recover_after: 3 }, timeout: 5s, active: true, cannot_tell_after: 300s, source: File { path: "watchpost.yml", line: 7 } }
        Definition { id: "h", name: "h", group: Some("g"), tags: [], spec: Icmp(IcmpSpec { host: "h", count: 3, size: 56, ip: Any }), expect: Expect { status: 200-399, body: TextExpect { contains: [], matches: [], lacks: [] }, json: [], headers: [], latency: LatencyExpect { degraded: None, down: Some(1s) }, certificate_warn: None, loss: LossExpect { degraded: 50, down: 50 }, dns: DnsExpect { rcode: None, answers: [], exact: false } }, schedule: Every(30s), pace: Pace { retry: Some(1s), while_down: None }, thresholds: Thresholds { fail_after: 2, recover_after: 3 }, timeout: 5s, active: true, cannot_tell_after: 300s, source: File { path: "watchpost.yml", line: 7 } }
    "#]].assert_eq(&format!("{:?}\n{:?}\n", http, icmp));
}

#[test]
fn monitors_for_urls_have_the_defaults() {
    let defaults = Defaults { timeout: std::time::Duration::from_secs(3), ..Defaults::default() };
    for (url, target) in [
        ("https://u:p@h/x", "https://u:***@h/x"),
        ("HTTP://h", "HTTP://h"),
        ("tcp://h:5", "h:5"),
        ("udp://[::1]:9", "[::1]:9"),
        ("icmp://h", "h"),
        ("dns://example.org", "example.org A"),
        ("tls://h:443", "h:443"),
    ] {
        let definition = monitor_for_url(url, &defaults).unwrap_or_else(|e| panic!("{url}: {e}"));
        assert_eq!(definition.spec.target(), target);
        assert_eq!(definition.timeout, defaults.timeout);
        assert!(!format!("{definition:?}").contains(":p@"), "{definition:?}");
    }
    for (url, said) in [
        (
            "h:5",
            "`h:5` is not a URL to check; it begins with https://, http://, tcp://host:port, tls://host:port, udp://host:port, icmp://host or dns://name",
        ),
        (
            "ftp://h",
            "`ftp://h` is not a URL to check; it begins with https://, http://, tcp://host:port, tls://host:port, udp://host:port, icmp://host or dns://name",
        ),
        ("tcp://h", "`tcp://h` has no port; write for example db.example.org:5432 or [::1]:5432"),
    ] {
        assert_eq!(monitor_for_url(url, &defaults).expect_err(url).to_string(), said);
    }
}

#[test]
fn a_changed_secret_shows_in_the_fingerprint_and_nowhere_else() {
    let with = |password: &str| {
        monitor(&format!(
            "id: a\nhttp: {{ url: 'http://u:{password}@h', headers: {{ k: '{password}' }}, body: '{password}', auth: {{ bearer: '{password}' }} }}"
        ))
    };
    let (one, two) = (with("hunter2"), with("hunter3"));
    assert_eq!(document(&one, Masking::Hidden), document(&two, Masking::Hidden));
    assert_ne!(document(&one, Masking::Fingerprint), document(&two, Masking::Fingerprint));
    assert_eq!(document(&one, Masking::Fingerprint), document(&with("hunter2"), Masking::Fingerprint));
    for masking in [Masking::Hidden, Masking::Fingerprint] {
        assert!(!document(&one, masking).to_string().contains("hunter2"));
    }
    assert_eq!(document(&one, Masking::Hidden)["http"]["auth"], json!({ "bearer": "***" }));
}

#[test]
fn durations_and_sizes_are_read_as_people_write_them() {
    let ms = |text: &str| parse_duration(text).map(|d| d.as_millis());
    for (text, wanted) in [
        ("30s", 30_000),
        ("1.5s", 1_500),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("7d", 604_800_000),
        ("0s", 0),
        ("250ms", 250),
        ("2w", 1_209_600_000),
        ("5y", 157_680_000_000),
        ("0.5h", 1_800_000),
        ("1m0.25s", 60_250),
    ] {
        assert_eq!(ms(text), Ok(wanted), "{text}");
    }
    for bad in [
        "",
        "s",
        "5",
        "5 minutes",
        "-5s",
        "1s1s",
        "1s2m",
        "1.5ms",
        ".5s",
        "5.s",
        "1e3s",
        "99999999999999999999s",
        "9999999999999y",
        "5µs",
    ] {
        ms(bad).expect_err(bad);
    }
    assert_eq!(ms("60").unwrap_err(), "`60` has no unit; write `60s` for seconds");
    for (text, wanted) in
        [("1MiB", 1 << 20), ("2GiB", 2 << 30), ("1.5KiB", 1536), ("10kB", 10_000), ("0B", 0), ("1 GB", 1_000_000_000)]
    {
        assert_eq!(parse_size(text), Ok(wanted), "{text}");
    }
    for bad in ["", "1", "1mb", "MiB", "1 M", "-1B", "+1B", "1.+5MB", "1\u{a0}B", "99999999999TiB"] {
        parse_size(bad).expect_err(bad);
    }
}

proptest! {
    #[test]
    fn a_duration_reads_back(ms in 0_u64..=4_000_000_000_000) {
        let duration = std::time::Duration::from_millis(ms);
        prop_assert_eq!(parse_duration(&duration_text(duration)), Ok(duration));
    }

    #[test]
    fn a_size_reads_back(bytes in any::<u64>()) {
        prop_assert_eq!(parse_size(&size_text(bytes)), Ok(bytes));
    }

    #[test]
    fn durations_and_sizes_never_panic(text in "[0-9.a-zA-Z ]{0,24}") {
        let _ = (parse_duration(&text), parse_size(&text));
    }

    /// Any monitor without secrets reads back from its own effective document.
    #[test]
    fn an_effective_document_reads_back(text in any_monitor()) {
        let tree = Tree::parse_text("", Format::Json, &text.to_string()).unwrap();
        let Ok(definition) = read_monitor(&tree, &Defaults::default()) else { return Ok(()) };
        let shown = document(&definition, Masking::Hidden).to_string();
        let again = Tree::parse_text("", Format::Json, &shown).unwrap();
        let again = read_monitor(&again, &Defaults::default()).unwrap_or_else(|p| panic!("{shown}: {p}"));
        prop_assert_eq!(again, definition);
    }

    #[test]
    fn arbitrary_documents_never_panic(value in any_value()) {
        let text = json!({ "monitors": [value, { "id": value, "http": value, "expect": value }], "defaults": value, "server": value });
        let tree = Tree::parse_text("", Format::Json, &text.to_string()).unwrap();
        let _ = read(tree).map_err(|problems| problems.to_string());
    }
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        any::<i64>().prop_map(|n| json!(n)),
        "[a-z0-9:/.$ -]{0,12}".prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let key = prop_oneof![
            Just("http"),
            Just("url"),
            Just("expect"),
            Just("json"),
            Just("path"),
            Just("latency"),
            Just("headers"),
            Just("interval"),
            Just("retry"),
            Just("every"),
            Just("body"),
            Just("dns"),
            Just("listen"),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|list| json!(list)),
            proptest::collection::vec((key, inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

fn any_monitor() -> impl Strategy<Value = serde_json::Value> {
    let kind = prop_oneof![
        ("[a-z]{1,8}", 0_u8..=50, any::<bool>()).prop_map(|(host, redirects, read)| json!({ "http": {
            "url": format!("http://{host}/%20x?y={redirects}"), "redirects": redirects, "read_body": read, "tcp_first": !read,
            "method": if read { "head-then-get" } else { "options" }, "version": if read { "2" } else { "1.1" },
            "verify_tls": if read { json!(false) } else { json!("fallback") } } })),
        ("[a-z]{1,8}", 1_u16..).prop_map(|(host, port)| json!({ "tcp": { "address": format!("{host}:{port}"), "expect": host, "ip": "6" } })),
        ("[a-z]{1,8}", any::<bool>()).prop_map(|(host, verify)| json!({ "tls": { "address": host, "server_name": host, "verify_tls": verify } })),
        (1_u16..).prop_map(|port| json!({ "udp": format!("[::1]:{port}") })),
        (1_u8..=100, 8_u16..=1_472).prop_map(|(count, size)| json!({ "icmp": { "host": "::1", "count": count, "size": size } })),
        (0_usize..12, any::<bool>()).prop_map(|(i, tcp)| json!({ "dns": { "name": "example.org",
            "type": watchpost_core::spec::RecordType::ALL[i].as_str(), "server": "9.9.9.9", "protocol": if tcp { "tcp" } else { "udp" } } })),
    ];
    let expect = prop_oneof![
        Just(json!({})),
        (1_u64..1000, 1_u64..300_000).prop_map(|(d, x)| json!({ "latency": { "degraded": format!("{d}ms"), "down": format!("{}ms", d + x) } })),
        (1_u8..=100, 1_u8..=100).prop_map(|(a, b)| json!({ "loss": { "degraded": a.min(b), "down": a.max(b) } })),
        ("[a-z\\PC]{1,8}", any::<i64>()).prop_map(|(text, n)| json!({ "status": ["2xx", "404"], "headers": { "x-a": { "contains": text, "exists": true } },
            "body": { "lacks": [text] }, "json": [{ "path": "$.a", "equals": n }, { "path": "$.b", "equals": text }, { "path": "$.c", "max": 1.5 }] })),
        Just(json!({ "certificate": "30d" })),
        Just(json!({ "dns": { "answers": ["1.2.3.4"], "exact": true } })),
        Just(json!({ "dns": { "rcode": "nxdomain" } })),
    ];
    let times = (100_u64..2_000_000_000, 100_u64..300_000, proptest::option::of(100_u64..10_000_000), 1_u32..=1_000);
    ("\\PC{1,20}", kind, expect, times, any::<bool>()).prop_map(|(name, kind, expect, (every, timeout, pace, after), cron)| {
        let mut monitor = json!({ "name": name, "id": name, "expect": expect, "timeout": format!("{timeout}ms"), "fail_after": after,
            "active": cron, "tags": [name], "retry": pace.map(|ms| json!({ "every": format!("{ms}ms") })) });
        let map = monitor.as_object_mut().unwrap();
        map.extend(kind.as_object().unwrap().clone());
        match cron {
            true => map.extend([("cron".to_owned(), json!("0 */2 * * MON")), ("timezone".to_owned(), json!("Europe/Riga"))]),
            false => map.extend([("interval".to_owned(), json!(format!("{every}ms")))]),
        }
        monitor
    })
}

/// Twice the monitors take about twice the work; what is counted here is only that they all arrive.
#[test]
fn a_hundred_thousand_monitors_load() {
    let mut text = "defaults: { interval: 60s }\nmonitors:\n".to_owned();
    for i in 0..100_000 {
        text.push_str(&format!(
            "  - id: m{i}\n    name: Monitor {i}\n    group: g{}\n    tags: [a, b]\n    http: {{ url: \"http://h{i}.example.org/\", headers: {{ A: b }} }}\n    expect: {{ status: 200 }}\n    interval: 30s\n",
            i % 100
        ));
    }
    let loaded = load(&text).unwrap();
    assert_eq!(loaded.monitors.len(), 100_000);
    assert_eq!(loaded.monitors[99_999].id.as_str(), "m99999");
}

#[test]
fn the_schema_is_one() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|e| panic!("{e}"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let good = json!({ "monitors": [{ "http": "http://h" }, { "id": 443, "http": { "url_file": "u", "verify_tls": "fallback" },
        "interval": "${EVERY}", "tags": "x", "fail_after": "${N:-3}", "active": "${ON}", "expect": { "certificate": "14d" } }] });
    assert!(validator.is_valid(&good), "{:?}", validator.iter_errors(&good).map(|e| e.to_string()).collect::<Vec<_>>());
    for bad in [
        json!({ "monitor": [] }),
        json!({ "monitors": [{ "intervall": "5s" }] }),
        json!({ "monitors": [{ "interval": "5" }] }),
        json!({ "monitors": [{ "http": { "method": "GET", "x": 1 } }] }),
        json!({ "log": { "level": "loud" } }),
    ] {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
}

#[test]
fn a_password_in_the_wrong_place_is_not_shown() {
    for auth in ["{ basic: hunter6 }", "hunter6", "[hunter6]", "{ basic: { user: u, pasword: hunter6 } }"] {
        let yaml = format!("monitors:\n  - {{ id: a, http: {{ url: \"http://127.0.0.1/\", auth: {auth} }} }}\n");
        let said = load(&yaml).unwrap_err().to_string();
        assert!(!said.is_empty() && !said.contains("hunter6"), "{said}");
    }
}

/// What is shown of a broken configuration that holds `hunter2`.
fn shown(format: Format, text: &str) -> String {
    let problems = Tree::parse_text("watchpost.yml", format, text).and_then(read).unwrap_err();
    problems.to_string()
}

#[test]
fn a_password_with_a_quote_or_a_comma_in_it_is_not_shown_in_part() {
    let yaml = |text: &str| shown(Format::Yaml, &format!("monitors:\n  - tcp: {{ address: \"a:1\" }}\n{text}"));
    for text in [
        "  - http: { url: \"https://a/\", auth: { bearer: \"a\\\"hunter2 b\" } }\n",
        "  - http: { url: \"https://a/\", auth: { bearer: 'a''hunter2 b' } }\n",
        "  - http:\n      url: https://a/\n      auth:\n        bearer: a,hunter2 b\n",
        "  - http:\n      url: https://a/\n      auth:\n        basic:\n          user: a\n          pasword: a,hunter2\n",
        "  - http: { url: \"https://a/\", headers: [\"X-Plain: hunter2\"] }\n",
        "  - http: https://user:a/hunter2@example.org/\n",
        "  - http: https://user:a#hunter2@example.org:443/\n",
    ] {
        let said = yaml(text);
        assert!(!said.contains("hunter2"), "{said}");
    }
    let said =
        shown(Format::Toml, "[[monitors]]\nudp = { address = \"a:1\", send = \"\"\"a\"hunter2\"\"\", ip = \"7\" }\n");
    assert!(said.contains("send = ***, ip"), "{said}");
    let said = shown(Format::Json, r#"{"monitors":[{"udp":{"address":"a:1","send":"a\"hunter2","ip":"7"}}]}"#);
    assert!(said.contains(r#""send":***,"ip""#), "{said}");
}

#[test]
fn a_header_expected_twice_in_two_spellings_is_told() {
    let said =
        shown(Format::Yaml, "monitors:\n  - http: https://a/\n    expect: { headers: { X-A: \"1\", x-a: \"2\" } }\n");
    assert!(said.contains("3:41: the header `x-a` is set twice"), "{said}");
}

#[test]
fn a_target_too_long_for_a_name_wants_one_written() {
    let text = format!("http: https://example.org/{}\n", "a".repeat(300));
    let said = Tree::parse_text("", Format::Yaml, &text).and_then(|tree| read_monitor(&tree, &Defaults::default()));
    assert!(said.unwrap_err().to_string().contains("write one as `name:`"));
    assert!(monitor_for_url(text["http: ".len()..].trim(), &Defaults::default()).is_ok(), "by hand it needs no name");
    assert_eq!(monitor(&format!("name: Long\n{text}")).name, "Long");
}

#[test]
fn a_target_may_be_typed_in_capitals() {
    let of = |url| monitor_for_url(url, &Defaults::default()).unwrap().spec;
    assert_eq!(of("ICMP://Host"), of("icmp://Host"));
    assert_eq!(of("DNS://example.org"), of("dns://example.org"));
}

#[test]
fn what_config_show_says_of_a_lost_share_can_be_written() {
    let definition = monitor("icmp: host\nexpect: { loss: { down: 20% } }\n");
    let shown = document(&definition, Masking::Hidden).to_string();
    assert_eq!(monitor(&shown), definition);
}
