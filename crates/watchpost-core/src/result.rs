//! What is kept of one check.

use std::net::IpAddr;
use std::sync::Arc;

use crate::monitor::{MonitorKey, Region};
use crate::observe::{Observation, Timings};
use crate::reason::{Fault, FaultCode, Verdict};
use crate::schedule::Missed;
use crate::time::Timestamp;

/// The identity of a check: replays of the same tick are recognised by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick {
    /// Whose.
    pub monitor: MonitorKey,
    /// From where.
    pub region: Region,
    /// The grid time it was due.
    pub scheduled_at: Timestamp,
}

/// One result as it is stored and shown.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckResult {
    /// Whose tick this is.
    pub tick: Tick,
    /// When the check began.
    pub at: Timestamp,
    /// The judgement.
    pub verdict: Verdict,
    /// How long each stage took.
    pub timings: Timings,
    /// The address that answered, or the last one tried.
    pub address: Option<IpAddr>,
    /// HTTP facts.
    pub http: Option<HttpFacts>,
    /// TLS facts.
    pub tls: Option<TlsFacts>,
    /// Echo facts.
    pub ping: Option<PingFacts>,
    /// "failing 1 of 3" while the state stays; set when the result is evaluated.
    pub failing: Option<Failing>,
    /// How many ticks this row stands for; 1, or more for a run of missed ticks.
    pub ticks: u32,
    /// It came after newer results of its monitor had been applied.
    pub late: bool,
}

/// How far a monitor is on its way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Consecutive failing ticks so far.
    pub count: u32,
    /// How many open an incident.
    pub of: u32,
}

/// What is kept of an HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpFacts {
    /// The final status.
    pub status: u16,
    /// The URL that gave it; shared between results.
    pub url: Arc<str>,
}

/// What is kept of a TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// End of the leaf certificate's validity.
    pub not_after: Timestamp,
    /// Chain, name and time were all found good.
    pub verified: bool,
}

/// What is kept of an echo burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingFacts {
    /// Echo requests sent.
    pub sent: u8,
    /// Replies received.
    pub received: u8,
    /// Mean round trip, microseconds.
    pub rtt_avg_us: Option<u32>,
    /// Mean difference of consecutive round trips, microseconds.
    pub jitter_us: Option<u32>,
}

impl CheckResult {
    /// What is kept of an observation and the verdict on it.
    #[must_use]
    pub fn new(tick: Tick, seen: &Observation, verdict: Verdict) -> CheckResult {
        CheckResult {
            tick,
            at: seen.started_at,
            verdict,
            timings: seen.timings,
            address: seen.address.map(|a| a.ip()),
            http: seen.http.as_ref().map(|h| HttpFacts { status: h.status, url: Arc::from(h.url.as_str()) }),
            tls: seen.tls.as_ref().map(|t| TlsFacts { not_after: t.not_after, verified: t.verified }),
            ping: seen.ping.as_ref().map(|p| PingFacts {
                sent: p.sent,
                received: p.received,
                rtt_avg_us: p.rtt_avg_us,
                jitter_us: p.jitter_us,
            }),
            failing: None,
            ticks: 1,
            late: false,
        }
    }

    /// The row that stands for ticks that were not measured.
    #[must_use]
    pub fn missed(monitor: MonitorKey, region: Region, missed: &Missed, fault: Fault) -> CheckResult {
        CheckResult {
            tick: Tick { monitor, region, scheduled_at: missed.first },
            at: missed.first,
            verdict: Verdict::Inconclusive(fault),
            timings: Timings::default(),
            address: None,
            http: None,
            tls: None,
            ping: None,
            failing: None,
            ticks: missed.count,
            late: false,
        }
    }

    /// Nothing was measured at this tick, so a measured result may replace it.
    #[must_use]
    pub fn is_placeholder(&self) -> bool {
        match &self.verdict {
            Verdict::Inconclusive(fault) => match fault.code {
                FaultCode::MissedTick | FaultCode::Overloaded => true,
                FaultCode::NoPermission | FaultCode::OutOfFiles | FaultCode::OwnUplink | FaultCode::Internal => false,
            },
            Verdict::Pass | Verdict::Degraded(_) | Verdict::Fail(_) => false,
        }
    }
}
