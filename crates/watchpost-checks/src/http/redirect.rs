//! Redirects (RFC 9110 section 15.4): where to go next, with which method, and what must not come along.

use ::http::header::LOCATION;
use ::http::response::Parts;
use ::http::{Method, StatusCode};
use url::{Origin, Url};
use watchpost_core::spec::HttpSpec;
use watchpost_core::{Fault, FaultCode};

/// Characters of an unusable target that are told.
const TARGET_CHARS_MAX: usize = 200;

/// One request of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// The request's body is sent along.
    pub(crate) with_body: bool,
    /// Where the chain began: secrets go only there.
    pub(crate) home: Origin,
}

/// What an answer asks for.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing: it is the answer.
    Final,
    /// Another request.
    Hop(Hop),
    /// A request that cannot be made; the target as sent, shortened.
    Invalid(String),
}

impl Hop {
    /// The request that the monitor asks for.
    pub(crate) fn first(spec: &HttpSpec, method: &str) -> Result<Hop, Fault> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| Fault::new(FaultCode::Internal, "the method cannot be sent"))?;
        let url = spec.url.parsed().clone();
        Ok(Hop { method, home: url.origin(), url, with_body: spec.body.is_some() })
    }

    /// Still where the chain began, so secrets may be sent.
    pub(crate) fn is_home(&self) -> bool {
        self.url.origin() == self.home
    }

    /// What makes two requests the same.
    pub(crate) fn key(&self) -> String {
        let mut url = self.url.clone();
        url.set_fragment(None);
        format!("{} {url}", self.method)
    }

    /// What the answer to this request asks for. A 3xx without a target is an answer like any other.
    pub(crate) fn next(&self, answer: &Parts) -> Next {
        let to_get = match answer.status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return Next::Final,
        };
        let Some(target) = answer.headers.get(LOCATION) else { return Next::Final };
        let target = String::from_utf8_lossy(target.as_bytes());
        let invalid = || Next::Invalid(target.chars().take(TARGET_CHARS_MAX).collect());
        let Ok(mut url) = self.url.join(target.trim()) else { return invalid() };
        let reachable = matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|h| !h.is_empty());
        if !reachable {
            return invalid();
        }
        // Credentials in a `Location` are the server's idea, not the monitor's. Both calls fail only for URLs without
        // a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let method = if to_get { Method::GET } else { self.method.clone() };
        Next::Hop(Hop { method, url, with_body: self.with_body && !to_get, home: self.home.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(method: &str, status: u16, location: Option<&str>) -> String {
        let url = Url::parse("https://a.example/dir/page?q=1").unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let hop = Hop { method, home: url.origin(), url, with_body: true };
        let mut answer = ::http::Response::builder().status(status);
        if let Some(location) = location {
            answer = answer.header(LOCATION, location);
        }
        match hop.next(&answer.body(()).unwrap().into_parts().0) {
            Next::Final => "final".to_owned(),
            Next::Invalid(target) => format!("invalid {target}"),
            Next::Hop(hop) => {
                let body = if hop.with_body { " body" } else { "" };
                let home = if hop.is_home() { "" } else { " elsewhere" };
                format!("{} {}{body}{home}", hop.method, hop.url)
            }
        }
    }

    #[test]
    fn the_method_follows_rfc_9110() {
        assert_eq!(next("POST", 301, Some("/x")), "GET https://a.example/x");
        assert_eq!(next("POST", 302, Some("/x")), "GET https://a.example/x");
        assert_eq!(next("PUT", 302, Some("/x")), "PUT https://a.example/x body");
        assert_eq!(next("PUT", 303, Some("/x")), "GET https://a.example/x");
        assert_eq!(next("HEAD", 303, Some("/x")), "HEAD https://a.example/x body");
        assert_eq!(next("POST", 307, Some("/x")), "POST https://a.example/x body");
        assert_eq!(next("POST", 308, Some("/x")), "POST https://a.example/x body");
    }

    #[test]
    fn targets_are_relative_to_the_page() {
        assert_eq!(next("GET", 302, Some("other")), "GET https://a.example/dir/other body");
        assert_eq!(next("GET", 302, Some("?q=2")), "GET https://a.example/dir/page?q=2 body");
        assert_eq!(next("GET", 302, Some("//b.example/")), "GET https://b.example/ body elsewhere");
    }

    #[test]
    fn another_scheme_or_port_is_elsewhere() {
        assert_eq!(next("GET", 302, Some("http://a.example/")), "GET http://a.example/ body elsewhere");
        assert_eq!(next("GET", 302, Some("https://a.example:444/")), "GET https://a.example:444/ body elsewhere");
        assert_eq!(next("GET", 302, Some("https://a.example:443/")), "GET https://a.example/ body");
    }

    #[test]
    fn credentials_in_a_target_are_dropped() {
        assert_eq!(next("GET", 302, Some("https://u:p@b.example/")), "GET https://b.example/ body elsewhere");
    }

    #[test]
    fn what_cannot_be_requested_is_invalid() {
        assert_eq!(next("GET", 302, Some("ftp://a.example/")), "invalid ftp://a.example/");
        assert_eq!(next("GET", 302, Some("file:///etc/passwd")), "invalid file:///etc/passwd");
        assert_eq!(next("GET", 302, Some("https://")), "invalid https://");
    }

    #[test]
    fn a_3xx_without_target_and_other_codes_are_final() {
        assert_eq!(next("GET", 302, None), "final");
        assert_eq!(next("GET", 304, Some("/x")), "final");
        assert_eq!(next("GET", 300, Some("/x")), "final");
        assert_eq!(next("GET", 200, Some("/x")), "final");
    }
}
