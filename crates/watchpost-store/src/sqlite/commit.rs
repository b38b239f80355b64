//! Commits: results to the log, and what changed to its tables.

use std::collections::BTreeMap;

use sqlx::{QueryBuilder, SqliteConnection};
use watchpost_core::backfill::Backfilled;
use watchpost_core::uptime::Interval;
use watchpost_core::{Change, CheckResult, ClosedWhy, Incident, IncidentId, MonitorKey, Shown, State, Timestamp};
use watchpost_wire::stored::{encode_batch, reason_to_text, state_to_text};

use super::index::{Index, read_block};
use super::writer::{Survives, Writer};
use super::{Shared, backend};
use crate::rules::{SET_BACK_MAX, hour_of, identity, merge, replaces};
use crate::{Commit, Entry, StoreError};

/// Rows of one INSERT: its parameters stay far below SQLite's limit of 32,766.
pub(super) const ROWS_PER_INSERT: usize = 500;

/// The results of a batch that are news, by hour, as they go to the log.
#[derive(Debug, Default)]
pub(super) struct News {
    hours: BTreeMap<i64, Vec<CheckResult>>,
    /// The log's rows: number, hour, bytes.
    log: Vec<(i64, i64, Vec<u8>)>,
    /// By hour: how many will take the place of a result in a block.
    overlaps: BTreeMap<i64, u64>,
}

impl Writer {
    /// Makes a batch durable.
    pub(super) async fn commit(&mut self, batch: Commit) -> Result<(), StoreError> {
        let news = self.news(&batch.entries).await?;
        let survives = if batch.has_changes() { Survives::PowerLoss } else { Survives::Kill };
        if survives == Survives::Kill && news.log.is_empty() {
            return Ok(());
        }
        let known: Vec<&Entry> = known_entries(&self.shared.index(), &batch.entries);
        let connection = self.begin(survives).await?;
        let written = write_entries(connection, &known, &news).await;
        self.end(written).await?;
        take_in(&self.shared, &batch.entries, news);
        Ok(())
    }

    /// Sorts out what is known already.
    pub(super) async fn news(&mut self, entries: &[Entry]) -> Result<News, StoreError> {
        let by_monitor = unseen(&self.shared.index(), entries)?;
        let mut news = News::default();
        for (monitor, rows) in by_monitor {
            for row in rows {
                let hour = hour_of(row.tick.scheduled_at);
                let compacted = self.shared.index().blocks.contains_key(&hour);
                if compacted {
                    let block = read_block(self.connection().await?, hour, monitor).await?;
                    match block.iter().find(|old| identity(old) == identity(&row)) {
                        Some(old) if !replaces(&row, old) => continue,
                        Some(_) => *news.overlaps.entry(hour).or_default() += 1,
                        None => {}
                    }
                }
                news.hours.entry(hour).or_default().push(row);
            }
        }
        let first_seq = self.shared.index().next_seq;
        for (seq, (hour, rows)) in (first_seq..).zip(&news.hours) {
            news.log.push((seq, *hour, encode_batch(rows)));
        }
        Ok(news)
    }
}

/// The results that the log does not have yet, each tick once.
fn unseen(index: &Index, entries: &[Entry]) -> Result<BTreeMap<MonitorKey, Vec<CheckResult>>, StoreError> {
    let mut by_monitor: BTreeMap<MonitorKey, Vec<CheckResult>> = BTreeMap::new();
    for entry in entries {
        let Some(held) = index.monitors.get(&entry.monitor) else {
            tracing::warn!(monitor = entry.monitor.0, "a commit for a monitor that does not exist was dropped");
            continue;
        };
        for result in &entry.results {
            if held.tail.would_change(result)? {
                let mut result = result.clone();
                result.tick.monitor = entry.monitor;
                merge(by_monitor.entry(entry.monitor).or_default(), result);
            }
        }
    }
    Ok(by_monitor)
}

/// The entries of monitors that exist.
pub(super) fn known_entries<'a>(index: &Index, entries: &'a [Entry]) -> Vec<&'a Entry> {
    entries.iter().filter(|entry| index.monitors.contains_key(&entry.monitor)).collect()
}

/// Writes entries within a transaction.
pub(super) async fn write_entries(
    connection: &mut SqliteConnection,
    entries: &[&Entry],
    news: &News,
) -> Result<(), StoreError> {
    for (seq, hour, rows) in &news.log {
        sqlx::query("INSERT INTO results_log (seq, hour, rows) VALUES (?1, ?2, ?3)")
            .bind(seq)
            .bind(hour)
            .bind(rows.as_slice())
            .execute(&mut *connection)
            .await
            .map_err(backend)?;
    }
    let states: BTreeMap<MonitorKey, (&State, Option<Timestamp>)> =
        entries.iter().filter_map(|e| e.state.as_ref().map(|state| (e.monitor, (state, e.wake)))).collect();
    write_states(connection, states.into_iter().map(|(key, (state, wake))| (key, state, wake)).collect()).await?;
    for entry in entries {
        if let Some(backfilled) = &entry.backfilled {
            write_backfilled(connection, entry.monitor, backfilled).await?;
        }
        for change in &entry.changes {
            write_change(connection, entry.monitor, change).await?;
        }
    }
    Ok(())
}

/// Writes states with their wakes.
pub(super) async fn write_states(
    connection: &mut SqliteConnection,
    states: Vec<(MonitorKey, &State, Option<Timestamp>)>,
) -> Result<(), StoreError> {
    for some in states.chunks(ROWS_PER_INSERT) {
        let mut insert = QueryBuilder::new("INSERT INTO states (monitor, state, wake_at) ");
        insert.push_values(some, |mut row, (key, state, wake)| {
            row.push_bind(i64::from(key.0)).push_bind(state_to_text(state)).push_bind(wake.map(Timestamp::as_millis));
        });
        insert.push(" ON CONFLICT (monitor) DO UPDATE SET state = excluded.state, wake_at = excluded.wake_at");
        insert.build().execute(&mut *connection).await.map_err(backend)?;
    }
    Ok(())
}

