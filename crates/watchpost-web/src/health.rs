//! `/livez` and `/readyz`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;

use crate::app::App;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/livez", get(livez)).route("/readyz", get(readyz))
}

/// The process answers.
async fn livez() -> &'static str {
    "ok\n"
}

/// The engine runs and the store takes commits and answers; else 503 with a line per trouble.
async fn readyz(State(app): State<Arc<App>>) -> Response {
    let health = app.web.health.health();
    let mut troubles = Vec::new();
    if health.stopping || app.web.stop.is_cancelled() {
        troubles.push("stopping".to_owned());
    }
    match (health.store_error, app.web.views.figures().await) {
        (Some(error), _) => troubles.push(format!("the store takes no results: {error}")),
        (None, Err(error)) => troubles.push(format!("the store cannot be read: {error}")),
        (None, Ok(_)) => {}
    }
    if troubles.is_empty() {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, troubles.join("\n") + "\n").into_response()
    }
}
