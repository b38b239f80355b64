//! Evaluates what arrives and collects what is to be committed: the record station without its channel and its store.
//!
//! The states here run ahead of the store by what is pending. After a crash they are loaded again from the store, and
//! what was pending has not happened: results that nobody was told of.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use watchpost_core::backfill::Backfilled;
use watchpost_core::evaluate::removed;
use watchpost_core::plan::{Plan, Wanted};
use watchpost_core::ports::News;
use watchpost_core::state::Phase;
use watchpost_core::{CheckResult, Event, Monitor, MonitorId, MonitorKey, Reason, State, Timestamp, evaluate};
use watchpost_store::{Commit, Entry, Redefine};

/// Results that may wait for a store that does not take them; beyond it plain results are dropped and counted, while
/// those that change something are kept. At 1,000 checks a second this rides out three minutes.
pub const PENDING_MAX: usize = 200_000;

/// What is held of a monitor.
#[derive(Clone, Debug)]
pub struct Held {
    /// Identity and definition.
    pub monitor: Arc<Monitor>,
    /// Its state, ahead of the store by what is pending.
    pub state: State,
}

/// Something that happened, on its way to the store.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The monitor as it was when this began.
    pub monitor: Arc<Monitor>,
    /// What happened.
    pub event: Event,
    /// The result to keep, if one came of it.
    pub result: Option<CheckResult>,
}

/// What became of an arrival.
#[derive(Clone, Debug, PartialEq)]
pub enum Absorbed {
    /// It counted. The result is as it will be stored.
    Applied(Option<CheckResult>),
    /// Its tick is older than the newest applied: a replay, or late. [`Recorder::fill`] takes it in.
    Late(CheckResult),
    /// It was about a monitor that is gone, paused or another thing by now, or a replay.
    Ignored,
    /// There was no room for it.
    Dropped,
}

/// What is to be made durable, and the news of it.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// For the store.
    pub commit: Commit,
    /// For the publish port, once durable; in order.
    pub news: Vec<News>,
    /// Results in it.
    pub results: usize,
}

/// All states, and what is pending.
#[derive(Debug, Default)]
pub struct Recorder {
    held: HashMap<MonitorKey, Held>,
    /// States that the store gave and no definition has claimed yet.
    unclaimed: HashMap<MonitorKey, State>,
    /// The newest ticks of those whose clock was set back while we were away.
    ahead: HashMap<MonitorKey, Timestamp>,
    pending: Batch,
    /// When the oldest pending entry came.
    oldest: Option<Timestamp>,
    /// One of the pending entries holds more than results.
    urgent: bool,
}

impl Recorder {
    /// Begins with the states of the store. [`Recorder::redefine`] pairs them with definitions.
    #[must_use]
    pub fn new(states: Vec<(MonitorKey, State)>) -> Recorder {
        Recorder { unclaimed: states.into_iter().collect(), ..Recorder::default() }
    }

    /// What is held of a monitor.
    #[must_use]
    pub fn held(&self, key: MonitorKey) -> Option<&Held> {
        self.held.get(&key)
    }

    /// The newest tick of a monitor whose clock was set back while we were away; told once.
    pub fn take_ahead(&mut self, key: MonitorKey) -> Option<Timestamp> {
        self.ahead.remove(&key)
    }

