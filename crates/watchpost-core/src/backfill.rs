//! Late results: ticks older than the last applied. They fill what was unknown; they never alert.
//!
//! The late ticks run through the same state machine, from "nothing known", within each unknown stretch. What comes out
//! replaces that stretch's interval; incidents that come out of it are closed already.

use crate::evaluate::{Change, Event, evaluate};
use crate::incident::{ClosedWhy, Incident};
use crate::monitor::Monitor;
use crate::reason::Verdict;
use crate::state::{Shown, State};
use crate::time::Timestamp;
use crate::uptime::Interval;

/// What late results change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backfilled {
    /// The whole list of intervals, in order, with the unknown stretches filled.
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
/// `late` must be in order of time. The newest interval is never touched: it belongs to the state machine.
#[must_use]
pub fn backfill(monitor: &Monitor, intervals: &[Interval], late: &[Late]) -> Backfilled {
    let mut out = Backfilled::default();
    for (i, interval) in intervals.iter().enumerate() {
        let end = intervals.get(i + 1).map(|next| next.from);
        match (interval.shown, end) {
            (Shown::Unknown, Some(end)) => fill(monitor, *interval, end, late, &mut out),
            (_, _) => push(&mut out.intervals, *interval),
        }
    }
    out
}

fn fill(monitor: &Monitor, gap: Interval, end: Timestamp, late: &[Late], out: &mut Backfilled) {
    push(&mut out.intervals, gap);
    let mut state = State::fresh(true, gap.from);
    let mut open: Option<Incident> = None;
    for tick in late.iter().filter(|l| (gap.from..end).contains(&l.scheduled_at)) {
        let event = Event::Checked { scheduled_at: tick.scheduled_at, verdict: tick.verdict.clone() };
        let step = evaluate(monitor, state, &event, tick.scheduled_at);
        for change in step.changes {
            match change {
                Change::Shown { to, since, .. } => push(&mut out.intervals, Interval { from: since, shown: to }),
                Change::WentDown { incident: id, since, at, reason } => {
                    open = Some(Incident { id, monitor: monitor.key, since, opened_at: at, reason, closed: None });
                }
                Change::Recovered { at, .. } => {
                    out.incidents.extend(close(open.take(), at, ClosedWhy::Recovered));
                }
                Change::Closed { .. } | Change::CannotTell { .. } => {}
            }
        }
        state = step.state;
    }
    // What came after is known already and was judged without this outage: it ends where the stretch ends.
    out.incidents.extend(close(open, end, ClosedWhy::Recovered));
}

fn close(incident: Option<Incident>, at: Timestamp, why: ClosedWhy) -> Option<Incident> {
    incident.map(|incident| Incident { closed: Some((at, why)), ..incident })
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
