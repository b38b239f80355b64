//! The sockets, and who waits for which reply.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use watchpost_core::observe::FailureKind;
use watchpost_core::{Fault, FaultCode};

use super::packet;
use crate::failure::{self, Cause};

/// The receive buffer asked for: 10,000 replies that come at once.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;
/// Requests waiting for their replies at once, over all checks.
const WAITING_MAX: usize = 65_536;
/// Replies taken in one go, before others get their turn.
const DRAIN_MAX: usize = 64;
/// The largest reply, with its headers and some.
const PACKET_MAX: usize = 2_048;

/// How ICMP echo can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpAccess {
    /// By a ping socket (`SOCK_DGRAM`), which `net.ipv4.ping_group_range` allows.
    Datagram,
    /// By a raw socket, which `CAP_NET_RAW` allows.
    Raw,
}

/// Sends echo requests and hears the replies. The sockets are opened when first needed.
pub(crate) struct Pinger {
    v4: Mutex<Option<Listening>>,
    v6: Mutex<Option<Listening>>,
}

/// A socket and the task that reads from it, which ends with it.
struct Listening {
    channel: Arc<Channel>,
    reader: AbortHandle,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Pinger {
    pub(crate) fn new() -> Pinger {
        Pinger { v4: Mutex::new(None), v6: Mutex::new(None) }
    }

    /// How echo requests are sent over IPv4 here.
    pub(crate) fn access(&self) -> Result<IcmpAccess, Fault> {
        match self.channel(false) {
            Ok(channel) => Ok(channel.access),
            Err(Cause::Own(fault)) => Err(fault),
            Err(other) => Err(Fault::new(FaultCode::Internal, format!("no ICMP socket: {}", other.word()))),
        }
    }

    fn channel(&self, v6: bool) -> Result<Arc<Channel>, Cause> {
        let slot = if v6 { &self.v6 } else { &self.v4 };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.as_ref().filter(|listening| !listening.reader.is_finished()) {
            Some(listening) => Ok(Arc::clone(&listening.channel)),
            None => {
                let channel = Arc::new(Channel::open(v6)?);
                let reader = tokio::spawn(read(Arc::clone(&channel))).abort_handle();
                *slot = Some(Listening { channel: Arc::clone(&channel), reader });
                Ok(channel)
            }
        }
    }

    /// One echo request: its round trip, or `None` when no reply came until then.
    pub(crate) async fn echo(&self, to: IpAddr, size: u16, until: Instant) -> Result<Option<Duration>, Cause> {
        let channel = self.channel(to.is_ipv6())?;
        let (token, reply) = channel.expect(to)?;
        let waiting = Waiting { channel: &channel, token };
        let request = packet::request(channel.v6, channel.ident, token, size);
        match timeout_at(until, channel.send(token, &request, to)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failure::of_io(&error, to.is_ipv6())),
            Err(_) => return Ok(None),
        }
        // On a busy single-threaded runtime the reader may be far back in the queue; the reply is often there already.
        channel.drain();
        let trip = timeout_at(until, reply).await.ok().and_then(Result::ok);
        drop(waiting);
        Ok(trip)
    }
}

async fn read(channel: Arc<Channel>) {
    loop {
        if channel.io.readable().await.is_err() {
            return; // the runtime is going down
        }
        // Waiting goes on when the socket was found empty.
        let _ = channel.io.try_io(Interest::READABLE, || match channel.drain() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(()),
        });
        tokio::task::yield_now().await;
    }
}

/// A request that waits for its reply; forgotten when the check is.
struct Waiting<'a> {
    channel: &'a Channel,
    token: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.channel.lock().remove(&self.token);
    }
}

struct Awaited {
    from: IpAddr,
    /// When the request was handed to the kernel, by the clock that the kernel stamps replies with, and by the one
    /// that never steps.
    sent: Option<(Duration, Instant)>,
    tell: oneshot::Sender<Duration>,
}

struct Channel {
    /// An ICMP socket, not a UDP one: to tokio one datagram socket is like another, and this is its safe way to wait
    /// for one.
    io: UdpSocket,
    access: IcmpAccess,
    v6: bool,
    ident: u16,
    tokens: RandomState,
    count: AtomicU64,
    awaited: Mutex<HashMap<u64, Awaited>>,
}