    /// All that is held, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    /// Results that wait to be taken.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.results
    }

    /// Something pending changes more than a list of results, so it should be committed at once.
    #[must_use]
    pub fn urgent(&self) -> bool {
        self.urgent
    }

    /// When the oldest pending entry came.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.oldest
    }

    /// Evaluates an arrival.
    pub fn absorb(&mut self, arrival: Arrival, at: Timestamp) -> Absorbed {
        let Arrival { monitor, event, result } = arrival;
        let Some(held) = self.held.get_mut(&monitor.key) else { return Absorbed::Ignored };
        // A check that was begun before an edit is judged by what was wanted then: a prompt one follows.
        if result.is_some() && (held.monitor.spec != monitor.spec || held.monitor.expect != monitor.expect) {
            return Absorbed::Ignored;
        }
        let step = evaluate(&held.monitor, held.state.clone(), &event, at);
        if !step.applied {
            return self.unapplied(monitor.key, result);
        }
        // Of a plain result the newest tick is known from the result itself; of anything else the state says it.
        let plain = matches!(event, Event::Checked { .. });
        let changed = differs(&held.state, &step.state) || (!plain && held.state.last_tick != step.state.last_tick);
        let result = result.map(|r| CheckResult { failing: step.state.failing(&held.monitor), ..r });
        if self.pending.results >= PENDING_MAX && !changed && step.changes.is_empty() {
            return Absorbed::Dropped;
        }
        held.state = step.state.clone();
        let monitor = Arc::clone(&held.monitor);
        let entry = Entry {
            monitor: monitor.key,
            results: result.iter().cloned().collect(),
            state: changed.then(|| step.state.clone()),
            wake: step.wake,
            changes: step.changes.clone(),
            backfilled: None,
        };
        let news = News { monitor, state: step.state, result: result.clone(), changes: step.changes };
        self.push(entry, Some(news), at);
        Absorbed::Applied(result)
    }

    fn unapplied(&self, key: MonitorKey, result: Option<CheckResult>) -> Absorbed {
        let last = self.held.get(&key).and_then(|held| held.state.last_tick);
        match (result, last) {
            (Some(result), Some(last)) if result.tick.scheduled_at < last && !result.is_placeholder() => {
                Absorbed::Late(CheckResult { late: true, ..result })
            }
            (_, _) => Absorbed::Ignored,
        }
    }

    /// Takes in late results together with what they change.
    pub fn fill(&mut self, key: MonitorKey, late: Vec<CheckResult>, backfilled: Option<Backfilled>, at: Timestamp) {
        let entry = Entry { monitor: key, results: late, state: None, wake: None, changes: Vec::new(), backfilled };
        self.push(entry, None, at);
    }

    fn push(&mut self, entry: Entry, news: Option<News>, at: Timestamp) {
        self.oldest.get_or_insert(at);
        self.urgent |= entry.has_changes();
        self.pending.results += entry.results.len();
        self.pending.commit.entries.push(entry);
        self.pending.news.extend(news);
    }

    /// Takes what is pending, closed at `at`.
    pub fn take(&mut self, at: Timestamp) -> Option<Batch> {
        if self.pending.commit.entries.is_empty() {
            return None;
        }
        self.oldest = None;
        self.urgent = false;
        let mut batch = std::mem::take(&mut self.pending);
        batch.commit.at = at;
        Some(batch)
    }

    /// Begins an edit: evaluates what follows for monitors that change or go, and swaps the definitions of those that
    /// stay. What is pending goes into the same transaction. The new ones come with [`Recorder::admit`].
    pub fn redefine(&mut self, plan: &Plan, wanted: Vec<Wanted>, at: Timestamp) -> (Redefine, Batch) {
        for changed in &plan.changed {
            self.swap(changed.from.key, &changed.to, at);
            if changed.rekinded() {
                self.follow(changed.from.key, &Event::Rekinded, at);
            }
            self.switch(changed.from.key, at);
        }
        for (key, wanted) in &plan.unchanged {
            self.swap(*key, wanted, at);
            self.switch(*key, at);
        }
        for gone in &plan.removed {
            self.remove(gone.key, at);
        }
        let mut batch = self.take(at).unwrap_or_default();
        batch.commit.at = at;
        let keys = keys_of(plan);
        let edit = Redefine {
            at,
            monitors: wanted.into_iter().map(|w| (keys.get(&w.definition.id).copied(), w)).collect(),
            removed: plan.removed.iter().map(|gone| gone.key).collect(),
            entries: std::mem::take(&mut batch.commit.entries),
        };
        (edit, batch)
    }

    /// Gives a known monitor its definition.
    fn swap(&mut self, key: MonitorKey, to: &Wanted, at: Timestamp) {
        let monitor = Arc::new(Monitor { key, definition: Arc::clone(&to.definition) });
        if let Some(held) = self.held.get_mut(&key) {
            held.monitor = monitor;
        } else if let Some(state) = self.unclaimed.remove(&key) {
            let ahead = state.last_tick.filter(|last| *last > at);
            self.held.insert(key, Held { monitor, state });
            if let Some(newest) = ahead {
                // The clock was set back while we were away.
                self.ahead.insert(key, newest);
                self.follow(key, &Event::ClockSetBack { to: at }, at);
            }
        }
    }

    /// Pauses or resumes when the definition says other than the state.
    fn switch(&mut self, key: MonitorKey, at: Timestamp) {
        let Some(held) = self.held.get(&key) else { return };
        match (held.state.phase == Phase::Paused, held.monitor.active) {
            (false, false) => self.follow(key, &Event::Paused, at),
            (true, true) => self.follow(key, &Event::Resumed, at),
            (true, false) | (false, true) => {}
        }
    }

    fn remove(&mut self, key: MonitorKey, at: Timestamp) {
        let held = self.held.remove(&key);
        let Some(state) = held.as_ref().map(|h| h.state.clone()).or_else(|| self.unclaimed.remove(&key)) else {
            return;
        };
        let step = removed(state, at);
        let news = held.map(|h| News {
            monitor: h.monitor,
            state: step.state.clone(),
            result: None,
            changes: step.changes.clone(),
        });
        let entry = Entry {
            monitor: key,
            results: Vec::new(),
            state: Some(step.state),
            wake: None,
            changes: step.changes,
            backfilled: None,
        };
        self.push(entry, news, at);
    }

    fn follow(&mut self, key: MonitorKey, event: &Event, at: Timestamp) {
        if let Some(held) = self.held.get(&key) {
            let monitor = Arc::clone(&held.monitor);
            self.absorb(Arrival { monitor, event: event.clone(), result: None }, at);
        }
    }

    /// Holds monitors that the store has just admitted.
    pub fn admit(&mut self, held: impl IntoIterator<Item = Held>) {
        self.held.extend(held.into_iter().map(|h| (h.monitor.key, h)));
    }

    /// Our clock was set back: every monitor's times are brought back with it.
    pub fn set_back(&mut self, to: Timestamp) {
        let mut keys: Vec<MonitorKey> = self.held.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            self.follow(key, &Event::ClockSetBack { to }, to);
        }
    }
}

