//! The world: what happens when, one thing at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchpost_core::ports::Clock as _;
use watchpost_core::{Monitor, Observation, Timestamp};
use watchpost_engine::recorder::Arrival;

use crate::catalog::Catalog;
use crate::clock::VirtualClock;
use crate::durable::Durable;
use crate::faults::{self, Trouble};
use crate::network::Network;
use crate::oracle::Oracle;
use crate::process::Process;
use crate::rng::Rng;
use crate::{LAST_EVENTS, Trace, Violation, WorldOptions};

/// Turns at one and the same time: more is a process that spins.
const TURNS_MAX: u32 = 1_000;
/// The engine sleeps no longer than this, milliseconds.
const SLEEP_MAX: i64 = 1_000;
/// After the end everything in flight and every write gets so long, milliseconds.
const DRAIN: i64 = 120_000;

/// Something that is going to happen.
pub(crate) enum Item {
    /// A check ends.
    CheckEnds { life: u64, monitor: Arc<Monitor>, tick: Timestamp, seen: Box<Observation> },
    /// A result that was held up arrives.
    Arrives { life: u64, arrival: Box<Arrival>, again: bool },
    /// The store answers a write.
    WriteEnds { life: u64 },
    /// Late results were read up.
    Filled { life: u64 },
    /// The process starts again.
    Starts,
    /// Trouble.
    Trouble(Trouble),
}

/// Everything but the process.
pub(crate) struct World {
    pub(crate) options: WorldOptions,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) network: Network,
    pub(crate) rng: Rng,
    pub(crate) catalog: Catalog,
    pub(crate) durable: Durable,
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    /// Until when, in milliseconds since the beginning, which trouble lasts.
    pub(crate) store_fails: i64,
    pub(crate) store_slow: i64,
    pub(crate) unruly: i64,
    /// Which life of the process this is: what belongs to an earlier one comes to nothing.
    pub(crate) life: u64,
    agenda: BTreeMap<(i64, u64), Item>,
    items: u64,
    steps: u64,
}

/// Runs the world of a seed to its end.
///
/// # Errors
/// When an invariant does not hold.
pub fn run(seed: u64, options: &WorldOptions) -> Result<Trace, Box<Violation>> {
    let mut world = World::new(seed, *options);
    let mut process = None;
    match world.go_on(&mut process) {
        Ok(()) => {
            let World { oracle, mut trace, .. } = world;
            (trace.results, trace.incidents) = (oracle.results, oracle.incidents);
            Ok(trace)
        }
        Err(what) => {
            let last = world.trace.lines.split_off(world.trace.lines.len().saturating_sub(LAST_EVENTS));
            Err(Box::new(Violation { seed, step: world.steps, what, last }))
        }
    }
}

impl World {
    fn new(seed: u64, options: WorldOptions) -> World {
        let clock = Arc::new(VirtualClock::default());
        let mut rng = Rng::new(seed, 0);
        let mut world = World {
            options,
            network: Network::new(seed, Arc::clone(&clock)),
            clock,
            catalog: Catalog::draw(&mut rng),
            rng,
            durable: Durable::new(options.bug),
            oracle: Oracle::default(),
            trace: Trace::default(),
            store_fails: 0,
            store_slow: 0,
            unruly: 0,
            life: 0,
            agenda: BTreeMap::new(),
            items: 0,
            steps: 0,
        };
        world.plan(0, Item::Starts);
        for (at, trouble) in faults::plan(seed, options.length_ms) {
            world.plan(at, Item::Trouble(trouble));
        }
        world
    }

    /// Puts something on the agenda, so many milliseconds from now.
    pub(crate) fn plan(&mut self, after: i64, item: Item) {
        self.items += 1;
        self.agenda.insert((self.clock.elapsed() + after.max(0), self.items), item);
    }

    pub(crate) fn note(&mut self, what: &str) {
        self.trace.lines.push(format!("{:>8} {what}", self.clock.elapsed()));
    }

    fn go_on(&mut self, process: &mut Option<Process>) -> Result<(), String> {
        while self.clock.elapsed() < self.options.length_ms {
            self.step(process)?;
        }
        self.end(process)
    }

