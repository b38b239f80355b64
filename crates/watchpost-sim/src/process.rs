//! One life of the process: the engine's parts without I/O, moved as its driving task moves them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use watchpost_core::backfill::Backfilled;
use watchpost_core::plan::{Changed, Plan, Wanted, plan};
use watchpost_core::result::Tick;
use watchpost_core::schedule::Missed;
use watchpost_core::{
    CheckResult, Event, Fault, Monitor, MonitorKey, Observation, Reason, ReasonCode, Region, State, Timestamp, Verdict,
    judge,
};
use watchpost_engine::drive::COMMIT_EVERY;
use watchpost_engine::recorder::{Absorbed, Arrival, Batch, Held, Recorder};
use watchpost_engine::timetable::{Put, Start, Timetable};
use watchpost_engine::wakes::Wakes;
use watchpost_store::Redefine;

use crate::Bug;
use crate::durable::now_or_never;
use crate::network::took;
use crate::oracle::{Deadlines, Snapshot, away, told};
use crate::punctual::Punctual;
use crate::world::{Item, World};

/// A clock that steps back by less is waited out.
const SET_BACK_MIN: Duration = Duration::from_secs(2);

/// The process while it lives.
pub(crate) struct Process {
    pub(crate) recorder: Recorder,
    pub(crate) edit_wanted: bool,
    pub(crate) stopping: bool,
    timetable: Timetable,
    wakes: Wakes,
    writing: Option<Writing>,
    reading: Option<Reading>,
    late: BTreeMap<MonitorKey, Vec<CheckResult>>,
    /// The wall clock when it was last looked at, and when that was.
    looked: Option<(Timestamp, i64)>,
    punctual: Punctual,
    deadlines: Deadlines,
}

/// A write under way.
struct Writing {
    batch: Batch,
    edit: Option<Edit>,
    snapshot: Snapshot,
    /// It has reached the store, though nobody knows yet.
    durable: bool,
}

struct Edit {
    redefine: Redefine,
    plan: Plan,
    wanted: Vec<Wanted>,
    keys: Vec<MonitorKey>,
}

/// Late results that are being read up.
struct Reading {
    monitor: MonitorKey,
    late: Vec<CheckResult>,
    filled: Option<Backfilled>,
}

impl Process {
    /// Loads what the store holds; the configuration is applied in the first turn.
    pub(crate) fn start(world: &mut World) -> Result<Process, String> {
        world.life += 1;
        world.compare()?;
        let states = now_or_never(world.durable.store().load())?.map_err(|e| e.to_string())?;
        world.note(&format!("start: {} states", states.len()));
        world.oracle.loaded(&states)?;
        Ok(Process {
            recorder: Recorder::new(states),
            edit_wanted: true,
            stopping: false,
            timetable: Timetable::new(),
            wakes: Wakes::default(),
            writing: None,
            reading: None,
            late: BTreeMap::new(),
            looked: None,
            punctual: Punctual::default(),
            deadlines: Deadlines::default(),
        })
    }

    /// Dies. A write under way may have reached the store all the same.
    pub(crate) fn crash(mut self, world: &mut World) -> Result<(), String> {
        world.life += 1;
        if let Some(writing) = self.writing.as_mut()
            && world.rng.chance(500)
        {
            world.note("the write under way was durable");
            writing.reach(world)?;
        }
        world.oracle.crashed();
        Ok(())
    }

    /// What the driving task does between two sleeps.
    pub(crate) fn turn(&mut self, world: &mut World) -> Result<(), String> {
        let now = world.now();
        self.watch_clock(world, now)?;
        self.start_due(world, now)?;
        self.wake_due(world, now)?;
        self.write_if_due(world, now)?;
        if !self.stopping {
            self.punctual.nothing_left(now)?;
        }
        // While an edit is being written, the deadlines that follow from it are not set yet.
        match self.writing.as_ref().is_some_and(|writing| writing.edit.is_some()) {
            true => Ok(()),
            false => self.deadlines.none_passed(self.recorder.all(), &world.clock),
        }
    }

