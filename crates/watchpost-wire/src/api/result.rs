//! Results, reasons and incidents.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchpost_core::state::Cause;
use watchpost_core::{Definition, FaultCode, MonitorId, ReasonCode, Shown, Spec, Timestamp, result};

use super::Time;

/// What people see of a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It works.
    Up,
    /// It works, yet worse than expected.
    Degraded,
    /// It does not work.
    Down,
    /// No data, or we could not tell.
    Unknown,
    /// Switched off.
    Paused,
    /// In a maintenance window.
    Maintenance,
}

impl From<Shown> for State {
    fn from(shown: Shown) -> State {
        match shown {
            Shown::Up => State::Up,
            Shown::Degraded => State::Degraded,
            Shown::Down => State::Down,
            Shown::Unknown => State::Unknown,
            Shown::Paused => State::Paused,
            Shown::Maintenance => State::Maintenance,
        }
    }
}

/// The judgement on one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All expectations are met.
    Pass,
    /// It works, yet worse than expected.
    Degraded,
    /// The target fails.
    Fail,
    /// We could not tell, and that is our own trouble.
    Inconclusive,
}

impl Verdict {
    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Degraded => "degraded",
            Verdict::Fail => "fail",
            Verdict::Inconclusive => "inconclusive",
        }
    }
}

impl From<&watchpost_core::Verdict> for Verdict {
    fn from(verdict: &watchpost_core::Verdict) -> Verdict {
        match verdict {
            watchpost_core::Verdict::Pass => Verdict::Pass,
            watchpost_core::Verdict::Degraded(_) => Verdict::Degraded,
            watchpost_core::Verdict::Fail(_) => Verdict::Fail,
            watchpost_core::Verdict::Inconclusive(_) => Verdict::Inconclusive,
        }
    }
}

/// A verdict's first letter, for compact lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum VerdictLetter {
    /// pass
    #[serde(rename = "p")]
    Pass,
    /// degraded
    #[serde(rename = "d")]
    Degraded,
    /// fail
    #[serde(rename = "f")]
    Fail,
    /// inconclusive
    #[serde(rename = "i")]
    Inconclusive,
}

impl From<&watchpost_core::Verdict> for VerdictLetter {
    fn from(verdict: &watchpost_core::Verdict) -> VerdictLetter {
        match verdict {
            watchpost_core::Verdict::Pass => VerdictLetter::Pass,
            watchpost_core::Verdict::Degraded(_) => VerdictLetter::Degraded,
            watchpost_core::Verdict::Fail(_) => VerdictLetter::Fail,
            watchpost_core::Verdict::Inconclusive(_) => VerdictLetter::Inconclusive,
        }
    }
}

/// Why something is not simply up. `code` is stable, `text` is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// A stable code; more may be added, none is renamed.
    #[schema(value_type = String, example = "timeout")]
    pub code: Cow<'static, str>,
    /// The stage it happened in: `dns`, `connect`, `tls`, `ttfb`, `transfer`.
    #[schema(value_type = Option<String>, required, example = "tls")]
    pub stage: Option<Cow<'static, str>>,
    /// A sentence for people.
    #[schema(example = "TLS handshake timed out after 5 s")]
    pub text: String,
}

impl From<&watchpost_core::Reason> for Reason {
    fn from(reason: &watchpost_core::Reason) -> Reason {
        Reason {
            code: Cow::Borrowed(reason.code.as_str()),
            stage: reason.stage.map(|stage| Cow::Borrowed(stage.as_str())),
            text: reason.text.to_string(),
        }
    }
}

impl From<&watchpost_core::Fault> for Reason {
    fn from(fault: &watchpost_core::Fault) -> Reason {
        Reason { code: Cow::Borrowed(fault.code.as_str()), stage: None, text: fault.text.to_string() }
    }
}

impl From<Cause<'_>> for Reason {
    fn from(cause: Cause<'_>) -> Reason {
        match cause {
            Cause::Reason(reason) => reason.into(),
            Cause::Fault(fault) => fault.into(),
        }
    }
}

