//! The state machine: one event in, one step out. The only place that decides on states, incidents and wakes.
//!
//! Invariants (checked by simulation): a tick not newer than the last applied changes nothing; `WentDown` and
//! `Recovered` alternate; no `WentDown` without `fail_after` consecutive failing ticks; what we could not tell neither
//! counts nor resets, and is never shown as down; time that steps back makes no change of its own and no negative
//! duration.

use std::time::Duration;

use crate::incident::{ClosedWhy, IncidentId};
use crate::monitor::{Monitor, Thresholds};
use crate::reason::{Fault, Reason, Verdict};
use crate::schedule::{Missed, next_tick};
use crate::state::{Blind, JUST_BEFORE, Phase, Shown, Standing, State};
use crate::time::Timestamp;

/// A tick that lies further ahead of now than this belongs to a time that our clock was set back from: it did not
/// happen. Less is put up with, because ticks out of turn and other machines' clocks run ahead a little.
pub const TICK_AHEAD_MAX: Duration = Duration::from_secs(10);

/// Everything that can happen to a monitor.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A check of this tick ended.
    Checked {
        /// The tick it was due at.
        scheduled_at: Timestamp,
        /// The judgement.
        verdict: Verdict,
    },
    /// Ticks went by that nobody ran.
    Missed {
        /// Which.
        missed: Missed,
        /// Whose fault it was.
        fault: Fault,
    },
    /// A deadline that a step asked for has passed.
    Woken,
    /// Switched off.
    Paused,
    /// Switched on.
    Resumed,
    /// It checks something of another kind now: what was known is about another thing.
    Rekinded,
    /// Our clock was set back for good; times after `to` did not happen.
    ClockSetBack {
        /// The time now.
        to: Timestamp,
    },
}

/// What follows from an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The state after it.
    pub state: State,
    /// What changed, in order.
    pub changes: Vec<Change>,
    /// When to call again with [`Event::Woken`], if nothing happens before.
    pub wake: Option<Timestamp>,
    /// False for a replay or a late result: nothing was done, and [`crate::backfill`] may have a use for it.
    pub applied: bool,
}

/// Something that people or pages may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// What is shown changed: the state interval that begins at `since` replaces all that is stored from there on.
    Shown {
        /// Before.
        from: Shown,
        /// After; the same as before when only the time is another, because the clock was set back.
        to: Shown,
        /// From when on.
        since: Timestamp,
    },
    /// An incident is opened.
    WentDown {
        /// Its id.
        incident: IncidentId,
        /// The first of the failing ticks.
        since: Timestamp,
        /// The confirming tick.
        at: Timestamp,
        /// Why.
        reason: Reason,
    },
    /// The incident is over: the target passes again.
    Recovered {
        /// Its id.
        incident: IncidentId,
        /// When.
        at: Timestamp,
        /// How long the outage was.
        after: Duration,
    },
    /// The incident is closed for another reason.
    Closed {
        /// Its id.
        incident: IncidentId,
        /// When.
        at: Timestamp,
        /// Why.
        why: ClosedWhy,
    },
    /// We have not been able to tell for too long.
    CannotTell {
        /// Since when.
        since: Timestamp,
        /// Why, most recently.
        fault: Fault,
    },
}

/// Decides what follows from an event at the time `at`.
#[must_use]
pub fn evaluate(monitor: &Monitor, state: State, event: &Event, at: Timestamp) -> Step {
    let before = state.shown();
    let mut turn = Turn { monitor, state, changes: Vec::new(), at, when: at };
    let applied = turn.apply(event);
    let Turn { mut state, mut changes, when, .. } = turn;
    show(before, &mut state, &mut changes, when);
    let wake = state.wake(monitor.cannot_tell_after);
    Step { state, changes, wake, applied }
}

/// What follows when a monitor is removed, whose definition may be gone already.
#[must_use]
pub fn removed(mut state: State, at: Timestamp) -> Step {
    let (before, mut changes) = (state.shown(), Vec::new());
    let when = forget(&mut state, &mut changes, at, ClosedWhy::Removed);
    show(before, &mut state, &mut changes, when);
    Step { state, changes, wake: None, applied: true }
}

