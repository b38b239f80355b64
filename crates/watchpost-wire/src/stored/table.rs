//! Batches and blocks as a whole.

use watchpost_core::observe::Timings;
use watchpost_core::result::Tick;
use watchpost_core::{CheckResult, MonitorKey, Region, Timestamp, Verdict};

use super::bytes::{Reader, Writer, crc32};
use super::columns::COLUMNS;
use super::ints::{put_ints, take_ints};
use super::{Result, StoredError, VERSION, damaged};

/// A table of one monitor.
const BLOCK: u8 = b'B';
/// A table of many monitors: a row of the log.
const BATCH: u8 = b'L';
/// Bytes of the checksum at the end.
const CHECKSUM_BYTES: usize = 4;

/// The results of one commit, of any monitors, in any order.
#[must_use]
pub fn encode_batch(results: &[CheckResult]) -> Vec<u8> {
    encode(BATCH, results)
}

/// The results of one monitor, best in order of time. The monitor itself is not stored.
#[must_use]
pub fn encode_block(results: &[CheckResult]) -> Vec<u8> {
    encode(BLOCK, results)
}

/// Reads what [`encode_batch`] wrote.
///
/// # Errors
/// When a newer version wrote it, or when it is not what was written.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<CheckResult>> {
    decode(BATCH, MonitorKey(0), bytes)
}

/// Reads what [`encode_block`] wrote for this monitor.
///
/// # Errors
/// When a newer version wrote it, or when it is not what was written.
pub fn decode_block(monitor: MonitorKey, bytes: &[u8]) -> Result<Vec<CheckResult>> {
    decode(BLOCK, monitor, bytes)
}

fn encode(form: u8, rows: &[CheckResult]) -> Vec<u8> {
    let mut out = Writer::default();
    out.byte(VERSION as u8);
    out.byte(form);
    out.varint(rows.len() as u64);
    if let Some(first) = rows.first() {
        out.signed(first.tick.scheduled_at.as_millis());
        put_ints(&mut out, &time_steps(rows), true);
        if form == BATCH {
            put_ints(&mut out, &rows.iter().map(|r| i64::from(r.tick.monitor.0)).collect::<Vec<_>>(), false);
        }
        let mut present = 0_u64;
        let mut columns = Writer::default();
        for (number, column) in COLUMNS.iter().enumerate() {
            present |= u64::from((column.put)(&mut columns, rows)) << number;
        }
        out.varint(present);
        out.raw(&columns.buf);
    }
    let checksum = crc32(&out.buf);
    out.raw(&checksum.to_le_bytes());
    out.buf
}

fn time_steps(rows: &[CheckResult]) -> Vec<i64> {
    let times = rows.iter().map(|r| r.tick.scheduled_at.as_millis());
    times.clone().zip(times.skip(1)).map(|(a, b)| b.wrapping_sub(a)).collect()
}

fn decode(form: u8, monitor: MonitorKey, bytes: &[u8]) -> Result<Vec<CheckResult>> {
    // The version comes first: a newer one may have no checksum, or another.
    let mut input = Reader::new(bytes);
    match u32::from(input.byte()?) {
        0 => return Err(damaged("it has no version")),
        VERSION => {}
        found => return Err(StoredError::Newer { what: "table of results", found }),
    }
    let (body, checksum) = bytes
        .len()
        .checked_sub(CHECKSUM_BYTES)
        .and_then(|len| bytes.split_at_checked(len))
        .ok_or_else(|| damaged("it ends too early"))?;
    if crc32(body).to_le_bytes() != checksum {
        return Err(damaged("its checksum is wrong"));
    }
    decode_body(form, monitor, body)
}

/// Reads a table whose checksum was found right, or does not matter to a test.
pub(super) fn decode_body(form: u8, monitor: MonitorKey, body: &[u8]) -> Result<Vec<CheckResult>> {
    let mut input = Reader::new(body);
    input.byte()?;
    if input.byte()? != form {
        return Err(damaged("it is of another form"));
    }
    let count = usize::try_from(input.varint()?).unwrap_or(usize::MAX);
    if count == 0 {
        return if input.is_empty() { Ok(Vec::new()) } else { Err(damaged("something follows its end")) };
    }
    // Every due time but the first two costs a bit, so this bounds what is allocated.
    if count > input.left().saturating_mul(8).saturating_add(2) {
        return Err(damaged("it has fewer rows than it says"));
    }
    let mut rows = take_rows(&mut input, monitor, count)?;
    if form == BATCH {
        for (row, key) in rows.iter_mut().zip(take_ints(&mut input, count)?) {
            row.tick.monitor = MonitorKey(u32::try_from(key).map_err(|_| damaged("a monitor is out of range"))?);
        }
    }
    let present = input.varint()?;
    if present >> COLUMNS.len() != 0 {
        return Err(damaged("it has an unknown column"));
    }
    for (_, column) in COLUMNS.iter().enumerate().filter(|(number, _)| present >> number & 1 == 1) {
        (column.take)(&mut input, &mut rows)?;
    }
    if input.is_empty() { Ok(rows) } else { Err(damaged("something follows its end")) }
}

/// The rows with their due times, and everything else at its default.
fn take_rows(input: &mut Reader<'_>, monitor: MonitorKey, count: usize) -> Result<Vec<CheckResult>> {
    let region = Region::local();
    let mut time = input.signed()?;
    let steps = take_ints(input, count - 1)?;
    let mut rows = Vec::with_capacity(count);
    rows.push(default_row(monitor, &region, time));
    for step in steps {
        time = time.wrapping_add(step);
        rows.push(default_row(monitor, &region, time));
    }
    Ok(rows)
}

pub(super) fn default_row(monitor: MonitorKey, region: &Region, scheduled_at: i64) -> CheckResult {
    let scheduled_at = Timestamp::from_millis(scheduled_at);
    CheckResult {
        tick: Tick { monitor, region: region.clone(), scheduled_at },
        at: scheduled_at,
        verdict: Verdict::Pass,
        timings: Timings::default(),
        address: None,
        http: None,
        tls: None,
        ping: None,
        failing: None,
        ticks: 1,
        late: false,
    }
}
