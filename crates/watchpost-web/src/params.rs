//! What callers send: query parameters, ids in paths, cursors, and bodies where none is needed.

use std::convert::Infallible;
use std::error::Error;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use watchpost_core::{MonitorId, Timestamp};

use crate::problem::Problem;

/// Bytes of a request's body: the largest thing that is sent today is an empty object.
pub(crate) const BODY_MAX: usize = 64 * 1024;
/// Rows on a page when the caller does not say.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = watchpost_store::PAGE_MAX;

/// The query string, decoded. Parameters nobody asks for are ignored.
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Query, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Query(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

impl Query {
    /// All values of a parameter, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that may be given once; an empty value counts as not given.
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            Some(_) => Err(Problem::parameter(name, format!("`{name}` is given more than once"))),
            None => Ok(first.filter(|value| !value.is_empty())),
        }
    }

    /// Rows wanted: `limit`, 1..=1000.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        Ok(self.number("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT))
    }

    /// A whole number in a range.
    pub(crate) fn number(
        &self,
        name: &'static str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<Option<usize>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            Ok(_) | Err(_) => {
                let (from, to) = range.into_inner();
                Err(Problem::parameter(name, format!("`{name}` must be a whole number from {from} to {to}")))
            }
        }
    }

    /// A time.
    pub(crate) fn time(&self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        // A `+` that was not encoded arrives as a blank; no RFC 3339 time with an offset holds one otherwise.
        let parsed = self.one(name)?.map(|text| text.replace(' ', "+").parse());
        parsed
            .transpose()
            .map_err(|error: watchpost_core::time::NotATime| Problem::parameter(name, format!("`{name}`: {error}")))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &'static str) -> Result<Option<bool>, Problem> {
        match self.one(name)? {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Problem::parameter(name, format!("`{name}` must be true or false"))),
        }
    }

    /// A cursor of the given kind, as its numbers.
    pub(crate) fn cursor<const N: usize>(&self, name: &'static str, kind: char) -> Result<Option<[i64; N]>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let read = read_cursor(kind, text).ok_or_else(|| {
            Problem::parameter(name, format!("`{name}` is not a cursor of this list; send `next` back as it came"))
        })?;
        Ok(Some(read))
    }
}

/// An opaque cursor: the kind of list, then numbers.
pub(crate) fn write_cursor(kind: char, numbers: &[i64]) -> String {
    let mut text = kind.to_string();
    for number in numbers {
        text.push(':');
        text.push_str(&number.to_string());
    }
    URL_SAFE_NO_PAD.encode(text)
}

fn read_cursor<const N: usize>(kind: char, text: &str) -> Option<[i64; N]> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let numbers = plain.strip_prefix(kind)?.strip_prefix(':')?;
    let numbers: Vec<i64> = numbers.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}

/// A monitor's id out of the path, decoded: it may hold slashes and any script.
pub(crate) struct Id(pub(crate) MonitorId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Id, Problem> {
        let decoded: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        match decoded {
            Ok(Path(id)) => Ok(Id(MonitorId::new(&id))),
            Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "the id in the path is not percent-encoded UTF-8")),
        }
    }
}

/// The body of a request that needs none: nothing, or an empty JSON object.
pub(crate) struct NoBody;

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, _state: &S) -> Result<NoBody, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = to_bytes(body, BODY_MAX).await.map_err(|error| unread(&error))?;
        if bytes.is_empty() {
            return Ok(NoBody);
        }
        if !is_json(&parts.headers) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "a body must be sent as application/json; this request needs none",
            ));
        }
        match serde_json::from_slice(&bytes) {
            Ok(serde_json::Value::Object(keys)) => match keys.keys().next() {
                None => Ok(NoBody),
                Some(key) => Err(Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    format!("unknown key `{key}`; this request takes no body"),
                )),
            },
            Ok(_) => {
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "this request takes no body, or an empty object"))
            }
            Err(error) => Err(Problem::new(StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}"))),
        }
    }
}

/// A body that is too large, or that its sender did not send as it said: of that, hyper complains.
fn unread(error: &axum::Error) -> Problem {
    let first: Option<&(dyn Error + 'static)> = error.source();
    let mut causes = std::iter::successors(first, |cause| (*cause).source());
    match causes.any(|cause| cause.is::<hyper::Error>()) {
        true => Problem::new(StatusCode::BAD_REQUEST, "the body broke off, or is not coded as its headers say"),
        false => too_large(),
    }
}

/// A body beyond [`BODY_MAX`].
pub(crate) fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body may have at most {BODY_MAX} bytes"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = sent.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_only_in_its_own_list() {
        let cursor = write_cursor('r', &[1_795_141_031_007, 7]);
        assert_eq!(read_cursor::<2>('r', &cursor), Some([1_795_141_031_007, 7]));
        assert_eq!(read_cursor::<2>('i', &cursor), None);
        assert_eq!(read_cursor::<1>('r', &cursor), None);
        assert_eq!(read_cursor::<2>('r', "nonsense"), None);
        assert_eq!(read_cursor::<2>('r', ""), None);
    }
}
