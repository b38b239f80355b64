//! The one task that owns timetable, recorder and wakes, and moves data between them.
//!
//! It never waits for the store: at most one write is under way in a task of its own, and what arrives meanwhile is
//! collected. A write that fails is tried again until the store takes it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use watchpost_core::backfill::Backfilled;
use watchpost_core::plan::{Changed, Plan, Wanted};
use watchpost_core::ports::{CheckNowError, CheckedNow, Clock, EngineHealth, Publish};
use watchpost_core::schedule::Missed;
use watchpost_core::uptime::Counts;
use watchpost_core::{CheckResult, Definition, Event, Fault, FaultCode, Monitor, MonitorKey, Region, State, Timestamp};
use watchpost_store::{Redefine, Store};

use crate::lateness::Lateness;
use crate::persist::persist;
use crate::recorder::{Absorbed, Arrival, Batch, Held, Recorder};
use crate::run::{Ended, Runner};
use crate::timetable::{Put, Start, Timetable};
use crate::wakes::Wakes;

/// Results of unchanged monitors are committed together so long after the first of them.
pub const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// Inputs taken at once; between two such helpings the timers get their turn.
const INPUTS_AT_ONCE: usize = 1_024;
/// Ticks started at once, for the same reason.
const STARTS_AT_ONCE: usize = 1_024;
/// The longest sleep: a clock that steps is noticed within it.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// A clock that steps back by less is waited out.
const SET_BACK_MIN: Duration = Duration::from_secs(2);
/// How fresh the figures for health and metrics are.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// At shutdown: so long for checks in flight and for the store, each.
pub const DRAIN_MAX: Duration = Duration::from_secs(10);

/// What the driving task is told.
pub(crate) enum Input {
    Ended(Box<Ended>),
    CheckNow { monitor: MonitorKey, reply: oneshot::Sender<Result<CheckedNow, CheckNowError>> },
    Redefine { plan: Box<Plan>, wanted: Vec<Wanted>, reply: oneshot::Sender<Plan> },
}

/// A write that has become durable.
enum Done {
    Batch(Batch),
    Redefined(Box<Redefined>),
    Filled {
        monitor: MonitorKey,
        late: Vec<CheckResult>,
        filled: Option<Backfilled>,
    },
    /// Given up at shutdown.
    Abandoned,
}

/// An edit that has become durable.
struct Redefined {
    batch: Batch,
    plan: Plan,
    /// The monitors there are now: their keys and definitions, in order.
    definitions: Vec<Arc<Definition>>,
    keys: Vec<MonitorKey>,
    reply: oneshot::Sender<Plan>,
}

type Receipt = (oneshot::Sender<Result<CheckedNow, CheckNowError>>, CheckedNow);

pub(crate) struct Drive {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) publish: Arc<dyn Publish>,
    pub(crate) runner: Runner,
    pub(crate) inbox: mpsc::Receiver<Input>,
    pub(crate) ended: mpsc::Sender<Input>,
    pub(crate) in_flight_max: usize,
    pub(crate) health: Arc<Mutex<EngineHealth>>,
    pub(crate) timetable: Timetable,
    pub(crate) recorder: Recorder,
    pub(crate) wakes: Wakes,
    pub(crate) work: Work,
}

/// What the driving task keeps for itself.
#[derive(Default)]
pub(crate) struct Work {
    writing: Option<JoinHandle<Done>>,
    /// Edits that wait for the write under way, in order.
    edits: Vec<Edit>,
    late: HashMap<MonitorKey, Vec<CheckResult>>,
    /// Who waits for a check out of turn to end.
    asked: HashMap<(MonitorKey, Timestamp), oneshot::Sender<Result<CheckedNow, CheckNowError>>>,
    /// Told once the next batch is durable, and once the one under way is.
    receipts: Vec<Receipt>,
    receipts_writing: Vec<Receipt>,
    lateness: Lateness,
    counts: Counts,
    /// A limit kept due ticks from starting at this time.
    saturated: Option<Timestamp>,
    reported: Option<Instant>,
    /// Something happened since.
    unreported: bool,
    looked: Option<(Timestamp, Instant)>,
    stopping: Option<Instant>,
    totals: EngineHealth,
}

struct Edit {
    plan: Box<Plan>,
    wanted: Vec<Wanted>,
    reply: oneshot::Sender<Plan>,
}

