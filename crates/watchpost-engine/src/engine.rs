//! The engine as the rest of the process sees it: start, apply definitions, check now, health, stop.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use watchpost_checks::Check;
use watchpost_core::MonitorKey;
use watchpost_core::plan::{Plan, Planner, Wanted};
use watchpost_core::ports::{BoxFuture, CheckNow, CheckNowError, CheckedNow, Clock, EngineHealth, Health, Publish};
use watchpost_store::{Store, StoreError};

use crate::drive::{DRAIN_MAX, Drive, Input, Work};
use crate::pulse::Pulse;
use crate::recorder::Recorder;
use crate::retain;
use crate::run::Runner;
use crate::supervise::Supervisor;
use crate::timetable::Timetable;
use crate::wakes::Wakes;

/// Inputs besides the checks' ends that may wait: requests to check now, and edits.
const REQUESTS_MAX: usize = 256;
/// A stop takes this long at most: the drain, and some time for a store that is slow to close. One that never answers, as
/// when memory has run out, must not keep the process.
pub const STOP_MAX: Duration = DRAIN_MAX.saturating_mul(3);

/// What an engine is made of.
pub struct Parts {
    /// Where results go.
    pub store: Arc<dyn Store>,
    /// Runs checks.
    pub check: Arc<dyn Check>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Is told what became durable.
    pub publish: Arc<dyn Publish>,
}

/// How an engine behaves.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Checks in flight at most; further ones wait. Each may hold a few file handles.
    pub in_flight_max: usize,
    /// How long single results are kept.
    pub keep_results: Duration,
    /// How long counts, intervals and incidents are kept.
    pub keep_history: Duration,
    /// Bytes the store may take.
    pub size_max: Option<u64>,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            in_flight_max: 2_048,
            keep_results: Duration::from_hours(35 * 24),
            keep_history: Duration::from_hours(5 * 365 * 24),
            size_max: Some(2 << 30),
        }
    }
}

/// A running engine.
pub struct Engine {
    inputs: mpsc::Sender<Input>,
    store: Arc<dyn Store>,
    health: Arc<Mutex<EngineHealth>>,
    supervisor: Supervisor,
    /// One edit at a time: each is compared with what the one before made.
    applying: AsyncMutex<()>,
}

/// Why definitions were not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// What is there could not be read.
    #[error("cannot read the catalogue")]
    Store(#[from] StoreError),
    /// The engine is shutting down.
    #[error("shutting down")]
    Stopping,
}

impl Engine {
    /// Loads the states and starts the stations. Nothing is checked before the first [`Engine::apply`].
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(parts: Parts, options: EngineOptions) -> Result<Engine, StoreError> {
        let states = parts.store.load().await?;
        let (inputs, inbox) = mpsc::channel(options.in_flight_max + REQUESTS_MAX);
        let supervisor = Supervisor::default();
        let health = Arc::new(Mutex::new(EngineHealth::default()));
        let runner = Runner {
            check: parts.check,
            clock: Arc::clone(&parts.clock),
            panics: Arc::clone(supervisor.panics()),
            pulse: Some(Arc::new(Pulse::new(parts.clock.now()))),
        };
        let drive = Drive {
            store: Arc::clone(&parts.store),
            clock: Arc::clone(&parts.clock),
            publish: parts.publish,
            runner,
            inbox,
            ended: inputs.clone(),
            in_flight_max: options.in_flight_max,
            health: Arc::clone(&health),
            timetable: Timetable::new(),
            recorder: Recorder::new(states),
            wakes: Wakes::default(),
            work: Work::default(),
        };
        supervisor.spawn("drive", |stop| drive.run(stop));
        let (store, clock) = (Arc::clone(&parts.store), parts.clock);
        supervisor.spawn("retain", move |stop| retain::run(store, clock, options, stop));
        Ok(Engine { inputs, store: parts.store, health, supervisor, applying: AsyncMutex::default() })
    }

    /// Makes these the monitors there are. Resolves once that is durable; what did not change goes on undisturbed.
    ///
    /// # Errors
    /// When the catalogue cannot be read or the engine is shutting down.
    pub async fn apply(&self, wanted: Vec<Wanted>) -> Result<Plan, ApplyError> {
        let _one_at_a_time = self.applying.lock().await;
        let mut planner = Planner::new(wanted.clone());
        self.store.each_known(&mut |known| planner.meet(known)).await?;
        // Pairing what was renamed among 100,000 takes a while; the checks' task must not wait for it.
        let plan = tokio::task::spawn_blocking(move || Box::new(planner.finish())).await;
        let plan = plan.map_err(|_| ApplyError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        let input = Input::Redefine { plan, wanted, reply };
        self.inputs.send(input).await.map_err(|_| ApplyError::Stopping)?;
        answer.await.map_err(|_| ApplyError::Stopping)
    }

    /// Stops: no new checks, those in flight end, everything is written. Bounded by [`STOP_MAX`].
    pub async fn stop(&self) {
        self.supervisor.stop();
        if tokio::time::timeout(STOP_MAX, self.supervisor.stopped()).await.is_err() {
            tracing::error!("the store does not answer; stopping without it");
        }
    }

    /// Resolves with the name of a station that panicked: the process should end then.
    pub async fn fallen(&self) -> &'static str {
        self.supervisor.fallen().await
    }
}

impl CheckNow for Engine {
    fn check_now(&self, monitor: MonitorKey) -> BoxFuture<'_, Result<CheckedNow, CheckNowError>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let sent = self.inputs.try_send(Input::CheckNow { monitor, reply });
            sent.map_err(|_| CheckNowError::Busy)?;
            answer.await.map_err(|_| CheckNowError::Busy)?
        })
    }
}

impl Health for Engine {
    fn health(&self) -> EngineHealth {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
