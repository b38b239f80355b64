//! The state of one monitor. A counter lives in the phase it belongs to, so a wrong state cannot be written down.

use std::fmt;
use std::time::Duration;

use crate::incident::IncidentId;
use crate::monitor::Definition;
use crate::reason::{Fault, FaultCode, Reason};
use crate::result::Failing;
use crate::time::Timestamp;

/// What is known of a monitor begins anew this long before the edit that says so, so that a tick of that very moment
/// counts and none before it does.
pub(crate) const JUST_BEFORE: Duration = Duration::from_millis(1);

/// Where a monitor stands: what is known of its target, and whether we can tell at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// What the conclusive results so far amount to.
    pub phase: Phase,
    /// Set while we cannot tell: the newest results are inconclusive.
    pub blind: Option<Blind>,
    /// The newest tick applied, or the moment before everything known was forgotten. Older ones are replays or late.
    pub last_tick: Option<Timestamp>,
    /// Since when [`State::shown`] is what it is.
    pub shown_since: Timestamp,
}

/// What the conclusive results so far amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing conclusive yet.
    Unknown,
    /// Passing.
    Up,
    /// Passing, with a complaint.
    Degraded {
        /// The complaint.
        reason: Reason,
    },
    /// Failing, but not often enough to say down: what is shown stays as it was.
    Failing {
        /// The first failing tick after which none went unseen.
        since: Timestamp,
        /// Consecutive failing ticks; below `fail_after`.
        failures: u32,
        /// The latest reason.
        reason: Reason,
        /// Where it stood before.
        before: Standing,
    },
    /// Down, with an open incident.
    Down {
        /// The first failing tick after which none went unseen until it was confirmed: downtime counts from here.
        since: Timestamp,
        /// Consecutive passing ticks; below `recover_after`.
        passes: u32,
        /// The latest reason.
        reason: Reason,
        /// The open incident.
        incident: IncidentId,
    },
    /// Switched off: nothing runs.
    Paused,
}

/// Where a failing monitor stood before it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing conclusive was known.
    Unknown,
    /// It was up.
    Up,
    /// It was degraded.
    Degraded {
        /// The complaint.
        reason: Reason,
    },
}

/// We cannot tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blind {
    /// Since this tick.
    pub since: Timestamp,
    /// Why, most recently.
    pub fault: Fault,
    /// "Cannot tell" has been raised for this spell.
    pub told: bool,
}

/// What people see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shown {
    /// It works.
    Up,
    /// It works, yet worse than expected.
    Degraded,
    /// It does not work.
    Down,
    /// No data, or we could not tell.
    Unknown,
    /// Switched off.
    Paused,
    /// In a maintenance window.
    Maintenance,
}

impl Shown {
    /// All states, worst first as pages list them.
    pub const ALL: [Shown; 6] =
        [Shown::Down, Shown::Degraded, Shown::Unknown, Shown::Up, Shown::Maintenance, Shown::Paused];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Shown::Up => "up",
            Shown::Degraded => "degraded",
            Shown::Down => "down",
            Shown::Unknown => "unknown",
            Shown::Paused => "paused",
            Shown::Maintenance => "maintenance",
        }
    }

    /// From the stable word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Shown> {
        Shown::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl State {
    /// The state of a monitor that has just been made. Ticks from before do not count, also those of a monitor whose
    /// identity it was given.
    #[must_use]
    pub fn fresh(active: bool, at: Timestamp) -> State {
        let phase = if active { Phase::Unknown } else { Phase::Paused };
        State { phase, blind: None, last_tick: Some(at - JUST_BEFORE), shown_since: at }
    }

    /// What people see.
    #[must_use]
    pub fn shown(&self) -> Shown {
        if self.blind.is_some() {
            return Shown::Unknown;
        }
        match &self.phase {
            Phase::Unknown => Shown::Unknown,
            Phase::Up => Shown::Up,
            Phase::Degraded { .. } => Shown::Degraded,
            Phase::Failing { before, .. } => before.shown(),
            Phase::Down { .. } => Shown::Down,
            Phase::Paused => Shown::Paused,
        }
    }

    /// Since when it is what it is, as people count it: an outage began with its first failing tick.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        match &self.phase {
            Phase::Down { since, .. } if self.blind.is_none() => *since,
            _ => self.shown_since,
        }
    }

    /// Why it is what it is: a code, the stage and a sentence; `None` while all is well or nothing is known.
    #[must_use]
    pub fn cause(&self) -> Option<Cause<'_>> {
        if let Some(blind) = &self.blind {
            return Some(Cause::Fault(&blind.fault));
        }
        match &self.phase {
            Phase::Degraded { reason }
            | Phase::Down { reason, .. }
            | Phase::Failing { before: Standing::Degraded { reason }, .. } => Some(Cause::Reason(reason)),
            Phase::Failing { before: Standing::Up | Standing::Unknown, .. }
            | Phase::Unknown
            | Phase::Up
            | Phase::Paused => None,
        }
    }

    /// "failing 1 of 3", while the state stays.
    #[must_use]
    pub fn failing(&self, definition: &Definition) -> Option<Failing> {
        match &self.phase {
            Phase::Failing { failures, .. } => {
                Some(Failing { count: *failures, of: definition.thresholds.fail_after.get() })
            }
            Phase::Unknown | Phase::Up | Phase::Degraded { .. } | Phase::Down { .. } | Phase::Paused => None,
        }
    }

    /// The open incident.
    #[must_use]
    pub fn incident(&self) -> Option<IncidentId> {
        match &self.phase {
            Phase::Down { incident, .. } => Some(*incident),
            Phase::Unknown | Phase::Up | Phase::Degraded { .. } | Phase::Failing { .. } | Phase::Paused => None,
        }
    }

    /// When this state wants to be called again: the end of our patience with a blind spell. Ticks missed because we
    /// were away do not call for anybody: we are back, and the next result is about to tell.
    #[must_use]
    pub fn wake(&self, cannot_tell_after: Duration) -> Option<Timestamp> {
        let waits = |blind: &&Blind| !blind.told && blind.fault.code != FaultCode::MissedTick;
        self.blind.as_ref().filter(waits).map(|blind| blind.since + cannot_tell_after)
    }
}

/// Why a state is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause<'a> {
    /// The target's doing.
    Reason(&'a Reason),
    /// Our own.
    Fault(&'a Fault),
}

impl Standing {
    /// What is shown of it.
    #[must_use]
    pub fn shown(&self) -> Shown {
        match self {
            Standing::Unknown => Shown::Unknown,
            Standing::Up => Shown::Up,
            Standing::Degraded { .. } => Shown::Degraded,
        }
    }
}
