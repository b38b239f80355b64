//! The model: a store in memory that is simple enough to be obviously right. The others must give the same views.
//!
//! It is deterministic and has no clock. Handles share what they hold. For simulations it can be told to fail, and to
//! lose everything that a killed process loses.

mod views;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use watchpost_core::plan::Known;
use watchpost_core::ports::BoxFuture;
use watchpost_core::uptime::{Counts, Interval};
use watchpost_core::{
    Change, CheckResult, ClosedWhy, Incident, IncidentId, Monitor, MonitorKey, Region, Shown, State, Timestamp,
};

use crate::rules::{SET_BACK_MAX, Slot, assign_keys, hour_of, hours_ended_by, replaces, with_newest};
use crate::{Catalog, Commit, Compacted, Entry, Keep, Pruned, Redefine, Store, StoreError};

/// A store in memory. Clones are handles of the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
}

/// What becomes of a commit that reports failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailingCommit {
    /// Nothing of it is kept: the disk was full.
    Lost,
    /// It is kept, but the answer did not come through.
    Kept,
}

#[derive(Debug, Default)]
struct Inner {
    monitors: BTreeMap<MonitorKey, Row>,
    incidents: BTreeMap<IncidentId, Incident>,
    /// The highest key ever given.
    last_key: u32,
    closed: bool,
    failing: (u32, Option<FailingCommit>),
    commits: u64,
}

#[derive(Clone, Debug)]
struct Row {
    known: Known,
    position: usize,
    removed_at: Option<Timestamp>,
    definition: Option<Arc<Monitor>>,
    state: State,
    newest: Option<Timestamp>,
    results: BTreeMap<(Timestamp, Region), CheckResult>,
    intervals: BTreeMap<Timestamp, Shown>,
    /// Counts of results that were pruned, by hour.
    pruned: BTreeMap<i64, Counts>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// The next `count` commits and redefinitions report failure.
    pub fn fail_commits(&self, count: u32, how: FailingCommit) {
        self.lock().failing = (count, Some(how));
    }

