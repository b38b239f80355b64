//! Whether this process was awake: a check that was under way while it was not says nothing about its target.
//!
//! A process is stopped (SIGSTOP, a frozen container, a virtual machine that is moved, a laptop that sleeps) without
//! being told. It shows afterwards as a gap between two beats, of the monotonic clock or, as that one stands still while
//! a machine sleeps, of the wall clock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use watchpost_core::Timestamp;

/// A gap between two beats from which on the process was not awake. Beats come at least every second.
pub(crate) const ASLEEP_MIN: Duration = Duration::from_secs(3);

/// The beats of the driving task, and when it last found that it had been asleep.
pub(crate) struct Pulse(Mutex<State>);

#[derive(Clone, Copy)]
struct State {
    beat: (Instant, Timestamp),
    woken: Option<Instant>,
}

impl Pulse {
    pub(crate) fn new(now: Timestamp) -> Pulse {
        Pulse(Mutex::new(State { beat: (Instant::now(), now), woken: None }))
    }

    /// The process is awake.
    pub(crate) fn beat(&self, now: Timestamp) {
        let mut state = self.state();
        let instant = Instant::now();
        if gap(state.beat, (instant, now)) >= ASLEEP_MIN {
            state.woken = Some(instant);
        }
        state.beat = (instant, now);
    }

    /// Whether the process was asleep at some time between `began` and now. Whoever asks may be the first to wake.
    pub(crate) fn slept_since(&self, began: Instant, now: Timestamp) -> bool {
        let state = *self.state();
        gap(state.beat, (Instant::now(), now)) >= ASLEEP_MIN || state.woken.is_some_and(|woken| woken >= began)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Plain figures; a panic elsewhere leaves them whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long between two looks, by the clock that says more. One that was set back says nothing.
fn gap(then: (Instant, Timestamp), now: (Instant, Timestamp)) -> Duration {
    (now.0.saturating_duration_since(then.0)).max(now.1.since(then.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_of_either_clock_is_sleep_for_whatever_was_under_way() {
        let pulse = Pulse::new(secs(0));
        let began = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!pulse.slept_since(began, secs(1)));
        pulse.beat(secs(1));
        assert!(!pulse.slept_since(began, secs(1)));
        assert!(pulse.slept_since(began, secs(60)), "the wall clock went on, the other stood still");
        tokio::time::advance(Duration::from_secs(120)).await;
        assert!(pulse.slept_since(began, secs(121)), "asked before the next beat");
        pulse.beat(secs(121));
        assert!(pulse.slept_since(began, secs(121)), "and after it");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!pulse.slept_since(Instant::now(), secs(121)), "what began since is none of it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_is_not_sleep() {
        let pulse = Pulse::new(secs(1_000));
        pulse.beat(secs(10));
        assert!(!pulse.slept_since(Instant::now() + Duration::from_millis(1), secs(11)));
    }
}
