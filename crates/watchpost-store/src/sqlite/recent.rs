//! The newest results of many monitors at once: from memory, and from blocks where memory does not reach back enough.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use sqlx::Row;
use watchpost_core::{CheckResult, MonitorKey};
use watchpost_wire::stored::decode_block;

use super::tail::in_order;
use super::{SqliteStore, backend, block_monitor, key_list, unreadable};
use crate::StoreError;
use crate::rules::hour_begin;

/// Monitors whose blocks are read at once: bounds the decoded results held meanwhile.
const MONITORS_AT_ONCE: usize = 512;

/// A monitor whose results in memory are too few.
struct Short {
    /// Everything of it that is in the log, late results too, and what was read from blocks.
    rows: Vec<CheckResult>,
    /// What is due at or after this is in `rows`.
    known_from: i64,
    /// As it was at the beginning.
    was: i64,
}

impl Short {
    fn known(&self) -> impl Iterator<Item = &CheckResult> {
        self.rows.iter().filter(|row| row.tick.scheduled_at.as_millis() >= self.known_from)
    }
}

impl SqliteStore {
    /// The newest `count` results of each of these monitors, oldest first.
    pub(super) async fn newest(
        &self,
        monitors: Option<Vec<MonitorKey>>,
        count: usize,
    ) -> Result<BTreeMap<MonitorKey, Vec<CheckResult>>, StoreError> {
        let asked = self.shared.index().asked(monitors);
        let mut found = BTreeMap::new();
        for some in asked.chunks(MONITORS_AT_ONCE) {
            found.append(&mut self.newest_of_some(some, count).await?);
            // When all is in memory nothing above waits: at 100,000 monitors a page must not hold a thread for a second.
            tokio::task::yield_now().await;
        }
        Ok(found)
    }

    async fn newest_of_some(
        &self,
        monitors: &[MonitorKey],
        count: usize,
    ) -> Result<BTreeMap<MonitorKey, Vec<CheckResult>>, StoreError> {
        let mut found = BTreeMap::new();
        let mut short: BTreeMap<MonitorKey, Short> = BTreeMap::new();
        let hours: Vec<i64> = {
            let index = self.shared.index();
            for key in monitors.iter().copied() {
                let Some(held) = index.monitors.get(&key) else { continue };
                let (rows, complete) = held.tail.recent(count)?;
                if complete {
                    found.insert(key, rows);
                } else {
                    let mut rows = held.tail.rows_between(i64::MIN, i64::MAX)?;
                    rows.append(&mut held.tail.recent(usize::MAX)?.0);
                    let known_from = held.tail.known_from();
                    short.insert(key, Short { rows: in_order(rows), known_from, was: known_from });
                }
            }
            index.blocks.keys().rev().copied().collect()
        };
        for hour in hours {
            if short.is_empty() {
                break;
            }
            self.read_hour(hour, &mut short).await?;
            let done: Vec<MonitorKey> =
                short.iter().filter(|(_, short)| short.known().count() >= count).map(|(key, _)| *key).collect();
            for key in done {
                if let Some(short) = short.remove(&key) {
                    found.insert(key, self.settle(key, &short, count)?);
                }
            }
        }
        for (key, mut short) in short {
            short.known_from = i64::MIN;
            found.insert(key, self.settle(key, &short, count)?);
        }
        found.retain(|_, rows| !rows.is_empty());
        Ok(found)
    }

    /// Adds what the blocks of an hour have.
    async fn read_hour(&self, hour: i64, short: &mut BTreeMap<MonitorKey, Short>) -> Result<(), StoreError> {
        let begin = hour_begin(hour).as_millis();
        let wanting: Vec<MonitorKey> =
            short.iter().filter(|(_, s)| s.known_from > begin).map(|(key, _)| *key).collect();
        if wanting.is_empty() {
            return Ok(());
        }
        let mut rows = sqlx::query(
            "SELECT b.id, b.data FROM json_each(?1) AS asked CROSS JOIN blocks AS b
             ON b.id = ?2 * 4294967296 + asked.value",
        )
        .bind(key_list(wanting.iter().copied()))
        .bind(hour)
        .fetch(&self.shared.readers);
        while let Some(row) = rows.try_next().await.map_err(backend)? {
            let key = block_monitor(row.get(0));
            if let Some(short) = short.get_mut(&key) {
                let block = decode_block(key, row.get(1)).map_err(unreadable)?;
                let mut rows = block;
                rows.append(&mut short.rows);
                short.rows = in_order(rows);
            }
        }
        for key in wanting {
            if let Some(short) = short.get_mut(&key) {
                short.known_from = begin;
            }
        }
        Ok(())
    }

    /// Picks the newest, and keeps those of them that memory did not have.
    fn settle(&self, key: MonitorKey, short: &Short, count: usize) -> Result<Vec<CheckResult>, StoreError> {
        let mut known_from = short.known_from;
        let mut rows: Vec<CheckResult> = short.known().cloned().collect();
        if rows.len() > count {
            let cut = rows[rows.len() - count].tick.scheduled_at;
            rows.retain(|row| row.tick.scheduled_at >= cut);
            known_from = cut.as_millis();
        }
        let read: Vec<CheckResult> =
            rows.iter().filter(|row| row.tick.scheduled_at.as_millis() < short.was).cloned().collect();
        if let Some(held) = self.shared.index_mut().monitors.get_mut(&key) {
            held.tail.keep_older(read, known_from, short.was)?;
        }
        Ok(rows.split_off(rows.len().saturating_sub(count)))
    }
}
