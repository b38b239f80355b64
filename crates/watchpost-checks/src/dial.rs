//! The one dialer: resolve, guard, connect. Every address of a name gets its try: they are started one after the
//! other, the next as soon as one has failed or has kept us waiting for a moment, so that a black hole in front does
//! not eat the deadline (RFC 8305, with IPv6 and IPv4 taking turns).

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use watchpost_core::Stage;
use watchpost_core::observe::FailureKind;
use watchpost_core::spec::IpVersion;

use crate::context::{Context, Stop};
use crate::failure::{self, Cause};

/// An address that neither answers nor fails is joined by the next after so long (RFC 8305 section 5).
const STAGGER_MAX: Duration = Duration::from_millis(250);

/// Resolves a host and keeps the addresses that may be contacted, in the order to try them.
pub(crate) async fn addresses(cx: &mut Context<'_>, host: &str, ip: IpVersion) -> Result<Vec<IpAddr>, Stop> {
    let began = cx.enter(Stage::Dns);
    cx.begin_step(format!("resolve {host}"));
    let resolved = match cx.services.resolver.resolve(host, ip).await {
        Ok(resolved) => resolved,
        Err(cause) => {
            cx.end_step(cause.word());
            return Err(cx.stop(cause));
        }
    };
    if resolved.asked {
        cx.leave(Stage::Dns, began);
    }
    let allowed: Vec<IpAddr> =
        resolved.addresses.iter().copied().filter(|address| cx.services.guard.allows(*address)).collect();
    cx.end_step(resolved.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    cx.enter(Stage::Connect);
    match (allowed.is_empty(), resolved.addresses.first()) {
        (true, Some(denied)) => Err(cx.fail(FailureKind::Denied(*denied))),
        (true, None) => Err(cx.fail(FailureKind::NameNotFound)),
        (false, _) => Ok(take_turns(&allowed)),
    }
}

/// IPv6 and IPv4 by turns, beginning with the version of the first.
fn take_turns(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let first_is_v4 = addresses.first().is_some_and(IpAddr::is_ipv4);
    let (mut ours, mut others): (VecDeque<IpAddr>, VecDeque<IpAddr>) =
        addresses.iter().partition(|address| address.is_ipv4() == first_is_v4);
    let mut turns = Vec::with_capacity(addresses.len());
    while let Some(next) = ours.pop_front().or_else(|| others.pop_front()) {
        turns.push(next);
        std::mem::swap(&mut ours, &mut others);
        if ours.is_empty() {
            std::mem::swap(&mut ours, &mut others);
        }
    }
    turns
}

/// Connects to a host.
pub(crate) async fn dial(cx: &mut Context<'_>, host: &str, port: u16, ip: IpVersion) -> Result<TcpStream, Stop> {
    let addresses = addresses(cx, host, ip).await?;
    let targets = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
    connect(cx, targets).await
}

struct Attempt {
    address: SocketAddr,
    began: Instant,
    took: Duration,
    outcome: io::Result<TcpStream>,
}

/// Connects to the first of these addresses that answers.
pub(crate) async fn connect(cx: &mut Context<'_>, targets: Vec<SocketAddr>) -> Result<TcpStream, Stop> {
    cx.enter(Stage::Connect);
    let mut waiting = VecDeque::from(targets);
    let stagger = STAGGER_MAX.min(cx.left() / (u32::try_from(waiting.len()).unwrap_or(u32::MAX).saturating_add(1)));
    let mut trying = FuturesUnordered::new();
    let mut worst: Option<(Cause, SocketAddr)> = None;
    loop {
        if let Some(address) = waiting.pop_front() {
            cx.await_turn(address.ip()).await?;
            cx.at(address);
            trying.push(attempt(address));
        }
        let more = !waiting.is_empty();
        let attempt = tokio::select! {
            biased;
            Some(attempt) = trying.next() => attempt,
            () = tokio::time::sleep(stagger), if more => continue,
            else => break,
        };
        let what = format!("connect {}", attempt.address);
        match attempt.outcome {
            Ok(stream) => {
                cx.seen.timings.add(Stage::Connect, attempt.took);
                cx.at(attempt.address);
                cx.step(what, attempt.began, "ok");
                return Ok(stream);
            }
            Err(error) => {
                let cause = failure::of_io(&error, attempt.address.is_ipv6());
                cx.step(what, attempt.began, cause.word());
                if worst.as_ref().is_none_or(|(known, _)| known.rank() < cause.rank()) {
                    worst = Some((cause, attempt.address));
                }
            }
        }
    }
    let (cause, address) = worst.unwrap_or((Cause::Target(FailureKind::NameNotFound), UNKNOWN));
    cx.at(address);
    Err(cx.stop(cause))
}

/// Stands for no address at all; never seen, since there is always one to try.
const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

async fn attempt(address: SocketAddr) -> Attempt {
    let began = Instant::now();
    let outcome = open(address).await;
    Attempt { address, began, took: began.elapsed(), outcome }
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // The request goes out at once, in one piece or two.
    socket.set_nodelay(true)?;
    let stream = socket.connect(address).await?;
    to_somebody_else(stream, address)
}

/// A port of this machine that nobody listens on may be the one that the system gives our own end: then we are connected
/// to ourselves (RFC 9293, section 3.5, simultaneous open), and nobody else was there.
fn to_somebody_else(stream: TcpStream, address: SocketAddr) -> io::Result<TcpStream> {
    if stream.local_addr()? != address {
        return Ok(stream);
    }
    // Reset, so that the service finds its port free when it comes back.
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    Err(io::ErrorKind::ConnectionRefused.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_to_ourselves_is_a_refusal_and_gives_the_port_back() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let stream = socket.connect(address).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), stream.local_addr().unwrap());
        let error = to_somebody_else(stream, address).unwrap_err();
        assert_eq!(failure::of_io(&error, false).word(), "refused");
        std::net::TcpListener::bind(address).expect("the port is free again");
    }

    #[test]
    fn ip_versions_take_turns_beginning_with_the_first() {
        let turns = |written: &[&str]| {
            let addresses: Vec<IpAddr> = written.iter().map(|a| a.parse().unwrap()).collect();
            take_turns(&addresses).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(turns(&["::1", "::2", "10.0.0.1", "10.0.0.2"]), "::1 10.0.0.1 ::2 10.0.0.2");
        assert_eq!(turns(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "::1"]), "10.0.0.1 ::1 10.0.0.2 10.0.0.3");
        assert_eq!(turns(&["::1"]), "::1");
    }
}
