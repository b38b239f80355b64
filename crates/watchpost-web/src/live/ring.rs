//! A ring of numbered things: the newest so many are kept, and each reader knows its place.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Read;

/// The newest things, numbered from 1 in the order they came.
pub(super) struct Ring<T> {
    kept: VecDeque<Arc<T>>,
    capacity: usize,
    newest: u64,
}

impl<T> Ring<T> {
    pub(super) fn new(capacity: usize) -> Ring<T> {
        Ring { kept: VecDeque::new(), capacity: capacity.max(1), newest: 0 }
    }

    pub(super) fn push(&mut self, thing: Arc<T>) {
        if self.kept.len() == self.capacity {
            self.kept.pop_front();
        }
        self.kept.push_back(thing);
        self.newest += 1;
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Everything after this place is still here.
    pub(super) fn holds(&self, position: u64) -> bool {
        self.behind(position).is_some_and(|behind| behind <= self.kept.len())
    }

    /// How many things lie after a place; `None` for one that has not been given out.
    fn behind(&self, position: u64) -> Option<usize> {
        usize::try_from(self.newest.checked_sub(position)?).ok()
    }
}

impl Ring<super::Event> {
    pub(super) fn after(&self, position: u64, max: usize) -> Read {
        match self.behind(position) {
            Some(behind) if behind <= self.kept.len() => {
                let first = self.kept.len() - behind;
                let numbers = position + 1..;
                Read::Events(numbers.zip(self.kept.range(first..).take(max).cloned()).collect())
            }
            Some(_) | None => Read::Lost(self.newest),
        }
    }
}
