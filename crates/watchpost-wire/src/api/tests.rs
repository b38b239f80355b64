//! Golden documents: a change here is a change of the API.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use expect_test::{Expect, expect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use watchpost_core::monitor::{Pace, Source, Thresholds};
use watchpost_core::observe::Timings;
use watchpost_core::reason::{Fault, FaultCode, Reason, ReasonCode, Stage, Verdict};
use watchpost_core::result::{Failing, HttpFacts, PingFacts, Tick, TlsFacts};
use watchpost_core::schedule::{Cron, Missed, Schedule};
use watchpost_core::spec::{HttpMethod, HttpSpec, HttpUrl, HttpVersion, IcmpSpec, IpVersion, Spec, VerifyTls};
use watchpost_core::state::{Blind, Phase, Shown, Standing, State};
use watchpost_core::uptime::Interval;
use watchpost_core::{
    CheckResult, ClosedWhy, Definition, Incident, IncidentId, MonitorId, MonitorKey, Region, Timestamp,
};

use super as api;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn http(url: &str) -> Spec {
    Spec::Http(Box::new(HttpSpec {
        url: HttpUrl::parse(url).unwrap(),
        method: HttpMethod::One("GET".to_owned()),
        headers: Vec::new(),
        body: None,
        auth: None,
        redirects: 10,
        verify_tls: VerifyTls::Yes,
        version: HttpVersion::Auto,
        ip: IpVersion::Any,
        body_max: 1 << 20,
        read_body: true,
        tcp_first: false,
    }))
}

fn plex() -> Definition {
    Definition {
        id: MonitorId::new("plex"),
        name: "Plex".to_owned(),
        group: Some("Media".to_owned()),
        tags: vec!["home".to_owned()],
        spec: http("https://u:secret@plex.example.org"),
        expect: Arc::default(),
        schedule: Schedule::Every(Duration::from_secs(30)),
        pace: Pace::default(),
        thresholds: Thresholds { fail_after: 3.try_into().unwrap(), ..Thresholds::default() },
        timeout: Duration::from_secs(10),
        active: true,
        cannot_tell_after: Duration::from_secs(900),
        source: Source::File { path: Arc::from("watchpost.yml"), line: 12 },
    }
}

fn timeout() -> Reason {
    Reason::new(ReasonCode::Timeout, Stage::Tls, "TLS handshake timed out after 5 s")
}

fn tick() -> Tick {
    Tick { monitor: MonitorKey(7), region: Region::local(), scheduled_at: at("2026-11-20T02:17:11Z") }
}

/// A result that failed in the handshake.
fn failed() -> CheckResult {
    CheckResult {
        tick: tick(),
        at: at("2026-11-20T02:17:11.004Z"),
        verdict: Verdict::Fail(timeout()),
        timings: Timings { dns: Some(3_100), connect: Some(12_000), total: Some(5_015_100), ..Timings::default() },
        address: Some(IpAddr::from([192, 0, 2, 7])),
        http: None,
        tls: None,
        ping: None,
        failing: Some(Failing { count: 1, of: 3 }),
        ticks: 1,
        late: false,
    }
}

fn passed() -> CheckResult {
    CheckResult {
        verdict: Verdict::Pass,
        http: Some(HttpFacts { status: 204, url: Arc::from("https://plex.example.org/web") }),
        tls: Some(TlsFacts { not_after: at("2027-01-01T00:00:00Z"), verified: true }),
        failing: None,
        late: true,
        ..failed()
    }
}

fn state(phase: Phase) -> State {
    State { phase, blind: None, last_tick: None, shown_since: at("2026-11-20T01:00:00Z") }
}

/// Compares the document with what is expected, and reads it back.
#[expect(clippy::needless_pass_by_value, reason = "a test names its document at the call")]
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(document: T, expected: Expect) {
    let text = serde_json::to_string_pretty(&document).unwrap();
    expected.assert_eq(&text);
    assert_eq!(serde_json::from_str::<T>(&text).unwrap(), document);
}

