//! A few results of one monitor in memory, one after the other.
//!
//! Appending costs a comparison and a few bytes: what rarely differs between two results of a monitor (verdict, URL,
//! address, certificate) is written only when it does. When enough have come together they are better kept as a block.

use std::sync::Arc;

use watchpost_core::observe::Timings;
use watchpost_core::result::{Failing, HttpFacts, PingFacts};
use watchpost_core::{CheckResult, MonitorKey, Region, Timestamp};

use super::bytes::{Reader, Writer};
use super::columns::stages_sum;
use super::facts::{address_bytes, address_from, put_verdict, take_verdict, tls_bytes, tls_from};
use super::table::default_row;
use super::{Result, damaged};

/// Bytes a strip's allocation grows by: many strips exist, so doubling would waste more than it saves.
const GROW_BYTES: usize = 96;

/// Results of one monitor, appended one by one. See the module.
#[derive(Clone, Debug, Default)]
pub struct Strip {
    bytes: Vec<u8>,
    count: u32,
    last: i64,
    /// Where the newest facts lie in `bytes`.
    facts: (u32, u32),
}

impl Strip {
    /// Appends a result. It may be of any time, though a later one than the last takes the least space.
    pub fn push(&mut self, row: &CheckResult) {
        let mut facts = Writer::default();
        put_facts(&mut facts, row);
        let mut record = Writer::default();
        let (from, len) = (self.facts.0 as usize, self.facts.1 as usize);
        let same = self.count > 0 && self.bytes.get(from..from + len) == Some(facts.buf.as_slice());
        if same {
            record.byte(1);
        } else {
            record.byte(0);
            record.varint(facts.buf.len() as u64);
            self.facts = ((self.bytes.len() + record.buf.len()) as u32, facts.buf.len() as u32);
            record.raw(&facts.buf);
        }
        let due = row.tick.scheduled_at.as_millis();
        record.signed(due.wrapping_sub(self.last));
        record.signed(row.at.as_millis().wrapping_sub(due));
        put_timings(&mut record, &row.timings);
        if self.bytes.capacity() - self.bytes.len() < record.buf.len() {
            self.bytes.reserve_exact(record.buf.len().max(GROW_BYTES));
        }
        self.bytes.extend_from_slice(&record.buf);
        self.count += 1;
        self.last = due;
    }

    /// How many results are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// There are none in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The results in the order they were appended.
    ///
    /// # Errors
    /// Never for a strip made by [`Strip::push`]; the bounds are checked all the same.
    pub fn rows(&self, monitor: MonitorKey) -> Result<Vec<CheckResult>> {
        let region = Region::local();
        let mut input = Reader::new(&self.bytes);
        let mut rows: Vec<CheckResult> = Vec::with_capacity(self.len());
        let mut due = 0_i64;
        for _ in 0..self.count {
            let mut row = match (input.byte()?, rows.last()) {
                (1, Some(before)) => before.clone(),
                (0, _) => {
                    let len = input.count()?;
                    take_facts(input.raw(len)?, default_row(monitor, &region, 0))?
                }
                (_, _) => return Err(damaged("a strip begins with nothing")),
            };
            due = due.wrapping_add(input.signed()?);
            row.tick.scheduled_at = Timestamp::from_millis(due);
            row.at = Timestamp::from_millis(due.wrapping_add(input.signed()?));
            row.timings = take_timings(&mut input)?;
            rows.push(row);
        }
        Ok(rows)
    }
}

fn put_timings(out: &mut Writer, timings: &Timings) {
    let stages = [timings.dns, timings.connect, timings.tls, timings.ttfb, timings.transfer];
    let bit = |(n, there): (usize, bool)| u8::from(there) << n;
    let present = stages.iter().map(Option::is_some).chain([timings.total.is_some()]).enumerate().map(bit).sum();
    out.byte(present);
    for stage in stages.into_iter().flatten() {
        out.varint(u64::from(stage));
    }
    if let Some(total) = timings.total {
        out.signed(i64::from(total) - stages_sum(timings));
    }
}

fn take_timings(input: &mut Reader<'_>) -> Result<Timings> {
    let present = input.byte()?;
    let mut stage = |n: u8| match present >> n & 1 {
        0 => Ok(None),
        _ => u32::try_from(input.varint()?).map(Some).map_err(|_| damaged("a time is out of range")),
    };
    let (dns, connect, tls, ttfb, transfer) = (stage(0)?, stage(1)?, stage(2)?, stage(3)?, stage(4)?);
    let mut timings = Timings { dns, connect, tls, ttfb, transfer, total: None };
    if present >> 5 & 1 == 1 {
        let total = stages_sum(&timings).wrapping_add(input.signed()?);
        timings.total = Some(u32::try_from(total).map_err(|_| damaged("a time is out of range"))?);
    }
    Ok(timings)
}

fn put_facts(out: &mut Writer, row: &CheckResult) {
    out.text(row.tick.region.as_str());
    put_verdict(out, &row.verdict);
    for bytes in [address_bytes(row.address), tls_bytes(row.tls)] {
        out.byte(bytes.len() as u8);
        out.raw(&bytes);
    }
    out.byte(u8::from(row.http.is_some()) | u8::from(row.ping.is_some()) << 1 | u8::from(row.failing.is_some()) << 2);
    out.byte(u8::from(row.late));
    out.varint(u64::from(row.ticks));
    if let Some(http) = &row.http {
        out.varint(u64::from(http.status));
        out.text(&http.url);
    }
    if let Some(ping) = row.ping {
        out.byte(ping.sent);
        out.byte(ping.received);
        for time in [ping.rtt_avg_us, ping.jitter_us] {
            out.varint(time.map_or(0, |t| u64::from(t) + 1));
        }
    }
    if let Some(failing) = row.failing {
        out.varint(u64::from(failing.count));
        out.varint(u64::from(failing.of));
    }
}

fn take_facts(bytes: &[u8], mut row: CheckResult) -> Result<CheckResult> {
    let mut input = Reader::new(bytes);
    let region = input.text()?;
    if region != row.tick.region.as_str() {
        row.tick.region = Region::new(region);
    }
    row.verdict = take_verdict(&mut input)?;
    let len = usize::from(input.byte()?);
    row.address = address_from(input.raw(len)?)?;
    let len = usize::from(input.byte()?);
    row.tls = tls_from(input.raw(len)?)?;
    let present = input.byte()?;
    row.late = input.byte()? == 1;
    row.ticks = take_u32(&mut input)?;
    if present & 1 != 0 {
        let status = u16::try_from(input.varint()?).map_err(|_| damaged("a status is out of range"))?;
        row.http = Some(HttpFacts { status, url: Arc::from(input.text()?) });
    }
    if present & 2 != 0 {
        let (sent, received) = (input.byte()?, input.byte()?);
        let (rtt, jitter) = (input.varint()?, input.varint()?);
        let time = |plus_one: u64| plus_one.checked_sub(1).and_then(|t| u32::try_from(t).ok());
        row.ping = Some(PingFacts { sent, received, rtt_avg_us: time(rtt), jitter_us: time(jitter) });
    }
    if present & 4 != 0 {
        row.failing = Some(Failing { count: take_u32(&mut input)?, of: take_u32(&mut input)? });
    }
    Ok(row)
}

fn take_u32(input: &mut Reader<'_>) -> Result<u32> {
    u32::try_from(input.varint()?).map_err(|_| damaged("a number is out of range"))
}
