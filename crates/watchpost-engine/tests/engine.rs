//! The engine on paused time: real tasks and channels, a model store, and checks that do as they are told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, and says where")]

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use watchpost_checks::Check;
use watchpost_core::monitor::{Pace, Source, Thresholds};
use watchpost_core::observe::{End, Failure, FailureKind};
use watchpost_core::plan::{Document, Wanted};
use watchpost_core::ports::{BoxFuture, CheckNow, CheckNowError, Clock, Health, News, Publish};
use watchpost_core::schedule::Schedule;
use watchpost_core::spec::{HostPort, IpVersion, Spec, TcpSpec};
use watchpost_core::{
    Change, CheckResult, Definition, Fault, FaultCode, MonitorId, MonitorKey, Observation, Stage, Timestamp, Verdict,
};
use watchpost_engine::{Engine, EngineOptions, Parts};
use watchpost_store::memory::{FailingCommit, MemoryStore};
use watchpost_store::{ResultQuery, Views};

/// Wall-clock time that follows tokio's.
struct TokioClock {
    began: Instant,
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_790_000_000) + self.began.elapsed()
    }
}

type Script = dyn Fn(&Definition) -> BoxFuture<'static, End> + Send + Sync;

/// Checks that do what the script says, and are counted.
struct Scripted {
    clock: Arc<TokioClock>,
    script: Box<Script>,
    begun: AtomicU64,
}

impl Check for Scripted {
    fn check<'a>(&'a self, definition: &'a Definition) -> BoxFuture<'a, Observation> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let seen = Observation::begin(self.clock.now());
        let end = (self.script)(definition);
        Box::pin(async move { Observation { end: end.await, ..seen } })
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<News>>);

impl Publish for Told {
    fn committed(&self, news: &[News]) {
        self.0.lock().unwrap().extend_from_slice(news);
    }
    fn redefined(&self) {}
}

struct World {
    engine: Engine,
    store: MemoryStore,
    checks: Arc<Scripted>,
    told: Arc<Told>,
    clock: Arc<TokioClock>,
}

fn ends(end: End) -> impl Fn(&Definition) -> BoxFuture<'static, End> + Send + Sync + 'static {
    move |_| {
        let end = end.clone();
        Box::pin(async move { end })
    }
}

fn refused() -> End {
    End::Failed(Failure { stage: Stage::Connect, kind: FailureKind::Refused })
}

async fn world(
    options: EngineOptions,
    script: impl Fn(&Definition) -> BoxFuture<'static, End> + Send + Sync + 'static,
) -> World {
    let clock = Arc::new(TokioClock { began: Instant::now() });
    let store = MemoryStore::new();
    let checks = Arc::new(Scripted { clock: Arc::clone(&clock), script: Box::new(script), begun: AtomicU64::new(0) });
    let told = Arc::new(Told::default());
    let parts = Parts {
        store: Arc::new(store.clone()),
        check: Arc::clone(&checks) as Arc<dyn Check>,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        publish: Arc::clone(&told) as Arc<dyn Publish>,
    };
    let engine = Engine::start(parts, options).await.unwrap();
    World { engine, store, checks, told, clock }
}

fn wanted(id: &str, every: Duration) -> Wanted {
    let definition = Definition {
        id: MonitorId::new(id),
        name: id.to_owned(),
        group: None,
        tags: Vec::new(),
        spec: Spec::Tcp(TcpSpec {
            address: HostPort { host: format!("{}.example.org", id.trim_start_matches("new-")), port: 80 },
            send: None,
            expect: None,
            ip: IpVersion::Any,
        }),
        expect: Arc::default(),
        schedule: Schedule::Every(every),
        pace: Pace::default(),
        thresholds: Thresholds { fail_after: NonZeroU32::MIN, recover_after: NonZeroU32::MIN },
        timeout: Duration::from_secs(10),
        active: true,
        cannot_tell_after: Duration::from_mins(15),
        source: Source::Api,
    };
    let document = Document::new(&json!({ "id": id, "interval": every.as_millis().to_string() }));
    Wanted { definition: Arc::new(definition), document }
}

impl World {
    /// Stops the engine; what is there afterwards is what the next life finds.
    async fn stop(&self) -> MemoryStore {
        self.engine.stop().await;
        self.store.crash()
    }
    fn begun(&self) -> u64 {
        self.checks.begun.load(Ordering::Relaxed)
    }
}

async fn results(store: &MemoryStore) -> BTreeMap<MonitorKey, Vec<CheckResult>> {
    let mut by_monitor: BTreeMap<MonitorKey, Vec<CheckResult>> = BTreeMap::new();
    let mut query = ResultQuery { limit: 1_000, ..ResultQuery::default() };
    loop {
        let page = store.results(query.clone()).await.unwrap();
        for result in page.items {
            by_monitor.entry(result.tick.monitor).or_default().push(result);
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return by_monitor,
        }
    }
}

