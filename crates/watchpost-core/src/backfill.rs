//! Late results: ticks older than the last applied. They fill what was unknown; they never alert.
//!
//! The late ticks run through the same state machine, from "nothing known", within each unknown stretch. What comes out
//! replaces that stretch's interval; incidents that come out of it are closed already. A late result speaks for its own
//! tick only, so results that come one by one fill as much as those that come together.

use crate::evaluate::{Change, Event, evaluate};
use crate::incident::{ClosedWhy, Incident};
use crate::monitor::Monitor;
use crate::reason::{Fault, FaultCode, Verdict};
use crate::schedule::{Missed, next_due};
use crate::state::{Shown, State};
use crate::time::Timestamp;
use crate::uptime::Interval;

/// What late results change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backfilled {
    /// The whole list of intervals, in order, with the unknown stretches filled. Neighbours differ, but for the newest,
    /// which stays as it was.
    pub intervals: Vec<Interval>,
    /// Incidents that happened in them; each is closed.
    pub incidents: Vec<Incident>,
}

/// A late tick and the judgement on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Late {
    /// When it was due.
    pub scheduled_at: Timestamp,
    /// The judgement.
    pub verdict: Verdict,
}

/// Fills the unknown stretches of `intervals` that end before the monitor's newest state began.
///
/// `late` must be in order of time. The newest interval is never touched: it belongs to the state machine. An outage that
/// overlaps one of the `known` incidents is that incident.
#[must_use]
pub fn backfill(monitor: &Monitor, intervals: &[Interval], known: &[Incident], late: &[Late]) -> Backfilled {
    let mut out = Backfilled::default();
    for (i, interval) in intervals.iter().enumerate() {
        let end = intervals.get(i + 1).map(|next| next.from);
        match (interval.shown, end) {
            (Shown::Unknown, Some(end)) => fill(monitor, *interval, end, late, &mut out),
            (_, Some(_)) => push(&mut out.intervals, *interval),
            (_, None) => out.intervals.push(*interval),
        }
    }
    out.incidents.retain(|new| !known.iter().any(|old| overlap(new, old)));
    out
}

fn overlap(a: &Incident, b: &Incident) -> bool {
    let end = |incident: &Incident| incident.closed.map_or(Timestamp::MAX, |(at, _)| at);
    a.id == b.id || (a.since < end(b) && b.since < end(a))
}

fn fill(monitor: &Monitor, gap: Interval, end: Timestamp, late: &[Late], out: &mut Backfilled) {
    push(&mut out.intervals, gap);
    let mut filling = Filling { monitor, out, state: State::fresh(true, gap.from), open: None };
    let ticks: Vec<&Late> = late.iter().filter(|l| (gap.from..end).contains(&l.scheduled_at)).collect();
    for (i, tick) in ticks.iter().enumerate() {
        let at = tick.scheduled_at;
        filling.apply(&Event::Checked { scheduled_at: at, verdict: tick.verdict.clone() }, at);
        // A result speaks for its tick only: where the next one has not come, it is unknown again.
        let until = ticks.get(i + 1).map_or(end, |next| next.scheduled_at);
        if let Some(due) = next_due(monitor, &filling.state.phase, at, at).filter(|due| *due < until) {
            let fault = Fault::new(FaultCode::MissedTick, "no result came for this tick");
            filling.apply(&Event::Missed { missed: Missed { first: due, last: due, count: 1 }, fault }, due);
        }
    }
    // What came after is known already and was judged without this outage: it ends where the stretch ends.
    filling.end(end, ClosedWhy::Recovered);
}

/// The state machine at work within one gap.
struct Filling<'a> {
    monitor: &'a Monitor,
    out: &'a mut Backfilled,
    state: State,
    open: Option<Incident>,
}

impl Filling<'_> {
    fn apply(&mut self, event: &Event, at: Timestamp) {
        let step = evaluate(self.monitor, self.state.clone(), event, at);
        self.state = step.state;
        for change in step.changes {
            match change {
                Change::Shown { to, since, .. } => {
                    push(&mut self.out.intervals, Interval { from: since, shown: to });
                }
                Change::WentDown { incident: id, since, at, reason } => {
                    let monitor = self.monitor.key;
                    self.open = Some(Incident { id, monitor, since, opened_at: at, reason, closed: None });
                }
                Change::Recovered { at, .. } => self.end(at, ClosedWhy::Recovered),
                Change::Closed { .. } | Change::CannotTell { .. } => {}
            }
        }
    }

    fn end(&mut self, at: Timestamp, why: ClosedWhy) {
        let closed = self.open.take().map(|incident| Incident { closed: Some((at, why)), ..incident });
        self.out.incidents.extend(closed);
    }
}

/// Appends an interval; one that begins where the last one began replaces it, one of the same state is joined to it.
fn push(intervals: &mut Vec<Interval>, next: Interval) {
    while intervals.last().is_some_and(|last| last.from >= next.from) {
        intervals.pop();
    }
    if intervals.last().is_none_or(|last| last.shown != next.shown) {
        intervals.push(next);
    }
}

#[cfg(test)]
mod tests;
