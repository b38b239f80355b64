//! What the target counts and keeps.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Requests that are kept: an hour at 250 a second; later ones are only counted.
const KEPT_MAX: usize = 1_000_000;

/// A request that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its path.
    pub(crate) path: String,
    /// When its head had been read, microseconds since 1970.
    pub(crate) arrived_us: i64,
    /// From then until the answer was written.
    pub(crate) delay_us: u64,
}

impl Seen {
    /// Reads a line of `/-/log`.
    pub(crate) fn parse(line: &str) -> Option<Seen> {
        let mut parts = line.split(' ');
        let (arrived_us, delay_us) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Seen { path: parts.next()?.to_owned(), arrived_us, delay_us })
    }
}

/// Counts, and the requests that were kept.
#[derive(Default)]
pub(super) struct Journal {
    accepted: AtomicU64,
    asked: AtomicU64,
    handshakes_full: AtomicU64,
    handshakes_resumed: AtomicU64,
    kept: Mutex<Vec<Seen>>,
}

impl Journal {
    /// A connection was accepted.
    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was read.
    pub(super) fn asked(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// A TLS handshake ended well.
    pub(super) fn shook_hands(&self, resumed: bool) {
        let count = if resumed { &self.handshakes_resumed } else { &self.handshakes_full };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps a request.
    pub(super) fn keep(&self, seen: Seen) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(seen);
        }
    }

    /// The answer to a path below `/-/`.
    pub(super) fn answer(&self, path: &str) -> String {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match path {
            "/-/log" => kept.iter().fold(String::new(), |mut text, seen| {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{} {} {}", seen.arrived_us, seen.delay_us, seen.path);
                text
            }),
            "/-/clear" => {
                kept.clear();
                for count in [&self.accepted, &self.asked, &self.handshakes_full, &self.handshakes_resumed] {
                    count.store(0, Ordering::Relaxed);
                }
                String::new()
            }
            _ => {
                let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
                format!(
                    "{{\"accepted\":{},\"asked\":{},\"kept\":{},\"handshakes_full\":{},\"handshakes_resumed\":{}}}\n",
                    count(&self.accepted),
                    count(&self.asked),
                    kept.len(),
                    count(&self.handshakes_full),
                    count(&self.handshakes_resumed),
                )
            }
        }
    }
}

/// The time now, microseconds since 1970.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
