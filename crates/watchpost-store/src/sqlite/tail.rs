//! The newest results of one monitor, in memory.
//!
//! What is still in the log is here as a whole: sealed runs of rows coded as blocks, and a strip that is appended to.
//! Beside it lie, when somebody asked for them, the newest results that are in blocks already ([`Tail::recent`]).

use std::sync::Arc;

use watchpost_core::{CheckResult, MonitorKey};
use watchpost_wire::stored::{Strip, decode_block, encode_block};

use super::unreadable;
use crate::StoreError;
use crate::rules::{hour_begin, hour_of, identity, merge, replaces};

/// A strip is sealed at this many rows: a block of them takes about half the space.
const SEALED_ROWS: usize = 32;

type Rows = Result<Vec<CheckResult>, StoreError>;

/// Rows of one monitor and hour, coded.
#[derive(Clone, Debug)]
struct Run {
    hour: i64,
    first: i64,
    last: i64,
    count: u32,
    bytes: Arc<[u8]>,
}

impl Run {
    /// `rows` are in order and not empty; none is made of nothing.
    fn of(rows: &[CheckResult]) -> Option<Run> {
        let (first, last) = (rows.first()?, rows.last()?);
        Some(Run {
            hour: hour_of(first.tick.scheduled_at),
            first: first.tick.scheduled_at.as_millis(),
            last: last.tick.scheduled_at.as_millis(),
            count: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            bytes: encode_block(rows).into(),
        })
    }

    fn rows(&self, monitor: MonitorKey) -> Rows {
        decode_block(monitor, &self.bytes).map_err(unreadable)
    }
}

/// The newest results of one monitor. See the module.
#[derive(Debug)]
pub(super) struct Tail {
    monitor: MonitorKey,
    /// In order of time; a run never reaches beyond an hour.
    sealed: Vec<Run>,
    /// The newest rows, all of one hour.
    open: Strip,
    open_hour: i64,
    /// Newest due time that was ever put in: later ones need no looking up.
    newest: Option<i64>,
    /// Newest results that are in blocks; may span hours.
    older: Option<Run>,
    /// Every result due at or after this, in milliseconds, is in here.
    known_from: i64,
}

impl Tail {
    /// Of a monitor whose newest block is of this hour, if it has any.
    pub(super) fn new(monitor: MonitorKey, newest_block: Option<i64>) -> Tail {
        let known_from = newest_block.map_or(i64::MIN, |hour| hour_begin(hour + 1).as_millis());
        Tail {
            monitor,
            sealed: Vec::new(),
            open: Strip::default(),
            open_hour: 0,
            newest: None,
            older: None,
            known_from,
        }
    }

    /// Rows that are still in the log.
    pub(super) fn len(&self) -> usize {
        self.sealed.iter().map(|run| run.count as usize).sum::<usize>() + self.open.len()
    }

    pub(super) fn known_from(&self) -> i64 {
        self.known_from
    }

    pub(super) fn has_hour(&self, hour: i64) -> bool {
        (self.open_hour == hour && !self.open.is_empty()) || self.sealed.iter().any(|run| run.hour == hour)
    }

    /// The latest due time in an hour; `None` without rows in it.
    pub(super) fn latest_in(&self, hour: i64) -> Option<i64> {
        if self.open_hour == hour && !self.open.is_empty() {
            return self.newest;
        }
        self.sealed.iter().rev().find(|run| run.hour == hour).map(|run| run.last)
    }

    /// Putting this in would change something.
    pub(super) fn would_change(&self, row: &CheckResult) -> Result<bool, StoreError> {
        if self.newest.is_none_or(|newest| newest < row.tick.scheduled_at.as_millis()) {
            return Ok(true);
        }
        let rows = self.rows_in(hour_of(row.tick.scheduled_at))?;
        Ok(match rows.binary_search_by(|old| identity(old).cmp(&identity(row))) {
            Ok(place) => replaces(row, &rows[place]),
            Err(_) => true,
        })
    }

