//! What a check saw. An observation never says whether that is good: [`crate::judge`] does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::reason::{Fault, Stage};
use crate::time::Timestamp;

/// What one check saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// When the check began.
    pub started_at: Timestamp,
    /// How long each stage took.
    pub timings: Timings,
    /// The address that answered, or the last one tried.
    pub address: Option<SocketAddr>,
    /// How it ended.
    pub end: End,
    /// HTTP facts, once a status line was read.
    pub http: Option<HttpSeen>,
    /// TLS facts, once a certificate was shown, also when it did not verify.
    pub tls: Option<TlsSeen>,
    /// Echo facts of an ICMP check.
    pub ping: Option<PingSeen>,
    /// The answer of a DNS check.
    pub dns: Option<DnsSeen>,
    /// How a UDP probe was answered.
    pub udp: Option<UdpSeen>,
    /// What a TCP peer sent during the dialogue, at most [`REPLY_MAX`] bytes.
    pub reply: Option<Vec<u8>>,
    /// Every address and request tried on the way, for the trace; at most [`STEPS_MAX`].
    pub steps: Vec<TraceStep>,
}

/// Bytes of a TCP dialogue that are kept.
pub const REPLY_MAX: usize = 64 * 1024;
/// Steps kept in a trace: the redirects allowed at most times the addresses tried, and some.
pub const STEPS_MAX: usize = 64;

impl Observation {
    /// An observation in which nothing was seen yet; checks fill it in.
    #[must_use]
    pub fn begin(started_at: Timestamp) -> Observation {
        Observation {
            started_at,
            timings: Timings::default(),
            address: None,
            end: End::Complete,
            http: None,
            tls: None,
            ping: None,
            dns: None,
            udp: None,
            reply: None,
            steps: Vec::new(),
        }
    }
}

/// Microseconds a stage took; `None` for a stage that was not reached or not needed.
/// Of a request that was redirected: the sum over all hops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Name resolution.
    pub dns: Option<u32>,
    /// TCP connect of the address that answered.
    pub connect: Option<u32>,
    /// TLS handshake.
    pub tls: Option<u32>,
    /// Request sent to first byte.
    pub ttfb: Option<u32>,
    /// First byte to last.
    pub transfer: Option<u32>,
    /// The whole check. For ICMP the mean round trip; for UDP the round trip of the reply.
    pub total: Option<u32>,
}

impl Timings {
    /// The time of one stage.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> Option<u32> {
        match stage {
            Stage::Dns => self.dns,
            Stage::Connect => self.connect,
            Stage::Tls => self.tls,
            Stage::Ttfb => self.ttfb,
            Stage::Transfer => self.transfer,
        }
    }

    /// Adds to a stage: a redirected request passes through it more than once.
    pub fn add(&mut self, stage: Stage, took: Duration) {
        let slot = match stage {
            Stage::Dns => &mut self.dns,
            Stage::Connect => &mut self.connect,
            Stage::Tls => &mut self.tls,
            Stage::Ttfb => &mut self.ttfb,
            Stage::Transfer => &mut self.transfer,
        };
        *slot = Some(slot.unwrap_or(0).saturating_add(micros(took)));
    }
}

/// Microseconds of a duration, saturating at 71 minutes.
#[must_use]
pub fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// All was done that the spec asks for.
    Complete,
    /// The target, or the way to it, stopped us.
    Failed(Failure),
    /// We stopped ourselves.
    Fault(Fault),
}

/// Where and how a check was stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The stage that did not end well.
    pub stage: Stage,
    /// How.
    pub kind: FailureKind,
}