/// Tells first of all that what is shown is another than `before`, if it is.
fn show(before: Shown, state: &mut State, changes: &mut Vec<Change>, when: Timestamp) {
    let shown = state.shown();
    if shown == before {
        return;
    }
    // An outage that is confirmed now began with its first failing tick. One that went on while we could not tell is
    // shown again from now on only.
    let confirmed = changes.iter().find_map(|change| match change {
        Change::WentDown { since, .. } => Some(*since),
        Change::Shown { .. } | Change::Recovered { .. } | Change::Closed { .. } | Change::CannotTell { .. } => None,
    });
    state.shown_since = confirmed.unwrap_or(when).max(state.shown_since);
    changes.insert(0, Change::Shown { from: before, to: shown, since: state.shown_since });
}

/// What was known no longer counts: an open incident is closed, ticks from before are late, and the next result is a
/// first one. Returns when that is.
fn forget(state: &mut State, changes: &mut Vec<Change>, at: Timestamp, why: ClosedWhy) -> Timestamp {
    let when = at.max(state.shown_since);
    if let Some(incident) = state.incident() {
        changes.push(Change::Closed { incident, at: when, why });
    }
    state.phase = Phase::Unknown;
    state.blind = None;
    state.last_tick = state.last_tick.max(Some(at - JUST_BEFORE));
    when
}

/// The working copy of one evaluation.
struct Turn<'a> {
    monitor: &'a Monitor,
    state: State,
    changes: Vec<Change>,
    /// Now.
    at: Timestamp,
    /// When what happened happened: the tick of a result, else now.
    when: Timestamp,
}

