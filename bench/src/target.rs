//! The target: a process of its own, one thread, eight loopback addresses, in clear and over TLS.
//!
//! | path | answer |
//! |---|---|
//! | `/` | `ok`, at once; not written down |
//! | `/log/...` | the same; time and path are kept |
//! | `/delay/MS/...` | after MS milliseconds, with the delay really made in `X-Delay-Us`; kept, too |
//! | `/hang`, `/head`, `/endless`, `/drip`, `/garbage`, `/reset` | hostile, see [`hostile`] |
//! | `/-/stats`, `/-/log`, `/-/clear` | counts as JSON, what was kept, a new beginning |
//!
//! It closes every connection after one answer, as servers do when they are asked for `Connection: close`. So the port
//! that has to rest afterwards is always on its side, whoever asks: no client runs out of ports.

mod handle;
mod hostile;
mod journal;
mod tls;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

pub(crate) use handle::Target;
use journal::Journal;
pub(crate) use journal::{Seen, now_us};
pub(crate) use tls::Identity;

/// Watchpost starts at most 4,000 checks a second to one address: a benchmark needs more than one.
pub(crate) const ADDRESSES: u8 = 8;
/// Connections that may wait to be accepted: a whole second's burst.
const BACKLOG: u32 = 4_096;
/// A request's head: those of a check are far shorter, and what is longer is hung up on.
const HEAD_MAX: usize = 4_096;
/// A peer that sends no whole request is hung up on.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(30);
/// A delay that may be asked for.
const DELAY_MAX_MS: u64 = 60_000;
/// Tries to find a port that is free on all addresses.
const PORT_TRIES: usize = 50;

/// A small page, as most health checks are.
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";

/// A connection, in clear or over TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// What lies below.
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

/// The address of this number, 0..[`ADDRESSES`].
pub(crate) fn address(number: u8, port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(127, 0, 0, 1 + number), port))
}

/// Serves until the process that started it ends. Prints its two ports when all are open.
///
/// # Errors
/// When it cannot listen.
pub(crate) fn run(certificate: &Path, key: &Path) -> anyhow::Result<()> {
    set_pdeathsig(Signal::SIGKILL).context("cannot tie the target to its parent")?;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (port, secure_port) = open(certificate, key)?;
        let mut out = std::io::stdout();
        writeln!(out, "{port} {secure_port}")?;
        out.flush()?;
        std::future::pending::<()>().await;
        Ok(())
    })
}

/// Opens all ports and serves there as long as the runtime lasts: in clear, and over TLS.
fn open(certificate: &Path, key: &Path) -> anyhow::Result<(u16, u16)> {
    let acceptor = tls::acceptor(certificate, key)?;
    let journal = Arc::new(Journal::default());
    let (plain, plain_port) = listen_everywhere()?;
    let (secure, secure_port) = listen_everywhere()?;
    for listener in plain {
        tokio::spawn(accept(listener, Arc::clone(&journal), serve));
    }
    for listener in secure {
        let acceptor = acceptor.clone();
        tokio::spawn(accept(listener, Arc::clone(&journal), move |stream, journal| {
            tls::serve(acceptor.clone(), stream, journal)
        }));
    }
    Ok((plain_port, secure_port))
}

/// Listens on one port of all addresses.
fn listen_everywhere() -> anyhow::Result<(Vec<TcpListener>, u16)> {
    for _ in 0..PORT_TRIES {
        let first = listen(address(0, 0))?;
        let port = first.local_addr()?.port();
        let others = (1..ADDRESSES).map(|number| listen(address(number, port)));
        if let Ok(others) = others.collect::<std::io::Result<Vec<_>>>() {
            return Ok((std::iter::once(first).chain(others).collect(), port));
        }
    }
    anyhow::bail!("found no port that is free on {ADDRESSES} loopback addresses")
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept<F>(listener: TcpListener, journal: Arc<Journal>, serve: impl Fn(TcpStream, Arc<Journal>) -> F)
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                journal.accepted();
                let answered = serve(stream, Arc::clone(&journal));
                tokio::spawn(async move {
                    // Whoever goes away amid an answer has its reasons.
                    let _ = answered.await;
                });
            }
            // No file handles left: those that end soon give some back.
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// In clear, the connection ends with its one answer.
async fn serve(mut stream: TcpStream, journal: Arc<Journal>) -> std::io::Result<()> {
    answer(&mut stream, &journal).await
}

/// Answers one request.
async fn answer<S: Stream>(stream: &mut S, journal: &Journal) -> std::io::Result<()> {
    let mut head = [0; HEAD_MAX];
    let Ok(read) = tokio::time::timeout(HEAD_WAIT_MAX, read_head(stream, &mut head)).await else { return Ok(()) };
    let Some(path) = read?.and_then(|length| path(&head[..length])) else { return Ok(()) };
    let arrived = Instant::now();
    let arrived_us = now_us();
    journal.asked();
    let first = path.split('/').nth(1).unwrap_or_default();
    match first {
        "" => stream.write_all(OK).await,
        "log" => {
            journal.keep(Seen { path: path.to_owned(), arrived_us, delay_us: 0 });
            stream.write_all(OK).await
        }
        "delay" => {
            tokio::time::sleep(Duration::from_millis(wanted_delay(path))).await;
            let delay = arrived.elapsed();
            let delay_us = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
            journal.keep(Seen { path: path.to_owned(), arrived_us, delay_us });
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nX-Delay-Us: {delay_us}\r\n\
                 Connection: close\r\n\r\nok\n"
            );
            stream.write_all(answer.as_bytes()).await
        }
        "-" => {
            let body = journal.answer(path);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await
        }
        trouble => hostile::serve(stream, trouble).await,
    }
}

/// Reads up to the empty line. `None` when the peer went away, or its head is too long.
async fn read_head<S: Stream>(stream: &mut S, head: &mut [u8]) -> std::io::Result<Option<usize>> {
    let mut filled = 0;
    while filled < head.len() {
        let read = stream.read(&mut head[filled..]).await?;
        if read == 0 {
            return Ok(None);
        }
        filled += read;
        if head[..filled].ends_with(b"\r\n\r\n") {
            return Ok(Some(filled));
        }
    }
    Ok(None)
}

fn path(head: &[u8]) -> Option<&str> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    std::str::from_utf8(line).ok()?.split(' ').nth(1)
}

fn wanted_delay(path: &str) -> u64 {
    path.split('/').nth(2).and_then(|ms| ms.parse().ok()).unwrap_or(0).min(DELAY_MAX_MS)
}

#[cfg(test)]
mod tests;
