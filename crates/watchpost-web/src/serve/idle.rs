//! Who holds a connection and says nothing. When all places are taken, whoever has done so longest makes room, so that
//! connections left open never keep out those who ask.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Who has been idle for less keeps its place: it may be about to ask, or still be taking its last answer.
const SPARED: Duration = Duration::from_secs(1);

/// The connections on which nothing is asked and nothing answered, by the order in which that began.
#[derive(Default)]
pub(super) struct Idle {
    peers: Mutex<BTreeMap<u64, (Instant, CancellationToken)>>,
    numbers: AtomicU64,
}

impl Idle {
    /// A new connection; nothing has been asked on it.
    pub(super) fn enter(self: &Arc<Idle>) -> Arc<Peer> {
        let peer = Peer { idle: Arc::clone(self), number: AtomicU64::new(0), let_go: CancellationToken::new() };
        peer.rest();
        Arc::new(peer)
    }

    /// Lets the longest idle connection go, unless that has not been long.
    pub(super) fn make_room(&self) {
        let mut peers = self.peers();
        if let Some(longest) = peers.first_entry().filter(|entry| entry.get().0.elapsed() >= SPARED) {
            longest.remove().1.cancel();
        }
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<u64, (Instant, CancellationToken)>> {
        // Every change is a single step, so a panic elsewhere leaves it whole.
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection.
pub(super) struct Peer {
    idle: Arc<Idle>,
    /// Its key among the idle ones; stale while something is under way.
    number: AtomicU64,
    /// Its place is needed.
    pub(super) let_go: CancellationToken,
}

impl Peer {
    /// A request has come. Idle again when what is returned is dropped.
    pub(super) fn work(self: &Arc<Peer>) -> Working {
        self.leave();
        Working(Arc::clone(self))
    }

    fn leave(&self) {
        self.idle.peers().remove(&self.number.load(Ordering::Relaxed));
    }

    fn rest(&self) {
        let number = self.idle.numbers.fetch_add(1, Ordering::Relaxed);
        self.number.store(number, Ordering::Relaxed);
        self.idle.peers().insert(number, (Instant::now(), self.let_go.clone()));
    }
}

/// A request and its answer, as long as they last.
pub(super) struct Working(Arc<Peer>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.rest();
    }
}

/// A connection that ends is no longer idle.
pub(super) struct Leaving(pub(super) Arc<Peer>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// The body of an answer: its connection is at work until it was handed over as a whole.
pub(super) struct Answering {
    pub(super) body: Body,
    pub(super) _working: Working,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
