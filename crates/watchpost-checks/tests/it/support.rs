//! Definitions, a checker, and a run of it that holds every check to its deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use watchpost_checks::{Check, Checker, CheckerOptions};
use watchpost_core::expect::StatusSet;
use watchpost_core::monitor::{Definition, MonitorId, Pace, Source, Thresholds};
use watchpost_core::ports::Clock;
use watchpost_core::schedule::Schedule;
use watchpost_core::spec::{
    HostPort, HttpMethod, HttpSpec, HttpUrl, HttpVersion, IpVersion, Spec, TcpSpec, TlsSpec, VerifyTls,
};
use watchpost_core::{Observation, Timestamp, Verdict, judge};

/// Every check must end so soon after its deadline (issue 2).
const GRACE: Duration = Duration::from_millis(250);
/// Long enough for a busy machine; only checks that are meant to time out come near it.
pub(crate) const AMPLE: Duration = Duration::from_secs(10);
/// For checks that are meant to time out.
pub(crate) const SHORT: Duration = Duration::from_millis(400);

pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    }
}

pub(crate) fn options() -> CheckerOptions {
    CheckerOptions { nameservers: Some(Vec::new()), ..CheckerOptions::new(Arc::new(SystemClock)) }
}

pub(crate) fn checker() -> Checker {
    Checker::new(options()).unwrap()
}

pub(crate) fn checker_with_dns(server: SocketAddr) -> Checker {
    Checker::new(CheckerOptions { nameservers: Some(vec![server]), ..options() }).unwrap()
}

pub(crate) fn definition(spec: Spec, timeout: Duration) -> Definition {
    Definition {
        id: MonitorId::new("it"),
        name: "it".to_owned(),
        group: None,
        tags: Vec::new(),
        spec,
        expect: Arc::default(),
        schedule: Schedule::Every(Duration::from_secs(60)),
        pace: Pace::default(),
        thresholds: Thresholds::default(),
        timeout,
        active: true,
        cannot_tell_after: Duration::from_secs(900),
        source: Source::Api,
    }
}

pub(crate) fn http_spec(url: &str) -> HttpSpec {
    HttpSpec {
        url: HttpUrl::parse(url).unwrap(),
        method: HttpMethod::One("GET".to_owned()),
        headers: Vec::new(),
        body: None,
        auth: None,
        redirects: 10,
        verify_tls: VerifyTls::Yes,
        version: HttpVersion::Auto,
        ip: IpVersion::Any,
        body_max: 1024 * 1024,
        read_body: true,
        tcp_first: false,
    }
}

pub(crate) fn http(spec: HttpSpec, timeout: Duration) -> Definition {
    definition(Spec::Http(Box::new(spec)), timeout)
}

pub(crate) fn get(url: &str) -> Definition {
    http(http_spec(url), AMPLE)
}

pub(crate) fn host_port(host: &str, port: u16) -> HostPort {
    HostPort { host: host.to_owned(), port }
}

pub(crate) fn tcp_spec(host: &str, port: u16) -> TcpSpec {
    TcpSpec { address: host_port(host, port), send: None, expect: None, ip: IpVersion::Any }
}

pub(crate) fn tls_spec(host: &str, port: u16) -> TlsSpec {
    TlsSpec { address: host_port(host, port), server_name: None, verify_tls: VerifyTls::Yes, ip: IpVersion::Any }
}

/// The definition with any status taken as good.
pub(crate) fn any_status(mut definition: Definition) -> Definition {
    Arc::make_mut(&mut definition.expect).status = StatusSet::parse("100-599").unwrap();
    definition
}

/// The definition with the body asserted.
pub(crate) fn containing(mut definition: Definition, part: &str) -> Definition {
    Arc::make_mut(&mut definition.expect).body.contains.push(part.to_owned());
    definition
}

/// A check's outcome: `pass`, `degraded:code`, `fail:code@stage` or `fault:code`, and all that was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) verdict: String,
    pub(crate) text: String,
    pub(crate) observation: Observation,
    pub(crate) took: Duration,
}

/// Runs a check, sees to it that the deadline holds, and judges.
pub(crate) async fn run(checker: &Checker, definition: &Definition) -> Seen {
    let began = Instant::now();
    let observation = checker.check(definition).await;
    let took = began.elapsed();
    assert!(took <= definition.timeout + GRACE, "the check took {took:?}: {observation:?}");
    let reason = |kind: &str, reason: &watchpost_core::Reason| {
        let stage = reason.stage.map(|stage| format!("@{stage}")).unwrap_or_default();
        (format!("{kind}:{}{stage}", reason.code), reason.text.to_string())
    };
    let (verdict, text) = match judge(definition, &observation) {
        Verdict::Pass => ("pass".to_owned(), String::new()),
        Verdict::Degraded(why) => reason("degraded", &why),
        Verdict::Fail(why) => reason("fail", &why),
        Verdict::Inconclusive(fault) => (format!("fault:{}", fault.code), fault.text.to_string()),
    };
    Seen { verdict, text, observation, took }
}

/// Runs a check with a checker of its own and expects this verdict.
#[track_caller]
pub(crate) fn judged(seen: &Seen, verdict: &str) {
    assert_eq!(seen.verdict, verdict, "{} {:#?}", seen.text, seen.observation);
}
