//! Time as the core sees it: milliseconds UTC, handed in by the caller.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

/// A point in time: milliseconds since 1970-01-01T00:00:00 UTC.
///
/// Arithmetic saturates and a difference is never negative, so a clock that steps back cannot make a negative duration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The beginning of 1970, UTC.
    pub const EPOCH: Timestamp = Timestamp(0);
    /// The latest time that can be written as RFC 3339 with a four-digit year.
    pub const MAX: Timestamp = Timestamp(253_402_207_200_000);

    /// From milliseconds since the epoch, UTC.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    /// From whole seconds since the epoch, UTC.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Timestamp {
        Timestamp(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch, UTC.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The full hour that this time lies in: its first millisecond.
    #[must_use]
    pub fn hour(self) -> Timestamp {
        Timestamp(self.0.saturating_sub(self.0.rem_euclid(HOUR_MS)))
    }

    pub(crate) fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0.clamp(MIN_MS, Timestamp::MAX.0)).unwrap_or_default()
    }
}

const HOUR_MS: i64 = 3_600_000;
/// 0001-01-01, below which no RFC 3339 text exists.
const MIN_MS: i64 = -62_135_596_800_000;

/// Milliseconds of a duration, saturating.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, after: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(millis(after)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    fn sub(self, before: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(millis(before)))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-20T02:17:11.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.to_jiff())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not an RFC 3339 time with an offset.
#[derive(Debug, thiserror::Error)]
#[error("expected a time such as 2026-11-20T02:17:11Z (RFC 3339): {0}")]
pub struct NotATime(String);

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Timestamp, NotATime> {
        let parsed: jiff::Timestamp = text.parse().map_err(|e: jiff::Error| NotATime(e.to_string()))?;
        Ok(Timestamp(parsed.as_millisecond()))
    }
}

/// A duration in words for people: `950 ms`, `5 s`, `4 min`, `2 h 5 min`, `3 d 4 h`.
#[must_use]
pub fn words(duration: Duration) -> String {
    let secs = duration.as_secs();
    let two = |big: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{big} {unit}"),
        _ => format!("{big} {unit} {small} {small_unit}"),
    };
    match secs {
        0 => format!("{} ms", duration.as_millis()),
        1..=59 if duration.subsec_millis() > 0 && secs < 10 => {
            let tenths = duration.as_millis() / 100;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        1..=59 => format!("{secs} s"),
        60..=3_599 => two(secs / 60, "min", secs % 60, "s"),
        3_600..=86_399 => two(secs / 3_600, "h", secs % 3_600 / 60, "min"),
        _ => two(secs / 86_400, "d", secs % 86_400 / 3_600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339_with_milliseconds() {
        let at = Timestamp::from_millis(1_795_141_031_007);
        assert_eq!(at.to_string(), "2026-11-20T02:17:11.007Z");
        assert_eq!("2026-11-20T02:17:11.007Z".parse::<Timestamp>().unwrap(), at);
        assert_eq!("2026-11-20T04:17:11.007+02:00".parse::<Timestamp>().unwrap(), at);
    }

    #[test]
    fn a_difference_is_never_negative() {
        assert_eq!(Timestamp::from_secs(1).since(Timestamp::from_secs(5)), Duration::ZERO);
    }

    #[test]
    fn a_cursor_before_the_beginning_of_time_has_an_hour() {
        assert_eq!(Timestamp::from_millis(i64::MIN).hour(), Timestamp::from_millis(i64::MIN));
        assert_eq!(Timestamp::from_millis(-1).hour(), Timestamp::from_secs(-3_600));
    }

    #[test]
    fn durations_read_as_people_say_them() {
        let said = |ms| words(Duration::from_millis(ms));
        assert_eq!(
            [said(950), said(1_500), said(5_000), said(240_000), said(7_500_000), said(273_600_000)],
            ["950 ms", "1.5 s", "5 s", "4 min", "2 h 5 min", "3 d 4 h"]
        );
    }
}
