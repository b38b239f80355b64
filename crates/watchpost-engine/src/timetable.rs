//! Which monitor is due when: the scheduler without its clock and its tasks.
//!
//! A heap of (due, monitor), and per monitor whether a check is in flight. Invariants: at most one check in flight per
//! monitor; started ticks of a monitor only grow; a tick is started, or reported as missed, never neither.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use watchpost_core::ports::CheckNowError;
use watchpost_core::schedule::{Due, Missed, missed_between, next_due, next_tick, pace, settle_due};
use watchpost_core::state::Phase;
use watchpost_core::{Monitor, MonitorKey, State, Timestamp};

/// Between the prompt ticks of new and edited monitors: a large file does not become a burst.
pub const PROMPT_GAP: Duration = Duration::from_millis(2);

/// A monitor that missed ticks and whose next one is farther away than this is caught up at once.
pub const CATCH_UP_AFTER: Duration = Duration::from_mins(1);

/// Entries of the heap that may have been overtaken, beyond as many as there are monitors, before they are swept out.
const STALE_MAX: usize = 1_024;

/// All monitors and when they are due.
#[derive(Debug, Default)]
pub struct Timetable {
    slots: HashMap<MonitorKey, Slot>,
    heap: BinaryHeap<Reverse<(Timestamp, MonitorKey, u64)>>,
    /// The next free place among the prompt ticks.
    prompt: Timestamp,
    generation: u64,
    in_flight: usize,
    paused: usize,
}

#[derive(Debug)]
struct Slot {
    monitor: Arc<Monitor>,
    /// The heap entry that is valid for it.
    generation: u64,
    due: Option<Timestamp>,
    /// The pace that made `due`, if the schedule did not.
    paced: Option<Duration>,
    last_started: Option<Timestamp>,
    lived: Lived,
    /// The tick of the check in flight.
    running: Option<Timestamp>,
    /// Edited while a check was in flight: prompt again when that ends.
    prompt_again: bool,
    paused: bool,
}

/// Time that is lived again because the clock was set back. Its ticks are told from those of the first time by a few
/// milliseconds: else the store would take their results for replays.
#[derive(Clone, Copy, Debug, Default)]
struct Lived {
    /// The newest tick before the clock was set back.
    until: Option<Timestamp>,
    /// How far ticks up to then are moved; another millisecond for each time.
    moved: Duration,
}

impl Lived {
    fn again(self, newest: Option<Timestamp>) -> Lived {
        Lived { until: self.until.max(newest), moved: self.moved + Duration::from_millis(1) }
    }

    fn tell_apart(self, tick: Timestamp) -> Timestamp {
        if Some(tick) <= self.until { tick + self.moved } else { tick }
    }
}

/// A tick to run now.
#[derive(Clone, Debug)]
pub struct Start {
    /// Whose.
    pub monitor: Arc<Monitor>,
    /// The tick.
    pub tick: Timestamp,
    /// How late it is.
    pub late: Duration,
    /// Ticks before it that were too late to run.
    pub missed: Option<Missed>,
}

/// Why a monitor is put into the timetable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// We have just started; it goes on where it was.
    Resumed,
    /// It is new or was edited: one prompt tick, then its schedule.
    Edited,
}

impl Timetable {
    /// An empty timetable.
    #[must_use]
    pub fn new() -> Timetable {
        Timetable::default()
    }

    /// Monitors in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// None in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Monitors in it that are not paused.
    #[must_use]
    pub fn active(&self) -> usize {
        self.slots.len() - self.paused
    }

    /// Checks in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Ticks due at or before `now` that were not started.
    #[must_use]
    pub fn waiting(&self, now: Timestamp) -> usize {
        self.heap.iter().filter(|Reverse((due, key, generation))| *due <= now && self.valid(*key, *generation)).count()
    }

