//! The HTTP face: API, live stream, metrics, health, dashboard.
//!
//! [`router`] makes the pages out of what wiring hands it in [`WebState`]; [`serve`] carries them over TCP. Nothing here
//! knows the engine: results come in through [`LiveHub`], which is a [`watchpost_core::ports::Publish`], and everything
//! else through ports.
//!
//! Reading order: [`WebState`] and the layers around every request, then `api` (a file per resource), `live`, `metrics`,
//! `dashboard`, `serve`.

mod absent;
mod api;
mod app;
mod dashboard;
mod guard;
mod health;
mod live;
mod metrics;
mod params;
mod problem;
mod serve;

pub use app::{BaseUrl, ConfigError, NotABaseUrl, Standing, StandingNow, WebState, router};
pub use live::LiveHub;
pub use serve::{Limits, serve, serve_within};

/// The API's description: OpenAPI 3.1 as pretty JSON. The same for every build of a version.
#[must_use]
pub fn openapi() -> String {
    // A description is plain data; writing it as JSON cannot fail.
    api::description().to_pretty_json().unwrap_or_default()
}
