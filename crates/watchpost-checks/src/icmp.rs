//! ICMP echo: a burst of requests, with round trips taken from the kernel's receive time stamps.
//!
//! One socket per IP version serves all checks. Every request carries a token of its own in its payload, so two
//! monitors of one host cannot take each other's replies, and nobody who has not seen the request can answer it.

pub(crate) mod packet;
mod socket;

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep_until;
use watchpost_core::observe::{FailureKind, PingSeen, micros};
use watchpost_core::spec::IcmpSpec;
use watchpost_core::{Fault, Stage};

use crate::context::{Context, Stop};
use crate::dial;
use crate::failure::Cause;

pub use socket::IcmpAccess;
pub(crate) use socket::Pinger;

/// Between two requests of a burst; closer together when the timeout is short, so that it also holds the replies.
const GAP_MAX: Duration = Duration::from_millis(200);

/// Finds out how ICMP echo can be sent here, for a diagnosis.
///
/// # Errors
/// The fault that an `icmp` check would end with: `no_permission` with the remedy in words, or `out_of_files`.
pub async fn probe_icmp() -> Result<IcmpAccess, Fault> {
    Pinger::new().access()
}

pub(crate) async fn check(cx: &mut Context<'_>, spec: &IcmpSpec) -> Result<(), Stop> {
    let addresses = dial::addresses(cx, &spec.host, spec.ip).await?;
    let mut worst: Option<Cause> = None;
    for address in addresses {
        cx.await_turn(address).await?;
        cx.at((address, 0).into());
        cx.begin_step(format!("ping {address}"));
        match burst(cx, spec, address).await {
            Ok(()) => return Ok(()),
            // No way there: another address of the name may be of the other IP version.
            Err(cause) => {
                cx.end_step(cause.word());
                if worst.as_ref().is_none_or(|known| known.rank() < cause.rank()) {
                    worst = Some(cause);
                }
            }
        }
    }
    Err(cx.stop(worst.unwrap_or(Cause::Target(FailureKind::NameNotFound))))
}

/// The whole burst to one address. Fails only when nothing could be sent.
async fn burst(cx: &mut Context<'_>, spec: &IcmpSpec, address: IpAddr) -> Result<(), Cause> {
    let began = cx.enter(Stage::Connect);
    let count = spec.count.max(1);
    let gap = GAP_MAX.min(cx.timeout() / (2 * u32::from(count)));
    let until = cx.nearly();
    let pinger = &cx.services.pinger;
    let echo = |n: u8| async move {
        sleep_until((began + gap * u32::from(n)).min(until)).await;
        pinger.echo(address, spec.size, until).await
    };
    let outcomes = Box::pin(join_all((0..count).map(echo))).await;
    let trips: Vec<Duration> = outcomes.iter().filter_map(|o| o.as_ref().ok().copied().flatten()).collect();
    if trips.is_empty() && outcomes.iter().all(Result::is_err) {
        let causes = outcomes.into_iter().filter_map(Result::err);
        return Err(causes.max_by_key(Cause::rank).unwrap_or(Cause::TimedOut));
    }
    cx.end_step(format!("{} of {count} answered", trips.len()));
    let seen = summary(count, &trips);
    cx.seen.timings.ttfb = seen.rtt_avg_us;
    cx.seen.timings.total = seen.rtt_avg_us;
    cx.seen.ping = Some(seen);
    Ok(())
}

fn summary(sent: u8, trips: &[Duration]) -> PingSeen {
    let count = u32::try_from(trips.len()).unwrap_or(u32::MAX);
    let mean = |total: Duration, count: u32| total.checked_div(count).map(micros);
    let swings = trips.windows(2).map(|pair| pair[0].abs_diff(pair[1])).sum();
    PingSeen {
        sent,
        received: u8::try_from(count).unwrap_or(u8::MAX),
        rtt_min_us: trips.iter().min().copied().map(micros),
        rtt_avg_us: mean(trips.iter().sum(), count),
        rtt_max_us: trips.iter().max().copied().map(micros),
        jitter_us: mean(swings, count.saturating_sub(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_the_mean_difference_of_consecutive_round_trips() {
        let trips: Vec<Duration> = [100, 300, 200].into_iter().map(Duration::from_micros).collect();
        let seen = summary(5, &trips);
        assert_eq!((seen.sent, seen.received), (5, 3));
        assert_eq!((seen.rtt_min_us, seen.rtt_avg_us, seen.rtt_max_us), (Some(100), Some(200), Some(300)));
        assert_eq!(seen.jitter_us, Some(150));
    }

    #[test]
    fn a_single_reply_has_no_jitter_and_none_has_no_figures() {
        assert_eq!(summary(1, &[Duration::from_micros(7)]).jitter_us, None);
        assert_eq!(summary(3, &[]).rtt_avg_us, None);
    }
}