/// How a stage failed. Facts only, never read out of an error's text.
#[derive(Clone, Debug, PartialEq)]
pub enum FailureKind {
    /// ECONNREFUSED, or ICMP port unreachable.
    Refused,
    /// The deadline passed in this stage, so long after the check's start.
    Timeout(Duration),
    /// ECONNRESET or EPIPE.
    Reset,
    /// End of stream before the protocol allows it.
    Closed,
    /// ENETUNREACH, EHOSTUNREACH and their like.
    Unreachable,
    /// NXDOMAIN, or no address of the wanted version.
    NameNotFound,
    /// The resolver failed: SERVFAIL, refused, no answer. With its word.
    NameFailure(String),
    /// The certificate did not verify.
    Certificate(CertificateProblem),
    /// The handshake failed otherwise: alert, version, garbage. With what was seen.
    Handshake(String),
    /// More redirects than allowed, or one seen before; the number followed.
    RedirectLoop(u8),
    /// A redirect to something that cannot be requested; the target as sent, shortened.
    RedirectInvalid(String),
    /// The peer broke the protocol; what was wrong.
    Protocol(String),
    /// The address guard refused this address.
    Denied(IpAddr),
    /// Nothing came back and nothing else can decide.
    Silent,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateProblem {
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// No trusted issuer; self-signed ones too.
    UnknownIssuer,
    /// It is for other names.
    WrongHost,
    /// Revoked, malformed, wrong usage and the rest.
    Other,
}

/// What an HTTP server answered.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSeen {
    /// The final status code.
    pub status: u16,
    /// The URL that gave it, after redirects, without credentials.
    pub url: String,
    /// `1.0`, `1.1` or `2`.
    pub version: &'static str,
    /// Response headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as far as it was kept: only when the job asks for it, and at most `body_max` bytes.
    pub body: Option<Vec<u8>>,
    /// Bytes of the body that were read.
    pub body_bytes: u64,
    /// Reading stopped at `body_max`.
    pub truncated: bool,
    /// How many redirects were followed.
    pub redirects: u8,
}

/// What a TLS peer showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSeen {
    /// `1.2` or `1.3`; empty when the handshake did not get so far.
    pub version: &'static str,
    /// Cipher suite, IANA name.
    pub cipher: String,
    /// Agreed application protocol, if any.
    pub alpn: Option<String>,
    /// The leaf certificate is valid from here.
    pub not_before: Timestamp,
    /// The leaf certificate is valid until here.
    pub not_after: Timestamp,
    /// Distinguished name of its subject.
    pub subject: String,
    /// Distinguished name of its issuer.
    pub issuer: String,
    /// Names and addresses it is valid for.
    pub names: Vec<String>,
    /// Certificates in the chain as sent.
    pub chain: u8,
    /// The earliest end of validity in the chain as sent.
    pub chain_not_after: Timestamp,
    /// SHA-256 of the leaf's DER, lower-case hex.
    pub fingerprint: String,
    /// Chain, name and time were all found good.
    pub verified: bool,
    /// What verification found wrong.
    pub problem: Option<CertificateProblem>,
}

/// What an echo burst saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingSeen {
    /// Echo requests sent.
    pub sent: u8,
    /// Different echo replies that came in time.
    pub received: u8,
    /// Shortest round trip, microseconds.
    pub rtt_min_us: Option<u32>,
    /// Mean round trip, microseconds.
    pub rtt_avg_us: Option<u32>,
    /// Longest round trip, microseconds.
    pub rtt_max_us: Option<u32>,
    /// Mean difference of consecutive round trips, microseconds.
    pub jitter_us: Option<u32>,
}

/// What a DNS server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSeen {
    /// Response code mnemonic, upper case: `NOERROR`, `NXDOMAIN`, `SERVFAIL`...
    pub rcode: String,
    /// Records of the asked type in presentation form, in the order sent.
    pub answers: Vec<String>,
}

/// How a UDP probe was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum UdpSeen {
    /// A datagram came back.
    Reply {
        /// Its length.
        bytes: usize,
    },
    /// ICMP said that the port is closed.
    Refused,
    /// Nothing came back; what ICMP echo to the same address said then.
    Silent {
        /// The echo's outcome.
        ping: Echo,
    },
}

/// The outcome of a single echo request.
#[derive(Clone, Debug, PartialEq)]
pub enum Echo {
    /// It was answered.
    Answered,
    /// It was not.
    Silent,
    /// It could not be sent.
    Impossible(Fault),
}

/// One thing tried on the way, for the trace.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceStep {
    /// What was tried: `connect 127.0.0.1:443`, `GET https://...`.
    pub what: String,
    /// When it began, after the check's start.
    pub after: Duration,
    /// How long it took.
    pub took: Duration,
    /// What came of it: `ok`, `refused`, `200`, `301 to https://...`.
    pub outcome: String,
}
