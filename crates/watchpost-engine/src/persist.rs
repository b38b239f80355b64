//! Work of the store, tried again until it is done.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use watchpost_core::ports::EngineHealth;
use watchpost_store::StoreError;

/// Pauses between attempts to write, doubling up to the second.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Tries until the store does it. `None` once it is closed: then nothing ever will.
pub(crate) async fn persist<T, F>(health: &Mutex<EngineHealth>, work: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pause = RETRY_FIRST;
    loop {
        let began = Instant::now();
        let failure = match work().await {
            Ok(done) => {
                let mut health = health.lock().unwrap_or_else(PoisonError::into_inner);
                health.commits_total += 1;
                health.commit_took = began.elapsed();
                health.store_error = None;
                return Some(done);
            }
            Err(StoreError::Closed) => return None,
            Err(e) => e.to_string(),
        };
        tracing::error!(error = failure, again_in_ms = pause.as_millis(), "the store did not take a write");
        note_failure(health, failure);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
}

fn note_failure(health: &Mutex<EngineHealth>, failure: String) {
    let mut health = health.lock().unwrap_or_else(PoisonError::into_inner);
    health.commit_failures_total += 1;
    health.store_error = Some(failure);
}
