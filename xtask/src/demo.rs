//! Real services on loopback for a first run: one process, several listeners.
//!
//! | variable | port | service |
//! |---|---|---|
//! | `DEMO_HTTP_PORT` | 18081 | HTTP, answers at once |
//! | `DEMO_SLOW_PORT` | 18082 | HTTP, answers after 300 ms |
//! | `DEMO_FLAKY_PORT` | 18083 | HTTP, answers 503 during 20 s of every 90 s |
//! | `DEMO_TCP_PORT` | 18084 | lines: `PING` is answered with `+PONG` |
//! | `DEMO_UDP_PORT` | 18085 | echoes datagrams |
//!
//! It ends on SIGINT and SIGTERM, and with the process that started it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

/// How long the slow service thinks.
const SLOW: Duration = Duration::from_millis(300);
/// The flaky service fails during the first [`FLAKY_DOWN`] seconds of every so many.
const FLAKY_EVERY: u64 = 90;
/// Seconds of [`FLAKY_EVERY`] during which the flaky service fails.
const FLAKY_DOWN: u64 = 20;
/// A peer that is silent for so long is hung up on.
const PEER_SILENT_MAX: Duration = Duration::from_secs(10);
/// Connections at a time per service; a demonstration needs a handful.
const CONNECTIONS_MAX: usize = 64;
/// Bytes of a request head or a line that are read.
const REQUEST_MAX: u64 = 16 * 1024;

type Serve = fn(TcpStream) -> io::Result<()>;

/// Serves until the process is ended.
///
/// # Errors
/// When a port is taken; it names the variable that moves it.
pub(crate) fn run() -> anyhow::Result<()> {
    set_pdeathsig(Signal::SIGTERM).context("cannot tie this process to its parent")?;
    let tcp: [(&str, u16, Serve); 4] = [
        ("DEMO_HTTP_PORT", 18081, plain),
        ("DEMO_SLOW_PORT", 18082, slow),
        ("DEMO_FLAKY_PORT", 18083, flaky),
        ("DEMO_TCP_PORT", 18084, lines),
    ];
    // All are bound before any serves, so that whoever reads "ready" can connect to each.
    let mut listeners = Vec::new();
    for (variable, default, serve) in tcp {
        let port = port(variable, default)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| taken(variable, port))?;
        listeners.push((listener, serve));
    }
    let udp_port = port("DEMO_UDP_PORT", 18085)?;
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, udp_port)).with_context(|| taken("DEMO_UDP_PORT", udp_port))?;
    println!("demo services: ready");
    for (listener, serve) in listeners {
        thread::spawn(move || accept(&listener, serve));
    }
    echo(&udp)
}

fn taken(variable: &str, port: u16) -> String {
    format!("cannot listen on 127.0.0.1:{port}; choose another with {variable}")
}

fn port(variable: &str, default: u16) -> anyhow::Result<u16> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text} is no port")),
        Err(_) => Ok(default),
    }
}

/// Accepts for ever, a thread per connection, at most [`CONNECTIONS_MAX`] at a time.
fn accept(listener: &TcpListener, serve: Serve) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming().flatten() {
        if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let open = Arc::clone(&open);
        thread::spawn(move || {
            // A peer that goes away in the middle is its own affair.
            let _ = limit(&stream).and_then(|()| serve(stream));
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn limit(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PEER_SILENT_MAX))?;
    stream.set_write_timeout(Some(PEER_SILENT_MAX))
}

fn plain(stream: TcpStream) -> io::Result<()> {
    answer(stream, "200 OK", "ok\n")
}

fn slow(stream: TcpStream) -> io::Result<()> {
    thread::sleep(SLOW);
    answer(stream, "200 OK", "{\"status\":\"up\",\"slow\":true}\n")
}

fn flaky(stream: TcpStream) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if flaky_fails(now) {
        return answer(stream, "503 Service Unavailable", "out for tea\n");
    }
    answer(stream, "200 OK", "ok\n")
}

/// Whether the flaky service fails in this second.
fn flaky_fails(unix_seconds: u64) -> bool {
    unix_seconds % FLAKY_EVERY < FLAKY_DOWN
}

/// Reads one request head and answers it (RFC 9112); the connection is then closed.
fn answer(mut stream: TcpStream, status: &str, body: &str) -> io::Result<()> {
    let mut head = BufReader::new((&stream).take(REQUEST_MAX));
    let mut line = String::new();
    head.read_line(&mut line)?;
    let bodiless = line.starts_with("HEAD ");
    while !line.trim_end().is_empty() {
        line.clear();
        head.read_line(&mut line)?;
    }
    let length = body.len();
    let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
    let body = if bodiless { "" } else { body };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn lines(mut stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?.take(REQUEST_MAX));
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let reply = if line.trim_end().eq_ignore_ascii_case("PING") { "+PONG\r\n" } else { "-ERR say PING\r\n" };
        stream.write_all(reply.as_bytes())?;
        line.clear();
    }
    Ok(())
}

fn echo(socket: &UdpSocket) -> anyhow::Result<()> {
    let mut datagram = [0; 2048];
    loop {
        // An ICMP answer to an earlier echo is reported here; the next datagram is as good as any.
        let Ok((length, peer)) = socket.recv_from(&mut datagram) else { continue };
        let _ = socket.send_to(&datagram[..length], peer);
    }
}

#[cfg(test)]
mod tests;
