//! A second opinion on the timetable: when each monitor must be started next, and which ticks must be reported as
//! missed. Grids are counted one by one here, where the core calculates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchpost_core::monitor::Pace;
use watchpost_core::schedule::{Missed, Schedule, phase};
use watchpost_core::state::Phase;
use watchpost_core::{Monitor, MonitorKey, Timestamp};
use watchpost_engine::timetable::Start;

/// A prompt tick comes within this many milliseconds: places are 2 ms apart and monitors are few, but a clock that steps
/// back by less than 2 s is waited out.
const PROMPT_MAX: i64 = 2_100;

/// What is expected of a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Exactly this tick, or those from it on reported as missed.
    At(Timestamp),
    /// A tick at or before this.
    By(Timestamp),
    /// A check is in flight.
    Running { last: Timestamp, again: bool, paused: bool },
    /// Nothing.
    Idle,
}

impl Next {
    /// What is expected once the clock was set back to `now`.
    fn set_back(self, monitor: &Monitor, now: Timestamp) -> Option<Next> {
        match self {
            Next::At(_) | Next::By(_) => grid(monitor, now, shifted(now, 120_000)).first().map(|t| Next::By(*t)),
            Next::Running { last, again, paused } => Some(Next::Running { last: last.min(now), again, paused }),
            Next::Idle => None,
        }
    }
}

/// What is expected of the timetable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Punctual {
    next: BTreeMap<MonitorKey, Next>,
    /// The monitors as the timetable knows them: an edit reaches it when it is durable.
    monitors: BTreeMap<MonitorKey, Arc<Monitor>>,
    /// Up to when each monitor's time is lived again, and for how many times.
    lived: BTreeMap<MonitorKey, (Timestamp, i64)>,
    /// The newest tick of each monitor that was started.
    newest: BTreeMap<MonitorKey, Timestamp>,
    /// Runs of missed ticks that were reported and not recorded yet.
    owed: BTreeSet<(MonitorKey, Timestamp)>,
}

impl Punctual {
    /// A monitor is new or was edited, and the timetable knows.
    pub(crate) fn edited(&mut self, monitor: &Arc<Monitor>, now: Timestamp) {
        let paused = !monitor.active;
        self.renamed(monitor);
        let running = match self.next.get(&monitor.key) {
            Some(Next::Running { last, .. }) => Some(*last),
            _ => None,
        };
        let next = match (running, paused) {
            (Some(last), paused) => Next::Running { last, again: true, paused },
            (None, true) => Next::Idle,
            (None, false) => Next::By(shifted(now, PROMPT_MAX)),
        };
        self.next.insert(monitor.key, next);
    }

    /// A monitor goes on after a restart, with the newest tick on record and what was reported as missed since.
    pub(crate) fn resumed(
        &mut self,
        monitor: &Arc<Monitor>,
        (state_phase, last): (&Phase, Option<Timestamp>),
        missed: Option<Missed>,
        now: Timestamp,
    ) -> Result<(), String> {
        self.renamed(monitor);
        if *state_phase == Phase::Paused {
            self.next.insert(monitor.key, Next::Idle);
            return Ok(());
        }
        let first = last.map(|last| due_after(monitor, state_phase, last, last));
        let ticks = first.map(|first| grid(monitor, shifted(first, -1), now)).unwrap_or_default();
        let wanted = first.filter(|first| *first <= now).and_then(|_| run(&ticks));
        if missed != wanted {
            return Err(format!("{}: missed while away {missed:?}, expected {wanted:?} after {last:?}", monitor.id));
        }
        self.owe(monitor.key, missed);
        let due = last.map_or(now, |last| due_after(monitor, state_phase, last, now));
        self.next.insert(monitor.key, Next::By(due.max(shifted(now, PROMPT_MAX))));
        Ok(())
    }

    pub(crate) fn removed(&mut self, key: MonitorKey) {
        self.next.remove(&key);
        self.monitors.remove(&key);
        self.lived.remove(&key);
        self.newest.remove(&key);
    }

