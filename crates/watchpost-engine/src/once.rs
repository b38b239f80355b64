//! Every active monitor once, recorded: for cron. No timetable, and so no missed ticks.

use std::sync::Arc;

use futures_util::StreamExt;
use watchpost_core::plan::{Wanted, plan};
use watchpost_core::ports::Clock;
use watchpost_core::{CheckResult, Monitor, MonitorKey, State};
use watchpost_store::{Store, StoreError};

use crate::engine::Parts;
use crate::recorder::{Absorbed, Held, Recorder};
use crate::run::Runner;

/// Checks in flight at once.
const AT_ONCE: usize = 256;

/// What came of one monitor.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which.
    pub monitor: Arc<Monitor>,
    /// Its state after the check.
    pub state: State,
    /// The recorded result.
    pub result: CheckResult,
}

/// Applies the definitions, checks every active monitor once and commits. Outcomes are in the order of `wanted`.
///
/// # Errors
/// When the store fails; what was measured is then not recorded.
pub async fn run_once(parts: Parts, wanted: Vec<Wanted>) -> Result<Vec<Outcome>, StoreError> {
    let mut recorder = Recorder::new(parts.store.load().await?);
    let keys = define(&parts, &mut recorder, wanted).await?;
    let runner = Runner { check: parts.check, clock: Arc::clone(&parts.clock), panics: Arc::default(), pulse: None };
    let monitors: Vec<Arc<Monitor>> = keys
        .iter()
        .filter_map(|key| recorder.held(*key))
        .filter(|held| held.monitor.active)
        .map(|held| Arc::clone(&held.monitor))
        .collect();
    let checks = monitors.into_iter().map(|monitor| {
        let tick = parts.clock.now();
        runner.run(monitor, tick)
    });
    let mut ended = futures_util::stream::iter(checks).buffered(AT_ONCE);
    let mut outcomes = Vec::new();
    while let Some(end) = ended.next().await {
        let monitor = Arc::clone(&end.arrival.monitor);
        if let Absorbed::Applied(Some(result)) = recorder.absorb(end.arrival, parts.clock.now()) {
            let state = recorder.held(monitor.key).map(|held| held.state.clone());
            outcomes.extend(state.map(|state| Outcome { monitor, state, result }));
        }
    }
    if let Some(batch) = recorder.take(parts.clock.now()) {
        parts.store.commit(batch.commit).await?;
        parts.publish.committed(&batch.news);
    }
    Ok(outcomes)
}

async fn define(parts: &Parts, recorder: &mut Recorder, wanted: Vec<Wanted>) -> Result<Vec<MonitorKey>, StoreError> {
    let (store, now): (&Arc<dyn Store>, _) = (&parts.store, Clock::now(&*parts.clock));
    let plan = plan(store.known().await?, wanted.clone());
    let (edit, _) = recorder.redefine(&plan, wanted.clone(), now);
    let keys = store.redefine(edit).await?;
    for (wanted, key) in wanted.into_iter().zip(&keys) {
        if recorder.held(*key).is_none() {
            let monitor = Arc::new(Monitor { key: *key, definition: wanted.definition });
            let state = State::fresh(monitor.active, now);
            recorder.admit([Held { monitor, state }]);
        }
    }
    Ok(keys)
}
