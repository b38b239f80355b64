//! Compaction: the log of a closed hour becomes a block per monitor, beside its counts.
//!
//! It goes on in slices of monitors, each a transaction of its own, so that commits get their turn in between. The log's
//! rows go last. A crash at any point leaves results that are both in a block and in the log: they are the same results,
//! views count them once, and the next compaction finds nothing new in them.

use std::collections::BTreeMap;

use sqlx::{QueryBuilder, Row, SqliteConnection};
use watchpost_core::uptime::Counts;
use watchpost_core::{CheckResult, MonitorKey, Timestamp};
use watchpost_wire::stored::{decode_block, encode_block};

use super::index::Index;
use super::writer::{Survives, Writer};
use super::{SqliteStore, backend, block_id, block_monitor, unreadable};
use crate::rules::{hours_ended_by, merge};
use crate::{Compacted, StoreError};

/// Monitors of one transaction: with 60 results each, some 10 ms of work.
const MONITORS_PER_SLICE: usize = 256;
/// Rows of the log deleted in one transaction; each may be long, and its pages are freed one by one.
const LOG_ROWS_PER_SLICE: usize = 64;

/// What a monitor's hour comes to.
struct Closed {
    monitor: MonitorKey,
    rows: Vec<CheckResult>,
    /// What the block gains over the one that was there.
    gained: Gained,
    newest: Timestamp,
}

#[derive(Clone, Copy, Default)]
struct Gained {
    blocks: i64,
    results: i64,
    counts: [i64; 4],
}

impl SqliteStore {
    /// Compacts the hours that end at or before `before`. The caller sees to it that only one does so.
    pub(super) async fn compact_hours(&self, before: Timestamp) -> Result<Compacted, StoreError> {
        let mut done = Compacted::default();
        let until = hours_ended_by(before);
        let hours: Vec<i64> = self.shared.index().log.range(..until).map(|(hour, _)| *hour).collect();
        for hour in hours {
            let (log, monitors) = hour_in_memory(&self.shared.index(), hour);
            for slice in monitors.chunks(MONITORS_PER_SLICE) {
                let slice = slice.to_vec();
                let (blocks, results) = self.write(move |writer| Box::pin(writer.close_hour(hour, slice))).await?;
                done.blocks += blocks;
                done.results += results;
            }
            for slice in log.chunks(LOG_ROWS_PER_SLICE) {
                let slice = slice.to_vec();
                self.write(move |writer| Box::pin(writer.forget_log(hour, slice))).await?;
            }
            done.hours += 1;
        }
        Ok(done)
    }
}

/// The log's rows of an hour, and the monitors that have results in them. What comes later is for the next compaction.
fn hour_in_memory(index: &Index, hour: i64) -> (Vec<i64>, Vec<MonitorKey>) {
    let log = index.log.get(&hour).cloned().unwrap_or_default();
    let monitors = index.monitors.iter().filter(|(_, held)| held.tail.has_hour(hour)).map(|(key, _)| *key);
    (log, monitors.collect())
}