    /// When it wants its next turn, in milliseconds since the beginning, if nothing happens before.
    pub(crate) fn next(&mut self, world: &World) -> Option<i64> {
        let due = if self.stopping { None } else { self.timetable.next_due() };
        let write = self.recorder.oldest().filter(|_| self.idle()).map(|at| at + COMMIT_EVERY);
        let at = [due, write, self.wakes.next()].into_iter().flatten().map(|at| world.clock.when(at));
        at.min()
    }

    fn idle(&self) -> bool {
        self.writing.is_none() && self.reading.is_none()
    }

    fn watch_clock(&mut self, world: &mut World, now: Timestamp) -> Result<(), String> {
        let elapsed = world.clock.elapsed();
        if let Some((then, looked)) = self.looked {
            let expected = Timestamp::from_millis(then.as_millis() + elapsed - looked);
            if expected.since(now) >= SET_BACK_MIN && world.options.bug != Some(Bug::SkipsSetBack) {
                self.set_back(world, now)?;
            }
        }
        self.looked = Some((now, elapsed));
        Ok(())
    }

    fn set_back(&mut self, world: &mut World, now: Timestamp) -> Result<(), String> {
        world.note(&format!("the clock was set back to {now}"));
        self.timetable.set_back(now);
        self.recorder.set_back(now);
        self.punctual.set_back(now);
        for held in self.recorder.all() {
            self.wakes.set(held.monitor.key, held.state.wake(held.monitor.cannot_tell_after));
            world.oracle.followed(held, &Event::ClockSetBack { to: now }, now);
        }
        world.oracle.agrees(self.recorder.all())
    }

    fn start_due(&mut self, world: &mut World, now: Timestamp) -> Result<(), String> {
        while !self.stopping {
            let Some(start) = self.timetable.take_due(now) else { return Ok(()) };
            self.punctual.started(&start, now)?;
            if let Some(missed) = start.missed {
                self.missed(world, &start.monitor, &missed)?;
            }
            check(world, start);
        }
        Ok(())
    }

    /// Somebody asks for a check out of turn.
    pub(crate) fn check_now(&mut self, world: &mut World) -> Result<(), String> {
        let keys: Vec<u32> =
            self.recorder.all().map(|held| held.monitor.key.0).collect::<BTreeSet<_>>().into_iter().collect();
        let key = MonitorKey(world.rng.pick(&keys));
        let now = world.now();
        let started = self.timetable.start_now(key, now);
        self.punctual.asked(key, started.as_ref().ok(), now)?;
        if let Ok(start) = started {
            if let Some(missed) = start.missed {
                self.missed(world, &start.monitor, &missed)?;
            }
            check(world, start);
        }
        Ok(())
    }

    fn missed(&mut self, world: &mut World, monitor: &Arc<Monitor>, missed: &Missed) -> Result<(), String> {
        if world.options.bug == Some(Bug::ForgetsMissed) {
            return Ok(());
        }
        self.punctual.recorded(monitor.key, missed);
        let result = CheckResult::missed(monitor.key, Region::local(), missed, away());
        let event = Event::Missed { missed: *missed, fault: away() };
        self.deliver(world, &Arrival { monitor: Arc::clone(monitor), event, result: Some(result) }, false)
    }

    fn wake_due(&mut self, world: &mut World, now: Timestamp) -> Result<(), String> {
        while let Some(key) = self.wakes.take_due(now) {
            let Some(monitor) = self.recorder.held(key).map(|held| Arc::clone(&held.monitor)) else { continue };
            let arrival = Arrival { monitor, event: Event::Woken, result: None };
            let outcome = self.absorb(world, arrival.clone(), &arrival)?;
            self.deadlines.woken(key, &outcome)?;
            if world.options.bug == Some(Bug::WakesAgain) {
                self.wakes.set(key, Some(now));
                break;
            }
        }
        Ok(())
    }

