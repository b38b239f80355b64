//! `/metrics`: OpenMetrics 1.0 where it is asked for, else the Prometheus text format 0.0.4.

mod families;
mod format;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{ACCEPT, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use prometheus_client::registry::Registry;
use watchpost_core::Timestamp;
use watchpost_core::ports::EngineHealth;
use watchpost_store::{Figures, MonitorView, StoreError, VerdictKind};

use crate::app::{App, StandingNow};
use crate::problem::Problem;

const OPENMETRICS: &str = "application/openmetrics-text";

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/metrics", get(metrics))
}

/// Everything one scrape shows.
#[derive(Debug)]
struct Snapshot {
    now: Timestamp,
    standing: StandingNow,
    health: EngineHealth,
    figures: Figures,
    monitors: Vec<MonitorView>,
    checks: BTreeMap<VerdictKind, u64>,
    streams: usize,
}

async fn metrics(State(app): State<Arc<App>>, asked: HeaderMap) -> Result<Response, Problem> {
    let accept = asked.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let open = accept.contains(OPENMETRICS);
    let snapshot = snapshot(&app).await?;
    // Some hundred thousand lines at 10,000 monitors: written beside the event loop, not in it.
    let text = tokio::task::spawn_blocking(move || text(snapshot, open)).await;
    let Ok(Ok(text)) = text else {
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written"));
    };
    let kind = match open {
        true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        false => "text/plain; version=0.0.4; charset=utf-8",
    };
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(kind)), (VARY, HeaderValue::from_static("accept"))];
    Ok((headers, text).into_response())
}

async fn snapshot(app: &App) -> Result<Snapshot, StoreError> {
    Ok(Snapshot {
        monitors: app.web.views.monitors().await?,
        figures: app.web.views.figures().await?,
        now: app.web.clock.now(),
        standing: app.web.standing.standing(),
        health: app.web.health.health(),
        checks: app.web.hub.checks(),
        streams: app.streams_open(),
    })
}

fn text(snapshot: Snapshot, open: bool) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(if open { text } else { format::classic(&text) })
}
