//! 5,000 echo requests at once, by the checks themselves in this process: none may be lost.
//!
//! They go to many loopback addresses, because checks of one address are started at a limited rate.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use watchpost_checks::{Check, Checker, CheckerOptions, probe_icmp};
use watchpost_core::Spec;
use watchpost_core::spec::{IcmpSpec, IpVersion};

use super::Bench;
use super::core::{SystemClock, definition};
use crate::say;
use crate::table::{Aim, Figure, quantile, shown};

const PINGS: usize = 5_000;
/// Addresses they go to: 20 requests each.
const HOSTS: u8 = 250;
/// Long enough that only a lost reply comes to it.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut lost = Figure::aiming("5,000 pings at once: lost", Aim::AtMost(0.0, None));
    let mut trip = Figure::aiming("5,000 pings at once: round trip p99, us", Aim::AtMost(50.0, None));
    let mut middle = Figure::new("5,000 pings at once: round trip p50, us");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match runtime.block_on(probe_icmp()) {
        Ok(access) => say(&format!("pings are sent by {access:?} sockets")),
        Err(fault) => {
            say(&format!("pings are not measured: {}", fault.text));
            return Ok(vec![lost, trip]);
        }
    }
    for _ in 0..bench.rounds {
        let trips = runtime.block_on(burst())?;
        lost.ours.push((PINGS - trips.len()) as f64);
        trip.ours.push(quantile(&trips, 0.99).unwrap_or(f64::NAN));
        middle.ours.push(quantile(&trips, 0.5).unwrap_or(f64::NAN));
    }
    say(&format!("pings: p99 {:?} us", trip.ours.iter().map(|us| shown(*us)).collect::<Vec<_>>()));
    Ok(vec![lost, trip, middle])
}

/// The round trips of those that came back, microseconds.
async fn burst() -> anyhow::Result<Vec<f64>> {
    let checker = Arc::new(Checker::new(CheckerOptions::new(Arc::new(SystemClock)))?);
    let pings = (0..PINGS).map(|number| {
        let checker = Arc::clone(&checker);
        let host = Ipv4Addr::new(127, 0, 1, 1 + u8::try_from(number % usize::from(HOSTS)).unwrap_or(0));
        let spec = IcmpSpec { host: host.to_string(), count: 1, size: 56, ip: IpVersion::Any };
        let mut ping = definition(Spec::Icmp(spec));
        ping.timeout = TIMEOUT;
        tokio::spawn(async move { checker.check(&ping).await })
    });
    let pings: Vec<_> = pings.collect();
    let mut trips = Vec::new();
    for ping in pings {
        let seen = ping.await?;
        trips.extend(seen.ping.and_then(|seen| seen.rtt_avg_us).map(f64::from));
    }
    Ok(trips)
}
