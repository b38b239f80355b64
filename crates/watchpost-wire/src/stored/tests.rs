//! Round trips, golden files, and what happens to bytes that are not what was written.

use std::net::IpAddr;
use std::sync::Arc;

use expect_test::expect_file;
use proptest::prelude::*;
use serde_json::json;
use watchpost_core::observe::Timings;
use watchpost_core::plan::Document;
use watchpost_core::result::{Failing, HttpFacts, PingFacts, Tick, TlsFacts};
use watchpost_core::state::{Blind, Standing};
use watchpost_core::{
    CheckResult, Fault, FaultCode, IncidentId, MonitorKey, Phase, Reason, ReasonCode, Region, Stage, State, Timestamp,
    Verdict,
};

use super::*;

const BEGIN_MS: i64 = 1_795_140_000_000;

fn plain(monitor: u32, n: i64) -> CheckResult {
    let wobble = |base: u32, span: u32| base + (n as u32).wrapping_mul(2_654_435_761) % span;
    let timings = Timings {
        dns: Some(wobble(40, 30)),
        connect: Some(wobble(11_000, 1_500)),
        tls: Some(wobble(24_000, 3_000)),
        ttfb: Some(wobble(38_000, 9_000)),
        transfer: Some(wobble(120, 60)),
        total: Some(wobble(73_200, 100) + 13_000),
    };
    let due = BEGIN_MS + i64::from(monitor) * 37 + n * 60_000;
    CheckResult {
        tick: Tick { monitor: MonitorKey(monitor), region: Region::local(), scheduled_at: Timestamp::from_millis(due) },
        at: Timestamp::from_millis(due + n % 3),
        verdict: Verdict::Pass,
        timings,
        address: Some(IpAddr::from([192, 0, 2, 7])),
        http: Some(HttpFacts { status: 200, url: Arc::from(format!("https://host-{monitor}.example.org/health")) }),
        tls: Some(TlsFacts { not_after: Timestamp::from_secs(1_800_000_000), verified: true }),
        ping: None,
        failing: None,
        ticks: 1,
        late: false,
    }
}

/// One of each kind of row.
fn samples() -> Vec<CheckResult> {
    let mut rows: Vec<CheckResult> = (0..8).map(|n| plain(7, n)).collect();
    rows[1].verdict = Verdict::Fail(Reason::new(ReasonCode::Timeout, Stage::Tls, "TLS handshake timed out after 5 s"));
    rows[1].failing = Some(Failing { count: 1, of: 3 });
    rows[1].timings = Timings { tls: None, ttfb: None, transfer: None, total: Some(5_015_100), ..rows[1].timings };
    rows[1].http = None;
    rows[1].tls = None;
    rows[2].verdict = Verdict::Degraded(Reason::new(ReasonCode::Latency, None, "took 612 ms"));
    rows[2].address = Some("2001:db8::1".parse().unwrap());
    rows[3].verdict = Verdict::Inconclusive(Fault::new(FaultCode::MissedTick, "not running"));
    rows[3].timings = Timings::default();
    rows[3].address = None;
    rows[3].ticks = 30;
    rows[4].ping = Some(PingFacts { sent: 5, received: 4, rtt_avg_us: Some(900), jitter_us: None });
    rows[5].late = true;
    rows[5].at = Timestamp::from_millis(rows[5].tick.scheduled_at.as_millis() - 12);
    rows[6].tick.region = Region::new("eu");
    rows[7].http = Some(HttpFacts { status: 503, url: Arc::from("https://host-7.example.org/down") });
    rows
}

