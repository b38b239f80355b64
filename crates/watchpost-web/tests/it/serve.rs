//! Over TCP: limits on what a peer can hold on to, and the stop.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchpost_web::Limits;

use crate::world::World;

/// A server of this world on a port of its own.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) ended: JoinHandle<std::io::Result<()>>,
}

pub(crate) fn start(world: &World, limits: Limits) -> Running {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = world.stop.clone();
    let ended = tokio::spawn(watchpost_web::serve_within(limits, vec![listener], world.router(), stop.clone()));
    Running { address, stop, ended }
}

impl Running {
    /// Opens a connection and sends what is given.
    pub(crate) async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Asks in HTTP/1.0, so that the answer ends with the connection.
    async fn get(&self, path: &str) -> String {
        let mut stream = self.send(&format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")).await;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }
}

#[tokio::test]
async fn pages_are_served_until_the_stop() {
    let world = World::with(&["db"]);
    let running = start(&world, Limits::default());
    let answer = running.get("/api/v1/monitors/db").await;
    assert!(answer.starts_with("HTTP/1.0 200 OK") && answer.contains("\"id\":\"db\""), "{answer}");
    running.stop.cancel();
    running.ended.await.unwrap().unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn several_addresses_are_served_at_once() {
    let world = World::new();
    let listeners: Vec<_> = (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
    let serving = tokio::spawn(watchpost_web::serve(listeners, world.router(), world.stop.clone()));
    for address in addresses {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with("ok\n"), "{text}");
    }
    world.stop.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_says_nothing_or_never_ends_its_head_is_let_go() {
    let world = World::new();
    let running = start(&world, Limits { head: Duration::from_millis(50), ..Limits::default() });
    for begun in ["", "GET /livez HT", "GET /livez HTTP/1.1\r\nHost: localhost\r\nA: b\r\n"] {
        let mut stream = running.send(begun).await;
        let mut rest = Vec::new();
        // Ends only when the server closes.
        stream.read_to_end(&mut rest).await.unwrap();
    }
    running.stop.cancel();
    running.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let world = World::new();
    let running = start(&world, Limits::default());
    let mut stream = running.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n").await;
    let line = format!("X-Fill: {}\r\n", "y".repeat(1_000));
    // More than any limit; writing fails once the server has let go, which is as good.
    for _ in 0..1_000 {
        if stream.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    running.stop.cancel();
    running.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let world = World::new();
    let running = start(&world, Limits { connections: 1, ..Limits::default() });
    let mut first = running.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut head = [0; 15];
    first.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    // The first holds the only place; the second is answered as soon as it lets go.
    let mut second = running.send("GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n").await;
    drop(first);
    let mut text = String::new();
    second.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("ok\n"), "{text}");
    running.stop.cancel();
    running.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_stop() {
    let world = World::new();
    let running = start(&world, Limits { drain: Duration::from_secs(3_600), ..Limits::default() });
    let mut idle = running.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut head = [0; 15];
    idle.read_exact(&mut head).await.unwrap();
    running.stop.cancel();
    running.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_after_the_drain() {
    let world = World::with(&["db"]);
    let running = start(&world, Limits { drain: Duration::from_millis(20), ..Limits::default() });
    // Its body never comes.
    let begun = "POST /api/v1/monitors/db/check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\
                 Expect: 100-continue\r\n\r\n";
    let mut stream = running.send(begun).await;
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"HTTP/1.1 100", "the handler reads");
    running.stop.cancel();
    running.ended.await.unwrap().unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("HTTP/1.1 2"));
}
