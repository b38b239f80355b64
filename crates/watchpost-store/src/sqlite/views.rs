//! What pages read, but for lists of results.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt;
use sqlx::{QueryBuilder, Row};
use watchpost_core::ports::BoxFuture;
use watchpost_core::uptime::{Counts, Interval};
use watchpost_core::{CheckResult, ClosedWhy, Incident, IncidentId, MonitorId, MonitorKey, Shown, Timestamp};
use watchpost_wire::stored::reason_from_text;

use super::pages::covers;
use super::{SqliteStore, backend, key_from, key_list, unreadable};
use crate::rules::{hour_begin, hour_of, page_limit, with_newest};
use crate::{
    Figures, IncidentPage, IncidentQuery, MonitorView, RECENT_MAX, ResultPage, ResultQuery, StoreError, Views,
};

type ByMonitor<T> = BTreeMap<MonitorKey, Vec<T>>;

impl SqliteStore {
    /// The monitors of these keys that are defined, in this order.
    async fn views_of(&self, keys: Vec<MonitorKey>) -> Result<Vec<MonitorView>, StoreError> {
        let mut last = self.newest(Some(keys.clone()), 1).await?;
        let index = self.shared.index();
        let view = |key: &MonitorKey| {
            let held = index.monitors.get(key)?;
            Some(MonitorView {
                monitor: held.definition.clone()?,
                state: with_newest(held.state.clone(), held.newest),
                last: last.remove(key).and_then(|mut rows| rows.pop()),
            })
        };
        Ok(keys.iter().filter_map(view).collect())
    }

    async fn list_incidents(&self, query: &IncidentQuery) -> Result<IncidentPage, StoreError> {
        let limit = page_limit(query.limit);
        let mut select = QueryBuilder::new(
            "SELECT id, monitor, since, opened_at, reason, closed_at, closed_why FROM incidents WHERE true",
        );
        if let Some(monitor) = query.monitor {
            select.push(" AND monitor = ").push_bind(i64::from(monitor.0));
        }
        match query.open {
            Some(true) => select.push(" AND closed_at IS NULL"),
            Some(false) => select.push(" AND closed_at IS NOT NULL"),
            None => &mut select,
        };
        if let Some((at, id)) = query.after {
            select.push(" AND (opened_at, id) < (").push_bind(at.as_millis());
            select.push(", ").push_bind(id.number().cast_signed()).push(")");
        }
        select.push(" ORDER BY opened_at DESC, id DESC LIMIT ").push_bind(i64::try_from(limit + 1).unwrap_or(i64::MAX));
        let rows = select.build().fetch_all(&self.shared.readers).await.map_err(backend)?;
        let more = rows.len() > limit;
        let items = rows.iter().take(limit).map(incident).collect::<Result<Vec<Incident>, StoreError>>()?;
        Ok(IncidentPage { items, more })
    }

    async fn list_intervals(
        &self,
        monitors: Option<Vec<MonitorKey>>,
        from: Timestamp,
    ) -> Result<ByMonitor<Interval>, StoreError> {
        let asked = self.shared.index().asked(monitors);
        let mut rows = sqlx::query(
            "SELECT i.monitor, i.from_at, i.shown FROM json_each(?1) AS asked CROSS JOIN intervals AS i
             ON i.monitor = asked.value AND i.from_at >= ifnull(
                 (SELECT max(from_at) FROM intervals WHERE monitor = asked.value AND from_at <= ?2), ?2)
             ORDER BY i.monitor, i.from_at",
        )
        .bind(key_list(asked))
        .bind(from.as_millis())
        .fetch(&self.shared.readers);
        let mut found: ByMonitor<Interval> = BTreeMap::new();
        while let Some(row) = rows.try_next().await.map_err(backend)? {
            let shown = Shown::from_word(row.get(2)).ok_or_else(|| unknown_word("state", row.get(2)))?;
            let interval = Interval { from: Timestamp::from_millis(row.get(1)), shown };
            found.entry(key_from(row.get(0))?).or_default().push(interval);
        }
        Ok(found)
    }

    /// Whole hours come from the counts; the hours at both ends, and those that the log has results of, from results.
    async fn count(&self, monitor: MonitorKey, from: Timestamp, until: Timestamp) -> Result<Counts, StoreError> {
        let mut sum = Counts::default();
        if until <= from {
            return Ok(sum);
        }
        let (first, last) = (hour_of(from), hour_of(until));
        let mut in_log: BTreeMap<i64, Vec<CheckResult>> = BTreeMap::new();
        if let Some(held) = self.shared.index().monitors.get(&monitor) {
            for row in held.tail.rows_between(first, last)? {
                in_log.entry(hour_of(row.tick.scheduled_at)).or_default().push(row);
            }
        }
        let stored = self.stored_counts(monitor, first, last).await?;
        let hours: BTreeSet<i64> = stored.keys().chain(in_log.keys()).copied().collect();
        for hour in hours {
            let counted = stored.get(&hour).copied().unwrap_or_default();
            let late = in_log.remove(&hour);
            if late.is_none() && covers(from, until, hour) {
                sum = sum.merged(counted);
                continue;
            }
            let (rows, block) = self.hour_of_one(monitor, hour, late.unwrap_or_default()).await?;
            if (from..until).contains(&hour_begin(hour)) {
                sum = sum.merged(pruned(counted, &block));
            }
            for row in rows.iter().filter(|row| (from..until).contains(&row.tick.scheduled_at)) {
                sum.add(&row.verdict, row.ticks);
            }
        }
        Ok(sum)
    }

