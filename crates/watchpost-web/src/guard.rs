//! Who may ask at all, while there are no accounts: names we answer to, and no requests that another site makes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, HOST, ORIGIN};
use http::{HeaderMap, Method, StatusCode, Version};

use crate::app::App;
use crate::params::{BODY_MAX, too_large};
use crate::problem::Problem;

/// The names we answer to. A page of another site can make a name of its own point at 127.0.0.1 and so read what we
/// answer (DNS rebinding); it cannot make the browser send another name than its own.
pub(crate) struct HostPolicy {
    /// Only loopback addresses are listened on.
    loopback_only: bool,
    base: Option<url::Url>,
    /// The first address, for the advice.
    example: String,
}

impl HostPolicy {
    pub(crate) fn new(listen: &[SocketAddr], base: Option<&url::Url>) -> HostPolicy {
        HostPolicy {
            loopback_only: loopback_only(listen),
            base: base.cloned(),
            example: listen.first().map_or_else(|| "127.0.0.1:8080".to_owned(), ToString::to_string),
        }
    }

    fn knows(&self, host: &str) -> bool {
        let name = name_of(host);
        let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&name);
        let local = match address.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        };
        local || self.base.as_ref().and_then(url::Url::host_str) == Some(name.as_str())
    }

    fn refusal(&self, host: &str) -> Problem {
        let (example, name) = (&self.example, name_of(host));
        Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "watchpost listens on this machine only and does not answer to the name `{name}`; ask \
                 http://{example}, or set server.base_url to the address that people use"
            ),
        )
    }
}

/// All of these addresses are loopback addresses.
pub(crate) fn loopback_only(listen: &[SocketAddr]) -> bool {
    listen.iter().all(|address| address.ip().is_loopback())
}

/// The name in `name:port`, in lower case, without the dot of a full name.
fn name_of(host: &str) -> String {
    let name = match host.rfind(']') {
        Some(end) => &host[..=end],
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Refuses what must not reach a handler: unknown names, other sites' requests, bodies that are too large.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let refused = known_name(&app.hosts, &request)
        .and_then(|()| own_site(&app.hosts, &request))
        .and_then(|()| small_body(request.headers()));
    match refused {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// The name asked for: of the request line in absolute form and of HTTP/2, else of the header.
fn host(request: &Request) -> Option<&str> {
    let header = || request.headers().get(HOST).and_then(|host| host.to_str().ok());
    request.uri().authority().map(http::uri::Authority::as_str).or_else(header)
}

fn known_name(hosts: &HostPolicy, request: &Request) -> Result<(), Problem> {
    // Probes of orchestrators ask by whatever address they have, and these two answer with one word.
    let probe = matches!(request.uri().path(), "/livez" | "/readyz");
    match host(request) {
        None if request.version() == Version::HTTP_11 => {
            // RFC 9112 section 3.2
            Err(Problem::new(StatusCode::BAD_REQUEST, "the request has no Host header"))
        }
        Some(host) if hosts.loopback_only && !probe && !hosts.knows(host) => Err(hosts.refusal(host)),
        Some(_) | None => Ok(()),
    }
}

/// A request that changes something must not come from another site's page. Programs send neither header.
fn own_site(hosts: &HostPolicy, request: &Request) -> Result<(), Problem> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let refused = || Problem::new(StatusCode::FORBIDDEN, "this request was made by a page of another site");
    match text("sec-fetch-site") {
        None | Some("same-origin" | "none") => {}
        Some(_) => return Err(refused()),
    }
    match text(ORIGIN.as_str()) {
        None => Ok(()),
        Some(origin) if is_own(hosts, origin, host(request)) => Ok(()),
        Some(_) => Err(refused()),
    }
}

fn is_own(hosts: &HostPolicy, origin: &str, host: Option<&str>) -> bool {
    let Ok(origin) = url::Url::parse(origin) else { return false };
    if hosts.base.as_ref().is_some_and(|base| base.origin() == origin.origin()) {
        return true;
    }
    // A proxy may speak TLS for us, so the scheme is taken from the origin itself.
    let asked = host.and_then(|host| url::Url::parse(&format!("{}://{host}", origin.scheme())).ok());
    asked.is_some_and(|asked| origin.has_host() && asked.origin() == origin.origin())
}

fn small_body(headers: &HeaderMap) -> Result<(), Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length > BODY_MAX as u64 => Err(too_large()),
        Some(_) | None => Ok(()),
    }
}
