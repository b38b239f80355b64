//! Turns closed hours into blocks, and drops what is older than asked for.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use watchpost_core::Timestamp;
use watchpost_core::ports::Clock;
use watchpost_store::{Keep, Store};

use crate::engine::EngineOptions;

/// An hour is closed so long after its end: checks begun in it have ended by then.
pub const CLOSE_AFTER: Duration = Duration::from_mins(10);
/// How often there is a look for something to do.
const LOOK_EVERY: Duration = Duration::from_mins(5);

/// Works at once (a crash may have left closed hours behind), then every few minutes.
pub(crate) async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, options: EngineOptions, stop: CancellationToken) {
    loop {
        once(&*store, clock.now(), options).await;
        tokio::select! { biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// One round of compaction and pruning.
pub async fn once(store: &dyn Store, now: Timestamp, options: EngineOptions) {
    match store.compact((now - CLOSE_AFTER).hour()).await {
        Ok(done) if done.hours > 0 => {
            tracing::debug!(hours = done.hours, blocks = done.blocks, results = done.results, "hours compacted");
        }
        Ok(_) => {}
        Err(e) => tracing::warn!(error = %e, "cannot compact closed hours; will try again"),
    }
    let keep = Keep { now, results: options.keep_results, history: options.keep_history, size_max: options.size_max };
    match store.prune(keep).await {
        Ok(done) if done.blocks + done.history > 0 => {
            tracing::debug!(blocks = done.blocks, history = done.history, "old history dropped");
        }
        Ok(_) => {}
        Err(e) => tracing::warn!(error = %e, "cannot drop old history; will try again"),
    }
}
