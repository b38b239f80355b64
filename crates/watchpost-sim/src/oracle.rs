//! Who watches the watchman: everything that is asserted after each step, from independent second opinions.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use watchpost_core::evaluate::TICK_AHEAD_MAX;
use watchpost_core::ports::Clock;
use watchpost_core::state::Phase;
use watchpost_core::{Change, Event, Fault, FaultCode, IncidentId, MonitorKey, State, Timestamp};
use watchpost_engine::recorder::{Absorbed, Arrival, Batch, Held};
use watchpost_store::Store;

use crate::clock::VirtualClock;
use crate::ledger::Account;
use crate::model::Model;

/// After a step of the clock a few ticks may be taken for late ones: as many as fit into [`TICK_AHEAD_MAX`].
const UNHEARD_MAX: u32 = 12;

/// Everything expected.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// Of the states in memory.
    models: BTreeMap<MonitorKey, Model>,
    /// Of the states in the store.
    durable: BTreeMap<MonitorKey, Model>,
    accounts: BTreeMap<MonitorKey, Account>,
    /// Results that counted and are not committed yet: a crash may take them, nothing else.
    uncommitted: BTreeSet<(MonitorKey, Timestamp)>,
    /// How many failing ticks each incident needed when it was opened.
    confirmed: BTreeMap<IncidentId, u32>,
    /// Results in a row that came the straight way and did not count.
    unheard: BTreeMap<MonitorKey, u32>,
    /// How many results were asserted on.
    pub(crate) results: u64,
    /// How many incidents were opened.
    pub(crate) incidents: u64,
}

/// What the models were when a batch was closed.
pub(crate) type Snapshot = BTreeMap<MonitorKey, Model>;

impl Oracle {
    /// An arrival was absorbed; `held` is what is held of its monitor afterwards.
    pub(crate) fn absorbed(
        &mut self,
        arrival: &Arrival,
        outcome: &Absorbed,
        held: Option<&Held>,
        at: Timestamp,
    ) -> Result<(), String> {
        let key = arrival.monitor.key;
        let Some(held) = held else { return ignored(outcome, "nothing is held of it") };
        if arrival.result.is_some() && held.monitor.spec != arrival.monitor.spec {
            return ignored(outcome, "it is of another target");
        }
        let model = self.models.entry(key).or_default();
        let counts = model.take(&arrival.event, held.monitor.thresholds, at);
        let woken = arrival.event == Event::Woken;
        match outcome {
            Absorbed::Applied(result) if counts || woken => {
                let tick = result.as_ref().map(|r| r.tick.scheduled_at);
                self.uncommitted.extend(tick.map(|tick| (key, tick)));
                self.results += u64::from(tick.is_some());
            }
            Absorbed::Late(_) | Absorbed::Ignored if !counts => {}
            other => return Err(format!("{other:?} of {:?}, expected counts: {counts}", arrival.event)),
        }
        if let Some(incident) = held.state.incident() {
            self.confirmed.entry(incident).or_insert(held.monitor.thresholds.fail_after.get());
        }
        model.differs(&held.state).map_or(Ok(()), Err)
    }

    /// An edit or a step of the clock was evaluated.
    pub(crate) fn followed(&mut self, held: &Held, event: &Event, at: Timestamp) {
        let model = self.models.entry(held.monitor.key).or_default();
        model.take(event, held.monitor.thresholds, at);
    }

    pub(crate) fn admitted(&mut self, held: &Held) {
        self.models.insert(held.monitor.key, Model::fresh(held.monitor.active, held.state.shown_since));
    }

    /// A state that was loaded got its definition back. What lies ahead of now did not happen.
    pub(crate) fn claimed(&mut self, key: MonitorKey, now: Timestamp) {
        let model = self.models.entry(key).or_default();
        model.last = model.last.map(|last| last.min(now));
    }

    /// The store has made a state for a new monitor.
    pub(crate) fn made(&mut self, key: MonitorKey, active: bool, at: Timestamp) {
        if let Entry::Vacant(slot) = self.durable.entry(key) {
            slot.insert(Model::fresh(active, at));
            self.accounts.entry(key).or_default().begin(active, at);
        }
    }

    pub(crate) fn removed(&mut self, key: MonitorKey) {
        self.models.remove(&key);
    }

    pub(crate) fn warped(&mut self) {
        for key in self.models.keys().chain(self.durable.keys()) {
            self.accounts.entry(*key).or_default();
        }
        for account in self.accounts.values_mut() {
            account.warped = true;
        }
    }

