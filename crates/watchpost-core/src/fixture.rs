//! What the tests of this crate have in common: monitors, verdicts and times made short.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::expect::Expect;
use crate::monitor::{Definition, Monitor, MonitorId, MonitorKey, Pace, Source, Thresholds};
use crate::reason::{Fault, FaultCode, Reason, ReasonCode, Verdict};
use crate::schedule::{Cron, Schedule};
use crate::spec::{HostPort, IpVersion, Spec, TcpSpec};
use crate::time::Timestamp;

pub(crate) fn secs(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

pub(crate) fn tcp(target: &str) -> Spec {
    let (host, port) = target.split_once(':').unwrap();
    let address = HostPort { host: host.to_owned(), port: port.parse().unwrap() };
    Spec::Tcp(TcpSpec { address, send: None, expect: None, ip: IpVersion::Any })
}

pub(crate) fn definition(spec: Spec, expect: Expect) -> Definition {
    Definition {
        id: MonitorId::new("db"),
        name: "Database".to_owned(),
        group: None,
        tags: Vec::new(),
        spec,
        expect: expect.into(),
        schedule: Schedule::Every(Duration::from_secs(60)),
        pace: Pace::default(),
        thresholds: Thresholds::default(),
        timeout: Duration::from_secs(10),
        active: true,
        cannot_tell_after: Duration::from_secs(900),
        source: Source::Api,
    }
}

/// A monitor of key 0, whose grid has no offset. Settings: `every 60s, fail_after 3, recover_after 2, retry 5s,
/// while_down 480s, cannot_tell_after 900s, cron 0 3 * * * Europe/Riga`.
pub(crate) fn monitor(settings: &str) -> Monitor {
    let mut definition = definition(tcp("db.example.org:5432"), Expect::default());
    for setting in settings.split(',').map(str::trim).filter(|s| !s.is_empty()) {
        let (key, value) = setting.split_once(' ').unwrap();
        let count = || NonZeroU32::new(value.parse().unwrap()).unwrap();
        let span = || Duration::from_secs_f64(value.strip_suffix('s').unwrap().parse().unwrap());
        match key {
            "every" => definition.schedule = Schedule::Every(span()),
            "cron" => {
                let (expression, zone) = value.rsplit_once(' ').unwrap();
                definition.schedule = Schedule::Cron(Cron::parse(expression, zone).unwrap());
            }
            "fail_after" => definition.thresholds.fail_after = count(),
            "recover_after" => definition.thresholds.recover_after = count(),
            "retry" => definition.pace.retry = Some(span()),
            "while_down" => definition.pace.while_down = Some(span()),
            "cannot_tell_after" => definition.cannot_tell_after = span(),
            other => panic!("no setting {other}"),
        }
    }
    Monitor { key: MonitorKey(0), definition: Arc::new(definition) }
}

pub(crate) fn keyed(monitor: &Monitor, key: u32) -> Monitor {
    Monitor { key: MonitorKey(key), definition: Arc::clone(&monitor.definition) }
}

pub(crate) fn verdict(word: &str) -> Option<Verdict> {
    Some(match word {
        "ok" => Verdict::Pass,
        "slow" => Verdict::Degraded(Reason::new(ReasonCode::Latency, None, "took 2 s")),
        "fail" => Verdict::Fail(Reason::new(ReasonCode::Refused, None, "connection refused")),
        "fault" => Verdict::Inconclusive(fault(FaultCode::OutOfFiles)),
        "missing" => Verdict::Inconclusive(fault(FaultCode::MissedTick)),
        _ => return None,
    })
}

pub(crate) fn fault(code: FaultCode) -> Fault {
    Fault::new(code, "our own trouble")
}
