//! What pages read, from memory.

use std::collections::BTreeMap;

use watchpost_core::ports::BoxFuture;
use watchpost_core::uptime::{Counts, Interval};
use watchpost_core::{CheckResult, Incident, MonitorId, MonitorKey, Shown, Timestamp};

use super::{Inner, MemoryStore, Row};
use crate::rules::{cut_page, hour_begin, listed, matches, page_limit};
use crate::{
    Figures, IncidentPage, IncidentQuery, MonitorView, RECENT_MAX, ResultPage, ResultQuery, StoreError, Views,
};

impl Inner {
    fn asked(&self, monitors: Option<&[MonitorKey]>) -> Vec<&Row> {
        match monitors {
            None => self.monitors.values().filter(|row| row.removed_at.is_none()).collect(),
            Some(keys) => keys.iter().filter_map(|key| self.monitors.get(key)).collect(),
        }
    }

    fn views(&self) -> Vec<MonitorView> {
        let mut rows: Vec<&Row> = self.asked(None);
        rows.sort_by_key(|row| (row.position, row.known.key));
        let view = |row: &Row| {
            let last = row.results.values().next_back().cloned();
            row.definition.clone().map(|monitor| MonitorView { monitor, state: row.shown_state(), last })
        };
        rows.into_iter().filter_map(view).collect()
    }

    fn incidents(&self, query: &IncidentQuery) -> IncidentPage {
        let asked = |i: &&Incident| {
            query.monitor.is_none_or(|monitor| monitor == i.monitor)
                && query.open.is_none_or(|open| open == i.closed.is_none())
                && query.after.is_none_or(|after| (i.opened_at, i.id) < after)
        };
        let mut items: Vec<Incident> = self.incidents.values().filter(asked).cloned().collect();
        items.sort_by_key(|i| std::cmp::Reverse((i.opened_at, i.id)));
        let limit = page_limit(query.limit);
        let more = items.len() > limit;
        items.truncate(limit);
        IncidentPage { items, more }
    }

    fn figures(&self) -> Figures {
        let mut figures = Figures {
            bytes: 0,
            results: self.monitors.values().map(|row| row.results.len() as u64).sum(),
            incidents_open: self.incidents.values().filter(|i| i.closed.is_none()).count() as u64,
            ..Figures::default()
        };
        for row in self.asked(None) {
            let shown = row.state.shown();
            let places = Shown::ALL.iter().zip(figures.shown.iter_mut());
            places.filter(|(state, _)| **state == shown).for_each(|(_, count)| *count += 1);
        }
        figures
    }
}

impl Row {
    fn intervals_from(&self, from: Timestamp) -> Vec<Interval> {
        let touching = self.intervals.range(..=from).next_back().map_or(from, |(begin, _)| *begin);
        self.intervals.range(touching..).map(|(from, shown)| Interval { from: *from, shown: *shown }).collect()
    }

    fn counts(&self, from: Timestamp, until: Timestamp) -> Counts {
        let mut counts = Counts::default();
        for (hour, pruned) in &self.pruned {
            if (from..until).contains(&hour_begin(*hour)) {
                counts = counts.merged(*pruned);
            }
        }
        for result in self.results.values().filter(|r| (from..until).contains(&r.tick.scheduled_at)) {
            counts.add(&result.verdict, result.ticks);
        }
        counts
    }
}

impl Views for MemoryStore {
    fn monitors(&self) -> BoxFuture<'_, Result<Vec<MonitorView>, StoreError>> {
        Box::pin(async move { Ok(self.open()?.views()) })
    }

    fn monitor(&self, id: &MonitorId) -> BoxFuture<'_, Result<Option<MonitorView>, StoreError>> {
        let id = id.clone();
        Box::pin(async move { Ok(self.open()?.views().into_iter().find(|view| view.monitor.id == id)) })
    }

    fn recent(
        &self,
        monitors: Option<Vec<MonitorKey>>,
        count: usize,
    ) -> BoxFuture<'_, Result<BTreeMap<MonitorKey, Vec<CheckResult>>, StoreError>> {
        Box::pin(async move {
            let inner = self.open()?;
            let newest = |row: &Row| {
                let skip = row.results.len().saturating_sub(count.min(RECENT_MAX));
                row.results.values().skip(skip).cloned().collect::<Vec<_>>()
            };
            let rows = inner.asked(monitors.as_deref()).into_iter();
            Ok(rows.map(|row| (row.known.key, newest(row))).filter(|(_, rows)| !rows.is_empty()).collect())
        })
    }

    fn results(&self, query: ResultQuery) -> BoxFuture<'_, Result<ResultPage, StoreError>> {
        Box::pin(async move {
            let inner = self.open()?;
            let all = inner.monitors.values().flat_map(|row| row.results.values());
            let mut items: Vec<CheckResult> = all.filter(|row| matches(&query, row)).cloned().collect();
            items.sort_by(listed);
            Ok(cut_page(items, query.limit))
        })
    }

    fn incidents(&self, query: IncidentQuery) -> BoxFuture<'_, Result<IncidentPage, StoreError>> {
        Box::pin(async move { Ok(self.open()?.incidents(&query)) })
    }

    fn intervals(
        &self,
        monitors: Option<Vec<MonitorKey>>,
        from: Timestamp,
    ) -> BoxFuture<'_, Result<BTreeMap<MonitorKey, Vec<Interval>>, StoreError>> {
        Box::pin(async move {
            let inner = self.open()?;
            let rows = inner.asked(monitors.as_deref()).into_iter();
            let intervals = rows.map(|row| (row.known.key, row.intervals_from(from)));
            Ok(intervals.filter(|(_, intervals)| !intervals.is_empty()).collect())
        })
    }

    fn counts(
        &self,
        monitor: MonitorKey,
        from: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(async move {
            Ok(self.open()?.monitors.get(&monitor).map(|row| row.counts(from, until)).unwrap_or_default())
        })
    }

    fn figures(&self) -> BoxFuture<'_, Result<Figures, StoreError>> {
        Box::pin(async move { Ok(self.open()?.figures()) })
    }
}
