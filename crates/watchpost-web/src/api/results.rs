//! Results.

use axum::extract::State;
use axum::response::Response;
use watchpost_core::{MonitorKey, Timestamp};
use watchpost_store::{ResultCursor, ResultQuery, VerdictKind};
use watchpost_wire::api;
use watchpost_wire::api::Verdict;

use super::{Shared, by_key, document, filtered, find};
use crate::params::{Id, Query, write_cursor};
use crate::problem::Problem;

/// The kind of this list's cursors: tick and monitor of the last result given.
const CURSOR: char = 'r';

/// Results of one monitor, newest first.
#[utoipa::path(
    get, path = "/api/v1/monitors/{id}/results", operation_id = "listMonitorResults", tag = "results",
    params(
        ("id" = String, Path, description = "The monitor's id, percent-encoded."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "Rows on a page; 100 by default."),
        ("before" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses(
        (status = 200, description = "A page of results.", body = api::Page<api::CheckResult>),
        (status = 404, description = "No such monitor.", body = api::Problem, content_type = "application/problem+json"),
        (status = 422, description = "A parameter cannot be understood.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn of_monitor(State(app): Shared, Id(id): Id, query: Query) -> Result<Response, Problem> {
    let (limit, after) = (query.limit()?, after(&query, "before")?);
    let monitor = find(&app, &id).await?.monitor;
    let page = app
        .web
        .views
        .results(ResultQuery { monitor: Some(monitor.key), after, limit, ..ResultQuery::default() })
        .await?;
    let items: Vec<_> = page.items.iter().map(|result| api::CheckResult::of(&monitor, result)).collect();
    document(api::Page { items, next: page.next.map(cursor) }).await
}

/// Results of all monitors that there are, newest first.
#[utoipa::path(
    get, path = "/api/v1/results", operation_id = "listResults", tag = "results",
    params(
        ("monitor" = Option<String>, Query, description = "Only of this monitor."),
        ("verdict" = Option<String>, Query, description = "Only these verdicts, with commas between: `pass`, `degraded`, `fail`, `inconclusive`."),
        ("from" = Option<String>, Query, description = "Due at or after this time."),
        ("to" = Option<String>, Query, description = "Due before this time."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "Rows on a page; 100 by default."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses(
        (status = 200, description = "A page of results, each naming its monitor.", body = api::Page<api::CheckResult>),
        (status = 422, description = "A parameter cannot be understood.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn all(State(app): Shared, query: Query) -> Result<Response, Problem> {
    let asked = ResultQuery {
        monitor: filtered(&app, &query).await?,
        verdicts: verdicts(&query)?,
        from: query.time("from")?,
        to: query.time("to")?,
        after: after(&query, "cursor")?,
        limit: query.limit()?,
    };
    let monitors = by_key(&app).await?;
    let page = app.web.views.results(asked).await?;
    let show = |result: &watchpost_core::CheckResult| {
        let monitor = monitors.get(&result.tick.monitor)?;
        Some(api::CheckResult::of(monitor, result).with_monitor(&monitor.id))
    };
    let items: Vec<_> = page.items.iter().filter_map(show).collect();
    document(api::Page { items, next: page.next.map(cursor) }).await
}

fn verdicts(query: &Query) -> Result<Vec<VerdictKind>, Problem> {
    const KNOWN: [(Verdict, VerdictKind); 4] = [
        (Verdict::Pass, VerdictKind::Pass),
        (Verdict::Degraded, VerdictKind::Degraded),
        (Verdict::Fail, VerdictKind::Fail),
        (Verdict::Inconclusive, VerdictKind::Inconclusive),
    ];
    let words = query.all("verdict").flat_map(|value| value.split(',')).map(str::trim).filter(|w| !w.is_empty());
    let mut wanted = Vec::new();
    for word in words {
        let known = KNOWN.iter().find(|(verdict, _)| verdict.as_str() == word);
        let (_, kind) = known.ok_or_else(|| {
            Problem::parameter(
                "verdict",
                format!("`{word}` is no verdict; there are pass, degraded, fail and inconclusive"),
            )
        })?;
        wanted.push(*kind);
    }
    Ok(wanted)
}

fn after(query: &Query, name: &'static str) -> Result<Option<ResultCursor>, Problem> {
    let Some([at, key]) = query.cursor::<2>(name, CURSOR)? else { return Ok(None) };
    Ok(Some(ResultCursor {
        scheduled_at: Timestamp::from_millis(at),
        monitor: MonitorKey(u32::try_from(key).unwrap_or(u32::MAX)),
    }))
}

fn cursor(cursor: ResultCursor) -> String {
    write_cursor(CURSOR, &[cursor.scheduled_at.as_millis(), i64::from(cursor.monitor.0)])
}
