//! Deadlines that states asked for: one per monitor, the earliest first.

use std::collections::{BTreeSet, HashMap};

use watchpost_core::{MonitorKey, Timestamp};

/// When which monitor wants to be woken.
#[derive(Debug, Default)]
pub struct Wakes {
    at: HashMap<MonitorKey, Timestamp>,
    order: BTreeSet<(Timestamp, MonitorKey)>,
}

impl Wakes {
    /// Sets or clears a monitor's deadline.
    pub fn set(&mut self, monitor: MonitorKey, wake: Option<Timestamp>) {
        let old = match wake {
            Some(at) => self.at.insert(monitor, at),
            None => self.at.remove(&monitor),
        };
        if old == wake {
            return;
        }
        if let Some(old) = old {
            self.order.remove(&(old, monitor));
        }
        if let Some(at) = wake {
            self.order.insert((at, monitor));
        }
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the earliest deadline that has passed. It is gone afterwards: a state that wants another asks again.
    pub fn take_due(&mut self, now: Timestamp) -> Option<MonitorKey> {
        let (at, monitor) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.set(monitor, None);
        Some(monitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_comes_first_and_only_once() {
        let at = Timestamp::from_secs;
        let mut wakes = Wakes::default();
        wakes.set(MonitorKey(1), Some(at(20)));
        wakes.set(MonitorKey(2), Some(at(10)));
        wakes.set(MonitorKey(1), Some(at(5)));
        assert_eq!(wakes.take_due(at(4)), None);
        assert_eq!(wakes.take_due(at(30)), Some(MonitorKey(1)));
        assert_eq!(wakes.take_due(at(30)), Some(MonitorKey(2)));
        assert_eq!(wakes.take_due(at(30)), None);
        assert_eq!(wakes.next(), None);
    }
}
