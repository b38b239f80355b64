//! Lists of results, newest first, a page at a time: hour by hour backwards, memory before the file.
//!
//! Memory comes first because a compaction moves results from there to the file: one that happens in between shows a
//! result twice, which merging undoes, and never not at all.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use futures_util::TryStreamExt;
use sqlx::{QueryBuilder, Row, Sqlite};
use watchpost_core::{CheckResult, MonitorKey, Timestamp};
use watchpost_wire::stored::decode_block;

use super::tail::in_order;
use super::{HOUR_STRIDE, SqliteStore, backend, block_monitor, unreadable};
use crate::rules::{cut_page, hour_of, listed, matches, page_limit};
use crate::{ResultPage, ResultQuery, StoreError, VerdictKind};

/// Regions that one tick can be checked from: a page may be longer by these, because it never splits a tick.
const REGIONS_MAX: usize = 64;
/// Blocks of one monitor read at once.
const BLOCKS_PER_READ: i64 = 16;

/// A result by its place in the list.
struct Listed(CheckResult);

impl Ord for Listed {
    fn cmp(&self, other: &Listed) -> Ordering {
        listed(&self.0, &other.0)
    }
}

impl PartialOrd for Listed {
    fn partial_cmp(&self, other: &Listed) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Listed) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Listed {}

/// The first results of the list, of all that are offered.
struct Collector<'q> {
    query: &'q ResultQuery,
    /// The last of them on top.
    best: BinaryHeap<Listed>,
    limit: usize,
}

impl<'q> Collector<'q> {
    fn new(query: &'q ResultQuery) -> Collector<'q> {
        Collector { query, best: BinaryHeap::new(), limit: page_limit(query.limit) + REGIONS_MAX }
    }

    fn is_full(&self) -> bool {
        self.best.len() >= self.limit
    }

    /// Results due at this time or before could still be among the first.
    fn wants(&self, latest: i64) -> bool {
        !self.is_full() || self.best.peek().is_none_or(|last| last.0.tick.scheduled_at.as_millis() <= latest)
    }

    fn offer(&mut self, rows: Vec<CheckResult>) {
        for row in rows.into_iter().filter(|row| matches(self.query, row)) {
            self.best.push(Listed(row));
            if self.best.len() > self.limit {
                self.best.pop();
            }
        }
    }

    fn page(self) -> ResultPage {
        cut_page(self.best.into_sorted_vec().into_iter().map(|listed| listed.0).collect(), self.query.limit)
    }
}

/// The first and last hour that can have what is asked for.
fn bounds(query: &ResultQuery) -> (i64, i64) {
    let latest = [query.to, query.after.map(|after| after.scheduled_at)].into_iter().flatten().min();
    let first = query.from.map_or(i64::from(i32::MIN), hour_of);
    (first, latest.map_or(i64::from(i32::MAX), hour_of))
}

impl SqliteStore {
    /// A page of results.
    pub(super) async fn page(&self, query: &ResultQuery) -> Result<ResultPage, StoreError> {
        match query.monitor {
            Some(monitor) => self.page_of_one(monitor, query).await,
            None => self.page_of_all(query).await,
        }
    }

    async fn page_of_one(&self, monitor: MonitorKey, query: &ResultQuery) -> Result<ResultPage, StoreError> {
        let (first, mut last) = bounds(query);
        let mut in_log = BTreeMap::new();
        if let Some(held) = self.shared.index().monitors.get(&monitor) {
            for row in held.tail.rows_between(first, last)? {
                in_log.entry(hour_of(row.tick.scheduled_at)).or_insert_with(Vec::new).push(row);
            }
        }
        let mut collector = Collector::new(query);
        loop {
            let blocks = self.blocks_of(monitor, (first, last), &query.verdicts).await?;
            // Below the oldest block that was read there may be more; above it everything is known.
            let reached = match blocks.last() {
                Some((hour, _)) if blocks.len() as i64 == BLOCKS_PER_READ => *hour,
                Some(_) | None => first,
            };
            let mut hours: BTreeMap<i64, Vec<CheckResult>> = in_log.split_off(&reached);
            for (hour, mut rows) in blocks {
                rows.append(hours.entry(hour).or_default());
                hours.insert(hour, in_order(rows));
            }
            for (_, rows) in hours.into_iter().rev() {
                if collector.is_full() {
                    break;
                }
                collector.offer(rows);
            }
            if collector.is_full() || reached == first {
                return Ok(collector.page());
            }
            last = reached - 1;
        }
    }

    /// Blocks of a monitor in these hours that can have one of the verdicts, newest first.
    async fn blocks_of(
        &self,
        monitor: MonitorKey,
        (first, last): (i64, i64),
        verdicts: &[VerdictKind],
    ) -> Result<Vec<(i64, Vec<CheckResult>)>, StoreError> {
        let mut select = QueryBuilder::new(
            "SELECT h.hour, b.data FROM hours AS h CROSS JOIN blocks AS b ON b.id = h.hour * 4294967296 + ",
        );
        select.push_bind(i64::from(monitor.0));
        push_verdicts(&mut select, verdicts);
        select.push(" WHERE h.blocks > 0 AND h.hour >= ").push_bind(first).push(" AND h.hour <= ").push_bind(last);
        select.push(" ORDER BY h.hour DESC LIMIT ").push_bind(BLOCKS_PER_READ);
        let rows = select.build().fetch_all(&self.shared.readers).await.map_err(backend)?;
        rows.iter()
            .map(|row| decode_block(monitor, row.get(1)).map(|rows| (row.get(0), rows)).map_err(unreadable))
            .collect()
    }

