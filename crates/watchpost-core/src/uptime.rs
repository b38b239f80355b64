//! Availability: from state intervals, exact to the millisecond, and from counts of checks.

use std::time::Duration;

use crate::reason::Verdict;
use crate::state::Shown;
use crate::time::Timestamp;

/// A state that is shown from a time on, until the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Its beginning.
    pub from: Timestamp,
    /// The state.
    pub shown: Shown,
}

/// How the time of a range was spent. What lies before the first interval is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// Up.
    pub up: Duration,
    /// Degraded: it worked, so it counts as up.
    pub degraded: Duration,
    /// Down.
    pub down: Duration,
    /// No data, or we could not tell: left out of the ratio.
    pub unknown: Duration,
    /// Paused: left out.
    pub paused: Duration,
    /// In maintenance: left out.
    pub maintenance: Duration,
}

impl Accounting {
    /// Up time by known time; `None` when nothing is known.
    #[must_use]
    pub fn availability(&self) -> Option<f64> {
        let up = self.up + self.degraded;
        let known = up + self.down;
        (known > Duration::ZERO).then(|| up.as_secs_f64() / known.as_secs_f64())
    }

    /// All time accounted for.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.up + self.degraded + self.down + self.unknown + self.paused + self.maintenance
    }

    fn add(&mut self, shown: Shown, span: Duration) {
        *match shown {
            Shown::Up => &mut self.up,
            Shown::Degraded => &mut self.degraded,
            Shown::Down => &mut self.down,
            Shown::Unknown => &mut self.unknown,
            Shown::Paused => &mut self.paused,
            Shown::Maintenance => &mut self.maintenance,
        } += span;
    }
}

/// Accounts for the range `[from, until)`. `intervals` are in order of time; the last one goes on.
#[must_use]
pub fn account(intervals: &[Interval], from: Timestamp, until: Timestamp) -> Accounting {
    let mut sum = Accounting::default();
    let mut cursor = from;
    let mut shown = Shown::Unknown;
    for interval in intervals {
        if interval.from >= until {
            break;
        }
        if interval.from > cursor {
            sum.add(shown, interval.from.since(cursor));
            cursor = interval.from;
        }
        shown = interval.shown;
    }
    sum.add(shown, until.since(cursor));
    sum
}

/// How many checks ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Passing.
    pub pass: u64,
    /// Passing with a complaint.
    pub degraded: u64,
    /// Failing.
    pub fail: u64,
    /// Could not tell; missed ticks too, each counted.
    pub inconclusive: u64,
}

impl Counts {
    /// Counts one result that stands for `ticks` ticks.
    pub fn add(&mut self, verdict: &Verdict, ticks: u32) {
        *match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Degraded(_) => &mut self.degraded,
            Verdict::Fail(_) => &mut self.fail,
            Verdict::Inconclusive(_) => &mut self.inconclusive,
        } += u64::from(ticks);
    }

    /// The sum of both.
    #[must_use]
    pub fn merged(self, other: Counts) -> Counts {
        Counts {
            pass: self.pass + other.pass,
            degraded: self.degraded + other.degraded,
            fail: self.fail + other.fail,
            inconclusive: self.inconclusive + other.inconclusive,
        }
    }

    /// Good checks by conclusive checks; `None` when there are none.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let good = self.pass + self.degraded;
        let known = good + self.fail;
        // Below 2^53 checks, which is any number of them.
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        (known > 0).then(|| good as f64 / known as f64)
    }
}

#[cfg(test)]
mod tests;
