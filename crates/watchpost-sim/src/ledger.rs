//! What the store must hold: a plain account of everything committed, compared with what the store says.

use std::collections::BTreeMap;

use watchpost_core::uptime::Interval;
use watchpost_core::{Change, CheckResult, Incident, IncidentId, MonitorKey, Shown, State, Timestamp, Verdict};
use watchpost_store::{Entry, IncidentQuery, PAGE_MAX, ResultQuery, Store};

use crate::durable::now_or_never;

/// What is committed of one monitor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    results: BTreeMap<Timestamp, CheckResult>,
    intervals: Vec<Interval>,
    incidents: BTreeMap<IncidentId, Incident>,
    open: Option<IncidentId>,
    /// The wall clock went back: times may repeat, so what is ordered by time is not compared.
    pub(crate) warped: bool,
}

impl Account {
    /// Takes in a committed entry; says what cannot be.
    pub(crate) fn enter(&mut self, entry: &Entry, confirmed: &BTreeMap<IncidentId, u32>) -> Result<(), String> {
        for result in &entry.results {
            let tick = result.tick.scheduled_at;
            let kept = self.results.get(&tick).is_some_and(|old| !old.is_placeholder() || result.is_placeholder());
            if !kept {
                self.results.insert(tick, result.clone());
            }
        }
        for change in &entry.changes {
            self.change(entry.monitor, change, confirmed)?;
        }
        if let Some(filled) = &entry.backfilled {
            // What begins before the last one listed is replaced; later ones have come about meanwhile.
            let newest = filled.intervals.last().map_or(Timestamp::MAX, |last| last.from);
            let mut later: Vec<Interval> = self.intervals.iter().filter(|i| i.from >= newest).copied().collect();
            if later.first().is_none_or(|first| first.from > newest) {
                later.splice(0..0, filled.intervals.last().copied());
            }
            self.intervals = filled.intervals.iter().filter(|i| i.from < newest).copied().chain(later).collect();
            for incident in &filled.incidents {
                self.incidents.entry(incident.id).or_insert_with(|| incident.clone());
                if incident.closed.is_none() {
                    return Err(format!("late results opened {:?}", incident.id));
                }
            }
        }
        Ok(())
    }

    fn change(
        &mut self,
        monitor: MonitorKey,
        change: &Change,
        confirmed: &BTreeMap<IncidentId, u32>,
    ) -> Result<(), String> {
        match change {
            Change::Shown { to, since, .. } => {
                self.intervals.retain(|i| i.from < *since);
                self.intervals.push(Interval { from: *since, shown: *to });
            }
            Change::WentDown { incident, since, at, reason } => {
                if let Some(open) = self.open.replace(*incident) {
                    return Err(format!("{monitor:?} went down twice: {open:?} is open, then {incident:?}"));
                }
                self.enough_failures(*at, confirmed.get(incident).copied().unwrap_or(1))?;
                let (id, since, opened_at, reason) = (*incident, *since, *at, reason.clone());
                let new = Incident { id, monitor, since, opened_at, reason, closed: None };
                match self.incidents.get(&id) {
                    None => drop(self.incidents.insert(id, new)),
                    Some(_) => return Err(format!("{monitor:?}: the incident {id:?} is opened a second time")),
                }
            }
            Change::Recovered { incident, at, .. } => {
                self.close(*incident, *at, watchpost_core::ClosedWhy::Recovered)?;
            }
            Change::Closed { incident, at, why } => self.close(*incident, *at, *why)?,
            Change::CannotTell { .. } => {}
        }
        Ok(())
    }

    fn close(&mut self, id: IncidentId, at: Timestamp, why: watchpost_core::ClosedWhy) -> Result<(), String> {
        if self.open.take() != Some(id) {
            return Err(format!("{id:?} is closed and was not open"));
        }
        match self.incidents.get_mut(&id) {
            Some(incident) if incident.since <= at || self.warped => {
                // None ends before it began, also in time that is lived again.
                (incident.since, incident.opened_at) = (incident.since.min(at), incident.opened_at.min(at));
                incident.closed.get_or_insert((at, why));
            }
            other => return Err(format!("closed at {at}: {other:?}")),
        }
        Ok(())
    }

