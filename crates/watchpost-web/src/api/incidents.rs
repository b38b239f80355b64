//! Incidents.

use axum::extract::State;
use axum::response::Response;
use watchpost_core::{Incident, IncidentId, Timestamp};
use watchpost_store::IncidentQuery;
use watchpost_wire::api;

use super::{Shared, by_key, document, filtered};
use crate::params::{Query, write_cursor};
use crate::problem::Problem;

/// The kind of this list's cursors: opening time and id of the last incident given.
const CURSOR: char = 'i';

/// Incidents of all monitors that there are, newest first.
#[utoipa::path(
    get, path = "/api/v1/incidents", operation_id = "listIncidents", tag = "incidents",
    params(
        ("monitor" = Option<String>, Query, description = "Only of this monitor."),
        ("open" = Option<bool>, Query, description = "Only open ones, or only closed ones."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "Rows on a page; 100 by default."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses(
        (status = 200, description = "A page of incidents.", body = api::Page<api::Incident>),
        (status = 422, description = "A parameter cannot be understood.", body = api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(State(app): Shared, query: Query) -> Result<Response, Problem> {
    let after = query.cursor::<2>("cursor", CURSOR)?;
    let asked = IncidentQuery {
        monitor: filtered(&app, &query).await?,
        open: query.flag("open")?,
        after: after.map(|[at, id]| {
            (Timestamp::from_millis(at), IncidentId::from_number(u64::try_from(id).unwrap_or_default()))
        }),
        limit: query.limit()?,
    };
    let monitors = by_key(&app).await?;
    let page = app.web.views.incidents(asked).await?;
    let next = page.items.last().filter(|_| page.more).map(cursor);
    let now = app.web.clock.now();
    let show = |incident: &Incident| {
        let monitor = monitors.get(&incident.monitor)?;
        Some(api::Incident::of(&monitor.id, incident, now))
    };
    let items: Vec<_> = page.items.iter().filter_map(show).collect();
    document(api::Page { items, next }).await
}

fn cursor(last: &Incident) -> String {
    // Ids have at most 53 bits.
    write_cursor(CURSOR, &[last.opened_at.as_millis(), i64::try_from(last.id.number()).unwrap_or(i64::MAX)])
}
