//! What peers and the system hand us, each through the function that reads it, without a network: for the crate `fuzz`
//! alone, and no part of what this crate offers.

use std::net::IpAddr;

use ::http::header::LOCATION;
use ::http::{HeaderMap, HeaderValue, Response};
use rustls::pki_types::CertificateDer;
use url::Url;
use watchpost_core::Fault;
use watchpost_core::observe::{DnsSeen, TlsSeen};
use watchpost_core::spec::{DnsSpec, HttpSpec};

use crate::dns;
use crate::http::{Hop, Next, Protocol, request};
use crate::icmp::packet;
use crate::resolve::Hosts;
use crate::tls::{Facts, Shown};

/// An echo request.
#[must_use]
pub fn echo_request(v6: bool, ident: u16, token: u64, size: u16) -> Vec<u8> {
    packet::request(v6, ident, token, size)
}

/// The token of an echo reply.
#[must_use]
pub fn echo_reply(v6: bool, with_ip_header: bool, bytes: &[u8]) -> Option<u64> {
    packet::reply(v6, with_ip_header, bytes)
}

/// Where an answer leads.
#[derive(Debug)]
pub enum Led {
    /// Nowhere: it is the answer.
    Nowhere,
    /// To what cannot be requested; told so.
    Astray(String),
    /// To another request.
    On {
        /// Its address.
        url: Url,
        /// Secrets may be sent there.
        at_home: bool,
        /// The headers it is made with, over HTTP/1.1 and HTTP/2.
        requests: Box<[Result<HeaderMap, Fault>; 2]>,
    },
}

/// What follows from an answer with this status and `Location`; `None` when no header can have that value.
#[must_use]
pub fn redirect(spec: &HttpSpec, status: u16, location: &[u8]) -> Option<Led> {
    let answer = Response::builder().status(status).header(LOCATION, HeaderValue::from_bytes(location).ok()?);
    let first = Hop::first(spec, "GET").ok()?;
    Some(match first.next(&answer.body(()).ok()?.into_parts().0) {
        Next::Final => Led::Nowhere,
        Next::Invalid(target) => Led::Astray(target),
        Next::Hop(hop) => {
            let requests = [Protocol::Http1, Protocol::Http2].map(|protocol| made(spec, &hop, protocol));
            Led::On { at_home: hop.is_home(), url: hop.url, requests: Box::new(requests) }
        }
    })
}

/// The headers of the first request.
///
/// # Errors
/// When it cannot be sent.
pub fn first_request(spec: &HttpSpec) -> Result<HeaderMap, Fault> {
    made(spec, &Hop::first(spec, "GET")?, Protocol::Http1)
}

fn made(spec: &HttpSpec, hop: &Hop, protocol: Protocol) -> Result<HeaderMap, Fault> {
    let agent = HeaderValue::from_static("Watchpost");
    request::build(spec, hop, &agent, protocol).map(|request| request.into_parts().0.headers)
}

/// What certificates say, the leaf first.
#[must_use]
pub fn facts(chain: &[Vec<u8>]) -> Option<TlsSeen> {
    let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    Facts::new(&rustls::crypto::aws_lc_rs::default_provider()).of(&Shown { chain, problem: None })
}

/// The message that asks; `None` for what is no name after all.
#[must_use]
pub fn dns_question(spec: &DnsSpec) -> Option<Vec<u8>> {
    dns::question(spec)
}

/// What a DNS message says to a question of that number; `None` when it is none, or none to this question.
#[must_use]
pub fn dns_answer(spec: &DnsSpec, id: u16, bytes: &[u8]) -> Option<DnsSeen> {
    dns::read(spec, id, bytes)
}

/// The addresses that a hosts file has for a name in lower case.
#[must_use]
pub fn hosts(text: &str, name: &str) -> Vec<IpAddr> {
    Hosts::parse(text).get(name)
}