/// Something other than the newest tick differs: that one is known from the results.
/// Nor does another wording of the same reason count: a latency is told with its figure, which is another each time.
fn differs(before: &State, after: &State) -> bool {
    let blind = |state: &State| state.blind.as_ref().map(|b| (b.since, b.told, b.fault.code));
    !same_phase(&before.phase, &after.phase) || blind(before) != blind(after) || before.shown_since != after.shown_since
}

fn same_phase(before: &Phase, after: &Phase) -> bool {
    let same = |a: &Reason, b: &Reason| a.code == b.code && a.stage == b.stage;
    match (before, after) {
        (Phase::Degraded { reason: a }, Phase::Degraded { reason: b }) => same(a, b),
        (
            Phase::Down { since, passes, reason, incident },
            Phase::Down { since: since_b, passes: passes_b, reason: reason_b, incident: incident_b },
        ) => (since, passes, incident) == (since_b, passes_b, incident_b) && same(reason, reason_b),
        (before, after) => before == after,
    }
}

fn keys_of(plan: &Plan) -> BTreeMap<MonitorId, MonitorKey> {
    let changed = plan.changed.iter().map(|c| (c.to.definition.id.clone(), c.from.key));
    let unchanged = plan.unchanged.iter().map(|(key, w)| (w.definition.id.clone(), *key));
    changed.chain(unchanged).collect()
}

#[cfg(test)]
mod tests;
