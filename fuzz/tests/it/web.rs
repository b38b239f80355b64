//! What callers send: paths, parameters, cursors, headers and bodies; and what `/metrics` and the stream make of names.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use fuzz::{Choices, Effort, run};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use watchpost_core::observe::Observation;
use watchpost_core::plan::{Document, Wanted};
use watchpost_core::ports::{BoxFuture, CheckNow, CheckNowError, CheckedNow, Clock, EngineHealth, Health};
use watchpost_core::result::Tick;
use watchpost_core::{CheckResult, Definition, MonitorId, MonitorKey, Region, Timestamp, Verdict};
use watchpost_store::{Catalog, Commit, Entry, MemoryStore, Redefine, Store};
use watchpost_web::{LiveHub, Standing, StandingNow, WebState};
use watchpost_wire::config::{Defaults, monitor_for_url};

const NOW: Timestamp = Timestamp::from_secs(1_795_143_600);
const HOST: &str = "127.0.0.1:8080";

/// The rest of the process, which says nothing of interest.
struct Still(AtomicI64);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl CheckNow for Still {
    fn check_now(&self, _: MonitorKey) -> BoxFuture<'_, Result<CheckedNow, CheckNowError>> {
        Box::pin(std::future::ready(Err(CheckNowError::Busy)))
    }
}

impl Health for Still {
    fn health(&self) -> EngineHealth {
        EngineHealth::default()
    }
}

impl Standing for Still {
    fn standing(&self) -> StandingNow {
        StandingNow {
            version: "0.1.0".to_owned(),
            started_at: NOW,
            listen: vec![([127, 0, 0, 1], 8080).into()],
            source: None,
            loaded_at: None,
            generation: 1,
            error: None,
        }
    }

    fn document(&self, _: &MonitorId) -> Option<Value> {
        Some(Value::Null)
    }
}