impl Reason {
    /// Why a verdict is not a pass.
    #[must_use]
    pub fn of(verdict: &watchpost_core::Verdict) -> Option<Reason> {
        match verdict {
            watchpost_core::Verdict::Pass => None,
            watchpost_core::Verdict::Degraded(reason) | watchpost_core::Verdict::Fail(reason) => Some(reason.into()),
            watchpost_core::Verdict::Inconclusive(fault) => Some(fault.into()),
        }
    }

    /// Only the code of it.
    #[must_use]
    pub fn code_of(verdict: &watchpost_core::Verdict) -> Option<&'static str> {
        match verdict {
            watchpost_core::Verdict::Pass => None,
            watchpost_core::Verdict::Degraded(reason) | watchpost_core::Verdict::Fail(reason) => {
                Some(ReasonCode::as_str(reason.code))
            }
            watchpost_core::Verdict::Inconclusive(fault) => Some(FaultCode::as_str(fault.code)),
        }
    }
}

/// "failing 1 of 3": consecutive failing ticks so far, and how many open an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failing {
    /// So far.
    pub count: u32,
    /// How many open an incident.
    pub of: u32,
}

impl From<result::Failing> for Failing {
    fn from(failing: result::Failing) -> Failing {
        Failing { count: failing.count, of: failing.of }
    }
}

/// Microseconds per stage; `null` for a stage that was not reached or not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimingsUs {
    /// Name resolution.
    #[schema(required)]
    pub dns: Option<u32>,
    /// TCP connect.
    #[schema(required)]
    pub connect: Option<u32>,
    /// TLS handshake.
    #[schema(required)]
    pub tls: Option<u32>,
    /// Request sent to first byte.
    #[schema(required)]
    pub ttfb: Option<u32>,
    /// First byte to last.
    #[schema(required)]
    pub transfer: Option<u32>,
    /// The whole check; of an ICMP burst the mean round trip.
    #[schema(required)]
    pub total: Option<u32>,
}

/// HTTP facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Http {
    /// The final status; `null` when no status line was read.
    #[schema(required)]
    pub status: Option<u16>,
    /// The URL that gave it, or the monitor's.
    pub url: String,
}

/// TLS facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tls {
    /// End of the leaf certificate's validity.
    pub not_after: Time,
    /// Chain, name and time were all found good.
    pub verified: bool,
}

/// Echo facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Icmp {
    /// Echo requests sent.
    pub sent: u8,
    /// Replies received.
    pub received: u8,
    /// Mean round trip, microseconds.
    #[schema(required)]
    pub rtt_avg_us: Option<u32>,
    /// Mean difference of consecutive round trips, microseconds.
    #[schema(required)]
    pub jitter_us: Option<u32>,
}

/// What a job reported about itself; `null` for every other kind of monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// The process' name.
    #[schema(required)]
    pub process: Option<String>,
    /// Where it runs.
    #[schema(required)]
    pub server: Option<String>,
    /// It is in its daily pause.
    pub sleeping: bool,
    /// When the pause begins.
    #[schema(required)]
    pub sleep_start: Option<String>,
    /// When the pause ends.
    #[schema(required)]
    pub sleep_end: Option<String>,
}

/// One result. It has the same shape everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Result)]
pub struct CheckResult {
    /// Whose; only in lists over more than one monitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// When the check began.
    pub at: Time,
    /// The tick it was due at.
    pub scheduled_at: Time,
    /// The judgement.
    pub verdict: Verdict,
    /// Where it ran.
    pub region: String,
    /// It came after newer results had been applied.
    pub late: bool,
    /// Why it is not a pass; `null` for a pass.
    #[schema(required)]
    pub reason: Option<Reason>,
    /// Set while the state stays though it fails.
    #[schema(required)]
    pub failing: Option<Failing>,
    /// How many ticks that nobody ran this row stands for; `null` for a check that ran.
    #[schema(required)]
    pub missed: Option<u32>,
    /// How long each stage took.
    pub timings_us: TimingsUs,
    /// HTTP facts, for HTTP monitors.
    #[schema(required)]
    pub http: Option<Http>,
    /// TLS facts, once a certificate was shown.
    #[schema(required)]
    pub tls: Option<Tls>,
    /// The address that answered, or the last one tried.
    #[schema(required)]
    pub address: Option<String>,
    /// Echo facts, for ICMP monitors.
    #[schema(required)]
    pub icmp: Option<Icmp>,
    /// A job's report, for job monitors.
    #[schema(required)]
    pub job: Option<Job>,
}