    /// Puts a monitor in, or replaces it. Returns the ticks that were missed since its newest result while nobody ran
    /// them.
    pub fn put(&mut self, monitor: &Arc<Monitor>, state: &State, why: Put, now: Timestamp) -> Option<Missed> {
        let key = monitor.key;
        let paused = state.phase == Phase::Paused;
        let old = self.slots.get(&key);
        let running = old.and_then(|slot| slot.running);
        let last_started = old.and_then(|slot| slot.last_started).max(state.last_tick);
        let missed = match why {
            Put::Resumed if !paused => missed_on_return(monitor, state, now),
            Put::Resumed | Put::Edited => None,
        };
        let slot = Slot {
            monitor: Arc::clone(monitor),
            generation: 0,
            due: None,
            paced: None,
            last_started,
            lived: old.map(|slot| slot.lived).unwrap_or_default(),
            running,
            prompt_again: running.is_some() && why == Put::Edited,
            paused,
        };
        let replaced = self.slots.insert(key, slot);
        self.paused += usize::from(paused);
        self.paused -= usize::from(replaced.is_some_and(|old| old.paused));
        if !paused && running.is_none() {
            let due = match why {
                Put::Edited => self.prompt_due(monitor, now),
                Put::Resumed => self.resumed_due(monitor, state, missed.is_some(), now),
            };
            self.set_due(key, due, pace(monitor.pace, &state.phase));
        }
        missed
    }

    /// At the next prompt place, or at the regular tick if that comes first.
    fn prompt_due(&mut self, monitor: &Monitor, now: Timestamp) -> Option<Timestamp> {
        let regular = next_tick(monitor, now).unwrap_or(Timestamp::MAX);
        Some(self.prompt_place(now).min(regular))
    }

    fn resumed_due(&mut self, monitor: &Monitor, state: &State, missed: bool, now: Timestamp) -> Option<Timestamp> {
        let Some(last) = state.last_tick else { return self.prompt_due(monitor, now) };
        let due = next_due(monitor, &state.phase, last, now);
        let far = due.is_none_or(|due| due.since(now) > CATCH_UP_AFTER);
        let overtaken = due.is_some_and(|due| due <= now);
        if overtaken || (missed && far) { self.prompt_due(monitor, now) } else { due }
    }

    fn prompt_place(&mut self, now: Timestamp) -> Timestamp {
        let place = self.prompt.max(now);
        self.prompt = place + PROMPT_GAP;
        place
    }

