//! An incident: from the first of the failing ticks that took a monitor down until it is closed.

use crate::monitor::MonitorKey;
use crate::reason::Reason;
use crate::time::Timestamp;

/// Derived from what opened it, never drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(u64);

impl IncidentId {
    /// The id of the incident that the tick `opened_at` opened, judged at that very moment.
    #[must_use]
    pub fn derive(monitor: MonitorKey, opened_at: Timestamp) -> IncidentId {
        IncidentId::judged(monitor, opened_at, opened_at)
    }

    /// The id of the incident that the tick `opened_at` opened when it was judged at `at`. After the clock was set back
    /// the same tick comes a second time, and may open another incident. At most 53 bits, so that JavaScript can hold it.
    #[must_use]
    pub fn judged(monitor: MonitorKey, opened_at: Timestamp, at: Timestamp) -> IncidentId {
        let bits = |time: Timestamp| u64::from_ne_bytes(time.as_millis().to_ne_bytes());
        let took = bits(Timestamp::from_millis(at.as_millis().wrapping_sub(opened_at.as_millis())));
        let mixed = mix(mix(mix(u64::from(monitor.0)) ^ bits(opened_at)) ^ took);
        IncidentId(mixed & ((1 << 53) - 1))
    }

    /// From its number, as stored or written in a path.
    #[must_use]
    pub const fn from_number(number: u64) -> IncidentId {
        IncidentId(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The finaliser of splitmix64: bijective, and every bit of the input moves half of the output's.
const fn mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One incident as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Its identity.
    pub id: IncidentId,
    /// Whose.
    pub monitor: MonitorKey,
    /// The first of the failing ticks: downtime counts from here.
    pub since: Timestamp,
    /// The tick that confirmed it.
    pub opened_at: Timestamp,
    /// Why it was opened.
    pub reason: Reason,
    /// When and why it was closed.
    pub closed: Option<(Timestamp, ClosedWhy)>,
}

/// Why an incident is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedWhy {
    /// The target passed `recover_after` times.
    Recovered,
    /// The monitor was paused.
    Paused,
    /// The monitor was removed.
    Removed,
    /// The monitor checks something of another kind now.
    Changed,
}

impl ClosedWhy {
    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ClosedWhy::Recovered => "recovered",
            ClosedWhy::Paused => "paused",
            ClosedWhy::Removed => "removed",
            ClosedWhy::Changed => "changed",
        }
    }

    /// From the stable word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<ClosedWhy> {
        [ClosedWhy::Recovered, ClosedWhy::Paused, ClosedWhy::Removed, ClosedWhy::Changed]
            .into_iter()
            .find(|w| w.as_str() == word)
    }
}
