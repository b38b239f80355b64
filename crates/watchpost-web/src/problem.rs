//! Errors as RFC 9457 problem documents.

use std::borrow::Cow;

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, StatusCode};
use watchpost_core::MonitorId;
use watchpost_core::ports::CheckNowError;
use watchpost_store::StoreError;
use watchpost_wire::api;

/// Seconds after which a refused caller may try again: about as long as a burst of work lasts.
const RETRY_AFTER_S: u64 = 1;

/// A refusal or a failure, to be sent as `application/problem+json`.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: Cow<'static, str>,
    parameter: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { status, detail: detail.into(), parameter: None }
    }

    /// A parameter that cannot be understood (422).
    pub(crate) fn parameter(name: &'static str, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { parameter: Some(name), ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    pub(crate) fn no_monitor(id: &MonitorId) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, format!("there is no monitor `{id}`"))
    }

    pub(crate) fn nothing_here() -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "there is nothing at this address; /api/openapi.json lists what there is")
    }

    pub(crate) fn not_supported_yet(what: &str) -> Problem {
        Problem::new(StatusCode::NOT_IMPLEMENTED, format!("{what}: not supported yet"))
    }

    fn document(&self) -> api::Problem {
        api::Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.to_string(),
            parameter: self.parameter.map(str::to_owned),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.document())).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        match error {
            // Whoever asks while we stop is told so; nothing is wrong.
            StoreError::Closed => tracing::debug!("a page was asked for after the store was closed for the stop"),
            ref error => {
                tracing::error!(error = error as &dyn std::error::Error, "a page could not be read from the store");
            }
        }
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<CheckNowError> for Problem {
    fn from(error: CheckNowError) -> Problem {
        let status = match error {
            CheckNowError::Unknown => StatusCode::NOT_FOUND,
            CheckNowError::Paused | CheckNowError::Running => StatusCode::CONFLICT,
            CheckNowError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        Problem::new(status, error.to_string())
    }
}

/// Gives every bare refusal of the libraries beneath (no route, wrong method, no such file) the shape of a problem.
pub(crate) async fn dress(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let bare = next.run(request).await;
    let (status, headers) = (bare.status(), bare.headers());
    let refused = status.is_client_error() || status.is_server_error();
    if !refused || headers.contains_key(CONTENT_TYPE) {
        return bare;
    }
    let allow = headers.get(ALLOW).cloned();
    let mut dressed = match status {
        StatusCode::NOT_FOUND => Problem::nothing_here(),
        StatusCode::METHOD_NOT_ALLOWED => wrong_method(&method, allow.as_ref()),
        _ => Problem::new(status, "the request could not be answered"),
    }
    .into_response();
    if let Some(allow) = allow {
        dressed.headers_mut().insert(ALLOW, allow);
    }
    dressed
}

fn wrong_method(method: &Method, allow: Option<&HeaderValue>) -> Problem {
    let allowed = allow.and_then(|allow| allow.to_str().ok()).unwrap_or("other methods");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not possible here; {allowed} is"))
}

/// What a handler that panicked answers. The panic itself is logged where it happens.
pub(crate) fn panicked(_payload: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a defect of ours; the log has more").into_response()
}
