//! The request as it is sent.

use std::borrow::Cow;

use ::http::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION,
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, HOST, PRAGMA, RANGE, USER_AGENT,
};
use ::http::uri::{Authority, PathAndQuery, Scheme};
use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use url::{Position, Url};
use watchpost_core::spec::{HttpAuth, HttpSpec};
use watchpost_core::{Fault, FaultCode};

use super::exchange::Protocol;
use super::redirect::Hop;

/// Headers of the monitor that are sent to another origin too. All others may be secrets: nobody but their owner knows
/// what `X-Key` is.
const HARMLESS: [HeaderName; 8] =
    [ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, PRAGMA, RANGE, USER_AGENT];
/// Headers that describe the body; they go where it goes.
const OF_THE_BODY: [HeaderName; 3] = [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE];

/// The URL without credentials and fragment, for showing.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs without a host, which never get here.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    url.into()
}

/// Builds the request of a hop. Fails only for headers that cannot be sent, which the configuration refuses before.
pub(crate) fn build(
    spec: &HttpSpec,
    hop: &Hop,
    user_agent: &HeaderValue,
    protocol: Protocol,
) -> Result<Request<Full<Bytes>>, Fault> {
    let mut headers = own_headers(spec, hop)?;
    let default = |headers: &mut HeaderMap, name: HeaderName, value: HeaderValue| {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    };
    default(&mut headers, USER_AGENT, user_agent.clone());
    default(&mut headers, ACCEPT, HeaderValue::from_static("*/*"));
    // The body is judged as it is sent, so it has to come as it is.
    default(&mut headers, ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if hop.is_home()
        && let Some(credentials) = authorization(spec)?
    {
        default(&mut headers, AUTHORIZATION, credentials);
    }
    let authority = host_and_port(&hop.url);
    let uri = match protocol {
        Protocol::Http1 => {
            // One request a connection; the server closes first, and so it keeps the closed connection's port.
            default(&mut headers, CONNECTION, HeaderValue::from_static("close"));
            default(&mut headers, HOST, value(authority.as_bytes(), "host")?);
            Uri::from(path(&hop.url)?)
        }
        Protocol::Http2 => {
            let host = headers.remove(HOST);
            let authority = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or(&authority);
            absolute(&hop.url, authority)?
        }
    };
    let body = match &spec.body {
        Some(body) if hop.with_body => Full::new(Bytes::copy_from_slice(body.reveal().as_bytes())),
        Some(_) | None => Full::default(),
    };
    let mut request = Request::new(body);
    *request.method_mut() = hop.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

fn own_headers(spec: &HttpSpec, hop: &Hop) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    for (name, secret) in &spec.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| cannot_send(name))?;
        let of_the_body = OF_THE_BODY.contains(&parsed);
        let goes = if of_the_body { hop.with_body } else { hop.is_home() || HARMLESS.contains(&parsed) };
        if goes {
            let mut value = value(secret.reveal().as_bytes(), name)?;
            value.set_sensitive(!of_the_body && !HARMLESS.contains(&parsed));
            headers.append(parsed, value);
        }
    }
    Ok(headers)
}

/// The credentials to send: the monitor's, else those in its URL.
fn authorization(spec: &HttpSpec) -> Result<Option<HeaderValue>, Fault> {
    let basic = |user: &str, password: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let url = spec.url.parsed();
    let text = match &spec.auth {
        Some(HttpAuth::Basic { user, password }) => basic(user, password.reveal()),
        Some(HttpAuth::Bearer(token)) => format!("Bearer {}", token.reveal()),
        None if url.username().is_empty() && url.password().is_none() => return Ok(None),
        None => basic(&decoded(url.username()), &decoded(url.password().unwrap_or_default())),
    };
    let mut value = value(text.as_bytes(), "authorization")?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Percent-decoded once (RFC 3986 section 2.1).
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        let code = digits.and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn cannot_send(name: &str) -> Fault {
    Fault::new(FaultCode::Internal, format!("the header {name} cannot be sent"))
}

fn value(bytes: &[u8], name: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_bytes(bytes).map_err(|_| cannot_send(name))
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn path(url: &Url) -> Result<PathAndQuery, Fault> {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    PathAndQuery::try_from(path).map_err(|_| Fault::new(FaultCode::Internal, "the path cannot be sent"))
}

fn absolute(url: &Url, authority: &str) -> Result<Uri, Fault> {
    let bad = || Fault::new(FaultCode::Internal, "the address cannot be sent");
    let scheme = if url.scheme() == "https" { Scheme::HTTPS } else { Scheme::HTTP };
    let authority = Authority::try_from(authority).map_err(|_| bad())?;
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path(url)?).build().map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_a_url_are_decoded_once() {
        assert_eq!(decoded("p%40ss%2Fw%25"), "p@ss/w%");
        assert_eq!(decoded("50%"), "50%");
        assert_eq!(decoded("100%+5"), "100%+5", "a sign is no hexadecimal digit");
        assert_eq!(decoded("plain"), "plain");
    }

    #[test]
    fn a_shown_url_has_no_credentials() {
        let url = Url::parse("https://user:secret@example.org/a?b#c").unwrap();
        assert_eq!(shown(&url), "https://example.org/a?b");
    }
}
