//! When a monitor is due. The schedule is a function of time: no stored "next run" to lose or drift.
//!
//! Interval monitors tick on a grid `n * interval + phase`; the phase spreads monitors evenly and never changes for a
//! monitor. Cron monitors tick in a time zone. While failing, the pace of [`Pace`] takes over.

use std::fmt;
use std::time::Duration;

use crate::monitor::{Monitor, MonitorKey, Pace};
use crate::state::Phase;
use crate::time::{Timestamp, millis};

/// Ticks of a cron schedule that are counted one by one for a stretch we missed; beyond it the count is a lower bound.
const MISSED_CRON_MAX: u32 = 10_000;

/// Between two ticks of a monitor: times are kept in milliseconds.
const TICK_GAP_MIN: Duration = Duration::from_millis(1);

/// When a monitor is due.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// On a grid of this interval, at least 1 s (100 ms in tests).
    Every(Duration),
    /// At the times of a cron expression.
    Cron(Cron),
}

/// A cron expression in a time zone; two are equal when they are written alike.
#[derive(Clone)]
pub struct Cron {
    expression: String,
    timezone: String,
    cron: Box<croner::Cron>,
    zone: jiff::tz::TimeZone,
}

/// A text that is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASchedule {
    /// The expression does not parse.
    #[error("`{0}` is not a cron expression (minute hour day month weekday): {1}")]
    Cron(String, String),
    /// The zone is unknown.
    #[error("`{0}` is not a time zone of the IANA database, such as Europe/Riga")]
    Zone(String),
    /// It never comes due.
    #[error("`{0}` never comes due")]
    Never(String),
}

impl Cron {
    /// Parses an expression of five fields (or six with seconds first; `L`, `#`, `@daily` and friends) and an IANA zone.
    ///
    /// # Errors
    /// When either does not parse, or no time fits (`30 2 31 2 *`).
    pub fn parse(expression: &str, timezone: &str) -> Result<Cron, NotASchedule> {
        // The parser takes `,` for a field without values, and then looks for one for three thousand years.
        let lacks_a_value = |field: &str| field.split(',').any(str::is_empty);
        if expression.split_whitespace().any(lacks_a_value) {
            let why = "a value is missing beside a comma".to_owned();
            return Err(NotASchedule::Cron(expression.to_owned(), why));
        }
        let cron: croner::Cron =
            expression.parse().map_err(|e| NotASchedule::Cron(expression.to_owned(), format!("{e}")))?;
        let zone = jiff::tz::TimeZone::get(timezone).map_err(|_| NotASchedule::Zone(timezone.to_owned()))?;
        let cron =
            Cron { expression: expression.to_owned(), timezone: timezone.to_owned(), cron: Box::new(cron), zone };
        // Any year will do to find out whether it ever comes due.
        match cron.next_after(Timestamp::from_secs(1_700_000_000)) {
            Some(_) => Ok(cron),
            None => Err(NotASchedule::Never(expression.to_owned())),
        }
    }

    /// The expression as written.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The zone as written.
    #[must_use]
    pub fn timezone(&self) -> &str {
        &self.timezone
    }

    /// The first time it is due strictly after `after`.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let from = after.to_jiff().to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&from, false).ok()?;
        Some(Timestamp::from_millis(next.timestamp().as_millisecond())).filter(|next| *next > after)
    }

    /// The last time it was due strictly before `before`.
    #[must_use]
    pub fn previous_before(&self, before: Timestamp) -> Option<Timestamp> {
        // The search steps back by whole seconds, so it has to begin at one.
        let second = Timestamp::from_millis(before.as_millis().saturating_add(999).div_euclid(1000) * 1000);
        let from = second.to_jiff().to_zoned(self.zone.clone());
        let previous = self.cron.find_previous_occurrence(&from, false).ok()?;
        Some(Timestamp::from_millis(previous.timestamp().as_millisecond())).filter(|previous| *previous < before)
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Cron) -> bool {
        self.expression == other.expression && self.timezone == other.timezone
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression, self.timezone)
    }
}

/// A run of ticks that were due and not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// How many; at least 1.
    pub count: u32,
}

/// What to do with a tick that has come due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The tick to run now.
    pub run: Timestamp,
    /// Ticks before it that are too late to run.
    pub missed: Option<Missed>,
}

