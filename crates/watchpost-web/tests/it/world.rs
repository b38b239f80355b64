//! A small world behind the pages: a store, an engine that answers as it is told, a clock that is moved by hand.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures_util::FutureExt;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use watchpost_core::monitor::{Pace, Source, Thresholds};
use watchpost_core::observe::{Observation, Timings};
use watchpost_core::plan::{Document, Wanted};
use watchpost_core::ports::{
    BoxFuture, CheckNow, CheckNowError, CheckedNow, Clock, EngineHealth, Health, News, Publish,
};
use watchpost_core::result::Tick;
use watchpost_core::schedule::Schedule;
use watchpost_core::spec::{HostPort, IpVersion, Spec, TcpSpec};
use watchpost_core::state::{Phase, State};
use watchpost_core::{
    Change, CheckResult, Definition, IncidentId, Monitor, MonitorId, MonitorKey, Reason, ReasonCode, Region, Shown,
    Stage, Timestamp, Verdict,
};
use watchpost_store::memory::MemoryStore;
use watchpost_store::{Catalog, Commit, Entry, MonitorView, Redefine, Store, Views};
use watchpost_web::{BaseUrl, LiveHub, Standing, StandingNow, WebState};

use crate::openapi;

/// The time in this world at its beginning: 2026-11-20T03:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_143_600);
/// The name that callers use.
pub(crate) const HOST: &str = "127.0.0.1:8080";

/// A time so many seconds before [`NOW`].
pub(crate) fn ago(secs: u64) -> Timestamp {
    NOW - Duration::from_secs(secs)
}

pub(crate) struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// The engine's and wiring's side of the ports.
pub(crate) struct Told {
    pub(crate) check: Mutex<Result<CheckedNow, CheckNowError>>,
    pub(crate) health: Mutex<EngineHealth>,
    pub(crate) standing: Mutex<StandingNow>,
}

impl CheckNow for Told {
    fn check_now(&self, _monitor: MonitorKey) -> BoxFuture<'_, Result<CheckedNow, CheckNowError>> {
        Box::pin(std::future::ready(self.check.lock().unwrap().clone()))
    }
}

impl Health for Told {
    fn health(&self) -> EngineHealth {
        self.health.lock().unwrap().clone()
    }
}

impl Standing for Told {
    fn standing(&self) -> StandingNow {
        self.standing.lock().unwrap().clone()
    }

    fn document(&self, id: &MonitorId) -> Option<Value> {
        (id.as_str() == "db").then(|| serde_json::json!({ "id": "db", "tcp": { "send": "***" } }))
    }
}

pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) told: Arc<Told>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) hub: Arc<LiveHub>,
    pub(crate) stop: CancellationToken,
    pub(crate) base_url: Option<BaseUrl>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    pub(crate) fn new() -> World {
        World::listening("127.0.0.1:8080", 16_384)
    }

    pub(crate) fn listening(listen: &str, events: usize) -> World {
        let clock = Arc::new(HandClock(AtomicI64::new(NOW.as_millis())));
        let standing = StandingNow {
            version: "0.1.0".to_owned(),
            started_at: ago(60),
            listen: vec![listen.parse::<SocketAddr>().unwrap()],
            source: Some("watchpost.yml".to_owned()),
            loaded_at: Some(ago(60)),
            generation: 1,
            error: None,
        };
        let told = Told {
            check: Mutex::new(Err(CheckNowError::Busy)),
            health: Mutex::new(EngineHealth::default()),
            standing: Mutex::new(standing),
        };
        World {
            store: MemoryStore::new(),
            told: Arc::new(told),
            hub: Arc::new(LiveHub::with_capacity(Arc::clone(&clock) as Arc<dyn Clock>, events)),
            clock,
            stop: CancellationToken::new(),
            base_url: None,
        }
    }

    /// A world with these monitors, all up.
    pub(crate) fn with(ids: &[&str]) -> World {
        let world = World::new();
        world.define(ids.iter().map(|id| definition(id)).collect());
        world
    }

    pub(crate) fn router(&self) -> Router {
        watchpost_web::router(WebState {
            views: Arc::new(self.store.clone()),
            check_now: Arc::clone(&self.told) as _,
            health: Arc::clone(&self.told) as _,
            clock: Arc::clone(&self.clock) as _,
            hub: Arc::clone(&self.hub),
            standing: Arc::clone(&self.told) as _,
            base_url: self.base_url.clone(),
            stop: self.stop.clone(),
        })
    }

    /// Moves the clock.
    pub(crate) fn wait(&self, span: Duration) {
        self.clock.0.fetch_add(i64::try_from(span.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Makes these all the monitors there are; new ones are up since an hour ago.
    pub(crate) fn define(&self, definitions: Vec<Definition>) {
        let known = done(self.store.known());
        let key_of = |id: &MonitorId| known.iter().find(|known| known.id == *id).map(|known| known.key);
        let wanted = |d: Definition| Wanted { definition: Arc::new(d), document: Document::new(&Value::Null) };
        let monitors: Vec<_> = definitions.into_iter().map(|d| (key_of(&d.id), wanted(d))).collect();
        let stays = |key| monitors.iter().any(|(kept, _)| *kept == Some(key));
        let removed = known.iter().map(|known| known.key).filter(|key| !stays(*key)).collect();
        let fresh: Vec<bool> = monitors.iter().map(|(key, _)| key.is_none()).collect();
        let edit = Redefine { at: ago(7_200), monitors, removed, entries: Vec::new() };
        let keys = done(self.store.redefine(edit));
        let new = keys.into_iter().zip(fresh).filter(|(_, fresh)| *fresh);
        self.commit(new.map(|(key, _)| shown(key, Phase::Up, 3_600)).collect());
    }

    /// Adds one monitor that is up.
    pub(crate) fn add(&self, added: Definition) {
        let mut all: Vec<_> = self.views().iter().map(|view| Definition::clone(&view.monitor.definition)).collect();
        all.push(added);
        self.define(all);
    }

    pub(crate) fn commit(&self, entries: Vec<Entry>) {
        done(self.store.commit(Commit { at: NOW, entries }));
    }

    pub(crate) fn views(&self) -> Vec<MonitorView> {
        done(self.store.monitors())
    }

    pub(crate) fn monitor(&self, id: &str) -> Arc<Monitor> {
        done(self.store.monitor(&MonitorId::new(id))).unwrap().monitor
    }

    /// Puts a monitor into a phase since so many seconds ago.
    pub(crate) fn put(&self, id: &str, phase: Phase, secs: u64) {
        self.commit(vec![shown(self.monitor(id).key, phase, secs)]);
    }

    /// Keeps a result of a tick so many seconds ago.
    pub(crate) fn result(&self, id: &str, secs: u64, verdict: Verdict) {
        self.keep(&result(&self.monitor(id), ago(secs), verdict));
    }

    /// Keeps a result.
    pub(crate) fn keep(&self, result: &CheckResult) {
        self.commit(vec![Entry { results: vec![result.clone()], ..nothing(result.tick.monitor) }]);
    }

    /// Opens an incident so many seconds ago, and closes it again.
    pub(crate) fn incident(&self, id: &str, opened: u64, recovered: Option<u64>) {
        let monitor = self.monitor(id).key;
        let (at, incident) = (ago(opened), IncidentId::derive(monitor, ago(opened)));
        let mut changes = vec![Change::WentDown { incident, since: at, at, reason: reason() }];
        changes.extend(recovered.map(|secs| Change::Recovered {
            incident,
            at: ago(secs),
            after: Duration::from_secs(opened - secs),
        }));
        self.commit(vec![Entry { changes, ..nothing(monitor) }]);
    }

    /// Tells the hub that a result of the monitor became durable.
    pub(crate) fn publish(&self, id: &str, verdicts: &[Verdict]) {
        let news: Vec<News> = verdicts.iter().map(|verdict| self.news(id, verdict)).collect();
        self.hub.committed(&news);
    }

    fn news(&self, id: &str, verdict: &Verdict) -> News {
        let monitor = self.monitor(id);
        let result = Some(result(&monitor, NOW, verdict.clone()));
        News { monitor, state: state(Phase::Up), result, changes: Vec::new() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path).header("host", HOST).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.ask(Request::post(path).header("host", HOST).body(Body::empty()).unwrap()).await
    }

    /// The body of a page, without holding it against the description.
    pub(crate) async fn router_get(&self, path: &str) -> Vec<u8> {
        let request = Request::get(path).header("host", HOST).body(Body::empty()).unwrap();
        let response = self.router().oneshot(request).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes().to_vec()
    }

    /// Asks, and holds the answer against the API's own description.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let plain = !request.headers().contains_key("accept-encoding");
        let response = self.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        if plain && self.base_url.is_none() {
            openapi::holds(&method, &path, &answer);
        }
        answer
    }
}

/// A TCP monitor of a file, every minute.
pub(crate) fn definition(id: &str) -> Definition {
    let address = HostPort { host: "db.example.org".to_owned(), port: 5432 };
    Definition {
        id: MonitorId::new(id),
        name: format!("The {id}"),
        group: None,
        tags: Vec::new(),
        spec: Spec::Tcp(TcpSpec { address, send: None, expect: None, ip: IpVersion::Any }),
        expect: Arc::default(),
        schedule: Schedule::Every(Duration::from_secs(60)),
        pace: Pace::default(),
        thresholds: Thresholds::default(),
        timeout: Duration::from_secs(10),
        active: true,
        cannot_tell_after: Duration::from_secs(900),
        source: Source::File { path: Arc::from("watchpost.yml"), line: 12 },
    }
}

pub(crate) fn state(phase: Phase) -> State {
    State { phase, blind: None, last_tick: None, shown_since: ago(3_600) }
}

pub(crate) fn reason() -> Reason {
    Reason::new(ReasonCode::Refused, Stage::Connect, "connection refused")
}

pub(crate) fn failed() -> Verdict {
    Verdict::Fail(reason())
}

/// Down since ten minutes ago.
pub(crate) fn down() -> Phase {
    Phase::Down { since: ago(600), passes: 0, reason: reason(), incident: IncidentId::from_number(1) }
}

/// What a store in memory answers: at once, and well unless it was closed.
fn done<T, E: std::fmt::Debug>(answer: BoxFuture<'_, Result<T, E>>) -> T {
    answer.now_or_never().unwrap().unwrap()
}

/// An entry that says nothing.
fn nothing(monitor: MonitorKey) -> Entry {
    Entry { monitor, results: Vec::new(), state: None, wake: None, changes: Vec::new(), backfilled: None }
}

/// A monitor shows this phase since so many seconds ago.
pub(crate) fn shown(monitor: MonitorKey, phase: Phase, secs: u64) -> Entry {
    let state = State { shown_since: ago(secs), ..state(phase) };
    let changes = vec![Change::Shown { from: Shown::Unknown, to: state.shown(), since: ago(secs) }];
    Entry { state: Some(state), changes, ..nothing(monitor) }
}

pub(crate) fn result(monitor: &Monitor, scheduled_at: Timestamp, verdict: Verdict) -> CheckResult {
    let mut seen = Observation::begin(scheduled_at);
    seen.timings = Timings { dns: Some(500), connect: Some(1_500), total: Some(2_000), ..Timings::default() };
    let tick = Tick { monitor: monitor.key, region: Region::local(), scheduled_at };
    CheckResult::new(tick, &seen, verdict)
}
