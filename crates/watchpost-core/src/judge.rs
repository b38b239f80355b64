//! The judgement on an observation. Checks measure; this alone knows what good means.

use std::time::Duration;

use crate::expect::{HeaderExpect, HeaderOp, JsonExpect, JsonOp, TextExpect};
use crate::monitor::Definition;
use crate::observe::{
    CertificateProblem, DnsSeen, Echo, End, Failure, FailureKind, HttpSeen, Observation, PingSeen, TlsSeen, UdpSeen,
};
use crate::reason::{Fault, FaultCode, Reason, ReasonCode, Stage, Verdict};
use crate::spec::{DnsSpec, HttpSpec, Spec, TcpSpec, VerifyTls};
use crate::time::{Timestamp, words};

/// Characters of a foreign text that are quoted in a reason.
const QUOTE_MAX: usize = 80;

/// Judges what was seen by what is expected: the answer, the certificate, the time. A failure wins over a complaint;
/// the first of each is told.
#[must_use]
pub fn judge(definition: &Definition, seen: &Observation) -> Verdict {
    match &seen.end {
        End::Fault(fault) => return Verdict::Inconclusive(fault.clone()),
        End::Failed(failure) => return Verdict::Fail(failure_reason(failure, seen)),
        End::Complete => {}
    }
    let findings = [
        judge_answer(definition, seen),
        seen.tls.as_ref().and_then(|tls| judge_certificate(definition, tls, seen.started_at)),
        judge_latency(definition, seen),
    ];
    let mut complaint = None;
    for finding in findings.into_iter().flatten() {
        match finding {
            Verdict::Fail(_) | Verdict::Inconclusive(_) => return finding,
            Verdict::Degraded(_) | Verdict::Pass => complaint = complaint.or(Some(finding)),
        }
    }
    complaint.unwrap_or(Verdict::Pass)
}

/// What the protocol's own answer says. A check that completed without it has a defect: we cannot tell.
fn judge_answer(definition: &Definition, seen: &Observation) -> Option<Verdict> {
    let defect = || {
        let text = format!("the {} check ended without an answer to judge", definition.kind());
        Some(Verdict::Inconclusive(Fault::new(FaultCode::Internal, text)))
    };
    match &definition.spec {
        Spec::Http(spec) => seen.http.as_ref().map_or_else(defect, |http| judge_http(definition, spec, http)),
        Spec::Tcp(spec) => judge_tcp(spec, seen),
        Spec::Tls(_) => seen.tls.as_ref().map_or_else(defect, |_| None),
        Spec::Udp(_) => seen.udp.as_ref().map_or_else(defect, judge_udp),
        Spec::Icmp(_) => seen.ping.as_ref().map_or_else(defect, |ping| judge_ping(definition, ping)),
        Spec::Dns(spec) => seen.dns.as_ref().map_or_else(defect, |dns| judge_dns(definition, spec, dns)),
    }
}

fn fail(code: ReasonCode, stage: impl Into<Option<Stage>>, text: String) -> Option<Verdict> {
    Some(Verdict::Fail(Reason::new(code, stage, text)))
}

fn failure_reason(failure: &Failure, seen: &Observation) -> Reason {
    let (code, text) = match &failure.kind {
        FailureKind::Refused => (ReasonCode::Refused, at_address("connection refused", seen)),
        FailureKind::Timeout(after) => {
            (ReasonCode::Timeout, format!("{} timed out after {}", stage_words(failure.stage), words(*after)))
        }
        FailureKind::Reset => (ReasonCode::Reset, format!("connection reset {}", stage_when(failure.stage))),
        FailureKind::Closed => (ReasonCode::Closed, format!("connection closed early {}", stage_when(failure.stage))),
        FailureKind::Unreachable => (ReasonCode::Unreachable, at_address("network or host unreachable", seen)),
        FailureKind::NameNotFound => (ReasonCode::DnsNotFound, "the name does not exist or has no address".to_owned()),
        FailureKind::NameFailure(word) => {
            (ReasonCode::DnsFailure, format!("the name could not be resolved: {}", quote(word)))
        }
        FailureKind::Certificate(problem) => certificate_reason(*problem, seen.tls.as_ref()),
        FailureKind::Handshake(what) => (ReasonCode::TlsHandshake, format!("TLS handshake failed: {}", quote(what))),
        FailureKind::RedirectLoop(hops) => {
            (ReasonCode::RedirectLoop, format!("redirects do not end (gave up after {hops})"))
        }
        FailureKind::RedirectInvalid(to) => {
            (ReasonCode::RedirectInvalid, format!("redirect to something that cannot be requested: {}", quote(to)))
        }
        FailureKind::Protocol(what) => (ReasonCode::Protocol, format!("protocol error: {}", quote(what))),
        FailureKind::Denied(address) => {
            (ReasonCode::AddressDenied, format!("{address} is a private address, and network.private_targets is deny"))
        }
        FailureKind::Silent => (ReasonCode::NoResponse, at_address("no response", seen)),
    };
    Reason::new(code, failure.stage, text)
}

