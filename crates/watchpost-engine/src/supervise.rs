//! Owns the tasks: each has a name and a way to stop, and a panic in one is caught, counted and told.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Owns the engine's stations.
#[derive(Clone, Debug)]
pub struct Supervisor {
    stop: CancellationToken,
    tasks: TaskTracker,
    panics: Arc<AtomicU64>,
    fallen: Arc<watch::Sender<Option<&'static str>>>,
}

impl Default for Supervisor {
    fn default() -> Supervisor {
        Supervisor {
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            panics: Arc::default(),
            fallen: Arc::new(watch::Sender::new(None)),
        }
    }
}

impl Supervisor {
    /// Starts a station. It is handed the token that tells it to stop.
    ///
    /// A station that panics holds state nobody can vouch for. All that was told of is in the store, so the process
    /// stops and is started again by whoever runs it: see [`Supervisor::fallen`].
    pub fn spawn<F>(&self, name: &'static str, station: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let work = AssertUnwindSafe(station(self.stop.clone())).catch_unwind();
        let (panics, fallen) = (Arc::clone(&self.panics), Arc::clone(&self.fallen));
        self.tasks.spawn(async move {
            if let Err(panic) = work.await {
                panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!(station = name, panic = panic_text(&*panic), "a station panicked");
                fallen.send_replace(Some(name));
            }
        });
    }

    /// Tells all stations to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until all stations have ended.
    pub async fn stopped(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Panics caught.
    #[must_use]
    pub fn panics(&self) -> &Arc<AtomicU64> {
        &self.panics
    }

    /// Resolves with the name of a station that panicked, if one ever does.
    pub async fn fallen(&self) -> &'static str {
        let mut fallen = self.fallen.subscribe();
        loop {
            if let Some(name) = *fallen.borrow_and_update() {
                return name;
            }
            if fallen.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The words of a panic.
#[must_use]
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}
