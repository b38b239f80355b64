//! What is in memory beside the file: definitions, states, the results that are still in the log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures_util::TryStreamExt;
use sqlx::{Row, SqliteConnection};
use watchpost_core::{CheckResult, Monitor, MonitorId, MonitorKey, Shown, State, Timestamp};
use watchpost_wire::stored::{decode_batch, decode_block, state_from_text};

use super::tail::Tail;
use super::{backend, block_id, key_from, unreadable};
use crate::StoreError;
use crate::rules::identity;

/// One monitor in memory.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) removed: bool,
    /// Known once this process has said what it wants.
    pub(super) definition: Option<Arc<Monitor>>,
    pub(super) state: State,
    /// The newest tick of its results.
    pub(super) newest: Option<Timestamp>,
    pub(super) tail: Tail,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) monitors: BTreeMap<MonitorKey, Held>,
    /// Those that are defined, in their order.
    pub(super) order: Vec<MonitorKey>,
    pub(super) by_id: HashMap<MonitorId, MonitorKey>,
    /// The log's rows by hour.
    pub(super) log: BTreeMap<i64, Vec<i64>>,
    /// Above all numbers the log has given out since the file was opened: none is used twice.
    pub(super) next_seq: i64,
    /// The hours that have blocks, and the results in them.
    pub(super) blocks: BTreeMap<i64, u64>,
    /// By hour: results in the log that are to take the place of one in a block.
    pub(super) overlaps: BTreeMap<i64, u64>,
}

impl Index {
    /// Reads everything that is kept in memory.
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Index, StoreError> {
        let mut index = Index { next_seq: 1, ..Index::default() };
        index.load_monitors(connection).await?;
        index.load_hours(connection).await?;
        index.load_log(connection).await?;
        index.load_overlaps(connection).await?;
        Ok(index)
    }

    async fn load_monitors(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let mut rows = sqlx::query(
            "SELECT m.key, m.removed_at IS NOT NULL, s.state, s.last_tick, s.newest_hour
             FROM monitors m JOIN states s ON s.monitor = m.key ORDER BY m.key",
        )
        .fetch(connection);
        let mut monitors = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(backend)? {
            let key = key_from(row.get(0))?;
            let newest: Option<i64> = row.get(3);
            let held = Held {
                removed: row.get(1),
                definition: None,
                state: state_from_text(row.get(2)).map_err(unreadable)?,
                newest: newest.map(Timestamp::from_millis),
                tail: Tail::new(key, row.get(4)),
            };
            monitors.push((key, held));
        }
        // Built at once its nodes are full; one by one would leave half of each empty.
        self.monitors = monitors.into_iter().collect();
        Ok(())
    }

    async fn load_hours(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let hours: Vec<(i64, i64)> = sqlx::query_as("SELECT hour, results FROM hours WHERE blocks > 0")
            .fetch_all(connection)
            .await
            .map_err(backend)?;
        self.blocks = hours.into_iter().map(|(hour, results)| (hour, u64::try_from(results).unwrap_or(0))).collect();
        Ok(())
    }

    async fn load_log(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let mut rows = sqlx::query("SELECT seq, hour, rows FROM results_log ORDER BY seq").fetch(connection);
        while let Some(row) = rows.try_next().await.map_err(backend)? {
            let (seq, hour): (i64, i64) = (row.get(0), row.get(1));
            for result in decode_batch(row.get(2)).map_err(|e| damaged_row(seq, unreadable(e)))? {
                self.add_result(&result)?;
            }
            self.logged(hour, seq);
        }
        Ok(())
    }

    /// After a crash amid a compaction the log has results that are in blocks already.
    async fn load_overlaps(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let both: Vec<i64> = self.log.keys().filter(|hour| self.blocks.contains_key(hour)).copied().collect();
        for hour in both {
            let mut count = 0;
            for (key, held) in self.monitors.iter().filter(|(_, held)| held.tail.has_hour(hour)) {
                let block = read_block(connection, hour, *key).await?;
                let twice = |row: &&CheckResult| block.iter().any(|other| identity(other) == identity(row));
                count += held.tail.rows_in(hour)?.iter().filter(twice).count() as u64;
            }
            self.overlaps.insert(hour, count);
        }
        Ok(())
    }

    /// Takes in a result that has been written to the log.
    pub(super) fn add_result(&mut self, result: &CheckResult) -> Result<(), StoreError> {
        let Some(held) = self.monitors.get_mut(&result.tick.monitor) else { return Ok(()) };
        held.newest = held.newest.max(Some(result.tick.scheduled_at));
        held.tail.insert(result)
    }

    /// Takes in that the log has a row of this hour.
    pub(super) fn logged(&mut self, hour: i64, seq: i64) {
        self.log.entry(hour).or_default().push(seq);
        self.next_seq = self.next_seq.max(seq + 1);
    }

    /// Results kept, in blocks and in the log.
    pub(super) fn results(&self) -> u64 {
        let in_blocks: u64 = self.blocks.values().sum();
        let in_log: u64 = self.monitors.values().map(|held| held.tail.len() as u64).sum();
        (in_blocks + in_log).saturating_sub(self.overlaps.values().sum())
    }

    /// Monitors by what is shown of them.
    pub(super) fn shown(&self) -> [u64; Shown::ALL.len()] {
        let mut counts = [0; Shown::ALL.len()];
        for held in self.monitors.values().filter(|held| !held.removed) {
            let shown = held.state.shown();
            let places = Shown::ALL.iter().zip(counts.iter_mut());
            places.filter(|(state, _)| **state == shown).for_each(|(_, count)| *count += 1);
        }
        counts
    }

    /// The monitors asked for: these, or all that are not removed.
    pub(super) fn asked(&self, monitors: Option<Vec<MonitorKey>>) -> Vec<MonitorKey> {
        match monitors {
            None => self.monitors.iter().filter(|(_, held)| !held.removed).map(|(key, _)| *key).collect(),
            Some(keys) => keys.into_iter().filter(|key| self.monitors.contains_key(key)).collect(),
        }
    }
}

/// Names the row of the log, which is all that is lost when it is taken out.
fn damaged_row(seq: i64, error: StoreError) -> StoreError {
    match error {
        StoreError::Damaged(what) => StoreError::Damaged(format!(
            "row {seq} of results_log: {what} (`DELETE FROM results_log WHERE seq = {seq}`, in sqlite3, takes it out: \
             the results of one moment are lost)"
        )),
        other => other,
    }
}

/// The block of a monitor and hour; no rows when there is none.
pub(super) async fn read_block(
    connection: &mut SqliteConnection,
    hour: i64,
    monitor: MonitorKey,
) -> Result<Vec<CheckResult>, StoreError> {
    let data: Option<Vec<u8>> = sqlx::query_scalar("SELECT data FROM blocks WHERE id = ?1")
        .bind(block_id(hour, monitor))
        .fetch_optional(connection)
        .await
        .map_err(backend)?;
    data.map_or(Ok(Vec::new()), |data| decode_block(monitor, &data).map_err(unreadable))
}