#[test]
fn a_monitor_that_is_down_says_since_when_and_why() {
    let down = state(Phase::Down {
        since: at("2026-11-20T02:17:11Z"),
        passes: 0,
        reason: timeout(),
        incident: IncidentId::from_number(5),
    });
    let now = at("2026-11-20T03:00:00Z");
    let intervals = [
        Interval { from: now - Duration::from_secs(100), shown: Shown::Up },
        Interval { from: now - Duration::from_secs(25), shown: Shown::Down },
    ];
    let uptime = api::Uptime::of(&intervals, now);
    let shown = api::Monitor::of(&plex(), &down, Some(&failed()), uptime);
    assert_eq!(shown.last_result, Some(api::CheckResult::of(&plex(), &failed())));
    check(
        api::Monitor { last_result: None, ..shown },
        expect![[r#"
            {
              "id": "plex",
              "name": "Plex",
              "group": "Media",
              "tags": [
                "home"
              ],
              "kind": "http",
              "target": "https://u:***@plex.example.org/",
              "source": "file",
              "file": {
                "path": "watchpost.yml",
                "line": 12
              },
              "active": true,
              "ping_url": null,
              "interval_s": 30,
              "state": "down",
              "since": "2026-11-20T02:17:11.000Z",
              "reason": {
                "code": "timeout",
                "stage": "tls",
                "text": "TLS handshake timed out after 5 s"
              },
              "failing": null,
              "last_result": null,
              "uptime": {
                "24h": 0.75,
                "7d": 0.75,
                "30d": 0.75,
                "90d": 0.75
              }
            }"#]],
    );
}

#[test]
fn a_monitor_of_which_nothing_is_known_has_all_keys() {
    let cron = Schedule::Cron(Cron::parse("0 3 * * *", "UTC").unwrap());
    let definition = Definition { schedule: cron, group: None, tags: Vec::new(), source: Source::Api, ..plex() };
    check(
        api::Monitor::of(&definition, &state(Phase::Unknown), None, api::Uptime::default()),
        expect![[r#"
        {
          "id": "plex",
          "name": "Plex",
          "group": null,
          "tags": [],
          "kind": "http",
          "target": "https://u:***@plex.example.org/",
          "source": "api",
          "file": null,
          "active": true,
          "ping_url": null,
          "interval_s": null,
          "state": "unknown",
          "since": "2026-11-20T01:00:00.000Z",
          "reason": null,
          "failing": null,
          "last_result": null,
          "uptime": {
            "24h": null,
            "7d": null,
            "30d": null,
            "90d": null
          }
        }"#]],
    );
}

#[test]
fn a_failing_monitor_that_is_still_up_says_how_far_it_is() {
    let failing = state(Phase::Failing {
        since: at("2026-11-20T02:17:11Z"),
        failures: 2,
        reason: timeout(),
        before: Standing::Up,
    });
    let shown = api::Monitor::of(&plex(), &failing, None, api::Uptime::default());
    assert_eq!(shown.state, api::State::Up);
    assert_eq!(shown.failing, Some(api::Failing { count: 2, of: 3 }));
    assert_eq!(shown.reason, None);
}

#[test]
fn a_passing_result_has_no_reason() {
    check(
        api::CheckResult::of(&plex(), &passed()),
        expect![[r#"
        {
          "at": "2026-11-20T02:17:11.004Z",
          "scheduled_at": "2026-11-20T02:17:11.000Z",
          "verdict": "pass",
          "region": "local",
          "late": true,
          "reason": null,
          "failing": null,
          "missed": null,
          "timings_us": {
            "dns": 3100,
            "connect": 12000,
            "tls": null,
            "ttfb": null,
            "transfer": null,
            "total": 5015100
          },
          "http": {
            "status": 204,
            "url": "https://plex.example.org/web"
          },
          "tls": {
            "not_after": "2027-01-01T00:00:00.000Z",
            "verified": true
          },
          "address": "192.0.2.7",
          "icmp": null,
          "job": null
        }"#]],
    );
}

#[test]
fn a_result_that_got_no_answer_still_names_the_url() {
    check(
        api::CheckResult::of(&plex(), &failed()).with_monitor(&MonitorId::new("plex")),
        expect![[r#"
        {
          "monitor": "plex",
          "at": "2026-11-20T02:17:11.004Z",
          "scheduled_at": "2026-11-20T02:17:11.000Z",
          "verdict": "fail",
          "region": "local",
          "late": false,
          "reason": {
            "code": "timeout",
            "stage": "tls",
            "text": "TLS handshake timed out after 5 s"
          },
          "failing": {
            "count": 1,
            "of": 3
          },
          "missed": null,
          "timings_us": {
            "dns": 3100,
            "connect": 12000,
            "tls": null,
            "ttfb": null,
            "transfer": null,
            "total": 5015100
          },
          "http": {
            "status": null,
            "url": "https://u:***@plex.example.org/"
          },
          "tls": null,
          "address": "192.0.2.7",
          "icmp": null,
          "job": null
        }"#]],
    );
}

#[test]
fn missed_ticks_are_inconclusive_with_our_own_reason_and_their_number() {
    let missed = Missed { first: at("2026-11-20T02:00:00Z"), last: at("2026-11-20T02:02:00Z"), count: 5 };
    let fault = Fault::new(FaultCode::MissedTick, "Watchpost was not running");
    let row = CheckResult::missed(MonitorKey(7), Region::local(), &missed, fault);
    check(
        api::CheckResult::of(&plex(), &row),
        expect![[r#"
        {
          "at": "2026-11-20T02:00:00.000Z",
          "scheduled_at": "2026-11-20T02:00:00.000Z",
          "verdict": "inconclusive",
          "region": "local",
          "late": false,
          "reason": {
            "code": "missed_tick",
            "stage": null,
            "text": "Watchpost was not running"
          },
          "failing": null,
          "missed": 5,
          "timings_us": {
            "dns": null,
            "connect": null,
            "tls": null,
            "ttfb": null,
            "transfer": null,
            "total": null
          },
          "http": null,
          "tls": null,
          "address": null,
          "icmp": null,
          "job": null
        }"#]],
    );
}

#[test]
fn an_icmp_result_counts_its_echoes() {
    let spec = Spec::Icmp(IcmpSpec { host: "192.0.2.1".to_owned(), count: 5, size: 56, ip: IpVersion::Any });
    let ping = PingFacts { sent: 5, received: 4, rtt_avg_us: Some(1_250), jitter_us: None };
    let result = CheckResult { http: None, tls: None, ping: Some(ping), ..passed() };
    let shown = api::CheckResult::of(&Definition { spec, ..plex() }, &result);
    assert_eq!(shown.http, None);
    check(
        shown.icmp,
        expect![[r#"
        {
          "sent": 5,
          "received": 4,
          "rtt_avg_us": 1250,
          "jitter_us": null
        }"#]],
    );
}

#[test]
fn a_check_prints_monitor_state_and_result() {
    let output = api::CheckOutput::of(&plex(), Shown::Degraded, &passed());
    let json = serde_json::to_value(&output).unwrap();
    assert_eq!(json["monitor"], serde_json::json!({ "id": "plex", "name": "Plex", "kind": "http" }));
    assert_eq!(json["state"], "degraded");
    assert_eq!(json["result"], serde_json::to_value(api::CheckResult::of(&plex(), &passed())).unwrap());
}

#[test]
fn incidents_last_until_they_are_closed_or_until_now() {
    let open = Incident {
        id: IncidentId::from_number(9_007_199_254_740_991),
        monitor: MonitorKey(7),
        since: at("2026-11-20T02:17:11Z"),
        opened_at: at("2026-11-20T02:18:11Z"),
        reason: timeout(),
        closed: None,
    };
    let (id, now) = (MonitorId::new("plex"), at("2026-11-20T02:20:11Z"));
    check(
        api::Incident::of(&id, &open, now),
        expect![[r#"
        {
          "id": 9007199254740991,
          "monitor": "plex",
          "opened_at": "2026-11-20T02:18:11.000Z",
          "since": "2026-11-20T02:17:11.000Z",
          "closed_at": null,
          "reason": {
            "code": "timeout",
            "stage": "tls",
            "text": "TLS handshake timed out after 5 s"
          },
          "duration_ms": 180000,
          "closed_by": null
        }"#]],
    );
    let closed = Incident { closed: Some((at("2026-11-20T02:19:11Z"), ClosedWhy::Recovered)), ..open };
    let shown = api::Incident::of(&id, &closed, now);
    assert_eq!((shown.duration_ms, shown.closed_by.as_deref()), (120_000, Some("recovered")));
}

#[test]
fn the_overview_is_small() {
    let blind = State {
        blind: Some(Blind {
            since: at("2026-11-20T02:00:00Z"),
            fault: Fault::new(FaultCode::OutOfFiles, "out of file handles; raise the limit"),
            told: false,
        }),
        ..state(Phase::Up)
    };
    let definition = Definition { schedule: Schedule::Every(Duration::from_millis(1_500)), ..plex() };
    let recent = [passed(), failed()];
    let item = api::OverviewItem::of(&definition, &blind, recent.last(), &recent, Some(0.5));
    let mut counts = api::Counts::default();
    counts.add(blind.shown());
    let cursor = "1-1".to_owned();
    let at = at("2026-11-20T02:20:11Z").into();
    check(
        api::Overview { at, cursor, counts, items: vec![item] },
        expect![[r#"
        {
          "at": "2026-11-20T02:20:11.000Z",
          "cursor": "1-1",
          "counts": {
            "up": 0,
            "degraded": 0,
            "down": 0,
            "unknown": 1,
            "paused": 0,
            "maintenance": 0
          },
          "items": [
            {
              "id": "plex",
              "name": "Plex",
              "group": "Media",
              "tags": [
                "home"
              ],
              "kind": "http",
              "target": "https://u:***@plex.example.org/",
              "state": "unknown",
              "since": "2026-11-20T01:00:00.000Z",
              "active": true,
              "interval_s": 1.5,
              "reason": {
                "code": "out_of_files",
                "stage": null,
                "text": "out of file handles; raise the limit"
              },
              "failing": null,
              "latency_us": 5015100,
              "uptime_24h": 0.5,
              "recent": [
                [
                  1795141031000,
                  "p",
                  5015100,
                  null
                ],
                [
                  1795141031000,
                  "f",
                  5015100,
                  "timeout"
                ]
              ]
            }
          ]
        }"#]],
    );
}

#[test]
fn live_events_carry_the_state_after_the_result() {
    let failing = state(Phase::Failing {
        since: at("2026-11-20T02:17:11Z"),
        failures: 1,
        reason: timeout(),
        before: Standing::Up,
    });
    let r = vec![api::CompactResult::of(&plex(), &failing, &failed())];
    check(
        api::CompactResults { r },
        expect![[r#"
        {
          "r": [
            [
              "plex",
              1795141031000,
              "f",
              5015100,
              "timeout",
              "up",
              1795136400000
            ]
          ]
        }"#]],
    );
    let event = api::ResultEvent::of(&plex(), &failing, &failed());
    assert_eq!((event.state, event.failing), (api::State::Up, Some(api::Failing { count: 1, of: 3 })));
    assert_eq!(event.result.monitor, None);
}

#[test]
fn every_code_of_the_core_reaches_the_document_unchanged() {
    for code in ReasonCode::ALL {
        let verdict = Verdict::Fail(Reason::new(*code, None, "x"));
        assert_eq!(api::Reason::code_of(&verdict), Some(code.as_str()));
        assert_eq!(api::Reason::of(&verdict).unwrap().code, code.as_str());
    }
    for code in FaultCode::ALL {
        let verdict = Verdict::Inconclusive(Fault::new(*code, "x"));
        assert_eq!(api::Reason::of(&verdict).unwrap().code, code.as_str());
    }
    for shown in Shown::ALL {
        let word = serde_json::to_value(api::State::from(shown)).unwrap();
        assert_eq!(word, shown.as_str());
    }
}