    /// A check ended: what it saw is judged and handed on, unless the way is unruly.
    pub(crate) fn check_ended(
        &mut self,
        world: &mut World,
        monitor: &Arc<Monitor>,
        tick: Timestamp,
        seen: &Observation,
    ) -> Result<(), String> {
        let verdict = judge(monitor, seen);
        let identity = Tick { monitor: monitor.key, region: Region::local(), scheduled_at: tick };
        let result = Some(CheckResult::new(identity, seen, verdict.clone()));
        let event = Event::Checked { scheduled_at: tick, verdict };
        let arrival = Arrival { monitor: Arc::clone(monitor), event, result };
        let life = world.life;
        let later = |world: &mut World, again| {
            let (after, arrival) = (world.rng.within(0, 30_000), Box::new(arrival.clone()));
            world.plan(after, Item::Arrives { life, arrival, again });
        };
        let straight = world.clock.elapsed() >= world.unruly;
        match if straight { 9 } else { world.rng.within(0, 9) } {
            0 => world.note(&format!("lost: {} {tick}", monitor.id)),
            1..=3 => later(world, false),
            4..=6 => {
                later(world, true);
                self.deliver(world, &arrival, false)?;
            }
            _ => self.deliver(world, &arrival, false)?,
        }
        if straight {
            world.oracle.came_straight(&arrival, self.recorder.held(monitor.key))?;
        }
        if let Some(held) = self.recorder.held(monitor.key) {
            let now = world.now();
            self.timetable.finished(monitor.key, tick, &held.state.phase, now);
            self.punctual.finished(monitor.key, &held.state.phase, now);
        }
        Ok(())
    }

    /// An arrival comes to the recorder, `again` if it is a replay.
    pub(crate) fn deliver(&mut self, world: &mut World, arrival: &Arrival, again: bool) -> Result<(), String> {
        let mut given = arrival.clone();
        if let Event::Checked { scheduled_at, verdict } = &mut given.event {
            match (world.options.bug, &*verdict) {
                (Some(Bug::ReplayCounts), _) if again => *scheduled_at = *scheduled_at + Duration::from_millis(1),
                (Some(Bug::FaultsFail), Verdict::Inconclusive(Fault { text, .. })) => {
                    *verdict = Verdict::Fail(Reason::new(ReasonCode::Timeout, None, Arc::clone(text)));
                }
                _ => {}
            }
        }
        let outcome = self.absorb(world, given, arrival)?;
        if let Absorbed::Late(result) = outcome {
            self.late.entry(result.tick.monitor).or_default().push(result);
        }
        Ok(())
    }

    /// Absorbs what is given, and asks for a second opinion on what it should have been.
    fn absorb(&mut self, world: &mut World, given: Arrival, arrival: &Arrival) -> Result<Absorbed, String> {
        let (key, now) = (arrival.monitor.key, world.now());
        let outcome = self.recorder.absorb(given, now);
        let held = self.recorder.held(key);
        let (id, what) = (&arrival.monitor.id, said(&arrival.event));
        let shown = held.map(|h| h.state.shown());
        let kind = match &outcome {
            Absorbed::Applied(_) => "",
            Absorbed::Late(_) => " (late)",
            Absorbed::Ignored => " (ignored)",
            Absorbed::Dropped => " (dropped)",
        };
        world.note(&format!("{id} {what}{kind}: {shown:?}"));
        world.oracle.absorbed(arrival, &outcome, held, now)?;
        self.wakes.set(key, held.and_then(|held| held.state.wake(held.monitor.cannot_tell_after)));
        Ok(outcome)
    }

    fn write_if_due(&mut self, world: &mut World, now: Timestamp) -> Result<(), String> {
        if !self.idle() {
            return Ok(());
        }
        if std::mem::take(&mut self.edit_wanted) {
            return self.write_edit(world, now);
        }
        let old = self.recorder.oldest().is_some_and(|oldest| now.since(oldest) >= COMMIT_EVERY || oldest > now);
        if (old || self.recorder.urgent() || self.stopping)
            && let Some(batch) = self.recorder.take(now)
        {
            self.write(world, batch, None);
            return Ok(());
        }
        if let Some((key, late)) = self.late.pop_first() {
            self.read_late(world, key, late)?;
        }
        Ok(())
    }