    /// Its definition changed in nothing that matters here.
    pub(crate) fn renamed(&mut self, monitor: &Arc<Monitor>) {
        self.monitors.insert(monitor.key, Arc::clone(monitor));
    }

    pub(crate) fn started(&mut self, start: &Start, now: Timestamp) -> Result<(), String> {
        let monitor = &start.monitor;
        let planned = self.as_planned(monitor.key, start.tick);
        if ![start.tick, planned].into_iter().any(|tick| self.fits(start, tick, now)) {
            let next = self.next.get(&monitor.key);
            return Err(format!(
                "{} started {} with missed {:?}; expected {next:?}",
                monitor.id, start.tick, start.missed
            ));
        }
        self.owe(monitor.key, start.missed);
        self.next.insert(monitor.key, Next::Running { last: start.tick, again: false, paused: false });
        self.newest.insert(monitor.key, start.tick);
        Ok(())
    }

    /// Whether this is what was expected to be started, taken as the tick that was planned.
    fn fits(&self, start: &Start, tick: Timestamp, now: Timestamp) -> bool {
        let monitor = &start.monitor;
        let first = start.missed.map_or(tick, |missed| missed.first);
        // Of the regular ticks that have come the newest runs; a prompt or paced one that was overtaken does not.
        let settled = |due: Timestamp| {
            let mut regular = grid(monitor, shifted(due, -1), now);
            let newest = regular.pop().unwrap_or(due);
            newest == tick && run(&regular) == start.missed
        };
        let expected = match self.next.get(&monitor.key) {
            Some(Next::At(due)) => settled(*due) || (tick == *due && start.missed.is_none() && paced(monitor)),
            Some(Next::By(due)) => first <= *due || settled(*due),
            Some(Next::Running { .. } | Next::Idle) | None => false,
        };
        expected && tick <= now
    }

    /// A tick without the milliseconds that tell it from the same one of a time before.
    fn as_planned(&self, key: MonitorKey, tick: Timestamp) -> Timestamp {
        let Some((until, times)) = self.lived.get(&key) else { return tick };
        let planned = shifted(tick, -times);
        if planned <= *until { planned } else { tick }
    }

    /// The timetable was told of a tick.
    pub(crate) fn knows(&mut self, key: MonitorKey, tick: Option<Timestamp>) {
        self.newest.extend(tick.max(self.newest.get(&key).copied()).map(|tick| (key, tick)));
    }

    /// The clock was set back; ticks up to `newest` were there before.
    pub(crate) fn lives_again(&mut self, key: MonitorKey, newest: Timestamp) {
        let (until, times) = self.lived.entry(key).or_insert((newest, 0));
        (*until, *times) = ((*until).max(newest), *times + 1);
    }

    /// A check out of turn was asked for: it starts unless one is in flight or the monitor is paused. A tick that is
    /// due already is the one that runs; else its tick is like no other.
    pub(crate) fn asked(&mut self, key: MonitorKey, started: Option<&Start>, now: Timestamp) -> Result<(), String> {
        let next = self.next.get(&key).copied();
        match (next, started) {
            (Some(Next::At(_) | Next::By(_)), Some(start)) if start.tick < now => self.started(start, now),
            (Some(Next::At(due)), Some(start)) if due <= now => self.started(start, now),
            (Some(Next::At(_) | Next::By(_)), Some(start)) => {
                self.next.insert(key, Next::Running { last: start.tick, again: false, paused: false });
                self.newest.insert(key, start.tick);
                Ok(())
            }
            (Some(Next::Running { .. } | Next::Idle) | None, None) => Ok(()),
            (next, started) => Err(format!("{key:?} out of turn: started {started:?}, expected {next:?}")),
        }
    }

    fn owe(&mut self, key: MonitorKey, missed: Option<Missed>) {
        self.owed.extend(missed.map(|missed| (key, missed.first)));
    }