impl CheckResult {
    /// A result as it is shown. The definition fills in what the result leaves out: the URL of an HTTP check that got no
    /// answer.
    #[must_use]
    pub fn of(definition: &Definition, result: &watchpost_core::CheckResult) -> CheckResult {
        let measured = !result.is_placeholder();
        let timings = &result.timings;
        CheckResult {
            monitor: None,
            at: result.at.into(),
            scheduled_at: result.tick.scheduled_at.into(),
            verdict: (&result.verdict).into(),
            region: result.tick.region.as_str().to_owned(),
            late: result.late,
            reason: Reason::of(&result.verdict),
            failing: result.failing.map(Failing::from),
            missed: (!measured).then_some(result.ticks),
            timings_us: TimingsUs {
                dns: timings.dns,
                connect: timings.connect,
                tls: timings.tls,
                ttfb: timings.ttfb,
                transfer: timings.transfer,
                total: timings.total,
            },
            http: http(&definition.spec, result).filter(|_| measured),
            tls: result.tls.map(|tls| Tls { not_after: tls.not_after.into(), verified: tls.verified }),
            address: result.address.map(|address| address.to_string()),
            icmp: result.ping.map(|ping| Icmp {
                sent: ping.sent,
                received: ping.received,
                rtt_avg_us: ping.rtt_avg_us,
                jitter_us: ping.jitter_us,
            }),
            job: None,
        }
    }

    /// The same, naming whose it is.
    #[must_use]
    pub fn with_monitor(self, id: &MonitorId) -> CheckResult {
        CheckResult { monitor: Some(id.as_str().to_owned()), ..self }
    }
}

fn http(spec: &Spec, result: &watchpost_core::CheckResult) -> Option<Http> {
    match (&result.http, spec) {
        (Some(http), _) => Some(Http { status: Some(http.status), url: http.url.to_string() }),
        (None, Spec::Http(asked)) => Some(Http { status: None, url: asked.url.shown() }),
        (None, Spec::Tcp(_) | Spec::Tls(_) | Spec::Udp(_) | Spec::Icmp(_) | Spec::Dns(_)) => None,
    }
}

/// One incident: from the first of the failing ticks that took a monitor down until it is closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Incident {
    /// Its identity: at most 53 bits.
    pub id: u64,
    /// Whose.
    pub monitor: String,
    /// The tick that confirmed it.
    pub opened_at: Time,
    /// The first of the failing ticks: downtime counts from here.
    pub since: Time,
    /// When it was closed; `null` while it is open.
    #[schema(required)]
    pub closed_at: Option<Time>,
    /// Why it was opened.
    pub reason: Reason,
    /// From `since` until it was closed, or until now.
    pub duration_ms: u64,
    /// `recovered`, `paused`, `removed` or `changed`; `null` while it is open.
    #[schema(value_type = Option<String>, required)]
    pub closed_by: Option<Cow<'static, str>>,
}

impl Incident {
    /// An incident as it is shown at `now`.
    #[must_use]
    pub fn of(id: &MonitorId, incident: &watchpost_core::Incident, now: Timestamp) -> Incident {
        let (closed_at, closed_by) = incident.closed.unzip();
        let lasted = closed_at.unwrap_or(now).since(incident.since);
        Incident {
            id: incident.id.number(),
            monitor: id.as_str().to_owned(),
            opened_at: incident.opened_at.into(),
            since: incident.since.into(),
            closed_at: closed_at.map(Time::from),
            reason: (&incident.reason).into(),
            duration_ms: u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
            closed_by: closed_by.map(|why| Cow::Borrowed(why.as_str())),
        }
    }
}