    fn write(&mut self, world: &mut World, batch: Batch, edit: Option<Edit>) {
        self.writing = Some(Writing { batch, edit, snapshot: world.oracle.snapshot(), durable: false });
        let slow = world.clock.elapsed() < world.store_slow;
        let after = if slow { world.rng.within(500, 9_000) } else { world.rng.within(0, 20) };
        world.plan(after, Item::WriteEnds { life: world.life });
    }

    fn write_edit(&mut self, world: &mut World, now: Timestamp) -> Result<(), String> {
        let wanted = world.catalog.wanted();
        let known = now_or_never(world.durable.store().known())?.map_err(|e| e.to_string())?;
        let plan = plan(known, wanted.clone());
        let before: BTreeMap<MonitorKey, bool> =
            self.recorder.all().map(|h| (h.monitor.key, h.monitor.active)).collect();
        let (redefine, batch) = self.recorder.redefine(&plan, wanted.clone(), now);
        self.follow_edit(world, &plan, &before, now)?;
        self.write(world, batch, Some(Edit { redefine, plan, wanted, keys: Vec::new() }));
        Ok(())
    }

    /// Tells the second opinion what was edited, in the words of the edit.
    fn follow_edit(
        &self,
        world: &mut World,
        plan: &Plan,
        before: &BTreeMap<MonitorKey, bool>,
        now: Timestamp,
    ) -> Result<(), String> {
        let rekinded: BTreeSet<MonitorKey> = plan.changed.iter().filter(|c| c.rekinded()).map(|c| c.from.key).collect();
        for held in self.recorder.all() {
            let key = held.monitor.key;
            if !before.contains_key(&key) {
                world.oracle.claimed(key, now);
            }
            if rekinded.contains(&key) {
                world.oracle.followed(held, &Event::Rekinded, now);
            }
            // What a restart finds switched over while it was away is an edit as well.
            let event = if held.monitor.active { Event::Resumed } else { Event::Paused };
            if before.get(&key) != Some(&held.monitor.active) {
                world.oracle.followed(held, &event, now);
            }
        }
        for gone in &plan.removed {
            world.oracle.removed(gone.key);
        }
        world.oracle.agrees(self.recorder.all())
    }

    /// The store answers: done, or not, or done and we are not told.
    pub(crate) fn write_ended(&mut self, world: &mut World) -> Result<(), String> {
        let Some(writing) = self.writing.as_mut() else { return Ok(()) };
        if world.clock.elapsed() < world.store_fails {
            if writing.edit.is_none() && world.rng.chance(200) {
                world.note("the write failed and was durable");
                writing.reach(world)?;
            }
            if world.options.bug == Some(Bug::DropsRefused) {
                self.writing = None;
                return Ok(());
            }
            let after = world.rng.within(100, 5_000);
            world.plan(after, Item::WriteEnds { life: world.life });
            return Ok(());
        }
        writing.reach(world)?;
        if let Some(Writing { edit: Some(edit), .. }) = self.writing.take() {
            self.redefined(world, &edit)?;
        }
        Ok(())
    }

