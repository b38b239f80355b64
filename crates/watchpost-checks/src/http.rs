//! HTTP(S): a request over a fresh connection, redirects followed by hand, the body read to its end or its limit.
//!
//! * Stages are exact because every connection is our own: dns, connect, tls, ttfb, transfer, summed over redirects.
//! * Nothing a peer sends can hold a check past its deadline or grow without bound: head and body have limits, and
//!   everything else is consumed as it comes.

mod exchange;
mod paced;
mod redirect;
pub(crate) mod request;

use ::http::StatusCode;
use ::http::response::Parts;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use url::Url;
use watchpost_core::Stage;
use watchpost_core::observe::{FailureKind, HttpSeen};
use watchpost_core::spec::{HttpMethod, HttpSpec, HttpVersion};

use crate::context::{Context, Stop};
use crate::dial;
use crate::failure::{self, Cause};
use crate::tls::{self, Alpn, Handshake};
use exchange::Exchange;
pub(crate) use exchange::Protocol;
use paced::{Io, Paced};
pub(crate) use redirect::{Hop, Next};

pub(crate) async fn check(cx: &mut Context<'_>, spec: &HttpSpec, keep_body: bool) -> Result<(), Stop> {
    let job = Job { spec, keep_body };
    if spec.tcp_first {
        let url = spec.url.parsed();
        drop(dial::dial(cx, host(url), port(url), spec.ip).await?);
    }
    match &spec.method {
        HttpMethod::One(method) => job.run(cx, method).await,
        HttpMethod::HeadThenGet => job.head_then_get(cx).await,
    }
}

struct Job<'a> {
    spec: &'a HttpSpec,
    keep_body: bool,
}

/// One connection's outcome.
struct Answer {
    parts: Parts,
    body: Incoming,
    exchange: Exchange,
}

