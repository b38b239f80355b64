//! The store of the world, and how it misbehaves.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use watchpost_core::MonitorKey;
use watchpost_store::memory::MemoryStore;
use watchpost_store::{Commit, Redefine, Store, StoreError};

use crate::Bug;

/// The outcome of a future that needs nothing from outside, as those of the memory store do.
///
/// # Errors
/// When it is not ready.
pub(crate) fn now_or_never<T>(future: impl Future<Output = T>) -> Result<T, String> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => Err("the store waits for something, in a world where nothing else runs".to_owned()),
    }
}

/// What outlives a crash.
pub(crate) struct Durable {
    store: Arc<MemoryStore>,
    bug: Option<Bug>,
}

impl Durable {
    pub(crate) fn new(bug: Option<Bug>) -> Durable {
        Durable { store: Arc::new(MemoryStore::new()), bug }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Commits, with the planted bug where it is one of the store's.
    pub(crate) fn commit(&self, mut commit: Commit) -> Result<(), String> {
        for entry in &mut commit.entries {
            match self.bug {
                Some(Bug::StateWithoutResult) if entry.state.is_some() => entry.results.clear(),
                Some(Bug::ResultWithoutState) => (entry.state, entry.wake) = (None, None),
                _ => {}
            }
        }
        now_or_never(self.store.commit(commit))?.map_err(|e| said(&e))
    }

    pub(crate) fn redefine(&self, edit: Redefine) -> Result<Vec<MonitorKey>, String> {
        use watchpost_store::Catalog as _;
        now_or_never(self.store.redefine(edit))?.map_err(|e| said(&e))
    }
}

fn said(error: &StoreError) -> String {
    format!("the memory store failed: {error}")
}