struct World {
    store: MemoryStore,
    hub: Arc<LiveHub>,
    router: Router,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> World {
        let still = Arc::new(Still(AtomicI64::new(NOW.as_millis())));
        let (store, hub) = (MemoryStore::new(), Arc::new(LiveHub::with_capacity(Arc::clone(&still) as _, 64)));
        let router = watchpost_web::router(WebState {
            views: Arc::new(store.clone()),
            check_now: Arc::clone(&still) as _,
            health: Arc::clone(&still) as _,
            clock: Arc::clone(&still) as _,
            hub: Arc::clone(&hub),
            standing: still,
            base_url: None,
            stop: CancellationToken::new(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = World { store, hub, router, runtime };
        world.define(&["a", "b"]);
        let results = (0..30).map(|n| world.result(n)).collect();
        world.commit(results);
        world
    }

    /// Makes these all the monitors there are.
    fn define(&self, ids: &[&str]) {
        let wanted = |id: &&str| {
            let definition = monitor_for_url("tcp://127.0.0.1:1", &Defaults::default()).unwrap();
            let definition = Definition { id: MonitorId::new(id), name: format!("The {id}"), ..definition };
            Wanted { definition: Arc::new(definition), document: Document::new(&Value::Null) }
        };
        let known = self.store.known().now_or_never().unwrap().unwrap();
        let removed = known.iter().map(|known| known.key).collect();
        let monitors = ids.iter().map(|id| (None, wanted(id))).collect();
        let edit = Redefine { at: NOW, monitors, removed, entries: Vec::new() };
        self.store.redefine(edit).now_or_never().unwrap().unwrap();
    }

    fn result(&self, n: i64) -> CheckResult {
        let known = self.store.known().now_or_never().unwrap().unwrap();
        let scheduled_at = Timestamp::from_millis(NOW.as_millis() - n * 60_000);
        let monitor = known[usize::try_from(n).unwrap() % known.len()].key;
        let tick = Tick { monitor, region: Region::local(), scheduled_at };
        CheckResult::new(tick, &Observation::begin(scheduled_at), Verdict::Pass)
    }

    fn commit(&self, results: Vec<CheckResult>) {
        let entry = |result: CheckResult| Entry {
            monitor: result.tick.monitor,
            results: vec![result],
            state: None,
            wake: None,
            changes: Vec::new(),
            backfilled: None,
        };
        let entries = results.into_iter().map(entry).collect();
        self.store.commit(Commit { at: NOW, entries }).now_or_never().unwrap().unwrap();
    }

    /// The answer to a request; of a stream only the beginning.
    fn ask(&self, request: Request<Body>) -> (StatusCode, String, Bytes) {
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (parts, mut body) = response.into_parts();
            let kind = parts.headers.get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
            let bytes = match kind.starts_with("text/event-stream") {
                true => body.frame().await.unwrap().unwrap().into_data().unwrap(),
                false => body.collect().await.unwrap().to_bytes(),
            };
            (parts.status, kind, bytes)
        })
    }

    fn get(&self, path: &str) -> Option<(StatusCode, String, Bytes)> {
        let uri: Uri = path.parse().ok()?;
        Some(self.ask(Request::get(uri).header("host", HOST).body(Body::empty()).unwrap()))
    }
}

thread_local!(static WORLD: OnceCell<World> = const { OnceCell::new() });

fn world<T>(work: impl FnOnce(&World) -> T) -> T {
    WORLD.with(|cell| work(cell.get_or_init(World::new)))
}

/// As JavaScript's `encodeURIComponent` and the documentation say: everything but what RFC 3986 calls unreserved.
fn encoded(id: &str) -> String {
    let byte = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    id.bytes().map(byte).collect()
}

#[test]
fn a_monitor_of_any_id_is_found_by_its_path_and_its_parameter() {
    run("ids", Effort { inputs: 1_500, bytes_max: 48 }, |bytes| {
        let id = Choices::new(bytes).text(20);
        if id.is_empty() || matches!(&*id, "." | "..") {
            return;
        }
        world(|world| {
            world.define(&[&id]);
            for path in
                [format!("/api/v1/monitors/{}", encoded(&id)), format!("/api/v1/monitors/{}/results", encoded(&id))]
            {
                let (status, _, body) = world.get(&path).unwrap();
                assert_eq!(status, 200, "{path} {}", String::from_utf8_lossy(&body));
            }
            let (_, _, body) = world.get(&format!("/api/v1/monitors/{}", encoded(&id))).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["id"], *id);
            let (status, _, _) = world.get(&format!("/api/v1/results?monitor={}", encoded(&id))).unwrap();
            assert_eq!(status, 200);
        });
    });
}

const PARAMETERS: &[&str] = &[
    "limit=",
    "cursor=",
    "before=",
    "after=",
    "from=",
    "to=",
    "monitor=",
    "verdict=",
    "open=",
    "ids=",
    "view=",
    "ticks=",
    "recent=",
    "&",
    "&",
    "=",
    "?",
    "1",
    "0",
    "-1",
    "1000",
    "1001",
    "99999999999999999999",
    "a",
    "b",
    "c",
    "pass",
    "fail,pass",
    "compact",
    "full",
    "true",
    "false",
    "2026-11-20T02:17:11Z",
    "2026-11-20T02:17:11+02:00",
    "-009999-01-01T00:00:00Z",
    "9999-12-30T22:00:00Z",
    "%",
    "%2",
    "%00",
    "%ff",
    "%2B",
    "+",
    ";",
    ",",
    "/",
    "é",
    "%C3%A9",
    "#",
    "cjox",
    "aToxOjI",
];

const LISTS: &[&str] = &[
    "/api/v1/results",
    "/api/v1/monitors/a/results",
    "/api/v1/incidents",
    "/api/v1/overview",
    "/api/v1/monitors",
    "/api/v1/stream",
    "/api/v1/status",
    "/metrics",
    "/api/v1/monitors/b",
    "/monitors/a",
    "/api/v1/",
    "/",
    "/livez",
];

/// A cursor of any numbers, well formed or nearly.
fn cursor(choices: &mut Choices<'_>) -> String {
    let kind = choices.word(&["r", "i", "m", ""]);
    let numbers: String = (0..choices.below(4)).map(|_| format!(":{}", choices.signed())).collect();
    URL_SAFE_NO_PAD.encode(format!("{kind}{numbers}"))
}

