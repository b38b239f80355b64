//! Virtual time: how long the world has been going on, which never goes back, and what its wall clock shows.

use std::sync::atomic::{AtomicI64, Ordering};

use watchpost_core::Timestamp;
use watchpost_core::ports::Clock;

/// The wall clock's reading when the world begins: 2026-11-20T02:17:11Z.
const BEGIN: i64 = 1_795_141_031_000;

/// A clock that is moved by hand.
#[derive(Debug, Default)]
pub struct VirtualClock {
    elapsed: AtomicI64,
    offset: AtomicI64,
}

impl VirtualClock {
    /// Milliseconds since the world began.
    #[must_use]
    pub fn elapsed(&self) -> i64 {
        self.elapsed.load(Ordering::Relaxed)
    }

    /// Lets time pass up to so many milliseconds since the beginning; never back.
    pub fn advance_to(&self, elapsed: i64) {
        self.elapsed.fetch_max(elapsed, Ordering::Relaxed);
    }

    /// Steps the wall clock, back with a negative number of milliseconds.
    pub fn step(&self, by: i64) {
        self.offset.fetch_add(by, Ordering::Relaxed);
    }

    /// When the wall clock will show this time, in milliseconds since the beginning, unless it steps.
    #[must_use]
    pub fn when(&self, wall: Timestamp) -> i64 {
        wall.as_millis() - BEGIN - self.offset.load(Ordering::Relaxed)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(BEGIN + self.elapsed() + self.offset.load(Ordering::Relaxed))
    }
}
