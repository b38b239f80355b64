//! A second opinion on what a monitor's state must be: counters and flags only, written without looking at the core's
//! state machine, so that a mistake there is not repeated here.

use watchpost_core::evaluate::TICK_AHEAD_MAX;
use watchpost_core::monitor::Thresholds;
use watchpost_core::state::Phase;
use watchpost_core::{Event, State, Timestamp, Verdict};

/// What is expected of a monitor's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    /// The newest tick that counted.
    pub(crate) last: Option<Timestamp>,
    fails: u32,
    passes: u32,
    down: bool,
    paused: bool,
    blind: bool,
}

impl Model {
    pub(crate) fn fresh(active: bool, at: Timestamp) -> Model {
        Model { last: Some(just_before(at)), paused: !active, ..Model::default() }
    }

    /// Takes an event in; says whether it must count.
    pub(crate) fn take(&mut self, event: &Event, thresholds: Thresholds, at: Timestamp) -> bool {
        match event {
            Event::Checked { scheduled_at, verdict } => {
                let counts = self.newer(*scheduled_at, at);
                if counts {
                    self.judged(verdict, thresholds);
                }
                counts
            }
            Event::Missed { missed, .. } => {
                let counts = self.newer(missed.last, at);
                self.blind |= counts;
                counts
            }
            Event::Woken => false,
            Event::Paused => self.switch(true, at),
            Event::Resumed => self.switch(false, at),
            Event::Rekinded => {
                let counts = !self.paused;
                if counts {
                    self.forget(at);
                }
                counts
            }
            Event::ClockSetBack { to } => {
                self.last = self.last.map(|last| last.min(*to));
                true
            }
        }
    }

    fn newer(&mut self, tick: Timestamp, at: Timestamp) -> bool {
        let newer = !self.paused && self.last.is_none_or(|last| tick > last) && tick <= at + TICK_AHEAD_MAX;
        if newer {
            self.last = Some(tick);
        }
        newer
    }

    fn judged(&mut self, verdict: &Verdict, thresholds: Thresholds) {
        match verdict {
            Verdict::Inconclusive(_) => self.blind = true,
            Verdict::Fail(_) => {
                (self.passes, self.blind) = (0, false);
                self.fails += 1;
                self.down |= self.fails >= thresholds.fail_after.get();
            }
            Verdict::Pass | Verdict::Degraded(_) => {
                self.blind = false;
                self.passes += 1;
                let recovered = self.passes >= thresholds.recover_after.get();
                if !self.down || recovered {
                    (self.fails, self.passes, self.down) = (0, 0, false);
                }
            }
        }
    }

    fn switch(&mut self, off: bool, at: Timestamp) -> bool {
        let counts = self.paused != off;
        if counts {
            self.forget(at);
            self.paused = off;
        }
        counts
    }

    fn forget(&mut self, at: Timestamp) {
        *self = Model { last: self.last.max(Some(just_before(at))), paused: self.paused, ..Model::default() };
    }

    /// Where a state is not what is expected.
    pub(crate) fn differs(&self, state: &State) -> Option<String> {
        let (failures, passes) = match &state.phase {
            Phase::Failing { failures, .. } => (Some(*failures), 0),
            Phase::Down { passes, .. } => (None, *passes),
            Phase::Unknown | Phase::Up | Phase::Degraded { .. } | Phase::Paused => (Some(0), 0),
        };
        let same = state.incident().is_some() == self.down
            && (state.phase == Phase::Paused) == self.paused
            && state.blind.is_some() == self.blind
            && failures.is_none_or(|failures| failures == self.fails)
            && (!self.down || passes == self.passes)
            && state.last_tick == self.last;
        (!same).then(|| format!("the state is {state:?}, expected {self:?}"))
    }
}

/// A tick of the very moment of an edit counts, one before it does not.
fn just_before(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - 1)
}
