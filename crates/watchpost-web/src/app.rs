//! What the pages are made of, and the layers around every request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::classify::ServerErrorsFailureClass;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::trace::TraceLayer;
use watchpost_core::ports::{CheckNow, Clock, Health};
use watchpost_core::uptime::account;
use watchpost_core::{MonitorId, MonitorKey, Timestamp};
use watchpost_store::{StoreError, Views};

use crate::guard::HostPolicy;
use crate::live::LiveHub;
use crate::{absent, api, dashboard, guard, health, metrics, problem};

/// Bytes below which compressing costs more than it saves: less than one packet.
const COMPRESS_FROM: u64 = 1_024;
/// How old the uptime figures of the overview may be: at 10,000 monitors they are its dearest part, and a second of
/// downtime moves a day's figure by 0.001 %.
const UPTIME_AGE_MAX: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Live streams open at once, so that pages left open never use up the connections of [`crate::serve`].
const STREAMS_MAX: usize = 1_024;

/// What wiring hands in. Cheap to clone.
#[derive(Clone)]
pub struct WebState {
    /// What pages read.
    pub views: Arc<dyn Views>,
    /// Runs a check out of turn.
    pub check_now: Arc<dyn CheckNow>,
    /// The engine's figures.
    pub health: Arc<dyn Health>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What became durable lately.
    pub hub: Arc<LiveHub>,
    /// The configuration's standing.
    pub standing: Arc<dyn Standing>,
    /// `server.base_url`, where it is set.
    pub base_url: Option<BaseUrl>,
    /// Ends live streams, so that a drain need not wait for pages left open. The same token as [`crate::serve`]'s.
    pub stop: CancellationToken,
}

/// The standing of the process and its configuration. Implemented by wiring.
pub trait Standing: Send + Sync + 'static {
    /// A snapshot; must not block.
    fn standing(&self) -> StandingNow;

    /// A monitor's configuration document with secrets shown as `***`.
    fn document(&self, id: &MonitorId) -> Option<serde_json::Value>;
}

/// A snapshot of [`Standing`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingNow {
    /// Version of the program.
    pub version: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// The addresses listened on.
    pub listen: Vec<SocketAddr>,
    /// Where the configuration was read; `None` when there is none.
    pub source: Option<String>,
    /// When it was last taken over.
    pub loaded_at: Option<Timestamp>,
    /// Counts the configurations taken over since the start, from 1.
    pub generation: u64,
    /// Why what the file holds now was refused, while it is.
    pub error: Option<ConfigError>,
}

/// Why a configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// When it was read.
    pub at: Timestamp,
    /// What is wrong, with file, line and column.
    pub text: String,
}

/// `server.base_url`: the address people reach us at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    url: url::Url,
    prefix: String,
}

/// A text that is not an address people can reach us at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an address to be reached at; write for example https://watch.example.org or https://example.org/watch"
)]
pub struct NotABaseUrl(String);

impl BaseUrl {
    /// Parses an `http` or `https` URL with a host and without query and fragment.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<BaseUrl, NotABaseUrl> {
        let bad = || NotABaseUrl(text.to_owned());
        let url = url::Url::parse(text).map_err(|_| bad())?;
        let plain = url.query().is_none() && url.fragment().is_none() && url.has_host();
        match url.scheme() {
            "http" | "https" if plain => {
                let prefix = url.path().trim_end_matches('/').to_owned();
                Ok(BaseUrl { url, prefix })
            }
            _ => Err(bad()),
        }
    }

    /// The path before all of ours: empty, or `/sub` without a slash at its end.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn url(&self) -> &url::Url {
        &self.url
    }
}

/// The state of all handlers.
pub(crate) struct App {
    pub(crate) web: WebState,
    pub(crate) page: dashboard::Page,
    pub(crate) hosts: HostPolicy,
    /// A place per open live stream.
    pub(crate) streams: Arc<Semaphore>,
    uptimes: Mutex<Option<(Timestamp, Arc<Uptimes>)>>,
}

/// Availability of the last 24 hours.
pub(crate) type Uptimes = BTreeMap<MonitorKey, f64>;