async fn write_backfilled(
    connection: &mut SqliteConnection,
    monitor: MonitorKey,
    backfilled: &Backfilled,
) -> Result<(), StoreError> {
    if let Some(last) = backfilled.intervals.last() {
        write_backfilled_intervals(connection, monitor, &backfilled.intervals, *last).await?;
    }
    for incident in &backfilled.incidents {
        write_incident(connection, incident).await?;
    }
    Ok(())
}

/// What begins before the last of these is replaced; the last itself, and all after it, is the state machine's.
async fn write_backfilled_intervals(
    connection: &mut SqliteConnection,
    monitor: MonitorKey,
    intervals: &[Interval],
    last: Interval,
) -> Result<(), StoreError> {
    let statements = [
        "DELETE FROM intervals WHERE monitor = ?1 AND from_at < ?2",
        "INSERT OR IGNORE INTO intervals (monitor, from_at, shown) VALUES (?1, ?2, ?3)",
    ];
    for sql in statements {
        sqlx::query(sql)
            .bind(i64::from(monitor.0))
            .bind(last.from.as_millis())
            .bind(last.shown.as_str())
            .execute(&mut *connection)
            .await
            .map_err(backend)?;
    }
    for interval in intervals.iter().filter(|i| i.from < last.from) {
        write_interval(connection, monitor, interval.shown, interval.from).await?;
    }
    Ok(())
}

async fn write_change(
    connection: &mut SqliteConnection,
    monitor: MonitorKey,
    change: &Change,
) -> Result<(), StoreError> {
    match change {
        Change::Shown { to, since, .. } => {
            cut_intervals(connection, monitor, *since).await?;
            write_interval(connection, monitor, *to, *since).await
        }
        Change::WentDown { incident, since, at, reason } => {
            let incident = Incident {
                id: *incident,
                monitor,
                since: *since,
                opened_at: *at,
                reason: reason.clone(),
                closed: None,
            };
            write_incident(connection, &incident).await
        }
        Change::Recovered { incident, at, .. } => close(connection, *incident, *at, ClosedWhy::Recovered).await,
        Change::Closed { incident, at, why } => close(connection, *incident, *at, *why).await,
        Change::CannotTell { .. } => Ok(()),
    }
}

/// Removes the intervals that begin at or after `since`, within [`SET_BACK_MAX`].
pub(super) async fn cut_intervals(
    connection: &mut SqliteConnection,
    monitor: MonitorKey,
    since: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM intervals WHERE monitor = ?1 AND from_at >= ?2 AND from_at < ?3")
        .bind(i64::from(monitor.0))
        .bind(since.as_millis())
        .bind((since + SET_BACK_MAX).as_millis())
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(backend)
}

/// Adds an interval; one that began at the same time is replaced.
pub(super) async fn write_interval(
    connection: &mut SqliteConnection,
    monitor: MonitorKey,
    shown: Shown,
    from: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO intervals (monitor, from_at, shown) VALUES (?1, ?2, ?3)")
        .bind(i64::from(monitor.0))
        .bind(from.as_millis())
        .bind(shown.as_str())
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(backend)
}

/// Adds an incident; one that is there stays as it is, for it may have been closed meanwhile.
async fn write_incident(connection: &mut SqliteConnection, incident: &Incident) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO incidents (id, monitor, since, opened_at, reason, closed_at, closed_why)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
    )
    .bind(incident.id.number().cast_signed())
    .bind(i64::from(incident.monitor.0))
    .bind(incident.since.as_millis())
    .bind(incident.opened_at.as_millis())
    .bind(reason_to_text(&incident.reason))
    .bind(incident.closed.map(|(at, _)| at.as_millis()))
    .bind(incident.closed.map(|(_, why)| why.as_str()))
    .execute(connection)
    .await
    .map(|_| ())
    .map_err(backend)
}

/// Closes an incident. None ends before it began, also when the clock was set back meanwhile.
async fn close(
    connection: &mut SqliteConnection,
    incident: IncidentId,
    at: Timestamp,
    why: ClosedWhy,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE incidents SET closed_at = ?2, closed_why = ?3, since = min(since, ?2), opened_at = min(opened_at, ?2)
         WHERE id = ?1 AND closed_at IS NULL",
    )
    .bind(incident.number().cast_signed())
    .bind(at.as_millis())
    .bind(why.as_str())
    .execute(connection)
    .await
    .map(|_| ())
    .map_err(backend)
}

/// Brings memory up to what is durable now.
pub(super) fn take_in(shared: &Shared, entries: &[Entry], news: News) {
    let mut index = shared.index_mut();
    for row in news.hours.values().flatten() {
        if let Err(error) = index.add_result(row) {
            // The log has it: the next start will read it from there.
            tracing::error!(%error, monitor = row.tick.monitor.0, "cannot keep a result in memory");
        }
    }
    for (seq, hour, _) in news.log {
        index.logged(hour, seq);
    }
    for (hour, count) in news.overlaps {
        *index.overlaps.entry(hour).or_default() += count;
    }
    for entry in entries {
        let Some(held) = index.monitors.get_mut(&entry.monitor) else { continue };
        held.newest = held.newest.max(entry.results.iter().map(|r| r.tick.scheduled_at).max());
        if let Some(state) = &entry.state {
            held.state = state.clone();
        }
    }
}