    /// Lets the process have its turn, then the time pass until something happens.
    fn step(&mut self, process: &mut Option<Process>) -> Result<(), String> {
        let mut next = self.clock.elapsed() + SLEEP_MAX;
        if let Some(process) = process {
            let mut turns = 0;
            loop {
                process.turn(self)?;
                turns += 1;
                next = process.next(self).map_or(next, |at| at.min(next));
                if next > self.clock.elapsed() {
                    break;
                }
                if turns > TURNS_MAX {
                    return Err("the process spins: it has always something to do and never does it".to_owned());
                }
                next = self.clock.elapsed() + SLEEP_MAX;
            }
        }
        let item = self.agenda.first_key_value().map_or(next, |((at, _), _)| (*at).min(next));
        self.clock.advance_to(item);
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.clock.elapsed()) {
            self.steps += 1;
            let item = entry.remove();
            self.happen(item, process)?;
        }
        Ok(())
    }

    fn happen(&mut self, item: Item, process: &mut Option<Process>) -> Result<(), String> {
        match (item, process.as_mut()) {
            (Item::Starts, _) => *process = Some(Process::start(self)?),
            (Item::Trouble(trouble), _) => self.trouble(trouble, process)?,
            (Item::CheckEnds { life, monitor, tick, seen }, Some(process)) if life == self.life => {
                process.check_ended(self, &monitor, tick, &seen)?;
            }
            (Item::Arrives { life, arrival, again }, Some(process)) if life == self.life => {
                process.deliver(self, &arrival, again)?;
            }
            (Item::WriteEnds { life }, Some(process)) if life == self.life => process.write_ended(self)?,
            (Item::Filled { life }, Some(process)) if life == self.life => process.filled(self),
            // It belonged to a process that is dead.
            (
                Item::CheckEnds { .. } | Item::Arrives { .. } | Item::WriteEnds { .. } | Item::Filled { .. },
                Some(_) | None,
            ) => {}
        }
        match process {
            Some(process) => self.oracle.agrees(process.recorder.all()),
            None => Ok(()),
        }
    }

    fn trouble(&mut self, trouble: Trouble, process: &mut Option<Process>) -> Result<(), String> {
        self.note(&format!("{trouble:?}"));
        let now = self.clock.elapsed();
        match trouble {
            Trouble::Crash(away) => {
                if let Some(dead) = process.take() {
                    dead.crash(self)?;
                    self.plan(away, Item::Starts);
                }
            }
            Trouble::Suspend(span) => self.clock.advance_to(now + span),
            Trouble::Step(by) => {
                self.clock.step(by);
                if by < 0 {
                    self.oracle.warped();
                }
            }
            Trouble::StoreFails(span) => self.store_fails = now + span,
            Trouble::StoreSlow(span) => self.store_slow = now + span,
            Trouble::Unruly(span) => self.unruly = now + span,
            Trouble::CheckNow => {
                if let Some(process) = process {
                    process.check_now(self)?;
                }
            }
            Trouble::Edit(edit) => {
                let said = self.catalog.edit(edit, &mut self.rng);
                self.note(&said);
                if let Some(process) = process {
                    process.edit_wanted = true;
                }
            }
        }
        Ok(())
    }

    /// The end: no more trouble, no new checks; what is in flight ends, what is pending is written.
    fn end(&mut self, process: &mut Option<Process>) -> Result<(), String> {
        (self.store_fails, self.store_slow, self.unruly) = (0, 0, 0);
        self.agenda.retain(|_, item| !matches!(item, Item::Trouble(_)));
        if process.is_none() {
            *process = Some(Process::start(self)?);
            self.agenda.retain(|_, item| !matches!(item, Item::Starts));
        }
        let end = self.clock.elapsed() + DRAIN;
        while self.clock.elapsed() < end {
            if let Some(process) = process.as_mut() {
                process.stopping = true;
            }
            self.step(process)?;
        }
        self.oracle.all_committed()?;
        for held in process.iter().flat_map(|process| process.recorder.all()) {
            self.oracle.shows(held.monitor.key, &held.state)?;
        }
        self.compare()
    }

    /// Compares the store with what was committed.
    pub(crate) fn compare(&self) -> Result<(), String> {
        self.oracle.compare(self.durable.store())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
