//! `/api/v1`: a file per resource. Each handler reads, converts and answers; decisions are made elsewhere.

mod act;
mod incidents;
mod monitors;
mod overview;
mod results;
mod status;
mod stream;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::OpenApi;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::response::{Response as Described, ResponseBuilder};
use utoipa::openapi::{OpenApi as Description, Ref, RefOr, ServerBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchpost_core::{Monitor, MonitorId, MonitorKey};
use watchpost_store::MonitorView;
use watchpost_wire::api;

use crate::app::App;
use crate::problem::Problem;

/// What every handler is given.
type Shared = State<Arc<App>>;

/// The longest that any page but a check may take; the store answers in milliseconds or is stuck.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The longest that a check out of turn may take: monitors have deadlines of seconds, rarely of a minute.
const CHECK_MAX: Duration = Duration::from_secs(120);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Watchpost",
        description = "Watches services, tells the right people, and posts the truth. Times are RFC 3339 in UTC with \
                       milliseconds. Errors are RFC 9457 problem documents. Keys are added within a version, none is \
                       renamed: ignore those you do not know.",
    ),
    components(schemas(
        api::Problem,
        api::Hello,
        api::Notice,
        api::ResultEvent,
        api::CompactResults,
        api::CompactResult
    ))
)]
struct Doc;

/// The routes of the API and their description.
pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    let quick = OpenApiRouter::with_openapi(Doc::openapi())
        .routes(routes!(status::status))
        .routes(routes!(overview::overview))
        .routes(routes!(monitors::list))
        .routes(routes!(monitors::one))
        .routes(routes!(monitors::config))
        .routes(routes!(results::of_monitor))
        .routes(routes!(results::all))
        .routes(routes!(incidents::list))
        .routes(routes!(act::replace))
        .routes(routes!(act::patch))
        .routes(routes!(act::delete))
        .routes(routes!(act::pause))
        .routes(routes!(act::resume))
        .routes(routes!(stream::stream))
        .routes(routes!(openapi))
        .route("/api/v1/monitors", post(making))
        .layer(from_fn(|request, next| within(ANSWER_MAX, request, next)));
    let slow = OpenApiRouter::new()
        .routes(routes!(act::check))
        .layer(from_fn(|request, next| within(CHECK_MAX, request, next)));
    quick.merge(slow)
}

/// The description of all of it, with what the layers around every operation may answer.
pub(crate) fn description() -> &'static Description {
    static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| {
        let mut description = routes().into_openapi();
        for item in description.paths.paths.values_mut() {
            for (operation, changes) in [
                (&mut item.get, false),
                (&mut item.post, true),
                (&mut item.put, true),
                (&mut item.patch, true),
                (&mut item.delete, true),
            ] {
                let Some(operation) = operation else { continue };
                add_common(&mut operation.responses.responses, changes);
            }
        }
        description
    });
    &DESCRIPTION
}

fn add_common(answers: &mut BTreeMap<String, RefOr<Described>>, changes: bool) {
    let described = |what: &str| -> RefOr<Described> {
        let problem = Ref::from_schema_name("Problem");
        let content = ContentBuilder::new().schema(Some(problem)).build();
        ResponseBuilder::new().description(what).content("application/problem+json", content).build().into()
    };
    let mut common = vec![
        ("400", "The request makes no sense: no Host header, or a path that is not UTF-8."),
        ("421", "We listen on loopback only and do not answer to that host name."),
        ("500", "A defect of ours."),
        ("503", "The store or the engine cannot answer now."),
    ];
    if changes {
        common.extend([
            ("403", "A page of another site made this request."),
            ("413", "The body is too large."),
            ("415", "The body is not JSON."),
            ("422", "The body or a parameter cannot be understood."),
        ]);
    }
    for (status, what) in common {
        answers.entry(status.to_owned()).or_insert_with(|| described(what));
    }
}

/// This description.
#[utoipa::path(
    get, path = "/api/openapi.json", operation_id = "getOpenapi", tag = "meta",
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value)),
)]
async fn openapi(State(app): Shared) -> Response {
    let mut description = description().clone();
    description.servers = app
        .web
        .base_url
        .as_ref()
        .map(|base| vec![ServerBuilder::new().url(base.url().as_str().trim_end_matches('/')).build()]);
    document(description).await.into_response()
}

/// Making monitors over the API is part of the product and not of this version.
async fn making() -> Problem {
    Problem::not_supported_yet("monitors made in the API; write them in the configuration file")
}

async fn within(limit: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let seconds = limit.as_secs();
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("no answer within {seconds} s; try again"))
                .into_response()
        }
    }
}

/// A JSON answer that may be large: it is written beside the event loop, not in it.
async fn document(document: impl Serialize + Send + 'static) -> Result<Response, Problem> {
    let written = tokio::task::spawn_blocking(move || serde_json::to_vec(&document)).await;
    match written {
        Ok(Ok(json)) => {
            let mut response = Response::new(Body::from(json));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(response)
        }
        // Our documents have text keys and finite numbers; what is left is a panic, or the end of the process.
        Ok(Err(_)) | Err(_) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written")),
    }
}

/// One monitor by its id.
async fn find(app: &App, id: &MonitorId) -> Result<MonitorView, Problem> {
    app.web.views.monitor(id).await?.ok_or_else(|| Problem::no_monitor(id))
}

/// Which monitors there are, for lists over all of them.
async fn by_key(app: &App) -> Result<BTreeMap<MonitorKey, Arc<Monitor>>, Problem> {
    let views = app.web.views.monitors().await?;
    Ok(views.into_iter().map(|view| (view.monitor.key, view.monitor)).collect())
}

/// The monitor that a filter names.
async fn filtered(app: &App, query: &crate::params::Query) -> Result<Option<MonitorKey>, Problem> {
    let Some(id) = query.one("monitor")? else { return Ok(None) };
    match app.web.views.monitor(&MonitorId::new(id)).await? {
        Some(view) => Ok(Some(view.monitor.key)),
        None => Err(Problem::parameter("monitor", format!("there is no monitor `{id}`"))),
    }
}
