//! The seams between the shell's parts: defined here so that neither side knows the other.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::evaluate::Change;
use crate::monitor::{Monitor, MonitorKey};
use crate::observe::Observation;
use crate::result::CheckResult;
use crate::state::State;
use crate::time::Timestamp;
use crate::uptime::Counts;

/// A boxed future, for traits that are used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tells the time. The system's, or a simulated one.
pub trait Clock: Send + Sync + 'static {
    /// The time now. It may stand still, and it may step back.
    fn now(&self) -> Timestamp;
}

/// Runs one check out of turn.
pub trait CheckNow: Send + Sync + 'static {
    /// Checks the monitor now, as a tick of its own: the result is recorded and counts.
    fn check_now(&self, monitor: MonitorKey) -> BoxFuture<'_, Result<CheckedNow, CheckNowError>>;
}

/// The outcome of a check out of turn.
#[derive(Clone, Debug)]
pub struct CheckedNow {
    /// The state after it.
    pub state: State,
    /// What was recorded.
    pub result: CheckResult,
    /// What was seen in full.
    pub seen: Arc<Observation>,
}

/// Why a check out of turn did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckNowError {
    /// No such monitor.
    #[error("there is no such monitor")]
    Unknown,
    /// It is paused.
    #[error("the monitor is paused; resume it first")]
    Paused,
    /// One is in flight already.
    #[error("a check of this monitor is running already")]
    Running,
    /// Too much to do, or shutting down.
    #[error("too busy to check now; try again in a moment")]
    Busy,
}

/// What was committed, for those who show it. Called in commit order; must not block.
pub trait Publish: Send + Sync + 'static {
    /// Results and changes that are durable now.
    fn committed(&self, news: &[News]);
    /// Definitions or the configuration's standing changed.
    fn redefined(&self);
}

/// One durable piece of news.
#[derive(Clone, Debug)]
pub struct News {
    /// Whose.
    pub monitor: Arc<Monitor>,
    /// Its state after this.
    pub state: State,
    /// The result that made it, if one did.
    pub result: Option<CheckResult>,
    /// What changed, if anything.
    pub changes: Vec<Change>,
}

/// What runs and lags, for health, metrics and the status page.
pub trait Health: Send + Sync + 'static {
    /// A snapshot.
    fn health(&self) -> EngineHealth;
}

/// A snapshot of the engine's figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineHealth {
    /// Monitors known.
    pub monitors: usize,
    /// Of them not paused.
    pub active: usize,
    /// Checks running.
    pub in_flight: usize,
    /// Checks due that wait for a place.
    pub waiting: usize,
    /// Results evaluated and not yet durable.
    pub results_queued: usize,
    /// Checks ended since the start.
    pub checks_total: u64,
    /// Results since the start, by verdict.
    pub results: Counts,
    /// Ticks recorded as missed or overloaded since the start.
    pub ticks_missed_total: u64,
    /// Results that could not be kept since the start, because the store was away too long.
    pub results_dropped_total: u64,
    /// Commits since the start.
    pub commits_total: u64,
    /// Commits that failed and were tried again since the start.
    pub commit_failures_total: u64,
    /// Task panics caught since the start.
    pub panics_total: u64,
    /// How long the last commit took.
    pub commit_took: Duration,
    /// Lateness of check starts over the last minute: median.
    pub lateness_p50: Duration,
    /// Lateness of check starts over the last minute: 99th percentile.
    pub lateness_p99: Duration,
    /// Why the store does not take commits, while it does not.
    pub store_error: Option<String>,
    /// Draining for shutdown.
    pub stopping: bool,
}
