//! What every store does alike: which result wins, which key a monitor gets, how pages are cut. All pure.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use watchpost_core::{CheckResult, MonitorKey, Region, State, Timestamp};

use crate::types::{PAGE_MAX, Redefine, ResultCursor, ResultPage, ResultQuery, VerdictKind};

const HOUR_MS: i64 = 3_600_000;

/// The number of the hour that a time lies in, counted from 1970. Times that no clock shows are put at the far ends.
pub(crate) fn hour_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(HOUR_MS).clamp(i64::from(i32::MIN), i64::from(i32::MAX))
}

/// The first millisecond of an hour.
pub(crate) fn hour_begin(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour.saturating_mul(HOUR_MS))
}

/// The hours that end at or before this time are those below the answer.
pub(crate) fn hours_ended_by(at: Timestamp) -> i64 {
    hour_of(at)
}

/// What tells the results of one monitor apart, in their order.
pub(crate) fn identity(row: &CheckResult) -> (Timestamp, &Region) {
    (row.tick.scheduled_at, &row.tick.region)
}

/// A measured result takes the place of a placeholder of its tick; nothing else replaces anything.
pub(crate) fn replaces(new: &CheckResult, old: &CheckResult) -> bool {
    old.is_placeholder() && !new.is_placeholder()
}

/// Intervals that begin so long after a new one are not of a time that the clock was set back from but of another age:
/// a machine that starts in 1970 must not wipe out what is known of all years since.
pub(crate) const SET_BACK_MAX: Duration = Duration::from_hours(48);

/// Puts a result of one monitor in its place among others, which are in order. False: it changed nothing.
pub(crate) fn merge(rows: &mut Vec<CheckResult>, new: CheckResult) -> bool {
    if rows.last().is_none_or(|last| identity(last) < identity(&new)) {
        rows.push(new);
        return true;
    }
    match rows.binary_search_by(|row| identity(row).cmp(&identity(&new))) {
        Ok(place) if replaces(&new, &rows[place]) => {
            rows[place] = new;
            true
        }
        Ok(_) => false,
        Err(place) => {
            rows.insert(place, new);
            true
        }
    }
}

/// The state with the newest tick that is known of.
pub(crate) fn with_newest(mut state: State, newest: Option<Timestamp>) -> State {
    state.last_tick = state.last_tick.max(newest);
    state
}

/// The order of lists of results: newest tick first, then by monitor, then by region.
pub(crate) fn listed(a: &CheckResult, b: &CheckResult) -> Ordering {
    let place = |r: &CheckResult| (std::cmp::Reverse(r.tick.scheduled_at), r.tick.monitor);
    place(a).cmp(&place(b)).then_with(|| a.tick.region.cmp(&b.tick.region))
}

/// Rows a page may have.
pub(crate) fn page_limit(limit: usize) -> usize {
    limit.clamp(1, PAGE_MAX)
}

/// Is asked for, monitor and cursor included.
pub(crate) fn matches(query: &ResultQuery, row: &CheckResult) -> bool {
    let at = row.tick.scheduled_at;
    query.monitor.is_none_or(|monitor| monitor == row.tick.monitor)
        && (query.verdicts.is_empty() || query.verdicts.contains(&VerdictKind::of(&row.verdict)))
        && query.from.is_none_or(|from| from <= at)
        && query.to.is_none_or(|to| at < to)
        && query.after.is_none_or(|after| follows(after, at, row.tick.monitor))
}

fn follows(after: ResultCursor, at: Timestamp, monitor: MonitorKey) -> bool {
    at < after.scheduled_at || (at == after.scheduled_at && monitor > after.monitor)
}

/// Cuts the first page off a sorted list. A tick that was checked from several regions is never split between pages,
/// because the cursor does not name the region: such a page may be longer by these.
pub(crate) fn cut_page(mut sorted: Vec<CheckResult>, limit: usize) -> ResultPage {
    let place = |r: &CheckResult| ResultCursor { scheduled_at: r.tick.scheduled_at, monitor: r.tick.monitor };
    let limit = page_limit(limit);
    let end = match sorted.get(limit - 1).map(place) {
        None => sorted.len(),
        Some(last) => limit + sorted[limit..].iter().take_while(|r| place(r) == last).count(),
    };
    let more = end < sorted.len();
    sorted.truncate(end);
    let next = if more { sorted.last().map(place) } else { None };
    ResultPage { items: sorted, next }
}

/// What an edit needs to know of a monitor that the store has.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) key: MonitorKey,
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) removed_at: Option<Timestamp>,
}

/// The keys of the wanted monitors, in their order, and the key after the highest one given.
///
/// A new monitor gets the key of the one that was removed last with its id and kind. An edit that is repeated, because
/// its outcome did not come through, finds the monitors it made.
pub(crate) fn assign_keys(slots: &[Slot], mut next_key: u32, edit: &Redefine) -> (Vec<MonitorKey>, u32) {
    let mut taken: BTreeSet<MonitorKey> = edit.monitors.iter().filter_map(|(key, _)| *key).collect();
    let removed: BTreeSet<MonitorKey> = edit.removed.iter().copied().collect();
    let mut by_name: std::collections::HashMap<(&str, &str), Vec<&Slot>> = std::collections::HashMap::new();
    for slot in slots {
        by_name.entry((&slot.id, &slot.kind)).or_default().push(slot);
    }
    let gone_at = |slot: &Slot| if removed.contains(&slot.key) { Some(edit.at) } else { slot.removed_at };
    let mut keys = Vec::with_capacity(edit.monitors.len());
    for (key, wanted) in &edit.monitors {
        let name = (wanted.definition.id.as_str(), wanted.definition.kind().as_str());
        let alike = by_name.get(&name).map_or(&[][..], Vec::as_slice);
        let free = alike.iter().filter(|slot| !taken.contains(&slot.key));
        // Those still there first, then by when they went.
        let found = free.max_by_key(|slot| (gone_at(slot).is_none(), gone_at(slot), slot.key)).map(|slot| slot.key);
        let key = key.or(found).unwrap_or(MonitorKey(next_key));
        next_key = next_key.max(key.0.saturating_add(1));
        taken.insert(key);
        keys.push(key);
    }
    (keys, next_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_no_clock_shows_have_an_hour_too() {
        assert_eq!(hour_of(Timestamp::from_millis(i64::MIN)), i64::from(i32::MIN));
        assert_eq!(hour_of(Timestamp::from_millis(i64::MAX)), i64::from(i32::MAX));
        assert_eq!(hour_of(Timestamp::from_millis(-1)), -1);
        assert_eq!(hour_begin(hour_of(Timestamp::from_secs(7_201))), Timestamp::from_secs(7_200));
    }
}