impl Writer {
    /// Writes the blocks and counts of some monitors' hour.
    async fn close_hour(&mut self, hour: i64, monitors: Vec<MonitorKey>) -> Result<(u32, u64), StoreError> {
        let mut open = Vec::new();
        {
            let index = self.shared.index();
            for monitor in monitors {
                if let Some(held) = index.monitors.get(&monitor).filter(|held| held.tail.has_hour(hour)) {
                    open.push((monitor, held.tail.rows_in(hour)?));
                }
            }
        }
        let Some((first, last)) = open.first().zip(open.last()).map(|(a, b)| (a.0, b.0)) else { return Ok((0, 0)) };
        let connection = self.begin(Survives::Kill).await?;
        let written = match read_blocks(connection, hour, first, last).await {
            Ok(blocks) => match closed_hours(open, &blocks) {
                Ok(closed) => write_closed(connection, hour, &closed).await.map(|()| closed),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        let closed = self.end(written).await?;
        let results = closed.iter().map(|c| c.gained.results).sum::<i64>();
        let mut index = self.shared.index_mut();
        let in_blocks = index.blocks.entry(hour).or_default();
        *in_blocks = in_blocks.saturating_add_signed(results);
        for done in &closed {
            if let Some(held) = index.monitors.get_mut(&done.monitor) {
                held.tail.compacted(hour, &done.rows)?;
            }
        }
        Ok((u32::try_from(closed.len()).unwrap_or(u32::MAX), u64::try_from(results).unwrap_or(0)))
    }

    /// Deletes rows of the log whose results are all in blocks.
    async fn forget_log(&mut self, hour: i64, log: Vec<i64>) -> Result<(), StoreError> {
        let connection = self.begin(Survives::Kill).await?;
        let numbers: Vec<String> = log.iter().map(i64::to_string).collect();
        let deleted = sqlx::query("DELETE FROM results_log WHERE seq IN (SELECT value FROM json_each(?1))")
            .bind(format!("[{}]", numbers.join(",")))
            .execute(connection)
            .await
            .map(|_| ())
            .map_err(backend);
        self.end(deleted).await?;
        let mut index = self.shared.index_mut();
        if let Some(left) = index.log.get_mut(&hour) {
            left.retain(|seq| !log.contains(seq));
            if left.is_empty() {
                index.log.remove(&hour);
                index.overlaps.remove(&hour);
            }
        }
        Ok(())
    }
}

/// The blocks that are there already, because results came late or a compaction was cut short.
async fn read_blocks(
    connection: &mut SqliteConnection,
    hour: i64,
    first: MonitorKey,
    last: MonitorKey,
) -> Result<BTreeMap<MonitorKey, Vec<CheckResult>>, StoreError> {
    let rows = sqlx::query("SELECT id, data FROM blocks WHERE id BETWEEN ?1 AND ?2")
        .bind(block_id(hour, first))
        .bind(block_id(hour, last))
        .fetch_all(connection)
        .await
        .map_err(backend)?;
    let block = |row: &sqlx::sqlite::SqliteRow| {
        let monitor = block_monitor(row.get(0));
        decode_block(monitor, row.get(1)).map(|rows| (monitor, rows)).map_err(unreadable)
    };
    rows.iter().map(block).collect()
}

fn closed_hours(
    open: Vec<(MonitorKey, Vec<CheckResult>)>,
    blocks: &BTreeMap<MonitorKey, Vec<CheckResult>>,
) -> Result<Vec<Closed>, StoreError> {
    let mut closed = Vec::with_capacity(open.len());
    for (monitor, new) in open {
        let before = blocks.get(&monitor).map_or(&[][..], Vec::as_slice);
        let mut rows = before.to_vec();
        for row in new {
            merge(&mut rows, row);
        }
        let Some(newest) = rows.last().map(|row| row.tick.scheduled_at) else { continue };
        let (was, is) = (by_verdict(before), by_verdict(&rows));
        let gained = Gained {
            blocks: i64::from(before.is_empty()),
            results: signed(rows.len()) - signed(before.len()),
            counts: std::array::from_fn(|n| is[n] - was[n]),
        };
        closed.push(Closed { monitor, rows, gained, newest });
    }
    Ok(closed)
}

fn signed(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// Counts in the order of the table's columns.
fn by_verdict(rows: &[CheckResult]) -> [i64; 4] {
    let mut counts = Counts::default();
    for row in rows {
        counts.add(&row.verdict, row.ticks);
    }
    [counts.pass, counts.degraded, counts.fail, counts.inconclusive].map(|n| i64::try_from(n).unwrap_or(i64::MAX))
}

async fn write_closed(connection: &mut SqliteConnection, hour: i64, closed: &[Closed]) -> Result<(), StoreError> {
    let mut insert = QueryBuilder::new("INSERT INTO blocks (id, count, last, data) ");
    insert.push_values(closed, |mut row, c| {
        row.push_bind(block_id(hour, c.monitor)).push_bind(signed(c.rows.len()));
        row.push_bind(c.newest.as_millis()).push_bind(encode_block(&c.rows));
    });
    insert.push(" ON CONFLICT (id) DO UPDATE SET count = excluded.count, last = excluded.last, data = excluded.data");
    insert.build().execute(&mut *connection).await.map_err(backend)?;
    // What the block gains is added: the counts may be of results whose block was pruned.
    let mut insert = QueryBuilder::new("INSERT INTO counts (id, pass, degraded, fail, inconclusive) ");
    insert.push_values(closed, |mut row, c| {
        row.push_bind(block_id(hour, c.monitor));
        for count in c.gained.counts {
            row.push_bind(count);
        }
    });
    insert.push(
        " ON CONFLICT (id) DO UPDATE SET pass = pass + excluded.pass, degraded = degraded + excluded.degraded,
          fail = fail + excluded.fail, inconclusive = inconclusive + excluded.inconclusive",
    );
    insert.build().execute(&mut *connection).await.map_err(backend)?;
    sqlx::query(
        "INSERT INTO hours (hour, blocks, results) VALUES (?1, ?2, ?3) ON CONFLICT (hour)
         DO UPDATE SET blocks = blocks + excluded.blocks, results = results + excluded.results",
    )
    .bind(hour)
    .bind(closed.iter().map(|c| c.gained.blocks).sum::<i64>())
    .bind(closed.iter().map(|c| c.gained.results).sum::<i64>())
    .execute(&mut *connection)
    .await
    .map_err(backend)?;
    write_newest(connection, hour, closed).await
}

/// The log is about to forget the newest ticks: the states remember them.
async fn write_newest(connection: &mut SqliteConnection, hour: i64, closed: &[Closed]) -> Result<(), StoreError> {
    let pairs: Vec<String> = closed.iter().map(|c| format!("[{},{}]", c.monitor.0, c.newest.as_millis())).collect();
    sqlx::query(
        "UPDATE states SET last_tick = max(ifnull(last_tick, new.tick), new.tick),
                           newest_hour = max(ifnull(newest_hour, ?2), ?2)
         FROM (SELECT value ->> 0 AS monitor, value ->> 1 AS tick FROM json_each(?1)) AS new
         WHERE states.monitor = new.monitor",
    )
    .bind(format!("[{}]", pairs.join(",")))
    .bind(hour)
    .execute(connection)
    .await
    .map(|_| ())
    .map_err(backend)
}
