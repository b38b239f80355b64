//! The live stream: server-sent events with resume.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use watchpost_wire::api;

use super::Shared;
use crate::app::App;
use crate::live::{LiveHub, Read, What};
use crate::params::Query;
use crate::problem::Problem;

/// How often a silent stream says that it is alive; browsers and proxies give up after 30 s and more.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The pace of the compact view: fast enough for eyes.
const COMPACT_EVERY: Duration = Duration::from_millis(250);
/// Events taken from the ring at once, so that a reader far behind holds little.
const READ_MAX: usize = 256;
/// Results in one event of the compact view: about 1 MB.
const COMPACT_MAX: usize = 10_000;

/// What becomes durable, as it does: events `hello`, `result` (or `results` in the compact view), `monitors`, `status`.
#[utoipa::path(
    get, path = "/api/v1/stream", operation_id = "openStream", tag = "live",
    params(
        ("after" = Option<String>, Query, description = "Where to resume: a cursor of the overview or an event id. The header Last-Event-ID wins."),
        ("ids" = Option<String>, Query, description = "Only results of these monitors, with commas between, or given more than once."),
        ("view" = Option<String>, Query, description = "`compact`: results in batches of small arrays, at most 4 a second."),
        ("Last-Event-ID" = Option<String>, Header, description = "Where to resume."),
    ),
    responses(
        (status = 200, description = "Server-sent events. `hello` carries Hello, `result` ResultEvent, `results` CompactResults, `monitors` and `status` Notice.", body = String, content_type = "text/event-stream"),
        (status = 422, description = "A parameter cannot be understood.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn stream(State(app): Shared, query: Query, headers: HeaderMap) -> Result<Response, Problem> {
    let compact = match query.one("view")? {
        None | Some("full") => false,
        Some("compact") => true,
        Some(_) => return Err(Problem::parameter("view", "`view` must be full or compact")),
    };
    let place = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many live streams are open; close some pages")
    })?;
    let sent = headers.get("last-event-id").and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    let asked = sent.or(query.one("after")?);
    let reader = Reader::new(&app, Wanted { compact, only: only(&query) }, asked, place);
    let events = unfold(reader, async |mut reader| {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("alive")).into_response();
    // nginx would otherwise hold events back until its buffer is full.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(unbuffered, HeaderValue::from_static("no"));
    Ok(response)
}

/// The ids asked for. A value may be one id with a comma in it or several, so it counts as both.
fn only(query: &Query) -> Option<BTreeSet<String>> {
    let values: Vec<&str> = query.all("ids").filter(|ids| !ids.is_empty()).collect();
    let parts = values.iter().flat_map(|ids| ids.split(',')).chain(values.iter().copied());
    (!values.is_empty()).then(|| parts.map(str::to_owned).collect())
}

/// What a reader asked for.
struct Wanted {
    compact: bool,
    /// Only results of these monitors.
    only: Option<BTreeSet<String>>,
}

impl Wanted {
    fn wants(&self, what: &What) -> bool {
        match (what, &self.only) {
            (What::Result { monitor, .. }, Some(only)) => only.contains(monitor.id.as_str()),
            (What::Result { .. }, None) | (What::Monitors | What::Status, _) => true,
        }
    }
}

/// One open stream.
struct Reader {
    hub: Arc<LiveHub>,
    app: Arc<App>,
    wanted: Wanted,
    /// Everything up to here has been made into events.
    position: u64,
    ready: VecDeque<Event>,
    changes: watch::Receiver<u64>,
    stop: CancellationToken,
    /// When the compact view last sent a batch.
    sent_at: Option<Instant>,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    fn new(app: &Arc<App>, wanted: Wanted, asked: Option<&str>, place: OwnedSemaphorePermit) -> Reader {
        let hub = Arc::clone(&app.web.hub);
        let resumed = asked.and_then(|cursor| hub.resume(cursor));
        let mut reader = Reader {
            position: resumed.unwrap_or_else(|| hub.position()),
            changes: hub.changes(),
            hub,
            app: Arc::clone(app),
            wanted,
            ready: VecDeque::new(),
            stop: app.web.stop.clone(),
            sent_at: None,
            _place: place,
        };
        reader.hello(resumed.is_some());
        reader
    }

    /// The next event; `None` when the process stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            self.changes.mark_unchanged();
            let max = if self.wanted.compact { COMPACT_MAX } else { READ_MAX };
            match self.hub.after(self.position, max) {
                Read::Lost(newest) => {
                    self.position = newest;
                    self.hello(false);
                }
                Read::Events(events) if events.is_empty() => self.more().await?,
                Read::Events(events) if self.wanted.compact => {
                    if !self.paced().await? {
                        continue;
                    }
                    self.take_compact(&events);
                }
                Read::Events(events) => self.take_full(&events),
            }
        }
    }

    /// Waits until there is more to read.
    async fn more(&mut self) -> Option<()> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            changed = self.changes.changed() => changed.ok(),
        }
    }

    /// Whether a batch may go now. Otherwise waits until one may, in which time more may come into it.
    async fn paced(&mut self) -> Option<bool> {
        let now = Instant::now();
        match self.sent_at.map(|sent_at| sent_at + COMPACT_EVERY).filter(|due| *due > now) {
            None => {
                self.sent_at = Some(now);
                Some(true)
            }
            Some(due) => tokio::select! {
                biased;
                () = self.stop.cancelled() => None,
                () = tokio::time::sleep_until(due) => Some(false),
            },
        }
    }

    fn take_full(&mut self, events: &[(u64, Arc<crate::live::Event>)]) {
        for (position, event) in events {
            self.position = *position;
            if self.wanted.wants(&event.what) {
                let name = match event.what {
                    What::Result { .. } => "result",
                    What::Monitors => "monitors",
                    What::Status => "status",
                };
                self.push(name, &event.json());
            }
        }
    }

    fn take_compact(&mut self, events: &[(u64, Arc<crate::live::Event>)]) {
        let mut batch = Vec::new();
        for (position, event) in events {
            let name = match &event.what {
                What::Result { monitor, state, result } => {
                    if self.wanted.wants(&event.what) {
                        batch.push(api::CompactResult::of(monitor, state, result));
                    }
                    self.position = *position;
                    continue;
                }
                What::Monitors => "monitors",
                What::Status => "status",
            };
            self.flush(&mut batch);
            self.position = *position;
            self.push(name, &event.json());
        }
        self.flush(&mut batch);
    }

    fn flush(&mut self, batch: &mut Vec<api::CompactResult>) {
        if !batch.is_empty() {
            let results = api::CompactResults { r: std::mem::take(batch) };
            // Texts and whole numbers: writing them cannot fail.
            self.push("results", &serde_json::to_string(&results).unwrap_or_default());
        }
    }

    fn hello(&mut self, resumed: bool) {
        let hello = api::Hello { at: self.app.web.clock.now().into(), cursor: self.hub.cursor(self.position), resumed };
        self.push("hello", &serde_json::to_string(&hello).unwrap_or_default());
    }

    /// Every event carries the place that a reader resumes from after it.
    fn push(&mut self, name: &str, data: &str) {
        let event = Event::default().id(self.hub.cursor(self.position)).event(name).data(data);
        self.ready.push_back(event);
    }
}