/// Where in its interval a monitor ticks: a fraction that spreads consecutive keys as evenly as can be
/// (multiples of the golden ratio), so that no second is busier than others.
#[must_use]
pub fn phase(key: MonitorKey, interval: Duration) -> Duration {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 / golden ratio
    let fraction = u64::from(key.0).wrapping_mul(GOLDEN);
    let interval_ms = u64::try_from(millis(interval)).unwrap_or(0);
    let ms = (u128::from(fraction) * u128::from(interval_ms)) >> 64;
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// The first regular tick strictly after `after`. `None` for a cron expression whose times are over.
#[must_use]
pub fn next_tick(monitor: &Monitor, after: Timestamp) -> Option<Timestamp> {
    match &monitor.schedule {
        Schedule::Every(interval) => {
            let every = millis(*interval).max(1);
            let offset = millis(phase(monitor.key, *interval));
            let steps = (after.as_millis() - offset).div_euclid(every) + 1;
            Some(Timestamp::from_millis(steps.saturating_mul(every).saturating_add(offset)))
        }
        Schedule::Cron(cron) => cron.next_after(after),
    }
}

/// When a monitor is due after the tick `last`, which ended at `now`.
///
/// While failing or down the pace takes over, but a retry never crosses the next cron tick. Ticks that the check itself
/// covered are not due again: the answer lies after `now`, or is `now` for a pace that has been overtaken.
#[must_use]
pub fn next_due(monitor: &Monitor, phase: &Phase, last: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let regular = next_tick(monitor, last.max(now));
    let Some(every) = pace(monitor.pace, phase) else { return regular };
    // Two ticks are never the same one, whatever the pace.
    let paced = (last + every.max(TICK_GAP_MIN)).max(now);
    match (&monitor.schedule, regular) {
        (Schedule::Cron(_), Some(regular)) => Some(paced.min(regular)),
        (Schedule::Cron(_), None) | (Schedule::Every(_), _) => Some(paced),
    }
}

/// The interval that replaces the schedule in this phase, if any.
#[must_use]
pub fn pace(pace: Pace, phase: &Phase) -> Option<Duration> {
    match phase {
        Phase::Failing { .. } => pace.retry,
        Phase::Down { .. } => pace.while_down,
        Phase::Unknown | Phase::Up | Phase::Degraded { .. } | Phase::Paused => None,
    }
}

/// Decides on a tick that came due at `due` and is looked at only `now`: the newest tick not after `now` is run, the
/// regular ones before it are missed. A prompt or paced tick that a regular one has overtaken is not: nobody counts on it.
#[must_use]
pub fn settle_due(monitor: &Monitor, due: Timestamp, now: Timestamp) -> Due {
    let Some(later) = missed_between(monitor, due, now) else { return Due { run: due, missed: None } };
    let due_is_regular = next_tick(monitor, due - TICK_GAP_MIN) == Some(due);
    let count = later.count - 1 + u32::from(due_is_regular);
    let first = if due_is_regular { due } else { later.first };
    let last = if later.count == 1 { due } else { previous_tick(monitor, later.last).unwrap_or(first) };
    let missed = (count > 0).then_some(Missed { first, last: last.max(first), count });
    Due { run: later.last, missed }
}

/// The regular ticks in `(after, until]`: what was missed when nobody ran them.
#[must_use]
pub fn missed_between(monitor: &Monitor, after: Timestamp, until: Timestamp) -> Option<Missed> {
    let first = next_tick(monitor, after).filter(|first| *first <= until)?;
    match &monitor.schedule {
        Schedule::Every(interval) => {
            let every = millis(*interval).max(1);
            let more = (until.as_millis() - first.as_millis()) / every;
            let last = Timestamp::from_millis(first.as_millis() + more * every);
            Some(Missed { first, last, count: u32::try_from(more + 1).unwrap_or(u32::MAX) })
        }
        Schedule::Cron(cron) => {
            let mut missed = Missed { first, last: first, count: 1 };
            while let Some(next) = cron.next_after(missed.last).filter(|next| *next <= until) {
                missed.last = next;
                missed.count += 1;
                if missed.count >= MISSED_CRON_MAX {
                    missed.last = cron.previous_before(until + TICK_GAP_MIN).unwrap_or(next).max(next);
                    break;
                }
            }
            Some(missed)
        }
    }
}

/// The regular tick before the regular tick `tick`.
fn previous_tick(monitor: &Monitor, tick: Timestamp) -> Option<Timestamp> {
    match &monitor.schedule {
        Schedule::Every(interval) => Some(tick - *interval),
        Schedule::Cron(cron) => cron.previous_before(tick),
    }
}

#[cfg(test)]
mod tests;
