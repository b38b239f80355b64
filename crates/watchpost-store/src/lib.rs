//! What is kept. Three faces of one store, and two implementations that pass the same [`conformance`] suite:
//! [`memory`] (the model) and [`sqlite`].
//!
//! * [`Store`] has the verbs of the pipeline: load, commit, compact, prune. No CRUD.
//! * [`Catalog`] is what people edit: which monitors there are.
//! * [`Views`] is what pages read.
//!
//! Invariants: a commit is durable as a whole or not at all; committing the same results again changes nothing; a
//! measured result replaces a placeholder of the same tick, never the other way round.

#[doc(hidden)]
pub mod conformance;
pub mod memory;
mod rules;
pub mod sqlite;
pub mod types;

pub use memory::MemoryStore;
pub use sqlite::{SqliteOptions, SqliteStore};
pub use types::*;

use std::collections::BTreeMap;

use watchpost_core::plan::Known;
use watchpost_core::ports::BoxFuture;
use watchpost_core::uptime::{Counts, Interval};
use watchpost_core::{MonitorId, MonitorKey, Timestamp};

/// The pipeline's face.
pub trait Store: Catalog + Views {
    /// Everything the engine needs to go on: a state for every monitor that is not removed, with `last_tick` as of the
    /// newest result kept.
    fn load(&self) -> BoxFuture<'_, Result<Vec<(MonitorKey, watchpost_core::State)>, StoreError>>;

    /// Makes a batch durable, as a whole or not at all. Batches with a change survive power loss, others a killed
    /// process.
    fn commit(&self, batch: Commit) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Turns closed hours (those that end at or before `before`) into blocks and counts. Doing it again is harmless.
    fn compact(&self, before: Timestamp) -> BoxFuture<'_, Result<Compacted, StoreError>>;

    /// Drops what is older than asked for, and the oldest results while the store is larger than asked for.
    fn prune(&self, keep: Keep) -> BoxFuture<'_, Result<Pruned, StoreError>>;

    /// Ends cleanly: writes what is buffered. The store takes nothing afterwards.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// What people edit.
pub trait Catalog: Send + Sync + 'static {
    /// Shows the monitors that are not removed one by one, in their order.
    fn each_known<'a>(&'a self, take: &'a mut (dyn FnMut(Known) + Send)) -> BoxFuture<'a, Result<(), StoreError>>;

    /// All of them at once. Of 100,000 that is 100 MB.
    fn known(&self) -> BoxFuture<'_, Result<Vec<Known>, StoreError>> {
        Box::pin(async move {
            let mut all = Vec::new();
            self.each_known(&mut |known| all.push(known)).await?;
            Ok(all)
        })
    }

    /// Applies an edit in one transaction with the state changes that follow from it. Returns the keys of
    /// [`Redefine::monitors`], in their order. A new monitor whose id and kind a removed one had gets that one's key,
    /// and so its history; its state is fresh.
    fn redefine(&self, edit: Redefine) -> BoxFuture<'_, Result<Vec<MonitorKey>, StoreError>>;
}

/// What pages read.
pub trait Views: Send + Sync + 'static {
    /// All monitors that are not removed, in their order, each with its state and newest result.
    fn monitors(&self) -> BoxFuture<'_, Result<Vec<MonitorView>, StoreError>>;

    /// One monitor by its id.
    fn monitor(&self, id: &MonitorId) -> BoxFuture<'_, Result<Option<MonitorView>, StoreError>>;

    /// The newest `count` results of each of these monitors (all when `None`), oldest first. `count` is at most
    /// [`RECENT_MAX`].
    fn recent(
        &self,
        monitors: Option<Vec<MonitorKey>>,
        count: usize,
    ) -> BoxFuture<'_, Result<BTreeMap<MonitorKey, Vec<watchpost_core::CheckResult>>, StoreError>>;

    /// Results, newest first, a page at a time.
    fn results(&self, query: ResultQuery) -> BoxFuture<'_, Result<ResultPage, StoreError>>;

    /// Incidents, newest first, a page at a time.
    fn incidents(&self, query: IncidentQuery) -> BoxFuture<'_, Result<IncidentPage, StoreError>>;

    /// State intervals that touch the time from `from` on, of these monitors (all when `None`), in order.
    fn intervals(
        &self,
        monitors: Option<Vec<MonitorKey>>,
        from: Timestamp,
    ) -> BoxFuture<'_, Result<BTreeMap<MonitorKey, Vec<Interval>>, StoreError>>;

    /// Counts of results scheduled in `[from, until)`.
    fn counts(
        &self,
        monitor: MonitorKey,
        from: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'_, Result<Counts, StoreError>>;

    /// Figures for /metrics and the status page.
    fn figures(&self) -> BoxFuture<'_, Result<Figures, StoreError>>;
}