impl Channel {
    fn open(v6: bool) -> Result<Channel, Cause> {
        let tokens = RandomState::new();
        let ident = u16::try_from(tokens.hash_one("ident") & 0xffff).unwrap_or_default();
        let (socket, access) = open_socket(v6)?;
        let own = |error: &io::Error| failure::of_io(error, v6);
        socket.set_nonblocking(true).map_err(|e| own(&e))?;
        // A smaller buffer or no time stamps make us less exact, not wrong.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        }
        let _ = setsockopt(&socket, sockopt::ReceiveTimestampns, &true);
        if access == IcmpAccess::Raw {
            let _ = socket.attach_filter(&only_our_replies(v6, ident));
        }
        let io = UdpSocket::from_std(socket.into()).map_err(|e| own(&e))?;
        Ok(Channel { io, access, v6, ident, tokens, count: AtomicU64::new(0), awaited: Mutex::default() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Awaited>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a token and waits for a reply with it from this address.
    fn expect(&self, from: IpAddr) -> Result<(u64, oneshot::Receiver<Duration>), Cause> {
        let (tell, reply) = oneshot::channel();
        let mut awaited = self.lock();
        if awaited.len() >= WAITING_MAX {
            return Err(Cause::Own(Fault::new(FaultCode::Overloaded, "too many echo requests wait for replies")));
        }
        let mut token = self.tokens.hash_one(self.count.fetch_add(1, Ordering::Relaxed));
        while awaited.contains_key(&token) {
            token = self.tokens.hash_one(self.count.fetch_add(1, Ordering::Relaxed));
        }
        awaited.insert(token, Awaited { from, sent: None, tell });
        Ok((token, reply))
    }

    async fn send(&self, token: u64, request: &[u8], to: IpAddr) -> io::Result<()> {
        let address = SocketAddr::new(to, 0);
        loop {
            self.io.writable().await?;
            if let Some(awaited) = self.lock().get_mut(&token) {
                awaited.sent = Some((wall_clock(), Instant::now()));
            }
            match self.io.try_send_to(request, address) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent.map(|_| ()),
            }
        }
    }

    /// Takes replies off the socket; true when there are no more.
    fn drain(&self) -> bool {
        let mut buffer = [0u8; PACKET_MAX];
        let mut control = nix::cmsg_space!(TimeSpec);
        for _ in 0..DRAIN_MAX {
            match self.receive(&mut buffer, &mut control) {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return true,
                // An error that a router sent about some request: taking it off the socket is all there is to do.
                Err(_) => {}
            }
        }
        false
    }

    fn receive(&self, buffer: &mut [u8], control: &mut [u8]) -> Result<(), Errno> {
        let fd = self.io.as_raw_fd();
        let mut slices = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(fd, &mut slices, Some(control), MsgFlags::MSG_DONTWAIT)?;
        let length = message.bytes;
        let from = message.address.as_ref().and_then(ip_of);
        let stamp = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|one| match one {
                ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
                _ => None,
            })
        });
        let with_ip_header = self.access == IcmpAccess::Raw && !self.v6;
        let token = packet::reply(self.v6, with_ip_header, &buffer[..length.min(PACKET_MAX)]);
        if let (Some(token), Some(from)) = (token, from) {
            self.hear(token, from, stamp);
        }
        Ok(())
    }

    fn hear(&self, token: u64, from: IpAddr, stamp: Option<Duration>) {
        let mut awaited = self.lock();
        if awaited.get(&token).is_none_or(|a| a.from != from || a.sent.is_none()) {
            return;
        }
        let Some(Awaited { sent: Some((wall, steady)), tell, .. }) = awaited.remove(&token) else { return };
        let at_most = steady.elapsed();
        // The stamp is the better measure, unless the clock was set in between.
        let trip = stamp.and_then(|stamp| stamp.checked_sub(wall)).filter(|trip| *trip <= at_most).unwrap_or(at_most);
        let _ = tell.send(trip); // nobody waits when the check has just ended
    }
}

fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