impl Turn<'_> {
    fn apply(&mut self, event: &Event) -> bool {
        match event {
            Event::Checked { scheduled_at, verdict } => self.checked(*scheduled_at, verdict),
            Event::Missed { missed, fault } => self.missed(missed, fault),
            Event::Woken => self.woken(),
            Event::Paused => self.pause(),
            Event::Resumed => self.resume(),
            Event::Rekinded => self.rekind(),
            Event::ClockSetBack { to } => self.set_back(*to),
        }
    }

    /// A newer tick than any before is taken as the time of what happens; others are replays or late.
    fn take_tick(&mut self, tick: Timestamp) -> bool {
        let newer = self.state.last_tick.is_none_or(|last| last < tick);
        if newer && tick <= self.at + TICK_AHEAD_MAX && self.state.phase != Phase::Paused {
            self.state.last_tick = Some(tick);
            self.when = tick;
            return true;
        }
        false
    }

    fn checked(&mut self, tick: Timestamp, verdict: &Verdict) -> bool {
        if !self.take_tick(tick) {
            return false;
        }
        match verdict {
            Verdict::Pass => self.passed(None),
            Verdict::Degraded(reason) => self.passed(Some(reason)),
            Verdict::Fail(reason) => self.failed(tick, reason),
            Verdict::Inconclusive(fault) => self.blinded(tick, fault),
        }
        true
    }

    fn missed(&mut self, missed: &Missed, fault: &Fault) -> bool {
        // What was measured stays measured: of a run that overlaps it, only the rest is unknown.
        let first = match self.state.last_tick {
            Some(last) if missed.first <= last => next_tick(self.monitor, last).unwrap_or(missed.last).min(missed.last),
            Some(_) | None => missed.first,
        };
        if !self.take_tick(missed.last) {
            return false;
        }
        self.when = first;
        self.blinded(first, fault);
        true
    }

    fn blinded(&mut self, tick: Timestamp, fault: &Fault) {
        match &mut self.state.blind {
            Some(blind) => blind.fault = fault.clone(),
            None => self.state.blind = Some(Blind { since: tick, fault: fault.clone(), told: false }),
        }
    }

    fn passed(&mut self, complaint: Option<&Reason>) {
        self.state.blind = None;
        let good = match complaint {
            None => Phase::Up,
            Some(reason) => Phase::Degraded { reason: reason.clone() },
        };
        let Thresholds { recover_after, .. } = self.monitor.thresholds;
        match &mut self.state.phase {
            Phase::Down { since, passes, incident, .. } => {
                *passes += 1;
                if *passes >= recover_after.get() {
                    let after = self.when.since(*since);
                    self.changes.push(Change::Recovered { incident: *incident, at: self.when, after });
                    self.state.phase = good;
                }
            }
            Phase::Unknown | Phase::Up | Phase::Degraded { .. } | Phase::Failing { .. } => self.state.phase = good,
            Phase::Paused => {}
        }
    }

    fn failed(&mut self, tick: Timestamp, reason: &Reason) {
        let saw_all = self.state.blind.take().is_none();
        let phase = std::mem::replace(&mut self.state.phase, Phase::Unknown);
        self.state.phase = match phase {
            Phase::Unknown => self.failing(tick, 1, reason, Standing::Unknown),
            Phase::Up => self.failing(tick, 1, reason, Standing::Up),
            Phase::Degraded { reason: was } => self.failing(tick, 1, reason, Standing::Degraded { reason: was }),
            Phase::Failing { since, failures, before, .. } => {
                // Downtime counts from the first failing tick after which we saw every one.
                let since = if saw_all { since } else { tick };
                self.failing(since, failures.saturating_add(1), reason, before)
            }
            Phase::Down { since, incident, .. } => Phase::Down { since, passes: 0, reason: reason.clone(), incident },
            Phase::Paused => Phase::Paused,
        };
    }

    fn failing(&mut self, since: Timestamp, failures: u32, reason: &Reason, before: Standing) -> Phase {
        let reason = reason.clone();
        if failures < self.monitor.thresholds.fail_after.get() {
            return Phase::Failing { since, failures, reason, before };
        }
        let incident = IncidentId::judged(self.monitor.key, self.when, self.at);
        self.changes.push(Change::WentDown { incident, since, at: self.when, reason: reason.clone() });
        Phase::Down { since, passes: 0, reason, incident }
    }

    fn woken(&mut self) -> bool {
        let due = self.state.wake(self.monitor.cannot_tell_after).is_some_and(|wake| wake <= self.at);
        match &mut self.state.blind {
            Some(blind) if due => {
                blind.told = true;
                self.changes.push(Change::CannotTell { since: blind.since, fault: blind.fault.clone() });
                true
            }
            Some(_) | None => false,
        }
    }

    fn pause(&mut self) -> bool {
        if self.state.phase == Phase::Paused {
            return false;
        }
        self.forget(ClosedWhy::Paused);
        self.state.phase = Phase::Paused;
        true
    }

    fn resume(&mut self) -> bool {
        if self.state.phase != Phase::Paused {
            return false;
        }
        self.forget(ClosedWhy::Changed);
        true
    }

    fn rekind(&mut self) -> bool {
        let paused = self.state.phase == Phase::Paused;
        if !paused {
            self.forget(ClosedWhy::Changed);
        }
        !paused
    }

    fn forget(&mut self, why: ClosedWhy) {
        self.when = forget(&mut self.state, &mut self.changes, self.at, why);
    }

    /// Times after `to` did not happen: later ticks count again, and no span of ours begins in the future.
    fn set_back(&mut self, to: Timestamp) -> bool {
        self.state.last_tick = self.state.last_tick.map(|last| last.min(to));
        if self.state.shown_since > to {
            self.state.shown_since = to;
            let shown = self.state.shown();
            self.changes.push(Change::Shown { from: shown, to: shown, since: to });
        }
        if let Some(blind) = &mut self.state.blind {
            blind.since = blind.since.min(to);
        }
        match &mut self.state.phase {
            Phase::Failing { since, .. } | Phase::Down { since, .. } => *since = (*since).min(to),
            Phase::Unknown | Phase::Up | Phase::Degraded { .. } | Phase::Paused => {}
        }
        true
    }
}

#[cfg(test)]
mod tests;
