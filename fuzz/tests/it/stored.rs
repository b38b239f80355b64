//! Stored rows: what a store wrote comes back as it went, and anything else is an error.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fuzz::{Choices, Effort, run, within};
use watchpost_core::observe::Timings;
use watchpost_core::plan::Document;
use watchpost_core::result::{Failing, HttpFacts, PingFacts, Tick, TlsFacts};
use watchpost_core::state::{Blind, Standing};
use watchpost_core::{
    CheckResult, Fault, FaultCode, IncidentId, MonitorKey, Phase, Reason, ReasonCode, Region, Stage, State, Timestamp,
    Verdict,
};
use watchpost_wire::stored::{
    Strip, decode_batch, decode_block, document_from_text, document_to_text, encode_batch, encode_block,
    reason_from_text, reason_to_text, state_from_text, state_to_text,
};

const BEGIN_MS: i64 = 1_795_140_000_000;

fn reason(choices: &mut Choices<'_>) -> Reason {
    let code = *choices.pick(ReasonCode::ALL);
    let stage = choices.one_in(2).then(|| *choices.pick(&Stage::ALL));
    Reason::new(code, stage, choices.text(24))
}

fn fault(choices: &mut Choices<'_>) -> Fault {
    Fault::new(*choices.pick(FaultCode::ALL), choices.text(24))
}

fn small(choices: &mut Choices<'_>) -> u32 {
    u32::try_from(choices.bits() & u64::from(u32::MAX)).unwrap()
}

fn time(choices: &mut Choices<'_>) -> Option<u32> {
    (!choices.one_in(3)).then(|| small(choices))
}

fn address(choices: &mut Choices<'_>) -> IpAddr {
    match choices.one_in(2) {
        true => IpAddr::from((u128::from(choices.bits()) << 64 | u128::from(choices.bits())).to_be_bytes()),
        false => IpAddr::from(small(choices).to_be_bytes()),
    }
}

/// A row of any content, near the one before it in most columns, as rows are.
fn row(choices: &mut Choices<'_>, before: Option<&CheckResult>, monitor: Option<u32>) -> CheckResult {
    let due = match (choices.below(4), before) {
        (0, _) => choices.signed(),
        (_, Some(row)) => row.tick.scheduled_at.as_millis().wrapping_add(60_000),
        (_, None) => BEGIN_MS,
    };
    let mut row = before.cloned().unwrap_or_else(|| CheckResult {
        tick: Tick { monitor: MonitorKey(7), region: Region::local(), scheduled_at: Timestamp::from_millis(due) },
        at: Timestamp::from_millis(due),
        verdict: Verdict::Pass,
        timings: Timings::default(),
        address: None,
        http: None,
        tls: None,
        ping: None,
        failing: None,
        ticks: 1,
        late: false,
    });
    row.tick.scheduled_at = Timestamp::from_millis(due);
    row.at = Timestamp::from_millis(due.wrapping_add(if choices.one_in(4) { choices.signed() } else { 3 }));
    row.tick.monitor = MonitorKey(monitor.unwrap_or_else(|| small(choices)));
    for _ in 0..choices.below(4) {
        change(choices, &mut row);
    }
    row
}

fn change(choices: &mut Choices<'_>, row: &mut CheckResult) {
    match choices.below(11) {
        0 => {
            row.verdict = match choices.below(4) {
                0 => Verdict::Pass,
                1 => Verdict::Degraded(reason(choices)),
                2 => Verdict::Fail(reason(choices)),
                _ => Verdict::Inconclusive(fault(choices)),
            }
        }
        1 => {
            row.timings = Timings {
                dns: time(choices),
                connect: time(choices),
                tls: time(choices),
                ttfb: time(choices),
                transfer: time(choices),
                total: time(choices),
            }
        }
        2 => row.address = choices.one_in(2).then(|| address(choices)),
        3 => {
            let (status, url) = ((choices.bits() & 0xffff) as u16, Arc::from(choices.text(24)));
            row.http = choices.one_in(2).then_some(HttpFacts { status, url });
        }
        4 => {
            let facts = TlsFacts { not_after: Timestamp::from_millis(choices.signed()), verified: choices.one_in(2) };
            row.tls = choices.one_in(2).then_some(facts);
        }
        5 => {
            let (sent, received) = (choices.byte(), choices.byte());
            row.ping = choices.one_in(2).then(|| PingFacts {
                sent,
                received,
                rtt_avg_us: time(choices),
                jitter_us: time(choices),
            });
        }
        6 => row.failing = choices.one_in(2).then(|| Failing { count: small(choices), of: small(choices) }),
        7 => row.ticks = small(choices),
        8 => row.late = choices.one_in(2),
        9 => row.tick.region = Region::new(&choices.text(6)),
        _ => row.timings.total = time(choices),
    }
}

fn rows(choices: &mut Choices<'_>, monitor: Option<u32>) -> Vec<CheckResult> {
    let mut rows: Vec<CheckResult> = Vec::new();
    for _ in 0..choices.below(40) {
        let next = row(choices, rows.last(), monitor);
        rows.push(next);
    }
    rows
}

#[test]
fn any_results_come_back_as_they_went() {
    run("results", Effort { inputs: 15_000, bytes_max: 1_024 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let mixed = rows(&mut choices, None);
        let stored = encode_batch(&mixed);
        assert_eq!(decode_batch(&stored).as_ref(), Ok(&mixed));
        assert!(decode_block(MonitorKey(7), &stored).is_err(), "a batch is not a block");
        let own = rows(&mut choices, Some(7));
        assert_eq!(decode_block(MonitorKey(7), &encode_block(&own)).as_ref(), Ok(&own));
        let mut strip = Strip::default();
        own.iter().for_each(|row| strip.push(row));
        assert_eq!((strip.len(), strip.rows(MonitorKey(7)).as_ref()), (own.len(), Ok(&own)));
    });
}