    async fn page_of_all(&self, query: &ResultQuery) -> Result<ResultPage, StoreError> {
        let (first, last) = bounds(query);
        let mut collector = Collector::new(query);
        let hours: BTreeSet<i64> = {
            let index = self.shared.index();
            let range = || first..=last.max(first);
            index
                .log
                .range(range())
                .map(|(hour, _)| *hour)
                .chain(index.blocks.range(range()).map(|(h, _)| *h))
                .collect()
        };
        for hour in hours.into_iter().rev() {
            if collector.is_full() {
                break;
            }
            let in_log = self.offer_log(hour, &mut collector)?;
            self.offer_blocks(hour, in_log, &mut collector).await?;
        }
        Ok(collector.page())
    }

    /// Offers what the log has of an hour, or gives it back when there are blocks to join it with.
    fn offer_log(
        &self,
        hour: i64,
        collector: &mut Collector<'_>,
    ) -> Result<Option<BTreeMap<MonitorKey, Vec<CheckResult>>>, StoreError> {
        let index = self.shared.index();
        if index.blocks.contains_key(&hour) {
            let mut rows = BTreeMap::new();
            for (key, held) in index.monitors.iter().filter(|(_, held)| held.tail.has_hour(hour)) {
                rows.insert(*key, held.tail.rows_in(hour)?);
            }
            return Ok(Some(rows));
        }
        let mut by_latest: Vec<(i64, MonitorKey)> =
            index.monitors.iter().filter_map(|(key, held)| held.tail.latest_in(hour).map(|at| (at, *key))).collect();
        by_latest.sort_unstable_by(|a, b| b.cmp(a));
        for (latest, key) in by_latest {
            if !collector.wants(latest) {
                break;
            }
            if let Some(held) = index.monitors.get(&key) {
                collector.offer(held.tail.rows_in(hour)?);
            }
        }
        Ok(None)
    }

    /// Offers the blocks of an hour, joined with what the log has of it. `None`: that was offered already, and there
    /// were no blocks when it was.
    async fn offer_blocks(
        &self,
        hour: i64,
        in_log: Option<BTreeMap<MonitorKey, Vec<CheckResult>>>,
        collector: &mut Collector<'_>,
    ) -> Result<(), StoreError> {
        let Some(mut in_log) = in_log else { return Ok(()) };
        let mut select = QueryBuilder::new("SELECT b.id, b.last, b.data FROM blocks AS b");
        push_verdicts(&mut select, &collector.query.verdicts);
        select.push(" WHERE b.id >= ").push_bind(hour * HOUR_STRIDE);
        select.push(" AND b.id < ").push_bind((hour + 1) * HOUR_STRIDE);
        let mut blocks = select.build().fetch(&self.shared.readers);
        while let Some(row) = blocks.try_next().await.map_err(backend)? {
            let key = block_monitor(row.get(0));
            let late = in_log.remove(&key);
            if late.is_none() && !collector.wants(row.get(1)) {
                continue;
            }
            let mut rows = decode_block(key, row.get(2)).map_err(unreadable)?;
            rows.append(&mut late.unwrap_or_default());
            collector.offer(in_order(rows));
        }
        in_log.into_values().for_each(|rows| collector.offer(rows));
        Ok(())
    }

    /// The results of a monitor in one hour, from block and log.
    pub(super) async fn hour_of_one(
        &self,
        monitor: MonitorKey,
        hour: i64,
        mut in_log: Vec<CheckResult>,
    ) -> Result<(Vec<CheckResult>, Vec<CheckResult>), StoreError> {
        let block = self.blocks_of(monitor, (hour, hour), &[]).await?.pop().map_or(Vec::new(), |(_, rows)| rows);
        let mut rows = block.clone();
        rows.append(&mut in_log);
        Ok((in_order(rows), block))
    }
}

/// Joins the counts, and keeps the blocks whose counts say that one of the verdicts is in them.
fn push_verdicts(select: &mut QueryBuilder<Sqlite>, verdicts: &[VerdictKind]) {
    if verdicts.is_empty() {
        return;
    }
    let sum: Vec<&str> = verdicts
        .iter()
        .map(|verdict| match verdict {
            VerdictKind::Pass => "c.pass",
            VerdictKind::Degraded => "c.degraded",
            VerdictKind::Fail => "c.fail",
            VerdictKind::Inconclusive => "c.inconclusive",
        })
        .collect();
    select.push(" JOIN counts AS c ON c.id = b.id AND ").push(sum.join(" + ")).push(" > 0");
}

/// The whole hour lies in `[from, until)`.
pub(super) fn covers(from: Timestamp, until: Timestamp, hour: i64) -> bool {
    from <= crate::rules::hour_begin(hour) && crate::rules::hour_begin(hour + 1) <= until
}
