//! Late results: reads the stretch they fall into, and has the core fill it.

use watchpost_core::backfill::{Backfilled, Late, backfill};
use watchpost_core::{CheckResult, Monitor, Timestamp};
use watchpost_store::{IncidentQuery, PAGE_MAX, ResultQuery, Store, StoreError};

/// What these late results of one monitor change; `None` when they fill nothing that was unknown.
///
/// # Errors
/// When the store cannot be read.
pub async fn fill(
    store: &dyn Store,
    monitor: &Monitor,
    late: &[CheckResult],
) -> Result<Option<Backfilled>, StoreError> {
    let Some(first) = late.iter().map(|r| r.tick.scheduled_at).min() else { return Ok(None) };
    let mut by_key = store.intervals(Some(vec![monitor.key]), Timestamp::from_millis(i64::MIN)).await?;
    let intervals = by_key.remove(&monitor.key).unwrap_or_default();
    let begins = intervals.iter().rev().find(|i| i.from <= first).map_or(first, |i| i.from);
    let mut ticks = stored(store, monitor, begins).await?;
    ticks.extend(late.iter().filter(|r| !r.is_placeholder()).cloned());
    ticks.sort_by_key(|r| r.tick.scheduled_at);
    ticks.dedup_by_key(|r| r.tick.scheduled_at);
    let ticks: Vec<Late> =
        ticks.into_iter().map(|r| Late { scheduled_at: r.tick.scheduled_at, verdict: r.verdict }).collect();
    let query = IncidentQuery { monitor: Some(monitor.key), limit: PAGE_MAX, ..IncidentQuery::default() };
    let known = store.incidents(query).await?.items;
    let filled = backfill(monitor, &intervals, &known, &ticks);
    Ok((filled.intervals != intervals || !filled.incidents.is_empty()).then_some(filled))
}

/// The measured results from `from` on, at most one page: more would not be a gap.
async fn stored(store: &dyn Store, monitor: &Monitor, from: Timestamp) -> Result<Vec<CheckResult>, StoreError> {
    let query = ResultQuery { monitor: Some(monitor.key), from: Some(from), limit: PAGE_MAX, ..ResultQuery::default() };
    let page = store.results(query).await?;
    Ok(page.items.into_iter().filter(|r| !r.is_placeholder()).collect())
}