/// CRC-32 as of RFC 1952 section 8, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// A table with this body and the right checksum, so that what follows the checksum is reached.
fn sealed(body: &[u8]) -> Vec<u8> {
    [body, &crc32(body).to_le_bytes()].concat()
}

/// Whatever is read is in proportion to the bytes, and is read again when it is written again.
fn read(table: &[u8]) {
    let decoded =
        within(Duration::from_secs(2), "a table", || (decode_batch(table), decode_block(MonitorKey(7), table)));
    let rows = match decoded {
        (Ok(rows), Err(_)) | (Err(_), Ok(rows)) => rows,
        (Ok(_), Ok(_)) => panic!("both a batch and a block"),
        (Err(batch), Err(block)) => {
            assert!(!format!("{batch} {block}").is_empty());
            return;
        }
    };
    assert!(rows.len() <= 8 * table.len() + 2, "{} rows of {} bytes", rows.len(), table.len());
    assert_eq!(decode_batch(&encode_batch(&rows)), Ok(rows));
}

#[test]
fn any_bytes_are_rows_or_an_error() {
    run("tables", Effort { inputs: 80_000, bytes_max: 512 }, |bytes| {
        read(bytes);
        read(&sealed(bytes));
        let form = if bytes.first().is_some_and(|byte| byte & 1 == 0) { b'B' } else { b'L' };
        read(&sealed(&[&[1, form], bytes.get(1..).unwrap_or_default()].concat()));
    });
}

#[test]
fn a_damaged_table_is_rows_or_an_error() {
    run("damaged_tables", Effort { inputs: 30_000, bytes_max: 512 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let rows = rows(&mut choices.clone(), Some(7));
        let whole = if choices.one_in(2) { encode_batch(&rows) } else { encode_block(&rows) };
        let body = &whole[..whole.len() - 4];
        let damaged = choices.mutated(body, &["\0", "\u{1}", "\u{7f}", "\u{80}", "\u{7ff}"]);
        read(&sealed(&damaged));
        // Without the right checksum no change goes unnoticed.
        let broken = choices.mutated(&whole, &["\0", "B", "L"]);
        if broken != whole && broken.first() == Some(&1) {
            assert!(decode_batch(&broken).is_err() && decode_block(MonitorKey(7), &broken).is_err());
        }
    });
}

/// The rows that a few bytes can claim to be.
#[test]
fn a_table_that_claims_a_million_rows_costs_what_its_bytes_cost() {
    run("claims", Effort { inputs: 40_000, bytes_max: 64 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let mut body = vec![1, *choices.pick(b"BL")];
        let mut count = choices.bits() >> choices.below(64);
        while count >= 0x80 {
            body.push(count as u8 | 0x80);
            count >>= 7;
        }
        body.push(count as u8);
        body.extend_from_slice(choices.rest());
        body.resize(body.len() + choices.below(2_000), choices.byte());
        read(&sealed(&body));
    });
}

fn state(choices: &mut Choices<'_>) -> State {
    let at = |choices: &mut Choices<'_>| Timestamp::from_millis(choices.signed());
    let phase = match choices.below(6) {
        0 => Phase::Unknown,
        1 => Phase::Up,
        2 => Phase::Degraded { reason: reason(choices) },
        3 => Phase::Failing {
            since: at(choices),
            failures: small(choices),
            reason: reason(choices),
            before: match choices.below(3) {
                0 => Standing::Unknown,
                1 => Standing::Up,
                _ => Standing::Degraded { reason: reason(choices) },
            },
        },
        4 => Phase::Down {
            since: at(choices),
            passes: small(choices),
            reason: reason(choices),
            incident: IncidentId::from_number(choices.bits()),
        },
        _ => Phase::Paused,
    };
    let blind = choices.one_in(2).then(|| Blind { since: at(choices), fault: fault(choices), told: choices.one_in(2) });
    State { phase, blind, last_tick: choices.one_in(2).then(|| at(choices)), shown_since: at(choices) }
}

#[test]
fn states_and_documents_come_back_as_they_went_and_other_texts_are_an_error() {
    const WORDS: &[&str] =
        &["\"", "{", "}", "[", ":", ",", "null", "1", "-1", "99999999999999999999", "\"v\"", "\"phase\"", "\"up\""];
    run("documents", Effort { inputs: 30_000, bytes_max: 256 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let whole = state(&mut choices);
        let text = state_to_text(&whole);
        assert_eq!(state_from_text(&text).as_ref(), Ok(&whole), "{text}");
        let why = reason(&mut choices);
        assert_eq!(reason_from_text(&reason_to_text(&why)), Ok(why));
        let document = Document::new(&crate::tree::value(&mut choices, 4));
        let written = document_to_text(&document);
        assert_eq!(document_from_text(&written), Ok(document), "{written}");

        let damaged = choices.mutated(text.as_bytes(), WORDS);
        let damaged = String::from_utf8_lossy(&damaged);
        if let Ok(read) = state_from_text(&damaged) {
            assert_eq!(state_from_text(&state_to_text(&read)), Ok(read), "{damaged}");
        }
        let deep = "[".repeat(choices.below(5_000));
        assert!(document_from_text(&format!("{{\"v\":1,\"document\":{deep}")).is_err());
    });
}