#[test]
fn any_parameters_are_a_page_or_a_problem_that_names_them() {
    run("parameters", Effort { inputs: 4_000, bytes_max: 96 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let list = choices.word(LISTS);
        let query = match choices.below(3) {
            0 => format!("{}={}", choices.word(&["cursor", "before", "after"]), cursor(&mut choices)),
            _ => choices.soup(PARAMETERS, 10),
        };
        let limit = if choices.one_in(2) { "&limit=3" } else { "" };
        let path = format!("{list}?{query}{limit}");
        world(|world| {
            let Some((status, kind, body)) = world.get(&path) else { return };
            let text = String::from_utf8_lossy(&body);
            assert!(matches!(status.as_u16(), 200 | 400 | 404 | 422), "{path}: {status} {text}");
            if status != 200 && kind.contains("json") {
                let problem: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(problem["status"], status.as_u16(), "{path}");
                assert!(
                    problem["title"].is_string() && kind.starts_with("application/problem+json"),
                    "{path}: {problem}"
                );
            }
            if status == 200 && list.contains("results") {
                pages_end(world, list, &body);
            }
        });
    });
}

/// A page's `next` is a cursor of the same list, and leads on to the very next row.
fn pages_end(world: &World, list: &str, body: &[u8]) {
    let page: Value = serde_json::from_slice(body).unwrap();
    let Some(next) = page["next"].as_str() else { return };
    let rows = |query: &str| {
        let (status, _, body) = world.get(&format!("{list}?{query}")).unwrap();
        assert_eq!(status, 200, "{query}");
        serde_json::from_slice::<Value>(&body).unwrap()["items"].as_array().unwrap().clone()
    };
    let name = if list == "/api/v1/results" { "cursor" } else { "before" };
    let (all, after) = (rows("limit=1000"), rows(&format!("limit=1&{name}={next}")));
    let last = page["items"].as_array().unwrap().last().unwrap();
    let place = all.iter().position(|row| row == last).unwrap();
    assert_eq!(after.as_slice(), all.get(place + 1..place + 2).unwrap_or_default());
}

const HEADERS: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "a.localhost",
    "[::1]",
    "evil.example",
    "127.0.0.1.evil.example",
    ":",
    ":8080",
    ":x",
    ".",
    "@",
    "]",
    "[",
    "%",
    " ",
    ",",
    "*/*",
    "text/html",
    "application/openmetrics-text",
    ";q=0",
    "application/json",
    "gzip",
    "br",
    "http://",
    "https://",
    "null",
    "same-origin",
    "cross-site",
    "0",
    "64",
    "65537",
    "18446744073709551616",
    "-1",
    "{",
    "}",
    "\"a\":1",
    "[]",
    "é",
    "W/\"x\"",
];

/// A loopback address, in brackets or not, or a name that is always one (RFC 6761 section 6.3).
fn is_ours(host: &str) -> bool {
    let loopback = |text: &str| text.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if let Some(end) = host.rfind(']') {
        return host.starts_with('[') && loopback(&host[1..end]);
    }
    let name = host.split(':').next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || loopback(&name)
}

#[test]
fn any_headers_and_body_are_answered_and_no_other_name_is_answered_to() {
    const NAMES: [&str; 9] = [
        "host",
        "origin",
        "sec-fetch-site",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "last-event-id",
        "if-none-match",
    ];
    const PATHS: &[&str] = &[
        "/api/v1/monitors/a/check",
        "/api/v1/monitors/a/pause",
        "/api/v1/monitors",
        "/metrics",
        "/",
        "/api/v1/overview",
        "/readyz",
        "*",
    ];
    run("headers", Effort { inputs: 6_000, bytes_max: 128 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let method = choices
            .pick(&[Method::GET, Method::POST, Method::DELETE, Method::HEAD, Method::OPTIONS, Method::PUT])
            .clone();
        let path = choices.word(PATHS);
        let mut request = Request::builder().method(method.clone()).uri(path).header("host", HOST);
        let mut hosts = vec![HOST.to_owned()];
        for _ in 0..choices.below(5) {
            let name = choices.word(&NAMES);
            let value = choices.soup(HEADERS, 5);
            let Ok(header) = HeaderValue::from_str(&value) else { continue };
            if name == "host" {
                hosts = vec![value];
                request.headers_mut().unwrap().remove("host");
            }
            request = request.header(name, header);
        }
        let body = choices.soup(HEADERS, 6);
        let Ok(request) = request.body(Body::from(body)) else { return };
        let (status, _, body) = world(|world| world.ask(request));
        assert_ne!(status, 500, "{method} {path}: {}", String::from_utf8_lossy(&body));
        let ours = is_ours(&hosts[0]);
        assert!(
            ours || status.is_client_error() || path == "/readyz" || hosts[0].is_empty(),
            "{path} at {hosts:?}: {status}"
        );
    });
}

