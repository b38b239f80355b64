//! The dashboard's files, which are part of the binary.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use memory_serve::{Asset, CacheControl, MemoryServe};

/// Files with a hash of their content in their name.
static HASHED: &[Asset] = include!(concat!(env!("OUT_DIR"), "/hashed.rs"));
/// Other files.
static PLAIN: &[Asset] = include!(concat!(env!("OUT_DIR"), "/plain.rs"));
const PAGE: &str = include_str!(concat!(env!("OUT_DIR"), "/index.html"));
const ROOT_BASE: &str = r#"<base href="/" />"#;

/// The files' routes. They are unpacked once for the whole process: memory-serve never frees them.
static FILES: LazyLock<Router> = LazyLock::new(|| {
    let make = || {
        let hashed = MemoryServe::new(HASHED).index_file(None).cache_control(CacheControl::Long);
        let plain = MemoryServe::new(PLAIN).index_file(None).cache_control(CacheControl::Short);
        hashed.into_router().merge(plain.into_router())
    };
    // It logs a line per file, which nobody who starts a monitor wants to read.
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), make)
});

pub(crate) fn files<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.clone().with_state(())
}

/// The page that all of the dashboard's addresses answer with.
pub(crate) struct Page {
    html: String,
    etag: HeaderValue,
}

impl Page {
    /// The page for a server whose paths all begin with `prefix` (empty, or `/sub`).
    pub(crate) fn at(prefix: &str) -> Page {
        Page::new(PAGE, prefix)
    }

    fn new(html: &str, prefix: &str) -> Page {
        let base = format!(r#"<base href="{}/" />"#, escape(prefix));
        let html = if html.contains(ROOT_BASE) {
            html.replacen(ROOT_BASE, &base, 1)
        } else {
            html.replacen("<head>", &format!("<head>{base}"), 1)
        };
        let mut hasher = DefaultHasher::new();
        html.hash(&mut hasher);
        // Weak: what is sent may be compressed in more than one way.
        let etag = format!(r#"W/"{:016x}""#, hasher.finish());
        let etag = HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("W/\"page\""));
        Page { html, etag }
    }

    /// The page, or 304 for who has it already.
    pub(crate) fn answer(&self, status: StatusCode, asked: &HeaderMap) -> Response {
        let headers = [(CACHE_CONTROL, HeaderValue::from_static("no-cache")), (ETAG, self.etag.clone())];
        let known = asked.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
        let etag = self.etag.to_str().unwrap_or_default();
        if status == StatusCode::OK && known.split(',').any(|tag| tag.trim() == etag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (status, headers, Html(self.html.clone())).into_response()
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_written_where_the_page_has_one_and_where_it_has_none() {
        let with = Page::new(r#"<head><base href="/" /><title>"#, "/sub");
        assert_eq!(with.html, r#"<head><base href="/sub/" /><title>"#);
        let without = Page::new("<head><title>", "/sub");
        assert_eq!(without.html, r#"<head><base href="/sub/" /><title>"#);
        assert_eq!(Page::new("<head>", "").html, r#"<head><base href="/" />"#);
        assert_ne!(with.etag, Page::new(r#"<head><base href="/" /><title>"#, "").etag);
    }

    #[test]
    fn a_prefix_cannot_leave_its_attribute() {
        assert!(Page::new("<head>", "/\"><script>").html.contains("/&quot;&gt;&lt;script&gt;/"));
    }
}