/// Scheduled times of one monitor's results are one interval apart, but for the prompt one.
fn on_the_grid(results: &[CheckResult], every: Duration) {
    let grid = &results[..results.len() - 1];
    for pair in grid.windows(2) {
        assert_eq!(pair[0].tick.scheduled_at, pair[1].tick.scheduled_at + every);
    }
}

#[tokio::test(start_paused = true)]
async fn every_tick_is_recorded_once() {
    let w = world(EngineOptions::default(), ends(End::Complete)).await;
    let monitors = (0..20).map(|i| wanted(&format!("m{i}"), Duration::from_secs(5))).collect();
    w.engine.apply(monitors).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let results = results(&w.stop().await).await;
    assert_eq!(results.len(), 20);
    for results in results.values() {
        assert!((120..=122).contains(&results.len()), "{}", results.len());
        assert!(results.iter().all(|r| r.verdict == Verdict::Pass && r.ticks == 1));
        on_the_grid(results, Duration::from_secs(5));
    }
    let told: usize = w.told.0.lock().unwrap().iter().filter(|n| n.result.is_some()).count();
    assert_eq!(told, results.values().map(Vec::len).sum::<usize>(), "what is durable is told, once");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_minutes_delays_no_check_and_loses_no_result() {
    let w = world(EngineOptions::default(), ends(End::Complete)).await;
    w.engine.apply(vec![wanted("a", Duration::from_secs(1))]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    w.store.fail_commits(40, FailingCommit::Lost);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(w.engine.health().store_error.is_some());
    assert!(w.engine.health().results_queued > 60);
    assert!((129..=132).contains(&w.begun()), "checks went on: {}", w.begun());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(w.engine.health().store_error, None);
    let results = results(&w.stop().await).await.remove(&MonitorKey(1)).unwrap();
    assert!(results.iter().all(|r| r.verdict == Verdict::Pass));
    assert_eq!(results.len() as u64, w.begun());
    on_the_grid(&results, Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_repeated_without_doubling_anything() {
    let w = world(EngineOptions::default(), ends(refused())).await;
    w.store.fail_commits(3, FailingCommit::Kept);
    w.engine.apply(vec![wanted("a", Duration::from_secs(1))]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let store = w.stop().await;
    let results = results(&store).await.remove(&MonitorKey(1)).unwrap();
    assert_eq!(results.len() as u64, w.begun());
    let query = watchpost_store::IncidentQuery { limit: 10, ..watchpost_store::IncidentQuery::default() };
    assert_eq!(store.incidents(query).await.unwrap().items.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_panics_is_our_fault_and_nobody_elses() {
    let script = |d: &Definition| -> BoxFuture<'static, End> {
        let bad = d.id.as_str() == "bad";
        Box::pin(async move {
            assert!(!bad, "a defect in a check");
            End::Complete
        })
    };
    let w = world(EngineOptions::default(), script).await;
    let every = Duration::from_secs(5);
    w.engine.apply(vec![wanted("bad", every), wanted("good", every)]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let results = results(&w.stop().await).await;
    assert!(results[&MonitorKey(2)].iter().all(|r| r.verdict == Verdict::Pass));
    let internal = |r: &CheckResult| matches!(&r.verdict, Verdict::Inconclusive(f) if f.code == FaultCode::Internal);
    assert!(results[&MonitorKey(1)].len() >= 12 && results[&MonitorKey(1)].iter().all(internal));
    assert!(w.engine.health().panics_total >= 12);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_never_ends_gives_its_place_back() {
    let script = |_: &Definition| -> BoxFuture<'static, End> { Box::pin(std::future::pending()) };
    let w = world(EngineOptions::default(), script).await;
    w.engine.apply(vec![wanted("stuck", Duration::from_secs(5))]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(w.begun() >= 5, "{}", w.begun());
    assert!(w.engine.health().in_flight <= 1);
}

#[tokio::test(start_paused = true)]
async fn more_checks_than_places_are_our_overload_and_never_a_targets_failure() {
    let script = |_: &Definition| -> BoxFuture<'static, End> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            End::Complete
        })
    };
    let options = EngineOptions { in_flight_max: 2, ..EngineOptions::default() };
    let w = world(options, script).await;
    let monitors = (0..10).map(|i| wanted(&format!("m{i}"), Duration::from_secs(5))).collect();
    w.engine.apply(monitors).await.unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(w.engine.health().waiting > 0);
    let results = results(&w.stop().await).await;
    assert_eq!(results.len(), 10, "nobody starves");
    let mut overloaded = 0;
    for result in results.values().flatten() {
        match &result.verdict {
            Verdict::Pass => {}
            Verdict::Inconclusive(Fault { code: FaultCode::Overloaded, .. }) => overloaded += result.ticks,
            other => panic!("{other:?}"),
        }
    }
    assert!(overloaded > 300, "{overloaded} of some 600 ticks could not be run");
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_the_check_in_flight_end_and_keeps_its_result() {
    let script = |_: &Definition| -> BoxFuture<'static, End> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            End::Complete
        })
    };
    let w = world(EngineOptions::default(), script).await;
    w.engine.apply(vec![wanted("a", Duration::from_secs(60))]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(results(&w.stop().await).await[&MonitorKey(1)].len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_check_out_of_turn_answers_when_it_is_durable() {
    let w = world(EngineOptions::default(), ends(refused())).await;
    w.engine.apply(vec![wanted("a", Duration::from_secs(3_600))]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let checked = w.engine.check_now(MonitorKey(1)).await.unwrap();
    assert!(results(&w.store).await[&MonitorKey(1)].contains(&checked.result));
    assert!(checked.state.incident().is_some());
    assert_eq!(w.engine.check_now(MonitorKey(7)).await.unwrap_err(), CheckNowError::Unknown);
    w.engine.stop().await;
    assert_eq!(w.engine.check_now(MonitorKey(1)).await.unwrap_err(), CheckNowError::Busy);
}

#[tokio::test(start_paused = true)]
async fn an_edit_touches_only_what_it_changes() {
    let w = world(EngineOptions::default(), ends(End::Complete)).await;
    let minute = Duration::from_secs(60);
    w.engine.apply(vec![wanted("a", minute), wanted("b", minute)]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(90)).await;
    let before = results(&w.store).await;
    let plan = w.engine.apply(vec![wanted("new-a", minute), wanted("b", minute), wanted("c", minute)]).await.unwrap();
    assert_eq!((plan.added.len(), plan.changed.len(), plan.removed.len()), (1, 1, 0));
    assert_eq!(w.engine.health().active, 3, "the figures follow at once");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = results(&w.store).await;
    assert_eq!(before[&MonitorKey(1)], after[&MonitorKey(1)], "a rename is no reason to check");
    assert_eq!(before[&MonitorKey(2)], after[&MonitorKey(2)]);
    assert_eq!(after[&MonitorKey(3)].len(), 1, "a new monitor is checked promptly");
    let view = w.store.monitor(&MonitorId::new("new-a")).await.unwrap().unwrap();
    assert_eq!(view.monitor.key, MonitorKey(1));
}

#[tokio::test(start_paused = true)]
async fn somebody_is_told_once_that_we_cannot_tell() {
    let fault = Fault::new(FaultCode::NoPermission, "no ICMP here");
    let w = world(EngineOptions::default(), ends(End::Fault(fault))).await;
    w.engine.apply(vec![wanted("a", Duration::from_secs(60))]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(14 * 60)).await;
    let told = |w: &World| {
        let news = w.told.0.lock().unwrap();
        news.iter().flat_map(|n| &n.changes).filter(|c| matches!(c, Change::CannotTell { .. })).count()
    };
    assert_eq!(told(&w), 0);
    tokio::time::sleep(Duration::from_secs(60 * 60)).await;
    assert_eq!(told(&w), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_it_goes_on_with_what_was_durable_and_tells_what_was_missed() {
    let w = world(EngineOptions::default(), ends(refused())).await;
    let every = Duration::from_secs(10);
    w.engine.apply(vec![wanted("a", every)]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let store = w.store.crash();
    drop(w.engine);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let parts = Parts {
        store: Arc::new(store.clone()),
        check: Arc::clone(&w.checks) as Arc<dyn Check>,
        clock: Arc::clone(&w.clock) as Arc<dyn Clock>,
        publish: Arc::new(Told::default()),
    };
    let engine = Engine::start(parts, EngineOptions::default()).await.unwrap();
    engine.apply(vec![wanted("a", every)]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    engine.stop().await;
    let store = store.crash();
    let results = results(&store).await;
    let results = &results[&MonitorKey(1)];
    let missed: Vec<&CheckResult> = results.iter().filter(|r| r.is_placeholder()).collect();
    assert_eq!(missed.len(), 1, "{missed:?}");
    assert!((29..=31).contains(&missed[0].ticks), "{}", missed[0].ticks);
    let query = watchpost_store::IncidentQuery { limit: 10, ..watchpost_store::IncidentQuery::default() };
    let incidents = store.incidents(query).await.unwrap().items;
    assert_eq!(incidents.len(), 1, "the outage went on: {incidents:?}");
    let intervals = store.intervals(None, Timestamp::EPOCH).await.unwrap();
    let shown: Vec<_> = intervals[&MonitorKey(1)].iter().map(|i| i.shown.as_str()).collect();
    assert_eq!(shown, ["down", "unknown", "down"]);
}