#[test]
fn a_stream_resumes_only_where_it_was() {
    run("event_ids", Effort { inputs: 5_000, bytes_max: 48 }, |bytes| {
        let mut choices = Choices::new(bytes);
        world(|world| {
            if choices.one_in(8) {
                world.hub.status_changed();
            }
            let epoch = format!("{:x}", NOW.as_millis());
            let id = match choices.below(3) {
                0 => choices.soup(
                    &["-", "+", "0", "1", "63", "9", &epoch, "f", "x", "18446744073709551615", "18446744073709551616"],
                    6,
                ),
                1 => format!("{epoch}-{}", choices.bits()),
                _ => format!("{epoch}-{}", choices.below(100)),
            };
            let Ok(header) = HeaderValue::from_str(&id) else { return };
            let request = Request::get("/api/v1/stream").header("host", HOST).header("last-event-id", header);
            let (status, _, body) = world.ask(request.body(Body::empty()).unwrap());
            assert_eq!(status, 200);
            let text = String::from_utf8_lossy(&body);
            let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_else(|| panic!("{text}"));
            let hello: Value = serde_json::from_str(data).unwrap();
            if hello["resumed"] == true {
                assert_eq!(hello["cursor"], *id, "{text}");
            }
        });
    });
}

/// A sample's labels, read as the formats say: backslash, quote and line feed are escaped and nothing else is.
fn labels(line: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Some((_, mut rest)) = line.split_once('{') else { return labels };
    loop {
        let (key, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        let (mut value, mut end) = (String::new(), None);
        let mut chars = after.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = Some(at + 1);
                    break;
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c @ ('\\' | '"'))) => value.push(c),
                    other => panic!("{other:?} is no escape in {line}"),
                },
                c => value.push(c),
            }
        }
        labels.insert(key.to_owned(), value);
        rest = &after[end.unwrap_or_else(|| panic!("no closing quote in {line}"))..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return labels,
        }
    }
}

#[test]
fn metrics_of_monitors_with_any_name_read_back() {
    run("metrics", Effort { inputs: 1_500, bytes_max: 64 }, |bytes| {
        let mut choices = Choices::new(bytes);
        let odd = [
            "\\", "\"", "\n", "\\n", "}", "{", ",", "=\"", "# HELP ", "\r", "\r\n", "é", " ", "a", "# EOF\n",
            "\u{2028}",
        ];
        let id = choices.soup(&odd, 12) + "x";
        world(|world| {
            world.define(&[&id]);
            for accept in ["text/plain", "application/openmetrics-text"] {
                let request = Request::get("/metrics").header("host", HOST).header("accept", accept);
                let (status, _, body) = world.ask(request.body(Body::empty()).unwrap());
                assert_eq!(status, 200);
                let text = std::str::from_utf8(&body).unwrap();
                let lines = text.split('\n').filter(|line| line.starts_with("service_up{")).collect::<Vec<_>>();
                assert_eq!(lines.len(), 1, "{text}");
                let read = labels(lines[0]);
                assert_eq!((read["id"].as_str(), read["name"].as_str()), (&*id, &*format!("The {id}")), "{}", lines[0]);
                let plain = |line: &str| {
                    line.is_empty() || line.starts_with("# ") || line.rsplit(' ').next().unwrap().parse::<f64>().is_ok()
                };
                assert!(text.split('\n').all(plain), "{text}");
            }
        });
    });
}