    /// A run of missed ticks was recorded.
    pub(crate) fn recorded(&mut self, key: MonitorKey, missed: &Missed) {
        self.owed.remove(&(key, missed.first));
    }

    pub(crate) fn finished(&mut self, key: MonitorKey, phase: &Phase, now: Timestamp) {
        let Some(monitor) = self.monitors.get(&key) else { return };
        let Some(Next::Running { last, again, paused }) = self.next.get(&key).copied() else { return };
        let next = match (paused, again) {
            (true, _) => Next::Idle,
            (_, true) => Next::By(shifted(now, PROMPT_MAX)),
            (_, false) => Next::At(due_after(monitor, phase, last, now)),
        };
        self.next.insert(key, next);
    }

    pub(crate) fn set_back(&mut self, now: Timestamp) {
        for (key, newest) in self.newest.clone() {
            self.lives_again(key, newest);
            self.newest.insert(key, newest.min(now));
        }
        for monitor in self.monitors.values() {
            let next = self.next.get(&monitor.key).and_then(|next| next.set_back(monitor, now));
            self.next.extend(next.map(|next| (monitor.key, next)));
        }
    }

    /// Everything that was due has been started, everything missed has been recorded.
    pub(crate) fn nothing_left(&self, now: Timestamp) -> Result<(), String> {
        for (key, next) in &self.next {
            match next {
                Next::At(due) | Next::By(due) if *due < now => {
                    return Err(format!("{key:?} was due at {due} and is not started"));
                }
                Next::At(_) | Next::By(_) | Next::Running { .. } | Next::Idle => {}
            }
        }
        match self.owed.first() {
            Some((key, first)) => Err(format!("{key:?}: ticks from {first} on were missed and are not recorded")),
            None => Ok(()),
        }
    }
}

fn paced(monitor: &Monitor) -> bool {
    monitor.pace != Pace::default()
}

/// When a monitor is due after its tick `last`, which ended at `now`.
fn due_after(monitor: &Monitor, phase: &Phase, last: Timestamp, now: Timestamp) -> Timestamp {
    let regular = grid(monitor, last.max(now), shifted(last.max(now), 120_000));
    let regular = regular.first().copied().unwrap_or(Timestamp::MAX);
    let every = match phase {
        Phase::Failing { .. } => monitor.pace.retry,
        Phase::Down { .. } => monitor.pace.while_down,
        Phase::Unknown | Phase::Up | Phase::Degraded { .. } | Phase::Paused => None,
    };
    match (every, &monitor.schedule) {
        (None, _) => regular,
        (Some(every), Schedule::Every(_)) => (last + every).max(now),
        (Some(every), Schedule::Cron(_)) => (last + every).max(now).min(regular),
    }
}

/// The regular ticks in `(after, until]`, one by one. The world's cron expression is "every minute".
fn grid(monitor: &Monitor, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let (every, offset) = match &monitor.schedule {
        Schedule::Every(every) => (*every, phase(monitor.key, *every)),
        Schedule::Cron(_) => (std::time::Duration::from_secs(60), std::time::Duration::ZERO),
    };
    let (every, offset) = (every.as_millis(), offset.as_millis());
    let (every, offset) = (i64::try_from(every).unwrap_or(1), i64::try_from(offset).unwrap_or(0));
    let begin = after.as_millis().div_euclid(every) * every - every + offset;
    let ticks = (0..).map(|n| Timestamp::from_millis(begin + n * every));
    ticks.skip_while(|tick| *tick <= after).take_while(|tick| *tick <= until).collect()
}

fn run(ticks: &[Timestamp]) -> Option<Missed> {
    let (first, last) = (*ticks.first()?, *ticks.last()?);
    Some(Missed { first, last, count: u32::try_from(ticks.len()).unwrap_or(u32::MAX) })
}

fn shifted(at: Timestamp, by: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis() + by)
}
