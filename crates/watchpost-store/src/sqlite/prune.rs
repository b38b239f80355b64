//! Pruning: by age and by size, in small steps that let commits through.

use std::collections::BTreeSet;

use sqlx::{Row, SqliteConnection};
use watchpost_core::{MonitorKey, Timestamp};

use super::writer::{Survives, Writer, run_sql};
use super::{HOUR_STRIDE, SqliteStore, backend, block_id, key_from};
use crate::rules::{hour_begin, hours_ended_by};
use crate::{Keep, Pruned, StoreError};

/// Blocks or counts deleted in one transaction.
const ROWS_PER_STEP: i64 = 2_000;
/// Pages given back to the file system in one transaction: some 4 MB are moved at most.
const PAGES_PER_STEP: i64 = 1_000;
/// Such steps in one pruning; what is left then waits for the next one.
const PAGE_STEPS_MAX: u32 = 64;
/// Free pages are kept for reuse as long as they are no more than this part of the file,
const FREE_PAGES_PART: i64 = 4;
/// or no more than this many, 64 MB: the log of an hour frees them, and that of the next one takes them again.
const FREE_PAGES_KEPT: i64 = 16_384;

/// How full the file is, in pages.
struct Fill {
    pages: i64,
    free: i64,
    page_size: i64,
}

impl Fill {
    fn used_bytes(&self) -> u64 {
        u64::try_from((self.pages - self.free) * self.page_size).unwrap_or(0)
    }
}

impl SqliteStore {
    /// Drops what is too old or too much. The caller sees to it that nothing else tidies meanwhile.
    pub(super) async fn prune_all(&self, keep: Keep) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        let results_before = hours_ended_by(keep.now - keep.results);
        self.compact_hours(hour_begin(results_before)).await?;
        pruned.blocks += self.prune_blocks(results_before).await?;
        // Counts live at least as long as the results they count.
        let history_before = (keep.now - keep.history).min(keep.now - keep.results);
        pruned.history += self.prune_history(history_before).await?;
        if let Some(size_max) = keep.size_max {
            pruned.blocks += self.prune_to_size(size_max).await?;
        }
        self.give_back_pages().await?;
        Ok(pruned)
    }

    /// Drops the oldest hours while the file is too full. The open hours stay: they are in the log.
    async fn prune_to_size(&self, size_max: u64) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            let fill = self.write(|writer| Box::pin(writer.fill())).await?;
            let oldest = self.shared.index().blocks.keys().next().copied();
            match oldest {
                Some(hour) if fill.used_bytes() > size_max => dropped += self.prune_blocks(hour + 1).await?,
                Some(_) | None => return Ok(dropped),
            }
        }
    }

    /// Drops the blocks of the hours before `first`.
    async fn prune_blocks(&self, first: i64) -> Result<u64, StoreError> {
        let mut dropped = 0;
        let hours: Vec<i64> = self.shared.index().blocks.range(..first).map(|(hour, _)| *hour).collect();
        for hour in &hours {
            let hour = *hour;
            loop {
                let step = self.write(move |writer| Box::pin(writer.drop_blocks(hour))).await?;
                dropped += step;
                if step == 0 {
                    break;
                }
            }
        }
        if !hours.is_empty() {
            let mut index = self.shared.index_mut();
            index.blocks.retain(|hour, _| *hour >= first);
            for held in index.monitors.values_mut() {
                held.tail.pruned(first)?;
            }
        }
        Ok(dropped)
    }

    async fn prune_history(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            let step = self.write(move |writer| Box::pin(writer.drop_counts(before))).await?;
            dropped += step;
            if step == 0 {
                break;
            }
        }
        Ok(dropped + self.write(move |writer| Box::pin(writer.drop_history(before))).await?)
    }

    async fn give_back_pages(&self) -> Result<(), StoreError> {
        for _ in 0..PAGE_STEPS_MAX {
            let fill = self.write(|writer| Box::pin(writer.fill())).await?;
            if fill.free <= (fill.pages / FREE_PAGES_PART).max(FREE_PAGES_KEPT) {
                break;
            }
            self.write(|writer| Box::pin(writer.give_back_some())).await?;
        }
        Ok(())
    }
}

impl Writer {
    async fn fill(&mut self) -> Result<Fill, StoreError> {
        let connection = self.connection().await?;
        Ok(Fill {
            pages: pragma(connection, "PRAGMA page_count").await?,
            free: pragma(connection, "PRAGMA freelist_count").await?,
            page_size: pragma(connection, "PRAGMA page_size").await?,
        })
    }

    async fn give_back_some(&mut self) -> Result<(), StoreError> {
        const { assert!(PAGES_PER_STEP == 1_000) };
        let connection = self.connection().await?;
        // A pragma takes no parameters.
        run_sql(connection, "PRAGMA incremental_vacuum(1000)").await
    }

    /// Drops some blocks of an hour; 0 when there are none left.
    async fn drop_blocks(&mut self, hour: i64) -> Result<u64, StoreError> {
        let connection = self.begin(Survives::Kill).await?;
        let dropped = drop_some_blocks(connection, hour).await;
        let (blocks, results) = self.end(dropped).await?;
        let mut index = self.shared.index_mut();
        if let Some(in_blocks) = index.blocks.get_mut(&hour) {
            *in_blocks = in_blocks.saturating_sub(u64::try_from(results).unwrap_or(0));
        }
        Ok(u64::try_from(blocks).unwrap_or(0))
    }

