//! Connection starts per host address: a token bucket each, so that a thousand monitors of one machine that come due
//! together do not look like an attack on it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How fast connections to one address are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartsPerHost {
    /// Starts a second in the long run, at least 1.
    pub per_second: u32,
    /// Starts that may come at once, at least 1.
    pub burst: u32,
}

impl Default for StartsPerHost {
    fn default() -> StartsPerHost {
        StartsPerHost { per_second: 4_000, burst: 200 }
    }
}

/// A check waits at most so long for its turn; beyond it we are overloaded.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Addresses that are kept. An address is only remembered while its bucket is not full again, which is a fraction of a
/// second after its last start.
const HOSTS_MAX: usize = 16_384;

/// The buckets. Kept as the generic cell rate algorithm does: per address the time at which its bucket is full again.
pub(crate) struct Throttle {
    base: Instant,
    gap: u64,
    depth: u64,
    full_at: Mutex<HashMap<IpAddr, u64>>,
}

impl Throttle {
    pub(crate) fn new(rate: StartsPerHost) -> Throttle {
        let gap = 1_000_000_000 / u64::from(rate.per_second.max(1));
        Throttle {
            base: Instant::now(),
            gap,
            depth: gap * u64::from(rate.burst.max(1)),
            full_at: Mutex::new(HashMap::new()),
        }
    }

    /// Takes a place and says how long to wait for it; `None` when that is longer than `at_most` or [`WAIT_MAX`].
    pub(crate) fn reserve(&self, address: IpAddr, at_most: Duration) -> Option<Duration> {
        self.reserve_at(Instant::now(), address, at_most)
    }

    fn reserve_at(&self, now: Instant, address: IpAddr, at_most: Duration) -> Option<Duration> {
        let now = u64::try_from(now.saturating_duration_since(self.base).as_nanos()).unwrap_or(u64::MAX);
        let mut hosts = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= HOSTS_MAX && !hosts.contains_key(&address) {
            hosts.retain(|_, full_at| *full_at > now);
            if hosts.len() >= HOSTS_MAX {
                // So many hosts are busy at once that no single one of them can be getting much.
                return Some(Duration::ZERO);
            }
        }
        let full_at = hosts.get(&address).copied().unwrap_or(0).max(now).saturating_add(self.gap);
        let wait = Duration::from_nanos(full_at.saturating_sub(now).saturating_sub(self.depth));
        if wait > at_most.min(WAIT_MAX) {
            return None;
        }
        hosts.insert(address, full_at);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_burst_starts_at_once_and_the_rest_at_the_rate() {
        let throttle = Throttle::new(StartsPerHost { per_second: 100, burst: 5 });
        let now = Instant::now();
        let waits: Vec<u128> =
            (0..8).map(|_| throttle.reserve_at(now, HOST, Duration::from_secs(1)).unwrap().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 10, 20, 30]);
    }

    #[test]
    fn another_host_does_not_wait() {
        let throttle = Throttle::new(StartsPerHost { per_second: 1, burst: 1 });
        let now = Instant::now();
        let other = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
        assert_eq!(throttle.reserve_at(now, HOST, Duration::from_secs(1)), Some(Duration::ZERO));
        assert_eq!(throttle.reserve_at(now, other, Duration::from_secs(1)), Some(Duration::ZERO));
    }

    #[test]
    fn too_long_a_wait_is_refused_and_takes_no_place() {
        let throttle = Throttle::new(StartsPerHost { per_second: 1, burst: 1 });
        let now = Instant::now();
        assert_eq!(throttle.reserve_at(now, HOST, Duration::from_millis(100)), Some(Duration::ZERO));
        assert_eq!(throttle.reserve_at(now, HOST, Duration::from_millis(100)), None);
        let later = now + Duration::from_secs(1);
        assert_eq!(throttle.reserve_at(later, HOST, Duration::from_millis(100)), Some(Duration::ZERO));
    }

    #[test]
    fn the_table_of_hosts_is_bounded() {
        let throttle = Throttle::new(StartsPerHost::default());
        let now = Instant::now();
        for n in 0..u32::try_from(HOSTS_MAX).unwrap() + 10 {
            let host = IpAddr::V4(std::net::Ipv4Addr::from(n));
            assert_eq!(throttle.reserve_at(now, host, Duration::ZERO), Some(Duration::ZERO));
        }
        assert_eq!(throttle.full_at.lock().unwrap().len(), HOSTS_MAX);
    }
}
