//! Everything without a route of its own: the dashboard's pages, what is not built yet, and what does not exist.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, ALLOW};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::app::App;
use crate::problem::Problem;

/// Paths that are part of the product and not of this version, with what they belong to. One that ends in a slash stands
/// for all beneath it, another for itself and all beneath it.
const NOT_YET: &[(&str, &str)] = &[
    ("/api/docs", "readable API pages"),
    ("/api/push/", "push monitors"),
    ("/api/services", "the PACS service API"),
    ("/api/v1/alerts", "alerts"),
    ("/api/v1/channels", "channels"),
    ("/api/v1/deliveries", "deliveries"),
    ("/api/v1/login", "accounts"),
    ("/api/v1/logout", "accounts"),
    ("/api/v1/maintenance", "maintenance windows"),
    ("/api/v1/setup", "accounts"),
    ("/api/v1/status-pages", "status pages"),
    ("/api/v1/tokens", "API tokens"),
    ("/api/v1/users", "accounts"),
    ("/a/", "acknowledging from a message"),
    ("/badge/", "badges"),
    ("/ping/", "heartbeats"),
    ("/probe", "blackbox probes"),
    ("/refresh/", "push monitors"),
    ("/status/", "status pages"),
    ("/task/", "job reports"),
    ("/tasks", "job reports"),
];

/// Paths of the dashboard's pages beside `/` and `/monitors/{id}`. A page not built yet says so itself.
const PAGES: &[&str] = &[
    "/alerts",
    "/channels",
    "/incidents",
    "/login",
    "/maintenance",
    "/results",
    "/settings",
    "/setup",
    "/status-pages",
];

/// Folders in which nothing is a page.
const NOT_PAGES: &[&str] = &["/api", "/assets", "/metrics", "/livez", "/readyz"];

/// What this path belongs to, if it is part of the product but not of this version.
fn not_yet(path: &str) -> Option<&'static str> {
    NOT_YET.iter().find(|(known, _)| known_or_beneath(path, known)).map(|(_, what)| *what)
}

fn known_or_beneath(path: &str, known: &str) -> bool {
    match path.strip_prefix(known) {
        None => false,
        Some(rest) => rest.is_empty() || rest.starts_with('/') || known.ends_with('/'),
    }
}

fn is_page(path: &str) -> bool {
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    path == "/" || PAGES.contains(&path) || path.strip_prefix("/monitors/").is_some_and(|id| !id.is_empty())
}

pub(crate) async fn fallback(State(app): State<Arc<App>>, request: Request) -> Response {
    let path = request.uri().path();
    if let Some(what) = not_yet(path) {
        return Problem::not_supported_yet(what).into_response();
    }
    if NOT_PAGES.iter().any(|folder| known_or_beneath(path, folder)) {
        return Problem::nothing_here().into_response();
    }
    let status = if is_page(path) { StatusCode::OK } else { StatusCode::NOT_FOUND };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return match status {
            StatusCode::OK => {
                (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, HeaderValue::from_static("GET,HEAD"))]).into_response()
            }
            _ => Problem::nothing_here().into_response(),
        };
    }
    // A person who mistyped gets the dashboard's own words; a program gets a problem.
    if status == StatusCode::OK || wants_page(request.headers()) {
        app.page.answer(status, request.headers())
    } else {
        Problem::nothing_here().into_response()
    }
}

fn wants_page(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_product_names_is_not_unknown() {
        let belongs = [
            ("/ping/abc/start", Some("heartbeats")),
            ("/api/v1/alerts", Some("alerts")),
            ("/api/v1/alerts/7", Some("alerts")),
            ("/api/v1/alertsx", None),
            ("/status/public.json", Some("status pages")),
            ("/status-pages", None),
            ("/tasks", Some("job reports")),
            ("/probe", Some("blackbox probes")),
            ("/assets/x.js", None),
        ];
        for (path, what) in belongs {
            assert_eq!(not_yet(path), what, "{path}");
        }
    }

    #[test]
    fn a_monitors_page_may_have_any_id() {
        assert!(is_page("/monitors/caf%C3%A9%2Fdb.example.org"));
        assert!(is_page("/incidents/"));
        assert!(!is_page("/monitors/"));
        assert!(!is_page("/favicon.ico"));
    }
}
