//! Carries the pages over TCP: HTTP/1.1, with limits on everything a peer could hold on to.
//!
//! The accept loop is our own, because `axum::serve` sets no limits. HTTP/2 without TLS is not spoken: no browser does,
//! and finding out which one a peer speaks would let it hold a connection without a deadline.

mod idle;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use idle::{Answering, Idle, Leaving, Peer};

/// Bytes of a request's head.
const HEAD_MAX: usize = 32 * 1024;
/// Header fields of a request.
const FIELDS_MAX: usize = 100;
/// A pause after accept fails, as it does when file handles run out: trying at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// While all places are taken and nobody has been idle for long, there is a look for who is so often.
const ROOM_PAUSE: Duration = Duration::from_millis(20);
/// Who has to make room may take what was sent to it for so long.
const LET_GO_MAX: Duration = Duration::from_secs(1);

/// The limits of [`serve`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections open at once over all listeners. For more, those that have been idle longest are closed; while none
    /// is idle, more wait in the kernel's queue.
    pub connections: usize,
    /// How long a peer may take to send a request's head, and how long an idle connection is kept.
    pub head: Duration,
    /// How long a peer may leave what we sent unread or unacknowledged. Linux only; elsewhere TCP's own limits hold.
    pub unread: Duration,
    /// How long requests under way may take after the stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // A quarter of the usual 16,384 file handles; checks need the rest.
            connections: 4_096,
            head: Duration::from_secs(30),
            unread: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }
}

/// Serves until `stop`, then lets requests under way end. With the default [`Limits`].
///
/// # Errors
/// When a listener cannot be used at all; trouble with single connections is logged and survived.
pub async fn serve(listeners: Vec<std::net::TcpListener>, router: Router, stop: CancellationToken) -> io::Result<()> {
    serve_within(Limits::default(), listeners, router, stop).await
}

/// The same with other limits.
///
/// # Errors
/// When a listener cannot be used at all.
pub async fn serve_within(
    limits: Limits,
    listeners: Vec<std::net::TcpListener>,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let server = Arc::new(Server {
        limits,
        router,
        stop: stop.clone(),
        places: Arc::new(Semaphore::new(limits.connections)),
        idle: Arc::default(),
        connections: TaskTracker::new(),
        cut: CancellationToken::new(),
    });
    let mut loops = JoinSet::new();
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        loops.spawn(Arc::clone(&server).accept(listener));
    }
    // They end at the stop.
    while loops.join_next().await.is_some() {}
    server.connections.close();
    if tokio::time::timeout(limits.drain, server.connections.wait()).await.is_err() {
        tracing::warn!(connections = server.connections.len(), "requests took too long to end; cutting them off");
        server.cut.cancel();
        server.connections.wait().await;
    }
    Ok(())
}

struct Server {
    limits: Limits,
    router: Router,
    stop: CancellationToken,
    /// A place per connection.
    places: Arc<Semaphore>,
    idle: Arc<Idle>,
    connections: TaskTracker,
    /// Ends connections at once.
    cut: CancellationToken,
}

impl Server {
    async fn accept(self: Arc<Server>, listener: TcpListener) {
        loop {
            // The place comes first: without one, peers wait in the kernel's queue.
            let next = async {
                let place = self.place().await?;
                Some((place, listener.accept().await))
            };
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                accepted = next => accepted,
            };
            match accepted {
                None => return,
                Some((place, Ok((stream, _peer)))) => {
                    self.connections.spawn(Arc::clone(&self).connection(stream, place));
                }
                Some((_, Err(error))) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// A place for the next connection; somebody idle makes room when there is none. `None` when there never will be.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                return Some(place);
            }
            self.idle.make_room();
            let free = Arc::clone(&self.places).acquire_owned();
            if let Ok(place) = tokio::time::timeout(ROOM_PAUSE, free).await {
                return place.ok();
            }
        }
    }

    async fn connection(self: Arc<Server>, stream: TcpStream, _place: OwnedSemaphorePermit) {
        prepare(&stream, self.limits.unread);
        let peer = self.idle.enter();
        // Declared first, so it goes last: after the connection and all that is under way on it.
        let _leaving = Leaving(Arc::clone(&peer));
        let service = service_fn({
            let (router, peer) = (self.router.clone(), Arc::clone(&peer));
            move |request: Request<Incoming>| answer(router.clone(), request, Arc::clone(&peer))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_header_size(HEAD_MAX)
            .max_headers(FIELDS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let (mut stopping, mut let_go) = (false, None);
        loop {
            tokio::select! {
                biased;
                () = self.cut.cancelled() => return,
                () = peer.let_go.cancelled(), if let_go.is_none() => {
                    let_go = Some(Instant::now() + LET_GO_MAX);
                    connection.as_mut().graceful_shutdown();
                }
                () = at(let_go) => return,
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
            }
        }
    }
}

async fn answer(
    router: Router,
    request: Request<Incoming>,
    peer: Arc<Peer>,
) -> Result<http::Response<Answering>, Infallible> {
    let working = peer.work();
    let response = router.oneshot(request.map(Body::new)).await?;
    Ok(response.map(|body| Answering { body, _working: working }))
}

/// Resolves then; never without a time.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Small events leave at once, and a peer that is gone or never reads does not hold its place for ever. A socket that
/// refuses either is served all the same.
fn prepare(stream: &TcpStream, unread: Duration) {
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(unread));
    #[cfg(not(target_os = "linux"))]
    let _ = unread;
}