impl Drive {
    /// Runs until told to stop and all is written.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut inputs = Vec::with_capacity(INPUTS_AT_ONCE);
        loop {
            let now = self.clock.now();
            self.watch_clock(now);
            self.start_due(now);
            self.wake_due(now);
            self.write_if_due(now);
            self.report(now);
            if self.drained() {
                break;
            }
            let sleep = self.until_next(now);
            tokio::select! { biased;
                () = stop.cancelled(), if self.work.stopping.is_none() => self.work.stopping = Some(Instant::now()),
                done = written(&mut self.work.writing), if self.work.writing.is_some() => self.settle(done),
                _ = self.inbox.recv_many(&mut inputs, INPUTS_AT_ONCE) => self.take_all(&mut inputs),
                () = tokio::time::sleep(sleep) => {}
            }
        }
        if let Err(e) = self.store.close().await {
            tracing::error!(error = %e, "the store did not close cleanly");
        }
    }

    /// Everything that was begun has ended, or was given its time.
    fn drained(&self) -> bool {
        let Some(since) = self.work.stopping else { return false };
        let patience_over = since.elapsed() > DRAIN_MAX * 2;
        let checks_over = self.timetable.in_flight() == 0 || since.elapsed() > DRAIN_MAX;
        patience_over || (checks_over && self.work.writing.is_none() && self.recorder.pending() == 0)
    }

    /// How long nothing is to be done unless something arrives.
    fn until_next(&mut self, now: Timestamp) -> Duration {
        let full = self.full();
        let due = if full { None } else { self.timetable.next_due() };
        let write = self.recorder.oldest().filter(|_| self.work.writing.is_none()).map(|at| at + COMMIT_EVERY);
        let next = [due, write, self.wakes.next()].into_iter().flatten().min();
        // Figures that were not reported for being too early are reported a moment later, not at the next event.
        let longest = if self.work.unreported { REPORT_EVERY } else { SLEEP_MAX };
        next.map_or(longest, |at| at.since(now)).min(longest)
    }

    fn full(&self) -> bool {
        self.timetable.in_flight() >= self.in_flight_max || self.work.stopping.is_some()
    }

    /// A clock that was set back for good takes all our times with it.
    fn watch_clock(&mut self, now: Timestamp) {
        if let Some(pulse) = &self.runner.pulse {
            pulse.beat(now);
        }
        if let Some((then, instant)) = self.work.looked {
            let expected = then + instant.elapsed();
            if expected.since(now) >= SET_BACK_MIN {
                tracing::warn!(by_s = expected.since(now).as_secs(), "the clock was set back");
                self.timetable.set_back(now);
                self.recorder.set_back(now);
                for held in self.recorder.all() {
                    self.wakes.set(held.monitor.key, held.state.wake(held.monitor.cannot_tell_after));
                }
            }
        }
        self.work.looked = Some((now, Instant::now()));
    }

    fn start_due(&mut self, now: Timestamp) {
        for _ in 0..STARTS_AT_ONCE {
            if self.full() {
                if self.timetable.next_due().is_some_and(|due| due <= now) {
                    self.work.saturated = Some(now);
                }
                return;
            }
            let Some(start) = self.timetable.take_due(now) else { return };
            self.work.lateness.note(start.late, now);
            if let Some(missed) = start.missed {
                self.missed(&start.monitor, &missed, now);
            }
            self.start(start);
        }
    }

    fn start(&self, start: Start) {
        let (runner, ended) = (self.runner.clone(), self.ended.clone());
        tokio::spawn(async move {
            let end = runner.run(start.monitor, start.tick).await;
            // The driving task is gone only when the process ends.
            let _ = ended.send(Input::Ended(Box::new(end))).await;
        });
    }

    /// Ticks that were due and not run become a row of their own, by whoever's fault.
    fn missed(&mut self, monitor: &Arc<Monitor>, missed: &Missed, now: Timestamp) {
        let overloaded = self.work.saturated.is_some_and(|at| at >= missed.first);
        let fault = match overloaded {
            true => Fault::new(FaultCode::Overloaded, "too many checks were due at once"),
            false => Fault::new(FaultCode::MissedTick, "Watchpost was not running or not awake"),
        };
        let result = CheckResult::missed(monitor.key, Region::local(), missed, fault.clone());
        let event = Event::Missed { missed: *missed, fault };
        self.work.totals.ticks_missed_total += u64::from(missed.count);
        self.absorb(Arrival { monitor: Arc::clone(monitor), event, result: Some(result) }, now);
    }

    fn wake_due(&mut self, now: Timestamp) {
        while let Some(key) = self.wakes.take_due(now) {
            if let Some(held) = self.recorder.held(key) {
                let monitor = Arc::clone(&held.monitor);
                self.absorb(Arrival { monitor, event: Event::Woken, result: None }, now);
            }
        }
    }

    /// Evaluates, and lets the deadline follow the state.
    fn absorb(&mut self, arrival: Arrival, now: Timestamp) -> Absorbed {
        let key = arrival.monitor.key;
        if let Some(result) = &arrival.result {
            self.work.counts.add(&result.verdict, result.ticks);
        }
        let absorbed = self.recorder.absorb(arrival, now);
        match &absorbed {
            Absorbed::Late(result) => self.work.late.entry(key).or_default().push(result.clone()),
            Absorbed::Dropped => self.work.totals.results_dropped_total += 1,
            Absorbed::Applied(_) | Absorbed::Ignored => {}
        }
        let held = self.recorder.held(key);
        self.wakes.set(key, held.and_then(|held| held.state.wake(held.monitor.cannot_tell_after)));
        absorbed
    }

    fn take_all(&mut self, inputs: &mut Vec<Input>) {
        let now = self.clock.now();
        self.work.unreported = true;
        for input in inputs.drain(..) {
            match input {
                Input::Ended(ended) => self.ended(*ended, now),
                Input::CheckNow { monitor, reply } => self.check_now(monitor, reply, now),
                Input::Redefine { plan, wanted, reply } => self.work.edits.push(Edit { plan, wanted, reply }),
            }
        }
    }

    fn ended(&mut self, ended: Ended, now: Timestamp) {
        let key = ended.arrival.monitor.key;
        self.work.totals.checks_total += 1;
        let absorbed = self.absorb(ended.arrival, now);
        let phase = self.recorder.held(key).map(|held| held.state.phase.clone());
        if let Some(phase) = phase {
            self.timetable.finished(key, ended.tick, &phase, now);
        }
        let Some(reply) = self.work.asked.remove(&(key, ended.tick)) else { return };
        match (absorbed, self.recorder.held(key)) {
            (Absorbed::Applied(Some(result)), Some(held)) => {
                let checked = CheckedNow { state: held.state.clone(), result, seen: ended.seen };
                self.work.receipts.push((reply, checked));
            }
            (_, held) => {
                let gone = if held.is_none() { CheckNowError::Unknown } else { CheckNowError::Busy };
                let _ = reply.send(Err(gone));
            }
        }
    }

    fn check_now(
        &mut self,
        key: MonitorKey,
        reply: oneshot::Sender<Result<CheckedNow, CheckNowError>>,
        now: Timestamp,
    ) {
        let started = match self.work.stopping {
            Some(_) => Err(CheckNowError::Busy),
            None => self.timetable.start_now(key, now),
        };
        match started {
            Ok(start) => {
                if let Some(missed) = start.missed {
                    self.missed(&start.monitor, &missed, now);
                }
                self.work.asked.insert((key, start.tick), reply);
                self.start(start);
            }
            Err(e) => {
                let _ = reply.send(Err(e));
            }
        }
    }

    fn write_if_due(&mut self, now: Timestamp) {
        if self.work.writing.is_some() {
            return;
        }
        if !self.work.edits.is_empty() {
            let edit = self.work.edits.remove(0);
            return self.write_edit(edit, now);
        }
        let old = self.recorder.oldest().is_some_and(|oldest| now.since(oldest) >= COMMIT_EVERY || oldest > now);
        let urgent = self.recorder.urgent() || !self.work.receipts.is_empty() || self.work.stopping.is_some();
        if (old || urgent)
            && let Some(batch) = self.recorder.take(now)
        {
            return self.write_batch(batch);
        }
        if let Some(key) = self.work.late.keys().next().copied() {
            self.read_late(key);
        }
    }

    fn write_batch(&mut self, batch: Batch) {
        self.work.receipts_writing.append(&mut self.work.receipts);
        let (store, health) = (Arc::clone(&self.store), Arc::clone(&self.health));
        self.work.writing = Some(tokio::spawn(async move {
            let commit = || store.commit(batch.commit.clone());
            match persist(&health, commit).await {
                Some(()) => Done::Batch(batch),
                None => Done::Abandoned,
            }
        }));
    }

    fn write_edit(&mut self, edit: Edit, now: Timestamp) {
        self.work.receipts_writing.append(&mut self.work.receipts);
        let Edit { plan, wanted, reply } = edit;
        let definitions = wanted.iter().map(|w| Arc::clone(&w.definition)).collect();
        let (redefine, batch) = self.recorder.redefine(&plan, wanted, now);
        let (store, health) = (Arc::clone(&self.store), Arc::clone(&self.health));
        self.work.writing = Some(tokio::spawn(async move {
            let write = || store.redefine(Redefine::clone(&redefine));
            match persist(&health, write).await {
                Some(keys) => Done::Redefined(Box::new(Redefined { batch, plan: *plan, definitions, keys, reply })),
                None => Done::Abandoned,
            }
        }));
    }

    fn read_late(&mut self, key: MonitorKey) {
        let Some(late) = self.work.late.remove(&key) else { return };
        let Some(monitor) = self.recorder.held(key).map(|held| Arc::clone(&held.monitor)) else { return };
        let (store, health) = (Arc::clone(&self.store), Arc::clone(&self.health));
        self.work.writing = Some(tokio::spawn(async move {
            let read = || crate::late::fill(&*store, &monitor, &late);
            match persist(&health, read).await {
                Some(filled) => Done::Filled { monitor: key, late, filled },
                None => Done::Abandoned,
            }
        }));
    }

    /// A write is durable: what it holds may be told.
    fn settle(&mut self, done: Done) {
        self.work.writing = None;
        self.work.unreported = true;
        let now = self.clock.now();
        match done {
            Done::Batch(batch) => self.publish.committed(&batch.news),
            Done::Redefined(edit) => {
                self.publish.committed(&edit.batch.news);
                self.admit(&edit, now);
                self.redefined(&edit, now);
                // Whoever waits for the edit finds it in the figures, too.
                self.work.reported = None;
                self.report(now);
                self.publish.redefined();
                let _ = edit.reply.send(edit.plan);
            }
            Done::Filled { monitor, late, filled } => self.recorder.fill(monitor, late, filled, now),
            Done::Abandoned => {}
        }
        for (reply, checked) in self.work.receipts_writing.drain(..) {
            let _ = reply.send(Ok(checked));
        }
    }

    /// Holds the monitors that the store has made at the edit's time, with the state that it gave them.
    fn admit(&mut self, edit: &Redefined, now: Timestamp) {
        // Unless the clock was set back since.
        let at = edit.batch.commit.at.min(now);
        for (definition, key) in edit.definitions.iter().zip(&edit.keys) {
            if self.recorder.held(*key).is_none() {
                let monitor = Arc::new(Monitor { key: *key, definition: Arc::clone(definition) });
                self.recorder.admit([Held { state: State::fresh(monitor.active, at), monitor }]);
            }
        }
    }

    /// Takes the outcome of an edit into the timetable. Only what changed is made due anew.
    fn redefined(&mut self, edit: &Redefined, now: Timestamp) {
        let (plan, began) = (&edit.plan, self.timetable.is_empty());
        for gone in &plan.removed {
            self.timetable.remove(gone.key);
            self.wakes.set(gone.key, None);
        }
        let changed = plan.changed.iter().map(|c| (c.from.key, touches_checks(c)));
        let touched: HashMap<MonitorKey, bool> =
            plan.unchanged.iter().map(|(key, _)| (*key, false)).chain(changed).collect();
        for (definition, key) in edit.definitions.iter().zip(&edit.keys) {
            let monitor = Arc::new(Monitor { key: *key, definition: Arc::clone(definition) });
            match (began, touched.get(key)) {
                (false, Some(false)) => self.timetable.rename(&monitor),
                (true, Some(_)) => self.put(&monitor, Put::Resumed, now),
                (true | false, None) | (false, Some(true)) => self.put(&monitor, Put::Edited, now),
            }
        }
    }

    fn put(&mut self, monitor: &Arc<Monitor>, why: Put, now: Timestamp) {
        let Some(state) = self.recorder.held(monitor.key).map(|held| held.state.clone()) else { return };
        self.wakes.set(monitor.key, state.wake(monitor.cannot_tell_after));
        let missed = self.timetable.put(monitor, &state, why, now);
        if let Some(newest) = self.recorder.take_ahead(monitor.key) {
            self.timetable.lives_again(monitor.key, newest);
        }
        if let Some(missed) = missed {
            self.missed(monitor, &missed, now);
        }
    }

    fn report(&mut self, now: Timestamp) {
        if self.work.reported.is_some_and(|then| then.elapsed() < REPORT_EVERY) {
            return;
        }
        self.work.reported = Some(Instant::now());
        self.work.unreported = false;
        let waiting = if self.full() { self.timetable.waiting(now) } else { 0 };
        let (p50, p99) = (self.work.lateness.quantile(0.5, now), self.work.lateness.quantile(0.99, now));
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.monitors = self.timetable.len();
        health.active = self.timetable.active();
        health.in_flight = self.timetable.in_flight();
        health.waiting = waiting;
        health.results_queued = self.recorder.pending();
        health.checks_total = self.work.totals.checks_total;
        health.ticks_missed_total = self.work.totals.ticks_missed_total;
        health.results_dropped_total = self.work.totals.results_dropped_total;
        health.panics_total = self.runner.panics.load(std::sync::atomic::Ordering::Relaxed);
        health.results = self.work.counts;
        health.lateness_p50 = p50;
        health.lateness_p99 = p99;
        health.stopping = self.work.stopping.is_some();
    }
}

/// Whether an edit changes what is checked, or when, or how it counts.
fn touches_checks(changed: &Changed) -> bool {
    changed.differences.iter().any(|d| !matches!(d.key.as_str(), "id" | "name" | "group" | "tags"))
}

/// Resolves when the write under way is durable.
async fn written(writing: &mut Option<JoinHandle<Done>>) -> Done {
    match writing {
        Some(task) => match task.await {
            Ok(done) => done,
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        },
        None => std::future::pending().await,
    }
}
