//! The columns of a table of results that are only there when something differs from the default.

use std::collections::HashMap;
use std::sync::Arc;

use watchpost_core::observe::Timings;
use watchpost_core::result::{Failing, HttpFacts, PingFacts};
use watchpost_core::{CheckResult, Region, Timestamp, Verdict};

use super::bytes::{Reader, Writer};
use super::facts::{address_bytes, address_from, put_verdict, take_verdict, tls_bytes, tls_from};
use super::ints::{put_ints, put_options, take_ints, take_options};
use super::{Result, damaged};

/// Bytes that a dictionary's entry may share with the one before: bounds what a short input can make us allocate.
const SHARED_MAX: usize = 255;

/// How a column is written and read. `put` returns false, having written nothing, when all rows have the default.
pub(super) struct Column {
    pub(super) put: fn(&mut Writer, &[CheckResult]) -> bool,
    pub(super) take: fn(&mut Reader<'_>, &mut [CheckResult]) -> Result<()>,
}

/// All columns in the order they are stored. The place in this list is the column's number: append only.
pub(super) const COLUMNS: &[Column] = &[
    Column { put: put_lateness, take: take_lateness },
    Column { put: put_regions, take: take_regions },
    Column { put: put_verdicts, take: take_verdicts },
    Column { put: |o, rows| put_stage(o, rows, |t| t.dns), take: |i, rows| take_stage(i, rows, |t| &mut t.dns) },
    Column {
        put: |o, rows| put_stage(o, rows, |t| t.connect),
        take: |i, rows| take_stage(i, rows, |t| &mut t.connect),
    },
    Column { put: |o, rows| put_stage(o, rows, |t| t.tls), take: |i, rows| take_stage(i, rows, |t| &mut t.tls) },
    Column { put: |o, rows| put_stage(o, rows, |t| t.ttfb), take: |i, rows| take_stage(i, rows, |t| &mut t.ttfb) },
    Column {
        put: |o, rows| put_stage(o, rows, |t| t.transfer),
        take: |i, rows| take_stage(i, rows, |t| &mut t.transfer),
    },
    Column { put: put_totals, take: take_totals },
    Column { put: put_addresses, take: take_addresses },
    Column { put: put_http, take: take_http },
    Column { put: put_tls_facts, take: take_tls_facts },
    Column { put: put_ping, take: take_ping },
    Column { put: put_failing, take: take_failing },
    Column { put: put_ticks, take: take_ticks },
    Column { put: put_late, take: take_late },
];

/// Writes a column of byte strings: the distinct ones in the order they first occur, each as what it shares with the
/// beginning of the one before (length) and the rest; then which row has which.
fn put_dictionary(out: &mut Writer, values: Vec<Vec<u8>>) {
    let mut numbers: HashMap<Vec<u8>, i64> = HashMap::new();
    let mut entries = Writer::default();
    let mut previous: Vec<u8> = Vec::new();
    let mut which = Vec::with_capacity(values.len());
    for value in values {
        let next = numbers.len() as i64;
        let number = match numbers.get(&value) {
            Some(number) => *number,
            None => {
                let shared = previous.iter().zip(&value).take(SHARED_MAX).take_while(|(a, b)| a == b).count();
                entries.varint(shared as u64);
                entries.varint((value.len() - shared) as u64);
                entries.raw(&value[shared..]);
                previous.clone_from(&value);
                numbers.insert(value, next);
                next
            }
        };
        which.push(number);
    }
    out.varint(numbers.len() as u64);
    out.raw(&entries.buf);
    put_ints(out, &which, false);
}

/// Reads what [`put_dictionary`] wrote; each distinct entry is parsed once and cloned per row.
fn take_dictionary<T: Clone>(
    input: &mut Reader<'_>,
    count: usize,
    parse: impl Fn(&[u8]) -> Result<T>,
) -> Result<Vec<T>> {
    let mut entries = Vec::new();
    let mut entry: Vec<u8> = Vec::new();
    for _ in 0..input.count()? {
        let shared = usize::try_from(input.varint()?).unwrap_or(usize::MAX);
        if shared > entry.len().min(SHARED_MAX) {
            return Err(damaged("a dictionary refers to what is not there"));
        }
        entry.truncate(shared);
        let rest = input.count()?;
        entry.extend_from_slice(input.raw(rest)?);
        entries.push(parse(&entry)?);
    }
    let pick = |number: i64| usize::try_from(number).ok().and_then(|n| entries.get(n)).cloned();
    take_ints(input, count)?
        .into_iter()
        .map(|number| pick(number).ok_or_else(|| damaged("a row refers to what is not in the dictionary")))
        .collect()
}

fn text_from(bytes: &[u8]) -> Result<Arc<str>> {
    std::str::from_utf8(bytes).map(Arc::from).map_err(|_| damaged("a text is not UTF-8"))
}

/// A stored number as the narrower type it was.
fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T> {
    T::try_from(value).map_err(|_| damaged("a number is out of range"))
}

fn put_lateness(out: &mut Writer, rows: &[CheckResult]) -> bool {
    let late = |r: &CheckResult| r.at.as_millis().wrapping_sub(r.tick.scheduled_at.as_millis());
    let values: Vec<i64> = rows.iter().map(late).collect();
    let any = values.iter().any(|v| *v != 0);
    if any {
        put_ints(out, &values, false);
    }
    any
}

fn take_lateness(input: &mut Reader<'_>, rows: &mut [CheckResult]) -> Result<()> {
    let column = take_ints(input, rows.len())?;
    for (row, late) in rows.iter_mut().zip(column) {
        row.at = Timestamp::from_millis(row.tick.scheduled_at.as_millis().wrapping_add(late));
    }
    Ok(())
}

fn put_regions(out: &mut Writer, rows: &[CheckResult]) -> bool {
    let local = Region::local();
    let any = rows.iter().any(|r| r.tick.region != local);
    if any {
        put_dictionary(out, rows.iter().map(|r| r.tick.region.as_str().as_bytes().to_vec()).collect());
    }
    any
}

fn take_regions(input: &mut Reader<'_>, rows: &mut [CheckResult]) -> Result<()> {
    let regions = take_dictionary(input, rows.len(), |b| text_from(b).map(|t| Region::new(&t)))?;
    for (row, region) in rows.iter_mut().zip(regions) {
        row.tick.region = region;
    }
    Ok(())
}

fn put_verdicts(out: &mut Writer, rows: &[CheckResult]) -> bool {
    let bytes = |r: &CheckResult| {
        let mut entry = Writer::default();
        put_verdict(&mut entry, &r.verdict);
        entry.buf
    };
    let any = rows.iter().any(|r| r.verdict != Verdict::Pass);
    if any {
        put_dictionary(out, rows.iter().map(bytes).collect());
    }
    any
}

fn take_verdicts(input: &mut Reader<'_>, rows: &mut [CheckResult]) -> Result<()> {
    let verdicts = take_dictionary(input, rows.len(), |b| take_verdict(&mut Reader::new(b)))?;
    for (row, verdict) in rows.iter_mut().zip(verdicts) {
        row.verdict = verdict;
    }
    Ok(())
}

fn put_stage(out: &mut Writer, rows: &[CheckResult], stage: fn(&Timings) -> Option<u32>) -> bool {
    let values: Vec<Option<i64>> = rows.iter().map(|r| stage(&r.timings).map(i64::from)).collect();
    put_options(out, &values)
}

fn take_stage(
    input: &mut Reader<'_>,
    rows: &mut [CheckResult],
    stage: fn(&mut Timings) -> &mut Option<u32>,
) -> Result<()> {
    let column = take_options(input, rows.len())?;
    for (row, value) in rows.iter_mut().zip(column) {
        *stage(&mut row.timings) = value.map(narrow).transpose()?;
    }
    Ok(())
}

/// What the stages add up to: the total is a little more than that, and only the little is stored.
pub(super) fn stages_sum(timings: &Timings) -> i64 {
    [timings.dns, timings.connect, timings.tls, timings.ttfb, timings.transfer]
        .into_iter()
        .flatten()
        .map(i64::from)
        .sum()
}

fn put_totals(out: &mut Writer, rows: &[CheckResult]) -> bool {
    let over = |r: &CheckResult| r.timings.total.map(|total| i64::from(total) - stages_sum(&r.timings));
    put_options(out, &rows.iter().map(over).collect::<Vec<_>>())
}

/// Comes after the stages, which it needs.
fn take_totals(input: &mut Reader<'_>, rows: &mut [CheckResult]) -> Result<()> {
    let column = take_options(input, rows.len())?;
    for (row, over) in rows.iter_mut().zip(column) {
        let sum = stages_sum(&row.timings);
        row.timings.total = over.map(|over| narrow(sum.wrapping_add(over))).transpose()?;
    }
    Ok(())
}

fn put_addresses(out: &mut Writer, rows: &[CheckResult]) -> bool {
    let any = rows.iter().any(|r| r.address.is_some());
    if any {
        put_dictionary(out, rows.iter().map(|r| address_bytes(r.address)).collect());
    }
    any
}

fn take_addresses(input: &mut Reader<'_>, rows: &mut [CheckResult]) -> Result<()> {
    let column = take_dictionary(input, rows.len(), address_from)?;
    for (row, address) in rows.iter_mut().zip(column) {
        row.address = address;
    }
    Ok(())
}

fn put_http(out: &mut Writer, rows: &[CheckResult]) -> bool {
    let statuses: Vec<_> = rows.iter().map(|r| r.http.as_ref().map(|h| i64::from(h.status))).collect();
    let any = put_options(out, &statuses);
    if any {
        put_dictionary(out, rows.iter().flat_map(|r| &r.http).map(|h| h.url.as_bytes().to_vec()).collect());
    }
    any
}

fn take_http(input: &mut Reader<'_>, rows: &mut [CheckResult]) -> Result<()> {
    let statuses = take_options(input, rows.len())?;
    let mut urls = take_dictionary(input, statuses.iter().flatten().count(), text_from)?.into_iter();
    for (row, status) in rows.iter_mut().zip(statuses) {
        if let Some(status) = status {
            let url = urls.next().ok_or_else(|| damaged("a URL is missing"))?;
            row.http = Some(HttpFacts { status: narrow(status)?, url });
        }
    }
    Ok(())
}

fn put_tls_facts(out: &mut Writer, rows: &[CheckResult]) -> bool {
    let any = rows.iter().any(|r| r.tls.is_some());
    if any {
        put_dictionary(out, rows.iter().map(|r| tls_bytes(r.tls)).collect());
    }
    any
}

fn take_tls_facts(input: &mut Reader<'_>, rows: &mut [CheckResult]) -> Result<()> {
    let column = take_dictionary(input, rows.len(), tls_from)?;
    for (row, tls) in rows.iter_mut().zip(column) {
        row.tls = tls;
    }
    Ok(())
}

/// Who has echo facts and how many were sent; then, of those: received, round trip, jitter.
fn put_ping(out: &mut Writer, rows: &[CheckResult]) -> bool {
    let sent: Vec<_> = rows.iter().map(|r| r.ping.map(|p| i64::from(p.sent))).collect();
    if !put_options(out, &sent) {
        return false;
    }
    let facts: Vec<PingFacts> = rows.iter().filter_map(|r| r.ping).collect();
    put_ints(out, &facts.iter().map(|p| i64::from(p.received)).collect::<Vec<_>>(), false);
    for times in [|p: &PingFacts| p.rtt_avg_us, |p: &PingFacts| p.jitter_us] {
        let values: Vec<_> = facts.iter().map(|p| times(p).map(i64::from)).collect();
        if !put_options(out, &values) {
            out.byte(0);
        }
    }
    true
}

fn take_ping(input: &mut Reader<'_>, rows: &mut [CheckResult]) -> Result<()> {
    let sent = take_options(input, rows.len())?;
    let count = sent.iter().flatten().count();
    let received = take_ints(input, count)?;
    let rtt = take_present(input, count)?;
    let jitter = take_present(input, count)?;
    let mut facts = received.into_iter().zip(rtt).zip(jitter);
    for (row, sent) in rows.iter_mut().zip(sent) {
        let Some(sent) = sent else { continue };
        let ((received, rtt), jitter) = facts.next().ok_or_else(|| damaged("echo facts are missing"))?;
        row.ping = Some(PingFacts {
            sent: narrow(sent)?,
            received: narrow(received)?,
            rtt_avg_us: rtt.map(narrow).transpose()?,
            jitter_us: jitter.map(narrow).transpose()?,
        });
    }
    Ok(())
}

/// As [`take_options`], where a zero byte says that none is there.
fn take_present(input: &mut Reader<'_>, count: usize) -> Result<Vec<Option<i64>>> {
    let mut ahead = *input;
    if ahead.byte()? == 0 {
        *input = ahead;
        return Ok(vec![None; count]);
    }
    take_options(input, count)
}

fn put_failing(out: &mut Writer, rows: &[CheckResult]) -> bool {
    let counts: Vec<_> = rows.iter().map(|r| r.failing.map(|f| i64::from(f.count))).collect();
    let any = put_options(out, &counts);
    if any {
        put_ints(out, &rows.iter().filter_map(|r| r.failing).map(|f| i64::from(f.of)).collect::<Vec<_>>(), false);
    }
    any
}

fn take_failing(input: &mut Reader<'_>, rows: &mut [CheckResult]) -> Result<()> {
    let counts = take_options(input, rows.len())?;
    let mut ofs = take_ints(input, counts.iter().flatten().count())?.into_iter();
    for (row, count) in rows.iter_mut().zip(counts) {
        if let Some(count) = count {
            let of = ofs.next().ok_or_else(|| damaged("a threshold is missing"))?;
            row.failing = Some(Failing { count: narrow(count)?, of: narrow(of)? });
        }
    }
    Ok(())
}

fn put_ticks(out: &mut Writer, rows: &[CheckResult]) -> bool {
    let any = rows.iter().any(|r| r.ticks != 1);
    if any {
        put_ints(out, &rows.iter().map(|r| i64::from(r.ticks)).collect::<Vec<_>>(), false);
    }
    any
}

fn take_ticks(input: &mut Reader<'_>, rows: &mut [CheckResult]) -> Result<()> {
    let column = take_ints(input, rows.len())?;
    for (row, ticks) in rows.iter_mut().zip(column) {
        row.ticks = narrow(ticks)?;
    }
    Ok(())
}

fn put_late(out: &mut Writer, rows: &[CheckResult]) -> bool {
    let any = rows.iter().any(|r| r.late);
    if any {
        put_ints(out, &rows.iter().map(|r| i64::from(r.late)).collect::<Vec<_>>(), false);
    }
    any
}

fn take_late(input: &mut Reader<'_>, rows: &mut [CheckResult]) -> Result<()> {
    let column = take_ints(input, rows.len())?;
    for (row, late) in rows.iter_mut().zip(column) {
        row.late = match late {
            0 => false,
            1 => true,
            _ => return Err(damaged("a result is neither late nor not")),
        };
    }
    Ok(())
}