    /// Commits and redefinitions that were kept.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    /// What a process finds that is started after this one was killed: all that was committed, but no definitions. The
    /// handles of before are dead: they answer [`StoreError::Closed`].
    #[must_use]
    pub fn crash(&self) -> MemoryStore {
        let mut inner = std::mem::take(&mut *self.lock());
        self.lock().closed = true;
        inner.closed = false;
        inner.failing = (0, None);
        for row in inner.monitors.values_mut() {
            row.definition = None;
            row.state = with_newest(row.state.clone(), row.newest);
        }
        MemoryStore { inner: Arc::new(Mutex::new(inner)) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic of a holder leaves nothing half done that matters to a model.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, Inner>, StoreError> {
        let inner = self.lock();
        if inner.closed { Err(StoreError::Closed) } else { Ok(inner) }
    }

    fn write<T>(&self, apply: impl FnOnce(&mut Inner) -> T) -> Result<T, StoreError> {
        let mut inner = self.open()?;
        let fails = match inner.failing {
            (0, _) | (_, None) => None,
            (left, how) => {
                inner.failing.0 = left - 1;
                how
            }
        };
        if fails == Some(FailingCommit::Lost) {
            return Err(StoreError::Backend("told to fail".into()));
        }
        inner.commits += 1;
        let done = apply(&mut inner);
        match fails {
            Some(_) => Err(StoreError::Backend("told to fail after the fact".into())),
            None => Ok(done),
        }
    }
}

impl Inner {
    fn apply(&mut self, entry: &Entry) {
        let Some(row) = self.monitors.get_mut(&entry.monitor) else { return };
        for result in &entry.results {
            row.add(result.clone());
        }
        if let Some(state) = &entry.state {
            row.state = state.clone();
        }
        if let Some(backfilled) = &entry.backfilled {
            row.backfill(&backfilled.intervals);
            for incident in &backfilled.incidents {
                self.incidents.entry(incident.id).or_insert_with(|| incident.clone());
            }
        }
        for change in &entry.changes {
            match change {
                Change::Shown { to, since, .. } => row.show(*to, *since),
                Change::WentDown { incident, since, at, reason } => {
                    self.incidents.entry(*incident).or_insert_with(|| Incident {
                        id: *incident,
                        monitor: entry.monitor,
                        since: *since,
                        opened_at: *at,
                        reason: reason.clone(),
                        closed: None,
                    });
                }
                Change::Recovered { incident, at, .. } => {
                    close(&mut self.incidents, *incident, *at, ClosedWhy::Recovered);
                }
                Change::Closed { incident, at, why } => close(&mut self.incidents, *incident, *at, *why),
                Change::CannotTell { .. } => {}
            }
        }
    }

    fn redefine(&mut self, edit: &Redefine) -> Vec<MonitorKey> {
        for entry in &edit.entries {
            self.apply(entry);
        }
        let slot = |row: &Row| Slot {
            key: row.known.key,
            id: row.known.id.to_string(),
            kind: row.known.kind.clone(),
            removed_at: row.removed_at,
        };
        let slots: Vec<Slot> = self.monitors.values().map(slot).collect();
        let (keys, next_key) = assign_keys(&slots, self.last_key + 1, edit);
        self.last_key = next_key - 1;
        for key in &edit.removed {
            if let Some(row) = self.monitors.get_mut(key).filter(|row| row.removed_at.is_none()) {
                row.removed_at = Some(edit.at);
                row.definition = None;
            }
        }
        for (position, (key, (_, wanted))) in keys.iter().zip(&edit.monitors).enumerate() {
            let definition = &wanted.definition;
            let fresh = State::fresh(definition.active, edit.at);
            let known = Known {
                key: *key,
                id: definition.id.clone(),
                name: definition.name.clone(),
                kind: definition.kind().to_string(),
                target: definition.spec.target(),
                document: wanted.document.clone(),
            };
            let row = self.monitors.entry(*key).or_insert_with(|| Row::new(known.clone(), edit.at));
            if row.removed_at.take().is_some() {
                row.begin(fresh, edit.at);
            }
            row.known = known;
            row.position = position;
            row.definition = Some(Arc::new(Monitor { key: *key, definition: Arc::clone(definition) }));
        }
        keys
    }

    fn prune(&mut self, keep: Keep) {
        let results_from = hours_ended_by(keep.now - keep.results);
        let history_from = (keep.now - keep.history).min(keep.now - keep.results);
        for row in self.monitors.values_mut() {
            let gone: Vec<_> = row.results.keys().filter(|(at, _)| hour_of(*at) < results_from).cloned().collect();
            for key in gone {
                if let Some(result) = row.results.remove(&key) {
                    row.pruned.entry(hour_of(key.0)).or_default().add(&result.verdict, result.ticks);
                }
            }
            row.pruned.retain(|hour, _| *hour >= hours_ended_by(history_from));
            let touching = row.intervals.range(..=history_from).next_back().map(|(from, _)| *from);
            row.intervals.retain(|from, _| touching.is_none_or(|touching| *from >= touching));
            if row.removed_at.is_some_and(|at| at < history_from) {
                row.intervals.clear();
            }
        }
        self.incidents.retain(|_, i| i.closed.is_none_or(|(at, _)| at > history_from));
        let told: Vec<MonitorKey> = self.incidents.values().map(|i| i.monitor).collect();
        self.monitors.retain(|key, row| {
            row.removed_at.is_none_or(|at| at >= history_from)
                || !row.results.is_empty()
                || !row.pruned.is_empty()
                || told.contains(key)
        });
    }
}

fn close(incidents: &mut BTreeMap<IncidentId, Incident>, id: IncidentId, at: Timestamp, why: ClosedWhy) {
    if let Some(incident) = incidents.get_mut(&id).filter(|i| i.closed.is_none()) {
        incident.closed = Some((at, why));
        (incident.since, incident.opened_at) = (incident.since.min(at), incident.opened_at.min(at));
    }
}

impl Row {
    /// A row that is about to begin: marked as removed until then.
    fn new(known: Known, at: Timestamp) -> Row {
        Row {
            known,
            position: 0,
            removed_at: Some(at),
            definition: None,
            state: State::fresh(true, at),
            newest: None,
            results: BTreeMap::new(),
            intervals: BTreeMap::new(),
            pruned: BTreeMap::new(),
        }
    }

    fn begin(&mut self, fresh: State, at: Timestamp) {
        self.cut(at);
        if self.intervals.range(..at).next_back().map(|(_, shown)| *shown) != Some(fresh.shown()) {
            self.intervals.insert(at, fresh.shown());
        }
        self.state = fresh;
    }

    fn cut(&mut self, since: Timestamp) {
        self.intervals.retain(|from, _| *from < since || since + SET_BACK_MAX <= *from);
    }

    fn show(&mut self, to: Shown, since: Timestamp) {
        self.cut(since);
        self.intervals.insert(since, to);
    }

    /// What begins before the last of these is replaced; the last itself, and all after it, is the state machine's.
    fn backfill(&mut self, intervals: &[Interval]) {
        let Some(last) = intervals.last() else { return };
        self.intervals = self.intervals.split_off(&last.from);
        self.intervals.entry(last.from).or_insert(last.shown);
        let before = intervals.iter().filter(|i| i.from < last.from);
        self.intervals.extend(before.map(|i| (i.from, i.shown)));
    }

    fn add(&mut self, result: CheckResult) {
        self.newest = self.newest.max(Some(result.tick.scheduled_at));
        let key = (result.tick.scheduled_at, result.tick.region.clone());
        match self.results.get_mut(&key) {
            None => {
                self.results.insert(key, result);
            }
            Some(old) if replaces(&result, old) => *old = result,
            Some(_) => {}
        }
    }

    fn shown_state(&self) -> State {
        with_newest(self.state.clone(), self.newest)
    }
}

impl Store for MemoryStore {
    fn load(&self) -> BoxFuture<'_, Result<Vec<(MonitorKey, State)>, StoreError>> {
        Box::pin(async move {
            let inner = self.open()?;
            let there = inner.monitors.iter().filter(|(_, row)| row.removed_at.is_none());
            Ok(there.map(|(key, row)| (*key, row.shown_state())).collect())
        })
    }

    fn commit(&self, batch: Commit) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.write(|inner| batch.entries.iter().for_each(|entry| inner.apply(entry))) })
    }

    fn compact(&self, _before: Timestamp) -> BoxFuture<'_, Result<Compacted, StoreError>> {
        Box::pin(async move { self.open().map(|_| Compacted::default()) })
    }

    fn prune(&self, keep: Keep) -> BoxFuture<'_, Result<Pruned, StoreError>> {
        Box::pin(async move {
            self.open()?.prune(keep);
            Ok(Pruned::default())
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.lock().closed = true;
            Ok(())
        })
    }
}

impl Catalog for MemoryStore {
    fn each_known<'a>(&'a self, take: &'a mut (dyn FnMut(Known) + Send)) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let inner = self.open()?;
            let mut rows: Vec<&Row> = inner.monitors.values().filter(|row| row.removed_at.is_none()).collect();
            rows.sort_by_key(|row| (row.position, row.known.key));
            rows.into_iter().for_each(|row| take(row.known.clone()));
            Ok(())
        })
    }

    fn redefine(&self, edit: Redefine) -> BoxFuture<'_, Result<Vec<MonitorKey>, StoreError>> {
        Box::pin(async move { self.write(|inner| inner.redefine(&edit)) })
    }
}

#[cfg(test)]
mod tests;