fn stage_words(stage: Stage) -> &'static str {
    match stage {
        Stage::Dns => "name resolution",
        Stage::Connect => "connect",
        Stage::Tls => "TLS handshake",
        Stage::Ttfb => "waiting for the answer",
        Stage::Transfer => "reading the answer",
    }
}

fn stage_when(stage: Stage) -> &'static str {
    match stage {
        Stage::Dns => "while resolving the name",
        Stage::Connect => "while connecting",
        Stage::Tls => "during the TLS handshake",
        Stage::Ttfb => "while waiting for the answer",
        Stage::Transfer => "while reading the answer",
    }
}

fn at_address(what: &str, seen: &Observation) -> String {
    match seen.address {
        Some(address) => format!("{what} ({address})"),
        None => what.to_owned(),
    }
}

fn certificate_reason(problem: CertificateProblem, tls: Option<&TlsSeen>) -> (ReasonCode, String) {
    let until = tls.map(|t| format!(" on {}", day(t.not_after))).unwrap_or_default();
    let from = tls.map(|t| format!(" before {}", day(t.not_before))).unwrap_or_default();
    let names = tls.map(|t| format!(", only for {}", quote(&t.names.join(", ")))).unwrap_or_default();
    let issuer = tls.map(|t| format!(" ({})", quote(&t.issuer))).unwrap_or_default();
    match problem {
        CertificateProblem::Expired => (ReasonCode::TlsExpired, format!("certificate expired{until}")),
        CertificateProblem::NotYetValid => (ReasonCode::TlsNotYetValid, format!("certificate is not valid{from}")),
        CertificateProblem::UnknownIssuer => {
            (ReasonCode::TlsUnknownIssuer, format!("certificate issuer is not trusted{issuer}"))
        }
        CertificateProblem::WrongHost => {
            (ReasonCode::TlsWrongHost, format!("certificate is not valid for this host{names}"))
        }
        CertificateProblem::Other => (ReasonCode::TlsHandshake, "certificate cannot be used".to_owned()),
    }
}

/// The date part of a time: enough for a certificate.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn quote(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(QUOTE_MAX + 1).collect();
    match clean.char_indices().nth(QUOTE_MAX) {
        Some((cut, _)) => format!("{}…", &clean[..cut]),
        None => clean,
    }
}

fn judge_http(definition: &Definition, spec: &HttpSpec, http: &HttpSeen) -> Option<Verdict> {
    let expect = &definition.expect;
    if !expect.status.contains(http.status) {
        let text = format!("status {} instead of {}", http.status, expect.status);
        return fail(ReasonCode::Status, Stage::Ttfb, text);
    }
    if let Some(verdict) = expect.headers.iter().find_map(|header| judge_header(header, http)) {
        return Some(verdict);
    }
    if !expect.needs_body() {
        return None;
    }
    if http.truncated {
        let text = format!("the body is larger than body_max ({} bytes), so it cannot be judged", spec.body_max);
        return fail(ReasonCode::TooLarge, Stage::Transfer, text);
    }
    let body = String::from_utf8_lossy(http.body.as_deref().unwrap_or_default());
    judge_text(&expect.body, &body).or_else(|| judge_json(&expect.json, &body))
}

fn judge_header(expect: &HeaderExpect, http: &HttpSeen) -> Option<Verdict> {
    let values: Vec<&str> =
        http.headers.iter().filter(|(name, _)| *name == expect.name).map(|(_, value)| value.as_str()).collect();
    let there = !values.is_empty();
    let value = values.join(", ");
    let name = &expect.name;
    let problem = match &expect.op {
        HeaderOp::Exists(wanted) if *wanted == there => return None,
        HeaderOp::Exists(true) => format!("header {name} is missing"),
        HeaderOp::Exists(false) => format!("header {name} is there: {}", quote(&value)),
        _ if !there => format!("header {name} is missing"),
        HeaderOp::Equals(wanted) if *wanted == value => return None,
        HeaderOp::Equals(wanted) => format!("header {name} is {} instead of {}", quote(&value), quote(wanted)),
        HeaderOp::Matches(pattern) if pattern.matches(&value) => return None,
        HeaderOp::Matches(pattern) => {
            format!("header {name} is {}, which does not match /{}/", quote(&value), quote(pattern.as_str()))
        }
        HeaderOp::Contains(part) if value.contains(part.as_str()) => return None,
        HeaderOp::Contains(part) => {
            format!("header {name} is {}, which does not contain {}", quote(&value), quote(part))
        }
    };
    fail(ReasonCode::Header, Stage::Ttfb, problem)
}

