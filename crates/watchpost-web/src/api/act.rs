//! What can be done to a monitor.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use watchpost_core::monitor::Source;
use watchpost_wire::api;

use super::{Shared, find};
use crate::app::App;
use crate::params::{Id, NoBody};
use crate::problem::Problem;

/// Checks a monitor now. The result is recorded and counts like any other.
#[utoipa::path(
    post, path = "/api/v1/monitors/{id}/check", operation_id = "checkMonitor", tag = "monitors",
    params(("id" = String, Path, description = "The monitor's id, percent-encoded.")),
    responses(
        (status = 200, description = "What came of it.", body = api::CheckOutput),
        (status = 404, description = "No such monitor.", body = api::Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is paused, or is being checked.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn check(State(app): Shared, Id(id): Id, _: NoBody) -> Result<Json<api::CheckOutput>, Problem> {
    let monitor = find(&app, &id).await?.monitor;
    let done = app.web.check_now.check_now(monitor.key).await?;
    Ok(Json(api::CheckOutput::of(&monitor, done.state.shown(), &done.result)))
}

/// Pauses a monitor made in the page or the API.
#[utoipa::path(
    post, path = "/api/v1/monitors/{id}/pause", operation_id = "pauseMonitor", tag = "monitors",
    params(("id" = String, Path, description = "The monitor's id, percent-encoded.")),
    responses(
        (status = 200, description = "The monitor.", body = api::Monitor),
        (status = 404, description = "No such monitor.", body = api::Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is written in a file: change it there.", body = api::Problem, content_type = "application/problem+json"),
        (status = 501, description = "Not supported yet.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn pause(State(app): Shared, Id(id): Id, _: NoBody) -> Result<Json<api::Monitor>, Problem> {
    switch(&app, &id, false).await
}

/// Resumes a monitor made in the page or the API.
#[utoipa::path(
    post, path = "/api/v1/monitors/{id}/resume", operation_id = "resumeMonitor", tag = "monitors",
    params(("id" = String, Path, description = "The monitor's id, percent-encoded.")),
    responses(
        (status = 200, description = "The monitor.", body = api::Monitor),
        (status = 404, description = "No such monitor.", body = api::Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is written in a file: change it there.", body = api::Problem, content_type = "application/problem+json"),
        (status = 501, description = "Not supported yet.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn resume(State(app): Shared, Id(id): Id, _: NoBody) -> Result<Json<api::Monitor>, Problem> {
    switch(&app, &id, true).await
}

/// Replaces a monitor. Not supported yet; one of a file is never changed here.
#[utoipa::path(
    put, path = "/api/v1/monitors/{id}", operation_id = "replaceMonitor", tag = "monitors",
    params(("id" = String, Path, description = "The monitor's id, percent-encoded.")),
    responses(
        (status = 404, description = "No such monitor.", body = api::Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is written in a file: change it there.", body = api::Problem, content_type = "application/problem+json"),
        (status = 501, description = "Not supported yet.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn replace(State(app): Shared, Id(id): Id) -> Problem {
    edit(&app, &id).await
}

/// Changes a monitor. Not supported yet; one of a file is never changed here.
#[utoipa::path(
    patch, path = "/api/v1/monitors/{id}", operation_id = "patchMonitor", tag = "monitors",
    params(("id" = String, Path, description = "The monitor's id, percent-encoded.")),
    responses(
        (status = 404, description = "No such monitor.", body = api::Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is written in a file: change it there.", body = api::Problem, content_type = "application/problem+json"),
        (status = 501, description = "Not supported yet.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn patch(State(app): Shared, Id(id): Id) -> Problem {
    edit(&app, &id).await
}

/// Deletes a monitor. Not supported yet; one of a file is never deleted here.
#[utoipa::path(
    delete, path = "/api/v1/monitors/{id}", operation_id = "deleteMonitor", tag = "monitors",
    params(("id" = String, Path, description = "The monitor's id, percent-encoded.")),
    responses(
        (status = 404, description = "No such monitor.", body = api::Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is written in a file: change it there.", body = api::Problem, content_type = "application/problem+json"),
        (status = 501, description = "Not supported yet.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(State(app): Shared, Id(id): Id) -> Problem {
    edit(&app, &id).await
}

async fn edit(app: &App, id: &watchpost_core::MonitorId) -> Problem {
    match find(app, id).await {
        Err(problem) => problem,
        Ok(view) => match &view.monitor.source {
            Source::File { path, line } => Problem::new(
                StatusCode::CONFLICT,
                format!("this monitor is written in a file; change it in {path}:{line}"),
            ),
            Source::Api => Problem::not_supported_yet("changing monitors that are not written in a file"),
        },
    }
}

async fn switch(app: &App, id: &watchpost_core::MonitorId, active: bool) -> Result<Json<api::Monitor>, Problem> {
    let monitor = find(app, id).await?.monitor;
    match &monitor.source {
        Source::File { path, line } => Err(Problem::new(
            StatusCode::CONFLICT,
            format!("this monitor is written in a file; say `active: {active}` in {path}:{line}"),
        )),
        Source::Api => Err(Problem::not_supported_yet("pausing monitors that are not written in a file")),
    }
}