    fn redefined(&mut self, world: &mut World, edit: &Edit) -> Result<(), String> {
        let began = self.timetable.is_empty();
        for gone in &edit.plan.removed {
            self.timetable.remove(gone.key);
            self.wakes.set(gone.key, None);
            self.punctual.removed(gone.key);
        }
        let changed = edit.plan.changed.iter().map(|c| (c.from.key, touches_checks(c)));
        let touched: BTreeMap<MonitorKey, bool> =
            edit.plan.unchanged.iter().map(|(key, _)| (*key, false)).chain(changed).collect();
        for (wanted, key) in edit.wanted.iter().zip(&edit.keys) {
            let monitor = Arc::new(Monitor { key: *key, definition: Arc::clone(&wanted.definition) });
            if self.recorder.held(*key).is_none() {
                // As the store has made it, from the moment of the edit on; unless the clock was set back since.
                let state = State::fresh(monitor.active, edit.redefine.at.min(world.now()));
                let held = Held { monitor: Arc::clone(&monitor), state };
                world.oracle.admitted(&held);
                self.recorder.admit([held]);
            }
            match (began, touched.get(key)) {
                (false, Some(false)) => {
                    self.timetable.rename(&monitor);
                    self.punctual.renamed(&monitor);
                }
                (true, Some(_)) => self.put(world, &monitor, Put::Resumed)?,
                (true | false, None) | (false, Some(true)) => self.put(world, &monitor, Put::Edited)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, world: &mut World, monitor: &Arc<Monitor>, why: Put) -> Result<(), String> {
        let now = world.now();
        let Some(state) = self.recorder.held(monitor.key).map(|held| held.state.clone()) else { return Ok(()) };
        self.wakes.set(monitor.key, state.wake(monitor.cannot_tell_after));
        let missed = self.timetable.put(monitor, &state, why, now);
        self.punctual.knows(monitor.key, state.last_tick);
        if let Some(newest) = self.recorder.take_ahead(monitor.key) {
            self.timetable.lives_again(monitor.key, newest);
            self.punctual.lives_again(monitor.key, newest);
        }
        match why {
            Put::Edited => self.punctual.edited(monitor, now),
            Put::Resumed => self.punctual.resumed(monitor, (&state.phase, state.last_tick), missed, now)?,
        }
        match missed {
            Some(missed) => self.missed(world, monitor, &missed),
            None => Ok(()),
        }
    }

    fn read_late(&mut self, world: &mut World, monitor: MonitorKey, late: Vec<CheckResult>) -> Result<(), String> {
        let Some(held) = self.recorder.held(monitor) else { return Ok(()) };
        let read = watchpost_engine::late::fill(world.durable.store(), &held.monitor, &late);
        let filled = now_or_never(read)?.map_err(|e| e.to_string())?;
        self.reading = Some(Reading { monitor, late, filled });
        let after = world.rng.within(0, 3_000);
        world.plan(after, Item::Filled { life: world.life });
        Ok(())
    }

    /// Late results were read up: what they change goes the way of everything else.
    pub(crate) fn filled(&mut self, world: &mut World) {
        if let Some(Reading { monitor, late, filled }) = self.reading.take() {
            world.note(&format!("{monitor:?}: {} late results, filled: {}", late.len(), filled.is_some()));
            self.recorder.fill(monitor, late, filled, world.now());
        }
    }
}

/// Begins a check; it ends when what it saw says so.
fn check(world: &mut World, start: Start) {
    let Start { monitor, tick, .. } = start;
    let seen = world.network.observe(&monitor);
    let after = i64::try_from(took(&seen).as_millis()).unwrap_or(0);
    world.plan(after, Item::CheckEnds { life: world.life, monitor, tick, seen: Box::new(seen) });
}

impl Writing {
    /// The write reaches the store; a second time changes nothing there.
    fn reach(&mut self, world: &mut World) -> Result<(), String> {
        let mut entries = self.batch.commit.entries.clone();
        if let Some(edit) = &mut self.edit {
            entries.clone_from(&edit.redefine.entries);
            edit.keys = world.durable.redefine(edit.redefine.clone())?;
        } else {
            world.durable.commit(self.batch.commit.clone())?;
        }
        let already = std::mem::replace(&mut self.durable, true);
        if already {
            return Ok(());
        }
        world.note(&format!("committed {}", told(&self.batch)));
        world.oracle.committed(&entries, self.snapshot.clone())?;
        if let Some(edit) = &self.edit {
            for (wanted, key) in edit.wanted.iter().zip(&edit.keys) {
                world.oracle.made(*key, wanted.definition.active, edit.redefine.at);
            }
        }
        Ok(())
    }
}

fn touches_checks(changed: &Changed) -> bool {
    changed.differences.iter().any(|d| !matches!(d.key.as_str(), "id" | "name" | "group" | "tags"))
}

fn said(event: &Event) -> String {
    match event {
        Event::Checked { scheduled_at, verdict } => {
            let word = match verdict {
                Verdict::Pass => "pass",
                Verdict::Degraded(_) => "degraded",
                Verdict::Fail(_) => "fail",
                Verdict::Inconclusive(_) => "inconclusive",
            };
            format!("{scheduled_at} {word}")
        }
        other => format!("{other:?}"),
    }
}