    async fn stored_counts(
        &self,
        monitor: MonitorKey,
        first: i64,
        last: i64,
    ) -> Result<BTreeMap<i64, Counts>, StoreError> {
        let rows = sqlx::query(
            "SELECT h.hour, c.pass, c.degraded, c.fail, c.inconclusive FROM hours AS h CROSS JOIN counts AS c
             ON c.id = h.hour * 4294967296 + ?1 WHERE h.hour >= ?2 AND h.hour <= ?3",
        )
        .bind(i64::from(monitor.0))
        .bind(first)
        .bind(last)
        .fetch_all(&self.shared.readers)
        .await
        .map_err(backend)?;
        let number = |row: &sqlx::sqlite::SqliteRow, n: usize| u64::try_from(row.get::<i64, _>(n)).unwrap_or(0);
        let counts = |row: &sqlx::sqlite::SqliteRow| Counts {
            pass: number(row, 1),
            degraded: number(row, 2),
            fail: number(row, 3),
            inconclusive: number(row, 4),
        };
        Ok(rows.iter().map(|row| (row.get(0), counts(row))).collect())
    }
}

/// The counts of an hour that are of results no longer there.
fn pruned(counted: Counts, block: &[CheckResult]) -> Counts {
    let mut there = Counts::default();
    for row in block {
        there.add(&row.verdict, row.ticks);
    }
    Counts {
        pass: counted.pass.saturating_sub(there.pass),
        degraded: counted.degraded.saturating_sub(there.degraded),
        fail: counted.fail.saturating_sub(there.fail),
        inconclusive: counted.inconclusive.saturating_sub(there.inconclusive),
    }
}

fn unknown_word(what: &str, word: &str) -> StoreError {
    StoreError::Damaged(format!("`{word}` is no {what}"))
}

fn incident(row: &sqlx::sqlite::SqliteRow) -> Result<Incident, StoreError> {
    let closed = match row.get::<Option<i64>, _>(5) {
        None => None,
        Some(at) => {
            let why: Option<&str> = row.get(6);
            let why = why.unwrap_or_default();
            let why = ClosedWhy::from_word(why).ok_or_else(|| unknown_word("reason to close an incident", why))?;
            Some((Timestamp::from_millis(at), why))
        }
    };
    Ok(Incident {
        id: IncidentId::from_number(row.get::<i64, _>(0).cast_unsigned()),
        monitor: key_from(row.get(1))?,
        since: Timestamp::from_millis(row.get(2)),
        opened_at: Timestamp::from_millis(row.get(3)),
        reason: reason_from_text(row.get(4)).map_err(unreadable)?,
        closed,
    })
}

impl Views for SqliteStore {
    fn monitors(&self) -> BoxFuture<'_, Result<Vec<MonitorView>, StoreError>> {
        Box::pin(async move {
            self.check_open()?;
            let keys = self.shared.index().order.clone();
            self.views_of(keys).await
        })
    }

    fn monitor(&self, id: &MonitorId) -> BoxFuture<'_, Result<Option<MonitorView>, StoreError>> {
        let key = self.shared.index().by_id.get(id).copied();
        Box::pin(async move {
            self.check_open()?;
            Ok(self.views_of(key.into_iter().collect()).await?.pop())
        })
    }

    fn recent(
        &self,
        monitors: Option<Vec<MonitorKey>>,
        count: usize,
    ) -> BoxFuture<'_, Result<ByMonitor<CheckResult>, StoreError>> {
        Box::pin(async move {
            self.check_open()?;
            self.newest(monitors, count.min(RECENT_MAX)).await
        })
    }

    fn results(&self, query: ResultQuery) -> BoxFuture<'_, Result<ResultPage, StoreError>> {
        Box::pin(async move {
            self.check_open()?;
            self.page(&query).await
        })
    }

    fn incidents(&self, query: IncidentQuery) -> BoxFuture<'_, Result<IncidentPage, StoreError>> {
        Box::pin(async move {
            self.check_open()?;
            self.list_incidents(&query).await
        })
    }

    fn intervals(
        &self,
        monitors: Option<Vec<MonitorKey>>,
        from: Timestamp,
    ) -> BoxFuture<'_, Result<ByMonitor<Interval>, StoreError>> {
        Box::pin(async move {
            self.check_open()?;
            self.list_intervals(monitors, from).await
        })
    }

    fn counts(
        &self,
        monitor: MonitorKey,
        from: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(async move {
            self.check_open()?;
            self.count(monitor, from, until).await
        })
    }

    fn figures(&self) -> BoxFuture<'_, Result<Figures, StoreError>> {
        Box::pin(async move {
            self.check_open()?;
            let open: i64 = sqlx::query_scalar("SELECT count(*) FROM incidents WHERE closed_at IS NULL")
                .fetch_one(&self.shared.readers)
                .await
                .map_err(backend)?;
            let index = self.shared.index();
            Ok(Figures {
                bytes: self.bytes(),
                results: index.results(),
                incidents_open: u64::try_from(open).unwrap_or(0),
                shown: index.shown(),
            })
        })
    }
}

impl SqliteStore {
    /// Bytes on disk: the database, and what its write-ahead log and index take beside it.
    fn bytes(&self) -> u64 {
        let beside = |suffix: &str| {
            let mut path = self.shared.path.clone().into_os_string();
            path.push(suffix);
            std::fs::metadata(path).map_or(0, |meta| meta.len())
        };
        ["", "-wal", "-shm"].into_iter().map(beside).sum()
    }
}