    /// The newest conclusive results up to `at` are `fail_after` failures of different ticks. Late ones came after.
    fn enough_failures(&self, at: Timestamp, fail_after: u32) -> Result<(), String> {
        let conclusive = |r: &&CheckResult| !r.late && !matches!(r.verdict, Verdict::Inconclusive(_));
        let newest = self.results.range(..=at).rev().map(|(_, r)| r).filter(conclusive);
        let wanted = usize::try_from(fail_after).unwrap_or(usize::MAX);
        let failed = newest.take(wanted).take_while(|r| matches!(r.verdict, Verdict::Fail(_))).count();
        match failed == wanted || self.warped {
            true => Ok(()),
            false => Err(format!("down at {at} after {failed} of {fail_after} failing ticks that are on record")),
        }
    }

    /// The monitor is new, or comes back.
    pub(crate) fn begin(&mut self, active: bool, at: Timestamp) {
        let shown = if active { Shown::Unknown } else { Shown::Paused };
        self.intervals.retain(|i| i.from < at);
        self.intervals.push(Interval { from: at, shown });
    }

    /// The last interval shows what the state shows, since it does.
    pub(crate) fn ends_with(&self, state: &State) -> Result<(), String> {
        let last = self.intervals.last().map_or(Shown::Unknown, |last| last.shown);
        match last == state.shown() || self.warped {
            true => Ok(()),
            false => Err(format!("the intervals end with {last}, the state is {state:?}")),
        }
    }

    /// Compares with what the store holds of the monitor, and checks what must hold of any such history.
    pub(crate) fn compare(&self, key: MonitorKey, store: &dyn Store) -> Result<(), String> {
        self.compare_results(key, store)?;
        self.compare_incidents(key, store)?;
        let read = now_or_never(store.intervals(Some(vec![key]), Timestamp::from_millis(0)))?;
        let stored = read.map_err(|e| e.to_string())?.remove(&key).unwrap_or_default();
        if !stored.is_sorted_by(|a, b| a.from < b.from) {
            return Err(format!("{key:?}: intervals out of order: {stored:?}"));
        }
        match (proper(&stored), proper(&self.intervals)) {
            (stored, kept) if stored == kept => Ok(()),
            (stored, kept) => Err(format!("{key:?}: the store shows {stored:?}, committed was {kept:?}")),
        }
    }

    fn compare_results(&self, key: MonitorKey, store: &dyn Store) -> Result<(), String> {
        let mut stored = Vec::new();
        let mut after = None;
        loop {
            let query = ResultQuery { monitor: Some(key), after, limit: PAGE_MAX, ..ResultQuery::default() };
            let page = now_or_never(store.results(query))?.map_err(|e| e.to_string())?;
            stored.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let differs = stored.iter().zip(self.results.values().rev()).find(|(a, b)| a != b);
        if let Some((stored, committed)) = differs {
            return Err(format!("the store has {stored:?}, committed was {committed:?}"));
        }
        match stored.len() == self.results.len() {
            true => Ok(()),
            false => Err(format!("{key:?}: {} results stored, {} committed", stored.len(), self.results.len())),
        }
    }

    fn compare_incidents(&self, key: MonitorKey, store: &dyn Store) -> Result<(), String> {
        let query = IncidentQuery { monitor: Some(key), limit: PAGE_MAX, ..IncidentQuery::default() };
        let page = now_or_never(store.incidents(query))?.map_err(|e| e.to_string())?;
        let mut stored = page.items;
        stored.sort_by_key(|i| (i.since, i.opened_at));
        let stored_by_id: BTreeMap<IncidentId, Incident> = stored.iter().map(|i| (i.id, i.clone())).collect();
        if stored_by_id != self.incidents {
            return Err(format!("{key:?}: incidents {stored_by_id:?}, committed were {:?}", self.incidents));
        }
        let end = |i: &Incident| i.closed.map_or(Timestamp::MAX, |(at, _)| at);
        match stored.windows(2).find(|w| end(&w[0]) > w[1].since) {
            Some(two) if !self.warped => Err(format!("outages overlap: {two:?}")),
            Some(_) | None => Ok(()),
        }
    }
}

/// Without equal neighbours, and without unknown time before anything was known.
fn proper(intervals: &[Interval]) -> Vec<Interval> {
    let mut list: Vec<Interval> = Vec::new();
    for next in intervals {
        let before = list.last().map_or(Shown::Unknown, |last| last.shown);
        if before != next.shown {
            list.push(*next);
        }
    }
    list
}