impl Job<'_> {
    /// GET after any failed HEAD, and after 405, 501 and 5xx: many servers answer HEAD badly. The GET then decides.
    /// HEAD gets half of the time, so that a server which hangs on it can still be up.
    async fn head_then_get(&self, cx: &mut Context<'_>) -> Result<(), Stop> {
        let until = Instant::now() + cx.left() / 2;
        let headed = timeout_at(until, Box::pin(self.run(cx, "HEAD"))).await;
        match headed {
            Ok(Err(fault @ Stop::Fault(_))) => return Err(fault),
            Ok(Ok(())) if cx.seen.http.as_ref().is_some_and(|http| !wants_get(http.status)) => return Ok(()),
            Ok(_) => {}
            Err(_) => cx.end_step("timeout"),
        }
        cx.seen.http = None;
        cx.seen.tls = None;
        self.run(cx, "GET").await
    }

    async fn run(&self, cx: &mut Context<'_>, method: &str) -> Result<(), Stop> {
        let mut hop = Hop::first(self.spec, method).map_err(Stop::Fault)?;
        let mut visited: Vec<String> = Vec::new();
        let mut followed: u8 = 0;
        loop {
            cx.seen.http = None;
            cx.seen.tls = None;
            let answer = self.ask(cx, &hop, followed).await?;
            visited.push(hop.key());
            let next = match self.spec.redirects {
                0 => Next::Final,
                _ => hop.next(&answer.parts),
            };
            hop = match next {
                Next::Final => {
                    cx.end_step(answer.parts.status.as_u16().to_string());
                    return self.read(cx, answer).await;
                }
                Next::Invalid(target) => {
                    cx.end_step(format!("{} to {target}", answer.parts.status.as_u16()));
                    return Err(cx.fail(FailureKind::RedirectInvalid(target)));
                }
                Next::Hop(next) => next,
            };
            cx.end_step(format!("{} to {}", answer.parts.status.as_u16(), request::shown(&hop.url)));
            if followed >= self.spec.redirects || visited.contains(&hop.key()) {
                return Err(cx.fail(FailureKind::RedirectLoop(followed)));
            }
            followed += 1;
        }
    }

    /// Connects, sends the request, and takes the head of the answer.
    async fn ask(&self, cx: &mut Context<'_>, hop: &Hop, followed: u8) -> Result<Answer, Stop> {
        let (io, protocol) = self.connect(cx, &hop.url).await?;
        let began = cx.enter(Stage::Ttfb);
        cx.begin_step(format!("{} {}", hop.method, request::shown(&hop.url)));
        let request = request::build(self.spec, hop, &cx.services.user_agent, protocol).map_err(Stop::Fault)?;
        let v6 = cx.v6();
        let mut exchange = match Exchange::open(Paced::new(io, cx.deadline()), protocol).await {
            Ok(exchange) => exchange,
            Err(error) => return Err(broken(cx, &error, v6)),
        };
        let response = match exchange.send(request).await {
            Ok(response) => response,
            Err(error) => return Err(broken(cx, &error, v6)),
        };
        cx.leave(Stage::Ttfb, began);
        let (parts, body) = response.into_parts();
        cx.seen.http = Some(head(&parts, hop, followed));
        Ok(Answer { parts, body, exchange })
    }

    async fn connect(&self, cx: &mut Context<'_>, url: &Url) -> Result<(Box<dyn Io>, Protocol), Stop> {
        let stream: TcpStream = dial::dial(cx, host(url), port(url), self.spec.ip).await?;
        if url.scheme() == "http" {
            let protocol = match self.spec.version {
                HttpVersion::Http2 => Protocol::Http2,
                HttpVersion::Auto | HttpVersion::Http1 => Protocol::Http1,
            };
            return Ok((Box::new(stream), protocol));
        }
        let alpn = match self.spec.version {
            HttpVersion::Auto => Alpn::Any,
            HttpVersion::Http1 => Alpn::Http1,
            HttpVersion::Http2 => Alpn::Http2,
        };
        let with = Handshake { name: host(url), alpn, verify: self.spec.verify_tls };
        let stream = tls::handshake(cx, stream, with).await?;
        let agreed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        match (agreed, self.spec.version) {
            (true, _) => Ok((Box::new(stream), Protocol::Http2)),
            (false, HttpVersion::Http2) => Err(cx.stop(Cause::protocol("the server does not speak HTTP/2"))),
            (false, HttpVersion::Auto | HttpVersion::Http1) => Ok((Box::new(stream), Protocol::Http1)),
        }
    }

    /// Reads the body to its end or its limit; kept only when it is going to be judged.
    async fn read(&self, cx: &mut Context<'_>, answer: Answer) -> Result<(), Stop> {
        if !self.spec.read_body {
            return Ok(());
        }
        let Answer { mut body, mut exchange, .. } = answer;
        let began = cx.enter(Stage::Transfer);
        cx.begin_step("read the body".to_owned());
        let mut kept = self.keep_body.then(Vec::new);
        let ended = loop {
            let data = match exchange.drive(body.frame()).await {
                None => break Ok(()),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_trailers) => continue,
                },
                Some(Err(error)) => break Err(error),
            };
            let Some(http) = &mut cx.seen.http else { break Ok(()) };
            let room = self.spec.body_max.saturating_sub(http.body_bytes);
            let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
            let taken = length.min(room);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(&data[..usize::try_from(taken).unwrap_or(data.len())]);
            }
            http.body_bytes += taken;
            if length > room {
                http.truncated = true;
                break Ok(());
            }
        };
        if let Some(http) = &mut cx.seen.http {
            http.body = kept;
        }
        if let Err(error) = ended {
            let v6 = cx.v6();
            return Err(broken(cx, &error, v6));
        }
        cx.leave(Stage::Transfer, began);
        let read = cx.seen.http.as_ref().map_or(0, |http| http.body_bytes);
        cx.end_step(format!("{read} bytes"));
        Ok(())
    }
}

fn broken(cx: &mut Context<'_>, error: &hyper::Error, v6: bool) -> Stop {
    let cause = failure::of_chain(error, v6);
    cx.end_step(cause.word());
    cx.stop(cause)
}

/// A HEAD answered like this says nothing about the service.
fn wants_get(status: u16) -> bool {
    status == StatusCode::METHOD_NOT_ALLOWED.as_u16() || status >= 500
}

fn head(parts: &Parts, hop: &Hop, redirects: u8) -> HttpSeen {
    let header = |(name, value): (&::http::HeaderName, &::http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    HttpSeen {
        status: parts.status.as_u16(),
        url: request::shown(&hop.url),
        version: match parts.version {
            ::http::Version::HTTP_10 => "1.0",
            ::http::Version::HTTP_2 => "2",
            _ => "1.1",
        },
        headers: parts.headers.iter().map(header).collect(),
        body: None,
        body_bytes: 0,
        truncated: false,
        redirects,
    }
}

/// Without the brackets of an IPv6 address.
fn host(url: &Url) -> &str {
    let host = url.host_str().unwrap_or_default();
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

fn port(url: &Url) -> u16 {
    url.port_or_known_default().unwrap_or(80)
}