/// A ping socket where that is allowed, else a raw one.
fn open_socket(v6: bool) -> Result<(Socket, IcmpAccess), Cause> {
    let (domain, protocol) = match v6 {
        false => (Domain::IPV4, Protocol::ICMPV4),
        true => (Domain::IPV6, Protocol::ICMPV6),
    };
    let open = |kind, access| Socket::new(domain, kind, Some(protocol)).map(|socket| (socket, access));
    let error = match open(Type::DGRAM, IcmpAccess::Datagram) {
        Ok(opened) => return Ok(opened),
        Err(error) => error,
    };
    match open(Type::RAW, IcmpAccess::Raw) {
        Ok(opened) => Ok(opened),
        Err(raw) => Err(no_socket(&error, &raw, v6)),
    }
}

fn no_socket(datagram: &io::Error, raw: &io::Error, v6: bool) -> Cause {
    match raw.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPERM | Errno::EACCES) => Cause::Own(Fault::new(
            FaultCode::NoPermission,
            "this system does not let us send ICMP echo; allow ping sockets with \
             `sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"`, or give the program CAP_NET_RAW \
             (`setcap cap_net_raw+ep` on the binary, AmbientCapabilities= in the unit)",
        )),
        Some(Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT) => Cause::Target(FailureKind::Unreachable),
        Some(_) => failure::of_io(raw, v6),
        None => failure::of_io(datagram, v6),
    }
}

/// A classic BPF program for a raw socket, which otherwise hears all ICMP of the machine: echo replies with our
/// identifier pass.
fn only_our_replies(v6: bool, ident: u16) -> Vec<SockFilter> {
    const HEADER_LENGTH: u16 = 0xb1; // ldxb 4*([k]&0xf)
    const BYTE_AT_X: u16 = 0x50; // ldb [x+k]
    const HALF_AT_X: u16 = 0x48; // ldh [x+k]
    const BYTE_AT: u16 = 0x30; // ldb [k]
    const HALF_AT: u16 = 0x28; // ldh [k]
    const EQUAL: u16 = 0x15; // jeq #k
    const RETURN: u16 = 0x06; // ret #k
    let plain = |code, k| SockFilter::new(code, 0, 0, k);
    let mut program = match v6 {
        false => vec![plain(HEADER_LENGTH, 0), plain(BYTE_AT_X, 0)],
        true => vec![plain(BYTE_AT, 0)],
    };
    program.push(SockFilter::new(EQUAL, 0, 3, if v6 { 129 } else { 0 }));
    program.push(plain(if v6 { HALF_AT } else { HALF_AT_X }, 4));
    program.push(SockFilter::new(EQUAL, 0, 1, ident.into()));
    program.push(plain(RETURN, 0xffff));
    program.push(plain(RETURN, 0));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_rights_the_fault_names_the_remedy() {
        let denied = io::Error::from(Errno::EACCES);
        let Cause::Own(fault) = no_socket(&denied, &io::Error::from(Errno::EPERM), false) else {
            panic!("not a fault");
        };
        assert_eq!(fault.code, FaultCode::NoPermission);
        assert!(fault.text.contains("ping_group_range") && fault.text.contains("CAP_NET_RAW"), "{}", fault.text);
    }

    #[test]
    fn a_kernel_without_ipv6_cannot_reach_it() {
        let unsupported = io::Error::from(Errno::EAFNOSUPPORT);
        let cause = no_socket(&unsupported, &unsupported, true);
        assert!(matches!(cause, Cause::Target(FailureKind::Unreachable)), "{cause:?}");
    }

    #[tokio::test]
    async fn a_reply_counts_once_and_only_from_whom_it_was_asked_for() {
        let Ok(channel) = Channel::open(false) else { return }; // not allowed here
        let (asked, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let (token, mut reply) = channel.expect(asked).unwrap();
        if let Some(awaited) = channel.lock().get_mut(&token) {
            awaited.sent = Some((wall_clock(), Instant::now()));
        }
        channel.hear(token, other, None);
        channel.hear(token.wrapping_add(1), asked, None);
        assert!(reply.try_recv().is_err());
        channel.hear(token, asked, None);
        channel.hear(token, asked, None);
        assert!(reply.try_recv().is_ok());
        assert!(channel.lock().is_empty());
    }
}
