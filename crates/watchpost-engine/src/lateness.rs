//! How late checks start: a histogram over the last minute, in six windows of ten seconds.

use std::time::Duration;

use watchpost_core::Timestamp;

const WINDOWS: usize = 6;
const WINDOW_MS: i64 = 10_000;
/// Four buckets an octave of microseconds, from 1 us to beyond an hour: at most 19 % off.
const BUCKETS: usize = 4 * 33;

/// Lateness of the last minute.
#[derive(Debug)]
pub struct Lateness {
    windows: [[u32; BUCKETS]; WINDOWS],
    /// Number of the window that is being filled.
    current: i64,
}

impl Default for Lateness {
    fn default() -> Lateness {
        Lateness { windows: [[0; BUCKETS]; WINDOWS], current: 0 }
    }
}

impl Lateness {
    /// Notes one check's lateness.
    pub fn note(&mut self, late: Duration, now: Timestamp) {
        self.roll(now);
        let window = &mut self.windows[slot(self.current)];
        window[bucket(late)] = window[bucket(late)].saturating_add(1);
    }

    /// The lateness that `share` (0..=1) of the last minute's checks stayed below or at.
    pub fn quantile(&mut self, share: f64, now: Timestamp) -> Duration {
        self.roll(now);
        let total: u64 = self.windows.iter().flatten().map(|n| u64::from(*n)).sum();
        if total == 0 {
            return Duration::ZERO;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank within a minute's checks"
        )]
        let rank = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for index in 0..BUCKETS {
            seen += self.windows.iter().map(|window| u64::from(window[index])).sum::<u64>();
            if seen >= rank {
                return upper(index);
            }
        }
        upper(BUCKETS - 1)
    }

    /// Empties the windows that have gone by.
    fn roll(&mut self, now: Timestamp) {
        let window = now.as_millis().div_euclid(WINDOW_MS);
        let gone = (window - self.current).clamp(0, i64::try_from(WINDOWS).unwrap_or(i64::MAX));
        for step in 0..gone {
            self.windows[slot(window - step)] = [0; BUCKETS];
        }
        self.current = window;
    }
}

fn slot(window: i64) -> usize {
    usize::try_from(window.rem_euclid(6)).unwrap_or(0)
}

fn bucket(late: Duration) -> usize {
    let us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
    if us < 4 {
        return usize::try_from(us).unwrap_or(0);
    }
    let octave = us.ilog2();
    let quarter = (us >> (octave - 2)) & 3;
    let index = u64::from(octave) * 4 + quarter - 4;
    usize::try_from(index).unwrap_or(BUCKETS - 1).min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn upper(index: usize) -> Duration {
    let index = u64::try_from(index).unwrap_or(0);
    if index < 4 {
        return Duration::from_micros(index);
    }
    let (octave, quarter) = ((index + 4) / 4, (index + 4) % 4);
    Duration::from_micros((((4 + quarter) + 1) << (octave - 2)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_holds_its_upper_bound_and_no_more() {
        for index in 0..BUCKETS {
            assert_eq!(bucket(upper(index)), index);
            assert_eq!(bucket(upper(index) + Duration::from_micros(1)), (index + 1).min(BUCKETS - 1));
        }
    }

    #[test]
    fn a_minute_is_remembered_and_no_longer() {
        let mut lateness = Lateness::default();
        for i in 0..100u64 {
            lateness.note(Duration::from_millis(i), Timestamp::from_secs(1_000));
        }
        let p99 = lateness.quantile(0.99, Timestamp::from_secs(1_040)).as_millis();
        assert!((98..=118).contains(&p99), "{p99}");
        assert_eq!(lateness.quantile(0.99, Timestamp::from_secs(1_070)), Duration::ZERO);
    }
}