    /// All states are what is expected.
    pub(crate) fn agrees<'a>(&self, held: impl Iterator<Item = &'a Held>) -> Result<(), String> {
        for held in held {
            let model = self.models.get(&held.monitor.key).cloned().unwrap_or_default();
            if let Some(differs) = model.differs(&held.state) {
                return Err(format!("{}: {differs}", held.monitor.id));
            }
        }
        Ok(())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.models.clone()
    }

    /// What is in the store now holds these entries, evaluated up to the snapshot.
    pub(crate) fn committed(&mut self, entries: &[watchpost_store::Entry], snapshot: Snapshot) -> Result<(), String> {
        for entry in entries {
            let account = self.accounts.entry(entry.monitor).or_default();
            account.enter(entry, &self.confirmed)?;
            let went_down = entry.changes.iter().filter(|c| matches!(c, Change::WentDown { .. })).count();
            self.incidents += u64::try_from(went_down).unwrap_or(0);
            for result in &entry.results {
                self.uncommitted.remove(&(entry.monitor, result.tick.scheduled_at));
            }
        }
        self.durable = snapshot;
        Ok(())
    }

    /// The process died: what was in memory only has not happened.
    pub(crate) fn crashed(&mut self) {
        self.uncommitted.clear();
        self.models = self.durable.clone();
    }

    /// What the store says it holds is what was committed.
    pub(crate) fn compare(&self, store: &dyn Store) -> Result<(), String> {
        self.accounts.iter().try_for_each(|(key, account)| account.compare(*key, store))
    }

    /// What the store would have the process go on with is what was committed last. Where times may repeat, the newest
    /// tick on record may be one of a time that did not happen: it is taken as it is.
    pub(crate) fn loaded(&mut self, states: &[(MonitorKey, State)]) -> Result<(), String> {
        for (key, state) in states {
            let model = self.durable.entry(*key).or_default();
            if self.accounts.get(key).is_some_and(|account| account.warped) {
                model.last = state.last_tick;
            }
            if let Some(differs) = model.differs(state) {
                return Err(format!("{key:?} as loaded: {differs}"));
            }
            self.shows(*key, state)?;
        }
        self.models = self.durable.clone();
        Ok(())
    }

    /// A result came the straight way. A monitor whose results never count is as good as dead.
    pub(crate) fn came_straight(&mut self, arrival: &Arrival, held: Option<&Held>) -> Result<(), String> {
        let counted = |h: &Held| match &arrival.event {
            Event::Checked { scheduled_at, .. } => h.state.last_tick == Some(*scheduled_at),
            _ => true,
        };
        let exempt = |h: &Held| h.monitor.spec != arrival.monitor.spec || h.state.phase == Phase::Paused;
        let unheard = self.unheard.entry(arrival.monitor.key).or_default();
        match held {
            Some(held) if !counted(held) && !exempt(held) => *unheard += 1,
            Some(_) | None => *unheard = 0,
        }
        match *unheard > UNHEARD_MAX {
            true => Err(format!("{}: results come, and none counts", arrival.monitor.id)),
            false => Ok(()),
        }
    }

    /// What pages show of a monitor ends with what its state shows.
    pub(crate) fn shows(&self, key: MonitorKey, state: &State) -> Result<(), String> {
        let account = self.accounts.get(&key).cloned().unwrap_or_default();
        account.ends_with(state).map_err(|what| format!("{key:?}: {what}"))
    }

    /// Everything that counted is durable.
    pub(crate) fn all_committed(&self) -> Result<(), String> {
        match self.uncommitted.first() {
            Some((key, tick)) => Err(format!("the result of {key:?} at {tick} counted and was never committed")),
            None => Ok(()),
        }
    }
}

fn ignored(outcome: &Absorbed, why: &str) -> Result<(), String> {
    match outcome {
        Absorbed::Ignored => Ok(()),
        other => Err(format!("{other:?}, though {why}")),
    }
}

/// Asserts on deadlines: none is passed over, and none comes again and again.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    idle: BTreeMap<MonitorKey, u32>,
}

impl Deadlines {
    pub(crate) fn woken(&mut self, key: MonitorKey, outcome: &Absorbed) -> Result<(), String> {
        let idle = self.idle.entry(key).or_default();
        match outcome {
            Absorbed::Applied(_) => *idle = 0,
            Absorbed::Late(_) | Absorbed::Ignored | Absorbed::Dropped => *idle += 1,
        }
        // An edit or a step of the clock may leave a deadline behind, once.
        match *idle > 3 {
            true => Err(format!("{key:?} is woken again and again for nothing")),
            false => Ok(()),
        }
    }

    pub(crate) fn none_passed<'a>(
        &self,
        held: impl Iterator<Item = &'a Held>,
        clock: &VirtualClock,
    ) -> Result<(), String> {
        for held in held {
            let wake = held.state.wake(held.monitor.cannot_tell_after);
            if wake.is_some_and(|wake| wake < clock.now()) {
                return Err(format!("{} wanted to be woken at {wake:?}", held.monitor.id));
            }
            if held.state.shown_since > clock.now() + TICK_AHEAD_MAX {
                return Err(format!("{} shows since {}, which is to come", held.monitor.id, held.state.shown_since));
            }
        }
        Ok(())
    }
}

/// The fault of ticks that nobody ran.
pub(crate) fn away() -> Fault {
    Fault::new(FaultCode::MissedTick, "the process was not running or not awake")
}

/// What a batch holds, for the trace.
pub(crate) fn told(batch: &Batch) -> String {
    let changes: Vec<String> =
        batch.news.iter().flat_map(|n| n.changes.iter().map(|c| format!("{} {c:?}", n.monitor.id))).collect();
    format!("{} results; {}", batch.results, changes.join("; "))
}
