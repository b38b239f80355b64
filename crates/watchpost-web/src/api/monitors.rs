//! Monitors.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use watchpost_core::MonitorKey;
use watchpost_store::MonitorView;
use watchpost_wire::api;
use watchpost_wire::api::{UPTIME_LONGEST, Uptime};

use super::{Shared, document, find};
use crate::app::App;
use crate::params::{Id, Query, write_cursor};
use crate::problem::Problem;

/// The kind of this list's cursors: place in the list and key of the last monitor given.
const CURSOR: char = 'm';

/// All monitors, in the order of the file.
#[utoipa::path(
    get, path = "/api/v1/monitors", operation_id = "listMonitors", tag = "monitors",
    params(
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "Rows on a page; 100 by default."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses(
        (status = 200, description = "A page of monitors.", body = api::Page<api::Monitor>),
        (status = 422, description = "A parameter cannot be understood.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(State(app): Shared, query: Query) -> Result<Response, Problem> {
    let limit = query.limit()?;
    let after = query.cursor::<2>("cursor", CURSOR)?;
    let monitors = app.web.views.monitors().await?;
    let begin = after.map_or(0, |after| begin(&monitors, after));
    let rest = monitors.get(begin..).unwrap_or_default();
    let page = &rest[..limit.min(rest.len())];
    let next = page.last().filter(|_| rest.len() > page.len()).map(|last| {
        let index = i64::try_from(begin + page.len()).unwrap_or(i64::MAX);
        write_cursor(CURSOR, &[index, i64::from(last.monitor.key.0)])
    });
    document(api::Page { items: shown(&app, page).await?, next }).await
}

/// Where a page begins: after the last monitor given, or in its place if that one is gone.
fn begin(monitors: &[MonitorView], [index, key]: [i64; 2]) -> usize {
    let last = monitors.iter().position(|view| i64::from(view.monitor.key.0) == key);
    match last {
        Some(last) => last + 1,
        None => usize::try_from(index.saturating_sub(1)).unwrap_or(0),
    }
}

/// One monitor.
#[utoipa::path(
    get, path = "/api/v1/monitors/{id}", operation_id = "getMonitor", tag = "monitors",
    params(("id" = String, Path, description = "The monitor's id, percent-encoded.")),
    responses(
        (status = 200, description = "The monitor.", body = api::Monitor),
        (status = 404, description = "No such monitor.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn one(State(app): Shared, Id(id): Id) -> Result<Json<api::Monitor>, Problem> {
    let view = find(&app, &id).await?;
    show(&app, view).await.map(Json)
}

/// The monitor's configuration document, with secrets shown as `***`.
#[utoipa::path(
    get, path = "/api/v1/monitors/{id}/config", operation_id = "getMonitorConfig", tag = "monitors",
    params(("id" = String, Path, description = "The monitor's id, percent-encoded.")),
    responses(
        (status = 200, description = "The document.", body = serde_json::Value),
        (status = 404, description = "No such monitor.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn config(State(app): Shared, Id(id): Id) -> Result<Json<serde_json::Value>, Problem> {
    app.web.standing.document(&id).map(Json).ok_or_else(|| Problem::no_monitor(&id))
}

/// A monitor as it is shown.
pub(super) async fn show(app: &App, view: MonitorView) -> Result<api::Monitor, Problem> {
    let mut shown = shown(app, std::slice::from_ref(&view)).await?;
    shown.pop().ok_or_else(|| Problem::no_monitor(&view.monitor.id))
}

async fn shown(app: &App, views: &[MonitorView]) -> Result<Vec<api::Monitor>, Problem> {
    let now = app.web.clock.now();
    let keys: Vec<MonitorKey> = views.iter().map(|view| view.monitor.key).collect();
    let intervals = app.web.views.intervals(Some(keys), now - UPTIME_LONGEST).await?;
    let show = |view: &MonitorView| {
        let intervals = intervals.get(&view.monitor.key).map(Vec::as_slice).unwrap_or_default();
        api::Monitor::of(&view.monitor, &view.state, view.last.as_ref(), Uptime::of(intervals, now))
    };
    Ok(views.iter().map(show).collect())
}