    fn set_due(&mut self, key: MonitorKey, due: Option<Timestamp>, paced: Option<Duration>) {
        self.generation += 1;
        let generation = self.generation;
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.generation = generation;
            slot.due = due;
            slot.paced = paced;
            if let Some(due) = due {
                self.heap.push(Reverse((due, key, generation)));
            }
        }
        if self.heap.len() > 2 * self.slots.len() + STALE_MAX {
            let entry = |(key, slot): (&MonitorKey, &Slot)| Some(Reverse((slot.due?, *key, slot.generation)));
            self.heap = self.slots.iter().filter_map(entry).collect();
        }
    }

    fn valid(&self, key: MonitorKey, generation: u64) -> bool {
        self.slots.get(&key).is_some_and(|slot| slot.generation == generation && slot.due.is_some())
    }

    /// Gives a monitor its new definition without making it due: nothing of when and how it is checked differs.
    pub fn rename(&mut self, monitor: &Arc<Monitor>) {
        if let Some(slot) = self.slots.get_mut(&monitor.key) {
            slot.monitor = Arc::clone(monitor);
        }
    }

    /// Takes a monitor out. A check in flight ends as it likes.
    pub fn remove(&mut self, key: MonitorKey) {
        if let Some(slot) = self.slots.remove(&key) {
            self.in_flight -= usize::from(slot.running.is_some());
            self.paused -= usize::from(slot.paused);
        }
    }

    /// When the next tick is due.
    pub fn next_due(&mut self) -> Option<Timestamp> {
        while let Some(Reverse((due, key, generation))) = self.heap.peek().copied() {
            if self.valid(key, generation) {
                return Some(due);
            }
            self.heap.pop();
        }
        None
    }

    /// Starts the earliest tick that is due at `now`, if any.
    pub fn take_due(&mut self, now: Timestamp) -> Option<Start> {
        let due = self.next_due().filter(|due| *due <= now)?;
        let Reverse((_, key, _)) = self.heap.pop()?;
        self.start_due(key, due, now)
    }

    /// Starts the tick of a monitor that came due at `due`.
    fn start_due(&mut self, key: MonitorKey, due: Timestamp, now: Timestamp) -> Option<Start> {
        let slot = self.slots.get_mut(&key)?;
        let punctual = slot.paced.is_some_and(|every| now.since(due) < every);
        let Due { run, missed } =
            if punctual { Due { run: due, missed: None } } else { settle_due(&slot.monitor, due, now) };
        let tick = slot.lived.tell_apart(run);
        slot.due = None;
        slot.running = Some(tick);
        slot.last_started = Some(tick);
        self.in_flight += 1;
        Some(Start { monitor: Arc::clone(&slot.monitor), tick, late: now.since(run), missed })
    }

    /// Starts a tick out of turn.
    ///
    /// # Errors
    /// When there is no such monitor, it is paused, or a check of it is in flight.
    pub fn start_now(&mut self, key: MonitorKey, now: Timestamp) -> Result<Start, CheckNowError> {
        let slot = self.slots.get_mut(&key).ok_or(CheckNowError::Unknown)?;
        if slot.paused {
            return Err(CheckNowError::Paused);
        }
        if slot.running.is_some() {
            return Err(CheckNowError::Running);
        }
        // A tick that is due is the one to run now: passed over, it would be neither started nor missed.
        if let Some(due) = slot.due.filter(|due| *due <= now) {
            return self.start_due(key, due, now).ok_or(CheckNowError::Unknown);
        }
        let after_last = slot.last_started.map(|last| last + Duration::from_millis(1));
        let tick = after_last.map_or(now, |earliest| earliest.max(now));
        slot.running = Some(tick);
        slot.due = None;
        slot.last_started = Some(tick);
        self.in_flight += 1;
        Ok(Start { monitor: Arc::clone(&slot.monitor), tick, late: Duration::ZERO, missed: None })
    }

    /// The check of a tick ended, and the monitor stands in `phase` now. A check that was begun before its monitor was
    /// removed and made again frees nothing.
    pub fn finished(&mut self, key: MonitorKey, tick: Timestamp, phase: &Phase, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(&key).filter(|slot| slot.running == Some(tick)) else { return };
        slot.running = None;
        self.in_flight -= 1;
        if slot.paused {
            return;
        }
        let again = std::mem::take(&mut slot.prompt_again);
        let monitor = Arc::clone(&slot.monitor);
        let last = slot.last_started.unwrap_or(now);
        let due = if again { Some(self.prompt_place(now)) } else { next_due(&monitor, phase, last, now) };
        self.set_due(key, due, pace(monitor.pace, phase));
    }

    /// The clock was set back while we were away: a monitor that was just put in has ticks up to `newest`.
    pub fn lives_again(&mut self, key: MonitorKey, newest: Timestamp) {
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.lived = slot.lived.again(Some(newest));
        }
    }

    /// The clock was set back to `now`: everything is due anew from there.
    pub fn set_back(&mut self, now: Timestamp) {
        self.prompt = self.prompt.min(now);
        let keys: Vec<MonitorKey> = self.slots.keys().copied().collect();
        for key in keys {
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            slot.lived = slot.lived.again(slot.last_started);
            slot.last_started = slot.last_started.map(|last| last.min(now));
            if slot.due.is_some() {
                let due = next_tick(&slot.monitor, now);
                self.set_due(key, due, None);
            }
        }
    }
}

/// The ticks that were due after the newest result and not after `now`, as the monitor's pace had them due.
#[must_use]
pub fn missed_on_return(monitor: &Monitor, state: &State, now: Timestamp) -> Option<Missed> {
    let last = state.last_tick?;
    let first = next_due(monitor, &state.phase, last, last).filter(|first| *first <= now)?;
    missed_between(monitor, (first - Duration::from_millis(1)).max(last), now)
}

#[cfg(test)]
pub(crate) mod tests;