fn hex(bytes: &[u8]) -> String {
    let lines: Vec<String> =
        bytes.chunks(32).map(|line| line.iter().map(|b| format!("{b:02x}")).collect::<String>()).collect();
    lines.join("\n") + "\n"
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

#[test]
fn a_block_of_version_1_is_read_and_written_as_it_was() {
    expect_file!["../../tests/stored/block-v1.hex"].assert_eq(&hex(&encode_block(&samples())));
    let golden = unhex(include_str!("../../tests/stored/block-v1.hex"));
    assert_eq!(decode_block(MonitorKey(7), &golden).unwrap(), samples());
    expect_file!["../../tests/stored/block-v1.txt"].assert_eq(&format!("{:#?}\n", samples()));
}

#[test]
fn a_batch_of_version_1_is_read_and_written_as_it_was() {
    let rows: Vec<CheckResult> = (1..6).rev().map(|monitor| plain(monitor, 0)).chain(samples()).collect();
    expect_file!["../../tests/stored/batch-v1.hex"].assert_eq(&hex(&encode_batch(&rows)));
    let golden = unhex(include_str!("../../tests/stored/batch-v1.hex"));
    assert_eq!(decode_batch(&golden).unwrap(), rows);
}

fn states() -> Vec<State> {
    let reason = Reason::new(ReasonCode::Refused, Stage::Connect, "connection refused by 192.0.2.7");
    let at = Timestamp::from_millis(BEGIN_MS);
    let complaint = Reason::new(ReasonCode::Latency, None, "took 612 ms");
    let phases = [
        Phase::Unknown,
        Phase::Up,
        Phase::Degraded { reason: complaint.clone() },
        Phase::Failing { since: at, failures: 2, reason: reason.clone(), before: Standing::Up },
        Phase::Failing { since: at, failures: 1, reason: reason.clone(), before: Standing::Unknown },
        Phase::Failing {
            since: at,
            failures: 1,
            reason: reason.clone(),
            before: Standing::Degraded { reason: complaint },
        },
        Phase::Down { since: at, passes: 1, reason, incident: IncidentId::from_number(4_723_436_545_355_022) },
        Phase::Paused,
    ];
    let blind = Blind { since: at, fault: Fault::new(FaultCode::OutOfFiles, "too many open files"), told: true };
    let state = |(n, phase): (usize, Phase)| State {
        phase,
        blind: (n % 2 == 1).then(|| blind.clone()),
        last_tick: (n > 0).then_some(at),
        shown_since: at,
    };
    phases.into_iter().enumerate().map(state).collect()
}

#[test]
fn states_of_version_1_are_read_and_written_as_they_were() {
    let texts: Vec<String> = states().iter().map(state_to_text).collect();
    expect_file!["../../tests/stored/states-v1.txt"].assert_eq(&(texts.join("\n") + "\n"));
    let golden = include_str!("../../tests/stored/states-v1.txt");
    let read: Vec<State> = golden.lines().map(|line| state_from_text(line).unwrap()).collect();
    assert_eq!(read, states());
}

#[test]
fn reasons_and_documents_come_back_as_they_went() {
    let reason = Reason::new(ReasonCode::Status, Stage::Ttfb, "status 503, expected 200-399 \"quoted\"");
    assert_eq!(reason_from_text(&reason_to_text(&reason)).unwrap(), reason);
    let document = Document::new(
        &json!({"id": "plex", "http": {"url": "https://plex.example.org", "headers": {}}, "fail_after": 3}),
    );
    assert_eq!(document_from_text(&document_to_text(&document)).unwrap(), document);
    let null = Document::new(&json!(null));
    assert_eq!(document_from_text(&document_to_text(&null)).unwrap(), null);
}

#[test]
fn what_a_newer_program_wrote_is_named_as_such() {
    let mut bytes = encode_block(&samples());
    bytes[0] = 2;
    let newer = StoredError::Newer { what: "table of results", found: 2 };
    assert_eq!(decode_block(MonitorKey(7), &bytes), Err(newer.clone()));
    assert_eq!(decode_batch(&[2]), Err(newer));
    let text = state_to_text(&states()[0]).replace("\"v\":1", "\"v\":9");
    let error = state_from_text(&text).unwrap_err();
    assert_eq!(error.to_string(), "a stored state was written by a newer watchpost (version 9, this one knows 1)");
}

#[test]
fn a_batch_is_not_taken_for_a_block() {
    assert!(decode_block(MonitorKey(7), &encode_batch(&samples())).is_err());
    assert!(decode_batch(&encode_block(&samples())).is_err());
}

#[test]
fn every_truncation_and_every_flipped_bit_is_noticed() {
    let bytes = encode_block(&samples());
    for len in 0..bytes.len() {
        assert!(decode_block(MonitorKey(7), &bytes[..len]).is_err(), "cut at {len}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut broken = bytes.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        assert!(decode_block(MonitorKey(7), &broken).is_err(), "bit {bit}");
    }
}

#[test]
fn an_hour_of_a_plain_http_monitor_takes_about_12_bytes_a_result() {
    let rows: Vec<CheckResult> = (0..60).map(|n| plain(7, n)).collect();
    let len = encode_block(&rows).len();
    assert!(len <= 60 * 13, "{len} bytes");
}

fn text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![Just("".to_owned()), "[a-z]{1,8}", "\\PC{0,40}"].prop_map(Arc::from)
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let stage = || proptest::option::of(proptest::sample::select(Stage::ALL.to_vec()));
    let reason =
        || {
            (proptest::sample::select(ReasonCode::ALL.to_vec()), stage(), text())
                .prop_map(|(code, stage, text)| Reason { code, stage, text })
        };
    let fault =
        (proptest::sample::select(FaultCode::ALL.to_vec()), text()).prop_map(|(code, text)| Fault { code, text });
    prop_oneof![
        4 => Just(Verdict::Pass),
        1 => reason().prop_map(Verdict::Degraded),
        1 => reason().prop_map(Verdict::Fail),
        1 => fault.prop_map(Verdict::Inconclusive),
    ]
}

fn timings() -> impl Strategy<Value = Timings> {
    let time = || proptest::option::of(prop_oneof![0..100_000_u32, any::<u32>()]);
    (time(), time(), time(), time(), time(), time()).prop_map(|(dns, connect, tls, ttfb, transfer, total)| Timings {
        dns,
        connect,
        tls,
        ttfb,
        transfer,
        total,
    })
}

prop_compose! {
    fn result()(
        monitor in any::<u32>(),
        region in prop_oneof![4 => Just(Region::local()), 1 => text().prop_map(|t| Region::new(&t))],
        due in prop_oneof![BEGIN_MS..BEGIN_MS + 3_600_000, any::<i64>()],
        late_by in prop_oneof![0..5_i64, any::<i64>()],
        verdict in verdict(),
        timings in timings(),
        address in proptest::option::of(any::<IpAddr>()),
        http in proptest::option::of((any::<u16>(), text()).prop_map(|(status, url)| HttpFacts { status, url })),
        tls in proptest::option::of((any::<i64>(), any::<bool>())),
        ping in proptest::option::of((any::<u8>(), any::<u8>(), any::<Option<u32>>(), any::<Option<u32>>())),
        failing in proptest::option::of((any::<u32>(), any::<u32>())),
        rest in (prop_oneof![Just(1), any::<u32>()], any::<bool>()),
    ) -> CheckResult {
        CheckResult {
            tick: Tick { monitor: MonitorKey(monitor), region, scheduled_at: Timestamp::from_millis(due) },
            at: Timestamp::from_millis(due.wrapping_add(late_by)),
            verdict,
            timings,
            address,
            http,
            tls: tls.map(|(not_after, verified)| TlsFacts { not_after: Timestamp::from_millis(not_after), verified }),
            ping: ping.map(|(sent, received, rtt_avg_us, jitter_us)| PingFacts { sent, received, rtt_avg_us, jitter_us }),
            failing: failing.map(|(count, of)| Failing { count, of }),
            ticks: rest.0,
            late: rest.1,
        }
    }
}

/// A table body with a valid checksum, so that what follows the checksum is reached.
fn decode_anyway(form: u8, body: &[u8]) {
    if body.len() > 1 {
        let mut body = body.to_vec();
        (body[0], body[1]) = (1, form);
        let _ = table::decode_body(form, MonitorKey(7), &body);
    }
}

proptest! {
    #[test]
    fn any_results_come_back_as_they_went(rows in proptest::collection::vec(result(), 0..40)) {
        prop_assert_eq!(decode_batch(&encode_batch(&rows)).unwrap(), rows.clone());
        let one: Vec<CheckResult> = rows.into_iter().map(|mut r| { r.tick.monitor = MonitorKey(7); r }).collect();
        prop_assert_eq!(decode_block(MonitorKey(7), &encode_block(&one)).unwrap(), one.clone());
        let mut strip = Strip::default();
        for row in &one {
            strip.push(row);
        }
        prop_assert_eq!(strip.len(), one.len());
        prop_assert_eq!(strip.rows(MonitorKey(7)).unwrap(), one);
    }

    #[test]
    fn columns_of_any_numbers_come_back(values in proptest::collection::vec(any::<i64>(), 0..50), every in any::<bool>()) {
        let mut out = bytes::Writer::default();
        ints::put_ints(&mut out, &values, every);
        let mut input = bytes::Reader::new(&out.buf);
        prop_assert_eq!(ints::take_ints(&mut input, values.len()).unwrap(), values);
        prop_assert!(input.is_empty());
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(garbage in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode_batch(&garbage).is_err());
        prop_assert!(decode_block(MonitorKey(7), &garbage).is_err());
        decode_anyway(b'B', &garbage);
        decode_anyway(b'L', &garbage);
    }

    #[test]
    fn a_table_with_changed_bytes_never_panics(
        rows in proptest::collection::vec(result(), 1..20),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = encode_batch(&rows);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        decode_anyway(b'L', &bytes[..bytes.len() - 4]);
    }

    #[test]
    fn any_text_that_is_not_a_state_is_an_error(text in "\\PC{0,60}") {
        prop_assert!(state_from_text(&text).is_err());
        prop_assert!(reason_from_text(&text).is_err());
    }
}