    /// Puts a result in its place. Appending is cheap, anything else decodes the hour.
    pub(super) fn insert(&mut self, row: &CheckResult) -> Result<(), StoreError> {
        let (hour, due) = (hour_of(row.tick.scheduled_at), row.tick.scheduled_at.as_millis());
        if self.newest.is_none_or(|newest| newest < due) {
            if self.open.len() >= SEALED_ROWS || (self.open_hour != hour && !self.open.is_empty()) {
                self.seal()?;
            }
            self.open.push(row);
            self.open_hour = hour;
            self.newest = Some(due);
            return Ok(());
        }
        let mut rows = self.rows_in(hour)?;
        if merge(&mut rows, row.clone()) {
            self.remove_hour(hour);
            self.put_sealed(&rows);
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        let rows = self.open.rows(self.monitor).map_err(unreadable)?;
        self.open = Strip::default();
        self.put_sealed(&rows);
        Ok(())
    }

    fn put_sealed(&mut self, rows: &[CheckResult]) {
        for run in rows.chunks(SEALED_ROWS).filter_map(Run::of) {
            let place = self.sealed.partition_point(|other| (other.hour, other.first) <= (run.hour, run.first));
            self.sealed.insert(place, run);
        }
    }

    fn remove_hour(&mut self, hour: i64) {
        self.sealed.retain(|run| run.hour != hour);
        if self.open_hour == hour {
            self.open = Strip::default();
        }
    }

    /// The rows of an hour that are in the log, in order.
    pub(super) fn rows_in(&self, hour: i64) -> Rows {
        self.rows_between(hour, hour)
    }

    /// The rows of the hours from `first` to `last` that are in the log, in order.
    pub(super) fn rows_between(&self, first: i64, last: i64) -> Rows {
        let mut rows = Vec::new();
        for run in self.sealed.iter().filter(|run| (first..=last).contains(&run.hour)) {
            rows.append(&mut run.rows(self.monitor)?);
        }
        if !self.open.is_empty() && (first..=last).contains(&self.open_hour) {
            rows.append(&mut self.open.rows(self.monitor).map_err(unreadable)?);
        }
        // Late rows are sealed at once, so the open ones are the newest: in order, but for an hour that comes late.
        rows.sort_by(|a, b| identity(a).cmp(&identity(b)));
        Ok(rows)
    }

    /// The newest `count` results, oldest first, and whether these are all there is to say: when not, there may be more
    /// in blocks.
    pub(super) fn recent(&self, count: usize) -> Result<(Vec<CheckResult>, bool), StoreError> {
        let mut rows = self.open.rows(self.monitor).map_err(unreadable)?;
        let enough = |rows: &[CheckResult], last: i64| {
            rows.len() >= count && rows.iter().all(|row| row.tick.scheduled_at.as_millis() > last)
        };
        for run in self.sealed.iter().rev() {
            if enough(&rows, run.last) {
                break;
            }
            rows.append(&mut run.rows(self.monitor)?);
        }
        if let Some(older) = self.older.as_ref().filter(|older| !enough(&rows, older.last)) {
            rows.append(&mut older.rows(self.monitor)?);
        }
        let mut rows = in_order(rows);
        rows.retain(|row| row.tick.scheduled_at.as_millis() >= self.known_from);
        let complete = rows.len() >= count || self.known_from == i64::MIN;
        // What is split off has no spare capacity: there may be one of these for each of many monitors.
        Ok((rows.split_off(rows.len().saturating_sub(count)), complete))
    }

    /// Keeps results that were read from blocks, so that they need not be read again: with them, everything due at or
    /// after `known_from` is known. Does nothing when a compaction or another reader was faster.
    pub(super) fn keep_older(
        &mut self,
        mut rows: Vec<CheckResult>,
        known_from: i64,
        was: i64,
    ) -> Result<(), StoreError> {
        if self.known_from != was {
            return Ok(());
        }
        self.known_from = known_from;
        if let Some(older) = &self.older {
            rows.append(&mut older.rows(self.monitor)?);
        }
        self.older = Run::of(&in_order(rows));
        Ok(())
    }

    /// An hour has become a block of these rows. As many of them stay known as were before, one at least.
    pub(super) fn compacted(&mut self, hour: i64, block: &[CheckResult]) -> Result<(), StoreError> {
        self.remove_hour(hour);
        let mut rows = match &self.older {
            Some(older) => older.rows(self.monitor)?,
            None => Vec::new(),
        };
        let keep = rows.len().max(1);
        rows.extend(block.iter().filter(|row| row.tick.scheduled_at.as_millis() >= self.known_from).cloned());
        let mut rows = in_order(rows);
        if rows.len() > keep {
            // Not between two regions of one tick: what is known is known from a time on.
            let cut = rows[rows.len() - keep].tick.scheduled_at;
            rows.retain(|row| row.tick.scheduled_at >= cut);
            self.known_from = self.known_from.max(cut.as_millis());
        }
        self.older = Run::of(&rows);
        Ok(())
    }

    /// There are no blocks any more of hours before `first`.
    pub(super) fn pruned(&mut self, first: i64) -> Result<(), StoreError> {
        let begin = hour_begin(first).as_millis();
        if self.known_from <= begin {
            self.known_from = i64::MIN;
        }
        if let Some(older) = self.older.take() {
            let mut rows = older.rows(self.monitor)?;
            rows.retain(|row| row.tick.scheduled_at.as_millis() >= begin);
            self.older = Run::of(&rows);
        }
        Ok(())
    }
}

/// Sorts rows of one monitor; of those of one tick the one that counts is kept.
pub(super) fn in_order(mut rows: Vec<CheckResult>) -> Vec<CheckResult> {
    let in_order = rows.windows(2).all(|two| identity(&two[0]) < identity(&two[1]));
    if in_order {
        return rows;
    }
    rows.sort_by(|a, b| identity(a).cmp(&identity(b)).then(a.is_placeholder().cmp(&b.is_placeholder())));
    rows.dedup_by(|b, a| identity(a) == identity(b));
    rows
}

#[cfg(test)]
mod tests;
