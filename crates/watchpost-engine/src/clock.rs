//! The system's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use watchpost_core::Timestamp;
use watchpost_core::ports::Clock;

/// Tells the system's wall-clock time. It may step; [`crate::drive`] notices.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        };
        Timestamp::from_millis(millis)
    }
}