fn judge_text(expect: &TextExpect, text: &str) -> Option<Verdict> {
    let missing = expect.contains.iter().find(|part| !text.contains(part.as_str()));
    let unmatched = expect.matches.iter().find(|pattern| !pattern.matches(text));
    let unwanted = expect.lacks.iter().find(|part| text.contains(part.as_str()));
    let problem = match (missing, unmatched, unwanted) {
        (Some(part), _, _) => format!("the answer does not contain \"{}\"", quote(part)),
        (None, Some(pattern), _) => format!("the answer does not match /{}/", quote(pattern.as_str())),
        (None, None, Some(part)) => format!("the answer contains \"{}\"", quote(part)),
        (None, None, None) => return None,
    };
    fail(ReasonCode::Body, Stage::Transfer, problem)
}

fn judge_json(expects: &[JsonExpect], body: &str) -> Option<Verdict> {
    if expects.is_empty() {
        return None;
    }
    let json: serde_json::Value = match serde_json::from_str(body) {
        Ok(json) => json,
        Err(e) => return fail(ReasonCode::Json, Stage::Transfer, format!("the body is not JSON: {e}")),
    };
    let problem = expects.iter().find_map(|expect| json_problem(expect, &json))?;
    fail(ReasonCode::Json, Stage::Transfer, problem)
}

fn json_problem(expect: &JsonExpect, json: &serde_json::Value) -> Option<String> {
    let path = expect.path.as_str();
    let found = expect.path.first(json);
    let shown = found.map(|v| quote(&v.to_string())).unwrap_or_default();
    let Some(value) = found else {
        return match &expect.op {
            JsonOp::Exists(false) => None,
            _ => Some(format!("{path} is missing")),
        };
    };
    let text = as_text(value);
    let (holds, wanted) = match &expect.op {
        JsonOp::Exists(wanted) => (*wanted, "to be absent".to_owned()),
        JsonOp::Equals(wanted) => (json_equals(value, wanted), quote(&wanted.to_string())),
        JsonOp::Matches(pattern) => (pattern.matches(&text), format!("/{}/", quote(pattern.as_str()))),
        JsonOp::Contains(part) => (json_contains(value, &text, part), format!("something with {}", quote(part))),
        JsonOp::Between { min, max } => {
            let number = value.as_f64();
            let holds = number.is_some_and(|n| min.is_none_or(|m| n >= m) && max.is_none_or(|m| n <= m));
            let bound = |b: &Option<f64>| b.map(|b| b.to_string()).unwrap_or_default();
            (holds, format!("a number in {}..{}", bound(min), bound(max)))
        }
    };
    (!holds).then(|| format!("{path} is {shown}, expected {wanted}"))
}

/// A value's text without JSON's quotes.
fn as_text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Equal as JSON, where numbers compare by value and a text equals what is written like it:
/// the configuration's `equals: up` and `equals: 1` are written without types.
fn json_equals(value: &serde_json::Value, wanted: &serde_json::Value) -> bool {
    value == wanted
        || as_text(value) == as_text(wanted)
        || matches!((value.as_f64(), as_number(wanted)), (Some(a), Some(b)) if a.total_cmp(&b).is_eq())
}

/// A number, also one that the configuration left as a text because of its spelling (`1.10`).
fn as_number(wanted: &serde_json::Value) -> Option<f64> {
    wanted.as_f64().or_else(|| wanted.as_str()?.parse().ok())
}

fn json_contains(value: &serde_json::Value, text: &str, part: &str) -> bool {
    match value.as_array() {
        Some(items) => items.iter().any(|item| as_text(item) == part),
        None => text.contains(part),
    }
}

fn judge_tcp(spec: &TcpSpec, seen: &Observation) -> Option<Verdict> {
    let expected = spec.expect.as_deref()?;
    let reply = String::from_utf8_lossy(seen.reply.as_deref().unwrap_or_default());
    if reply.contains(expected) {
        return None;
    }
    let got = if reply.is_empty() { "nothing".to_owned() } else { format!("\"{}\"", quote(&reply)) };
    fail(ReasonCode::Body, Stage::Transfer, format!("expected \"{}\", got {got}", quote(expected)))
}