    /// Drops some counts of hours that ended before; 0 when there are none left.
    async fn drop_counts(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let end = hours_ended_by(before);
        let connection = self.begin(Survives::Kill).await?;
        let dropped = sqlx::query("DELETE FROM counts WHERE id IN (SELECT id FROM counts WHERE id < ?1 LIMIT ?2)")
            .bind(end * HOUR_STRIDE)
            .bind(ROWS_PER_STEP)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
            .map_err(backend);
        self.end(dropped).await
    }

    /// Drops hours without anything, intervals, incidents, and removed monitors of which nothing is left.
    async fn drop_history(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let in_log: BTreeSet<MonitorKey> = {
            let index = self.shared.index();
            index.monitors.iter().filter(|(_, held)| held.tail.len() > 0).map(|(key, _)| *key).collect()
        };
        let connection = self.begin(Survives::Kill).await?;
        let dropped = drop_old(connection, before, &in_log).await;
        let (rows, forgotten) = self.end(dropped).await?;
        let mut index = self.shared.index_mut();
        index.monitors.retain(|key, _| !forgotten.contains(key));
        Ok(rows)
    }
}

async fn pragma(connection: &mut SqliteConnection, sql: &'static str) -> Result<i64, StoreError> {
    sqlx::query_scalar(sql).fetch_one(connection).await.map_err(backend)
}

async fn drop_some_blocks(connection: &mut SqliteConnection, hour: i64) -> Result<(i64, i64), StoreError> {
    let (begin, end) = (block_id(hour, MonitorKey(0)), block_id(hour + 1, MonitorKey(0)));
    let rows = sqlx::query("SELECT id, count FROM blocks WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3")
        .bind(begin)
        .bind(end)
        .bind(ROWS_PER_STEP)
        .fetch_all(&mut *connection)
        .await
        .map_err(backend)?;
    let Some(last) = rows.last().map(|row| row.get::<i64, _>(0)) else { return Ok((0, 0)) };
    let blocks = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let results: i64 = rows.iter().map(|row| row.get::<i64, _>(1)).sum();
    sqlx::query("DELETE FROM blocks WHERE id >= ?1 AND id <= ?2")
        .bind(begin)
        .bind(last)
        .execute(&mut *connection)
        .await
        .map_err(backend)?;
    sqlx::query("UPDATE hours SET blocks = blocks - ?2, results = results - ?3 WHERE hour = ?1")
        .bind(hour)
        .bind(blocks)
        .bind(results)
        .execute(connection)
        .await
        .map_err(backend)?;
    Ok((blocks, results))
}

/// How many rows went, and the monitors that are forgotten for good.
async fn drop_old(
    connection: &mut SqliteConnection,
    before: Timestamp,
    in_log: &BTreeSet<MonitorKey>,
) -> Result<(u64, Vec<MonitorKey>), StoreError> {
    let statements = [
        // An interval that another follows by then has ended by then.
        "DELETE FROM intervals WHERE from_at < ?1 AND EXISTS (SELECT 1 FROM intervals AS next
         WHERE next.monitor = intervals.monitor AND next.from_at > intervals.from_at AND next.from_at <= ?1)",
        "DELETE FROM intervals WHERE monitor IN (SELECT key FROM monitors WHERE removed_at < ?1)",
        "DELETE FROM incidents WHERE closed_at <= ?1",
    ];
    let mut rows = 0;
    for sql in statements {
        let done = sqlx::query(sql).bind(before.as_millis()).execute(&mut *connection).await.map_err(backend)?;
        rows += done.rows_affected();
    }
    sqlx::query("DELETE FROM hours WHERE hour < ?1 AND blocks = 0")
        .bind(hours_ended_by(before))
        .execute(&mut *connection)
        .await
        .map_err(backend)?;
    let mut forgotten = forgotten_monitors(connection, before).await?;
    forgotten.retain(|key| !in_log.contains(key));
    for key in &forgotten {
        for sql in ["DELETE FROM states WHERE monitor = ?1", "DELETE FROM monitors WHERE key = ?1"] {
            sqlx::query(sql).bind(i64::from(key.0)).execute(&mut *connection).await.map_err(backend)?;
        }
    }
    Ok((rows, forgotten))
}

/// Removed monitors that nothing is kept of, unless it is in the log.
async fn forgotten_monitors(
    connection: &mut SqliteConnection,
    before: Timestamp,
) -> Result<Vec<MonitorKey>, StoreError> {
    let candidates: Vec<i64> = sqlx::query_scalar(
        "SELECT key FROM monitors WHERE removed_at < ?1
         AND NOT EXISTS (SELECT 1 FROM incidents WHERE incidents.monitor = key)
         AND NOT EXISTS (SELECT 1 FROM hours JOIN counts ON counts.id = hours.hour * 4294967296 + key)",
    )
    .bind(before.as_millis())
    .fetch_all(connection)
    .await
    .map_err(backend)?;
    candidates.into_iter().map(key_from).collect()
}
