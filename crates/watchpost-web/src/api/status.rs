//! How Watchpost itself is doing.

use axum::Json;
use axum::extract::State;
use watchpost_core::ports::EngineHealth;
use watchpost_wire::api;

use super::Shared;
use crate::guard::loopback_only;

/// How Watchpost itself is doing.
#[utoipa::path(
    get, path = "/api/v1/status", operation_id = "getStatus", tag = "meta",
    responses((status = 200, description = "The standing of process, configuration and engine.", body = api::Status)),
)]
pub(super) async fn status(State(app): Shared) -> Json<api::Status> {
    let now = app.web.clock.now();
    let standing = app.web.standing.standing();
    Json(api::Status {
        at: now.into(),
        started_at: standing.started_at.into(),
        uptime_s: now.since(standing.started_at).as_secs(),
        accounts: false,
        loopback_only: loopback_only(&standing.listen),
        listen: standing.listen.iter().map(ToString::to_string).collect(),
        version: standing.version,
        config: api::ConfigStanding {
            source: standing.source,
            loaded_at: standing.loaded_at.map(api::Time::from),
            generation: standing.generation,
            error: standing.error.map(|error| api::ConfigError { at: error.at.into(), text: error.text }),
        },
        engine: engine(app.web.health.health()),
    })
}

fn engine(health: EngineHealth) -> api::EngineStanding {
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    api::EngineStanding {
        monitors: health.monitors as u64,
        active: health.active as u64,
        in_flight: health.in_flight as u64,
        waiting: health.waiting as u64,
        results_queued: health.results_queued as u64,
        commit_lag_ms: millis(health.commit_took),
        lateness_p99_ms: millis(health.lateness_p99),
        checks_total: health.checks_total,
        results_dropped_total: health.results_dropped_total,
        store: match health.store_error {
            None => "ok".to_owned(),
            Some(error) => format!("failing: {error}"),
        },
    }
}
