//! UDP: one datagram, and a wait. A reply is up, a closed port is down, and silence, which is what most UDP services
//! answer to a stranger, is decided by ICMP echo.
//!
//! All addresses of a name are probed at once: `localhost` is both `::1` and `127.0.0.1`, and a refusal on the one must
//! not beat a reply or silence on the other.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use nix::sys::socket::{MsgFlags, recv};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use watchpost_core::observe::{Echo, UdpSeen, micros};
use watchpost_core::spec::UdpSpec;
use watchpost_core::{Stage, observe::FailureKind};

use crate::context::{Context, Stop};
use crate::dial;
use crate::failure::{self, Cause};

/// An answer is waited for at most so long, and an echo as well.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// What is sent when nothing is given.
const PROBE: [u8; 4] = [0; 4];
/// Bytes of an echo request, as of ping(8).
const ECHO_SIZE: u16 = 56;

struct Probed {
    address: SocketAddr,
    outcome: Result<usize, Cause>,
    took: Duration,
}

pub(crate) async fn check(cx: &mut Context<'_>, spec: &UdpSpec) -> Result<(), Stop> {
    let addresses = dial::addresses(cx, &spec.address.host, spec.ip).await?;
    let payload = spec.send.as_ref().map_or(&PROBE[..], |send| send.reveal().as_bytes());
    let until = (Instant::now() + WAIT_MAX.min(cx.timeout() / 2)).min(cx.nearly());
    let began = cx.enter(Stage::Ttfb);
    let mut probes = FuturesUnordered::new();
    for address in addresses {
        cx.await_turn(address).await?;
        let address = SocketAddr::new(address, spec.address.port);
        cx.at(address);
        probes.push(probe(address, payload, until));
    }
    let mut silent: Vec<SocketAddr> = Vec::new();
    let mut worst: Option<(Cause, SocketAddr)> = None;
    while let Some(probed) = probes.next().await {
        let what = format!("send to {}", probed.address);
        match probed.outcome {
            Ok(bytes) => {
                cx.step(what, began, format!("reply of {bytes} bytes"));
                cx.at(probed.address);
                cx.leave(Stage::Ttfb, began);
                cx.seen.timings.total = Some(micros(probed.took));
                cx.seen.udp = Some(UdpSeen::Reply { bytes });
                return Ok(());
            }
            Err(Cause::TimedOut) => {
                cx.step(what, began, "silent");
                silent.push(probed.address);
            }
            Err(cause) => {
                cx.step(what, began, cause.word());
                if worst.as_ref().is_none_or(|(known, _)| known.rank() < cause.rank()) {
                    worst = Some((cause, probed.address));
                }
            }
        }
    }
    match (silent.is_empty(), worst) {
        (false, _) => decide_by_echo(cx, &silent).await,
        (true, Some((Cause::Target(FailureKind::Refused), address))) => {
            cx.at(address);
            cx.seen.udp = Some(UdpSeen::Refused);
            Ok(())
        }
        (true, Some((cause, address))) => {
            cx.at(address);
            Err(cx.stop_in(Stage::Connect, cause))
        }
        (true, None) => Err(cx.fail(FailureKind::Silent)),
    }
}

/// The socket is connected, so the kernel tells us of a closed port.
async fn probe(address: SocketAddr, payload: &[u8], until: Instant) -> Probed {
    let began = Instant::now();
    let outcome = match timeout_at(until, exchange(address, payload)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(failure::of_io(&error, address.is_ipv6())),
        Err(_) => Err(Cause::TimedOut),
    };
    Probed { address, outcome, took: began.elapsed() }
}

async fn exchange(address: SocketAddr, payload: &[u8]) -> io::Result<usize> {
    let socket = connected(address).await?;
    socket.send(payload).await?;
    receive(&socket, &mut [0]).await
}

/// Receives a datagram, or the error that came instead of one. A closed port is told as an error without anything to
/// read, which tokio's own `recv` would sleep through. Gives the datagram's length, also when the buffer is shorter.
pub(crate) async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
    loop {
        let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
        // One at a time: each takes back only its own readiness when there was nothing after all.
        let interest = if ready.is_error() { Interest::ERROR } else { Interest::READABLE };
        let received = socket.try_io(interest, || Ok(recv(socket.as_raw_fd(), buffer, flags)?));
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => tokio::task::yield_now().await,
            done => return done,
        }
    }
}

/// A UDP socket on a free port that hears only this peer.
pub(crate) async fn connected(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    to_somebody_else(socket, address)
}

/// When the system gives us the very port that is asked, nobody else has it, and we would hear ourselves.
fn to_somebody_else(socket: UdpSocket, address: SocketAddr) -> io::Result<UdpSocket> {
    if socket.local_addr()? == address { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(socket) }
}

/// Silence: one of the silent addresses has to answer a ping.
async fn decide_by_echo(cx: &mut Context<'_>, silent: &[SocketAddr]) -> Result<(), Stop> {
    let until = (Instant::now() + WAIT_MAX).min(cx.nearly());
    let began = cx.enter(Stage::Ttfb);
    let pinger = &cx.services.pinger;
    let mut pings: FuturesUnordered<_> = silent
        .iter()
        .map(|address| async move { (*address, pinger.echo(address.ip(), ECHO_SIZE, until).await) })
        .collect();
    let mut ping = Echo::Silent;
    while let Some((address, outcome)) = pings.next().await {
        let what = format!("ping {}", address.ip());
        match outcome {
            Ok(Some(_)) => {
                cx.step(what, began, "answered");
                cx.at(address);
                ping = Echo::Answered;
                break;
            }
            Ok(None) => cx.step(what, began, "silent"),
            Err(Cause::Own(fault)) => {
                cx.step(what, began, fault.code.as_str());
                ping = Echo::Impossible(fault);
            }
            Err(cause @ (Cause::Target(_) | Cause::TimedOut)) => cx.step(what, began, cause.word()),
        }
    }
    cx.seen.udp = Some(UdpSeen::Silent { ping });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_would_hear_itself_is_a_refusal() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        socket.connect(address).await.unwrap();
        let error = to_somebody_else(socket, address).unwrap_err();
        assert_eq!(failure::of_io(&error, false).word(), "refused");
    }
}