fn judge_dns(definition: &Definition, spec: &DnsSpec, dns: &DnsSeen) -> Option<Verdict> {
    let expect = &definition.expect.dns;
    let wanted = expect.rcode.as_deref().unwrap_or("NOERROR");
    if dns.rcode != wanted {
        let code = match dns.rcode.as_str() {
            "NXDOMAIN" => ReasonCode::DnsNotFound,
            _ => ReasonCode::DnsFailure,
        };
        return fail(code, Stage::Ttfb, format!("the server answered {} instead of {wanted}", quote(&dns.rcode)));
    }
    if expect.rcode.is_none() && expect.answers.is_empty() && dns.answers.is_empty() {
        return fail(ReasonCode::DnsNotFound, Stage::Ttfb, format!("the name has no {} record", spec.record.as_str()));
    }
    let seen: Vec<String> = dns.answers.iter().map(|a| normal_record(a)).collect();
    let wanted: Vec<String> = expect.answers.iter().map(|a| normal_record(a)).collect();
    let missing = wanted.iter().find(|record| !seen.contains(record));
    let extra = seen.iter().find(|record| expect.exact && !wanted.contains(record));
    let all = if dns.answers.is_empty() { "nothing".to_owned() } else { quote(&dns.answers.join(", ")) };
    match (missing, extra) {
        (Some(record), _) => {
            fail(ReasonCode::DnsAnswer, Stage::Ttfb, format!("{} is not among the answers: {all}", quote(record)))
        }
        (None, Some(record)) => {
            fail(ReasonCode::DnsAnswer, Stage::Ttfb, format!("{} was not expected among: {all}", quote(record)))
        }
        (None, None) => None,
    }
}

fn normal_record(text: &str) -> String {
    text.trim().trim_end_matches('.').to_lowercase()
}

fn judge_udp(udp: &UdpSeen) -> Option<Verdict> {
    match udp {
        UdpSeen::Reply { .. } | UdpSeen::Silent { ping: Echo::Answered } => None,
        UdpSeen::Refused => fail(ReasonCode::Refused, Stage::Connect, "the port is closed (ICMP unreachable)".into()),
        UdpSeen::Silent { ping: Echo::Silent } => {
            fail(ReasonCode::NoResponse, Stage::Ttfb, "no answer, and the host does not answer ping either".into())
        }
        UdpSeen::Silent { ping: Echo::Impossible(fault) } => Some(Verdict::Inconclusive(fault.clone())),
    }
}

fn judge_ping(definition: &Definition, ping: &PingSeen) -> Option<Verdict> {
    let lost = ping.sent.saturating_sub(ping.received);
    let share = u32::from(lost) * 100;
    let reaches = |percent: u8| lost > 0 && share >= u32::from(percent) * u32::from(ping.sent.max(1));
    let text = format!("{lost} of {} echo requests lost", ping.sent);
    let loss = definition.expect.loss;
    if ping.received == 0 {
        return fail(ReasonCode::NoResponse, Stage::Ttfb, format!("no reply to {} echo requests", ping.sent));
    }
    if reaches(loss.down) {
        return fail(ReasonCode::Loss, Stage::Ttfb, text);
    }
    reaches(loss.degraded).then(|| Verdict::Degraded(Reason::new(ReasonCode::Loss, Stage::Ttfb, text)))
}

fn judge_latency(definition: &Definition, seen: &Observation) -> Option<Verdict> {
    let took = Duration::from_micros(u64::from(seen.timings.total?));
    let limits = definition.expect.latency;
    let slower = |limit: Option<Duration>| limit.filter(|limit| took > *limit);
    let slowest = || Stage::ALL.into_iter().max_by_key(|stage| seen.timings.stage(*stage));
    let reason = |limit: Duration| {
        let text = format!("took {}, more than {}", words(took), words(limit));
        Reason::new(ReasonCode::Latency, slowest(), text)
    };
    match (slower(limits.down), slower(limits.degraded)) {
        (Some(limit), _) => Some(Verdict::Fail(reason(limit))),
        (None, Some(limit)) => Some(Verdict::Degraded(reason(limit))),
        (None, None) => None,
    }
}

/// Verification itself fails in the check (`End::Failed`); here a certificate that was let through is looked at.
fn judge_certificate(definition: &Definition, tls: &TlsSeen, at: Timestamp) -> Option<Verdict> {
    let verify = match &definition.spec {
        Spec::Http(http) => http.verify_tls,
        Spec::Tls(tls) => tls.verify_tls,
        Spec::Tcp(_) | Spec::Udp(_) | Spec::Icmp(_) | Spec::Dns(_) => VerifyTls::Yes,
    };
    if verify != VerifyTls::Yes && tls.problem.is_some() {
        return None;
    }
    let warn = definition.expect.certificate_warn?;
    let left = tls.chain_not_after.min(tls.not_after).since(at);
    (left < warn).then(|| {
        let text = format!("certificate expires in {} ({})", words(left), day(tls.chain_not_after.min(tls.not_after)));
        Verdict::Degraded(Reason::new(ReasonCode::TlsExpiring, Stage::Tls, text))
    })
}

#[cfg(test)]
mod tests;
