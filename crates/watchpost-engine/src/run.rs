//! Carries one check: measure, judge, hand on. Whatever a check does, its slot is free again soon after its deadline.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use watchpost_checks::Check;
use watchpost_core::observe::End;
use watchpost_core::ports::Clock;
use watchpost_core::result::Tick;
use watchpost_core::{CheckResult, Event, Fault, FaultCode, Monitor, Observation, Region, Timestamp, judge};

use crate::pulse::Pulse;
use crate::recorder::Arrival;
use crate::supervise::panic_text;

/// A check that has not ended so long after its own deadline is given up: it would hold its slot for ever.
pub const OVERDUE_MAX: Duration = Duration::from_secs(5);

/// What a check needs from the engine.
#[derive(Clone)]
pub(crate) struct Runner {
    pub(crate) check: Arc<dyn Check>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) panics: Arc<AtomicU64>,
    /// Tells whether the process slept while a check ran; absent where nothing beats.
    pub(crate) pulse: Option<Arc<Pulse>>,
}

/// A check that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) tick: Timestamp,
    pub(crate) arrival: Arrival,
    pub(crate) seen: Arc<Observation>,
}

impl Runner {
    /// Runs the check of one tick to its end.
    pub(crate) async fn run(&self, monitor: Arc<Monitor>, tick: Timestamp) -> Ended {
        let (began, instant) = (self.clock.now(), Instant::now());
        let seen = self.awake(self.observe(&monitor, began).await, instant);
        let verdict = judge(&monitor, &seen);
        let identity = Tick { monitor: monitor.key, region: Region::local(), scheduled_at: tick };
        let result = CheckResult::new(identity, &seen, verdict.clone());
        let event = Event::Checked { scheduled_at: tick, verdict };
        Ended { tick, arrival: Arrival { monitor, event, result: Some(result) }, seen: Arc::new(seen) }
    }

    /// What was seen, unless the process slept meanwhile: then its deadline passed without its target's doing.
    fn awake(&self, seen: Observation, began: Instant) -> Observation {
        let slept = self.pulse.as_ref().is_some_and(|pulse| pulse.slept_since(began, self.clock.now()));
        match slept {
            true => {
                let text = "Watchpost was stopped, or its machine asleep, while this check ran";
                Observation { end: End::Fault(Fault::new(FaultCode::MissedTick, text)), ..seen }
            }
            false => seen,
        }
    }

    async fn observe(&self, monitor: &Monitor, began: Timestamp) -> Observation {
        let check = AssertUnwindSafe(self.check.check(monitor)).catch_unwind();
        match tokio::time::timeout(monitor.timeout + OVERDUE_MAX, check).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(panic)) => {
                self.panics.fetch_add(1, Ordering::Relaxed);
                let text = panic_text(&*panic);
                tracing::error!(monitor = %monitor.id, panic = text, "a check panicked");
                defect(began, format!("the check panicked: {text}"))
            }
            Err(_) => {
                tracing::error!(monitor = %monitor.id, "a check did not end at its deadline");
                defect(began, "the check did not end at its deadline".to_owned())
            }
        }
    }
}

fn defect(began: Timestamp, text: String) -> Observation {
    Observation { end: End::Fault(Fault::new(FaultCode::Internal, text)), ..Observation::begin(began) }
}