impl App {
    fn new(web: WebState) -> App {
        let base = web.base_url.as_ref();
        let listen = web.standing.standing().listen;
        App {
            page: dashboard::Page::at(base.map_or("", BaseUrl::prefix)),
            hosts: HostPolicy::new(&listen, base.map(BaseUrl::url)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            uptimes: Mutex::new(None),
            web,
        }
    }

    /// Live streams open now.
    pub(crate) fn streams_open(&self) -> usize {
        STREAMS_MAX - self.streams.available_permits()
    }

    /// Availability of the last 24 hours of all monitors, at most [`UPTIME_AGE_MAX`] old. Whoever comes while it is being
    /// made waits for it instead of making it again.
    pub(crate) async fn uptimes(&self) -> Result<Arc<Uptimes>, StoreError> {
        let now = self.web.clock.now();
        let mut kept = self.uptimes.lock().await;
        if let Some((at, uptimes)) = kept.as_ref()
            && *at <= now
            && now.since(*at) < UPTIME_AGE_MAX
        {
            return Ok(Arc::clone(uptimes));
        }
        let from = now - DAY;
        let intervals = self.web.views.intervals(None, from).await?;
        let ratio = |intervals: &Vec<_>| account(intervals, from, now).availability();
        let made = intervals.iter().filter_map(|(key, intervals)| Some((*key, ratio(intervals)?))).collect();
        let made = Arc::new(made);
        *kept = Some((now, Arc::clone(&made)));
        Ok(made)
    }
}

/// All pages, with their layers. It leaves TCP and its limits to [`crate::serve`].
pub fn router(web: WebState) -> Router {
    let app = Arc::new(App::new(web));
    let (api, _) = api::routes().split_for_parts();
    let routes = Router::new()
        .merge(api)
        .merge(metrics::routes())
        .merge(health::routes())
        .merge(dashboard::files())
        .fallback(absent::fallback)
        .with_state(Arc::clone(&app));
    let prefix = app.web.base_url.as_ref().map_or("", BaseUrl::prefix).to_owned();
    let unprefixed = ServiceExt::<Request>::map_request(routes, move |request| strip_prefix(request, &prefix));
    let compress = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(COMPRESS_FROM).and(NotForContentType::SSE).and(worth_compressing));
    Router::new()
        .fallback_service(unprefixed)
        .layer(from_fn_with_state(Arc::clone(&app), guard::guard))
        .layer(from_fn(problem::dress))
        .layer(compress)
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn(headers))
        .layer(TraceLayer::new_for_http().on_failure(failed))
}

/// What is worth an error in the log: a defect of ours. Other statuses from 500 on are answers (not supported yet, not
/// ready, too busy), which any caller could fill the log with; what led to them is logged where it happened.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over as it is")]
fn failed(class: ServerErrorsFailureClass, _latency: Duration, _span: &tracing::Span) {
    if matches!(class, ServerErrorsFailureClass::StatusCode(http::StatusCode::INTERNAL_SERVER_ERROR)) {
        tracing::error!("a page could not be made: a defect of ours");
    }
}

/// Fonts and pictures are compressed in themselves.
fn worth_compressing(
    _status: http::StatusCode,
    _version: http::Version,
    headers: &HeaderMap,
    _extensions: &http::Extensions,
) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    !kind.starts_with("font/") && (!kind.starts_with("image/") || kind.starts_with("image/svg"))
}

/// Takes the sub-path of `server.base_url` off. A request without it is left as it is: a proxy may have taken it off.
fn strip_prefix(mut request: Request, prefix: &str) -> Request {
    if prefix.is_empty() {
        return request;
    }
    let rest = match request.uri().path().strip_prefix(prefix) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) | None => return request,
    };
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let Ok(path) = PathAndQuery::try_from(format!("{rest}{query}")) else { return request };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(path);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// Scripts, styles and everything else come from ourselves and from files only; nobody may frame us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
                      connect-src 'self'; manifest-src 'self'; base-uri 'self'; form-action 'self'; \
                      frame-ancestors 'none'";

/// Headers of every answer; what a handler set itself stays.
async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 8] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
