//! The overview: every monitor, small.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use watchpost_core::{CheckResult, MonitorKey};
use watchpost_store::{MonitorView, RECENT_MAX, StoreError};
use watchpost_wire::api;

use super::{Shared, document};
use crate::app::App;
use crate::params::Query;
use crate::problem::Problem;

/// Results per monitor when the caller does not say: what a row's bar shows.
const RECENT_DEFAULT: usize = 40;
/// Monitors whose newest results are read and made small at once: all results of 10,000 monitors in full would take
/// 100 MB per request.
const AT_ONCE: usize = 500;

/// Every monitor, small, in the order of the file; one request for 10,000 rows.
#[utoipa::path(
    get, path = "/api/v1/overview", operation_id = "getOverview", tag = "monitors",
    params(("recent" = Option<usize>, Query, minimum = 0, maximum = 100, description = "Newest results per monitor; 40 by default.")),
    responses(
        (status = 200, description = "All monitors.", body = api::Overview),
        (status = 422, description = "`recent` is no number from 0 to 100.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn overview(State(app): Shared, query: Query) -> Result<Response, Problem> {
    let count = query.number("recent", 0..=RECENT_MAX)?.unwrap_or(RECENT_DEFAULT);
    // First, so that whatever becomes durable while we read is told again rather than missed.
    let cursor = app.web.hub.cursor(app.web.hub.position());
    let monitors = app.web.views.monitors().await?;
    let uptimes = app.uptimes().await?;
    let mut counts = api::Counts::default();
    let mut items = Vec::with_capacity(monitors.len());
    for views in monitors.chunks(AT_ONCE) {
        let recent = recent(&app, views, count).await?;
        for view in views {
            let key = view.monitor.key;
            let recent = recent.get(&key).map(Vec::as_slice).unwrap_or_default();
            let uptime = uptimes.get(&key).copied();
            counts.add(view.state.shown());
            items.push(api::OverviewItem::of(&view.monitor, &view.state, view.last.as_ref(), recent, uptime));
        }
    }
    document(api::Overview { at: app.web.clock.now().into(), cursor, counts, items }).await
}

async fn recent(
    app: &App,
    views: &[MonitorView],
    count: usize,
) -> Result<BTreeMap<MonitorKey, Vec<CheckResult>>, StoreError> {
    if count == 0 {
        return Ok(BTreeMap::new());
    }
    let keys = views.iter().map(|view| view.monitor.key).collect();
    app.web.views.recent(Some(keys), count).await
}
