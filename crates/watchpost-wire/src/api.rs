//! The API's documents, version 1: what `/api/v1`, the live stream and `--json` print.
//!
//! Every key is always present and `null` where nothing is known. Times are RFC 3339 in UTC with milliseconds unless a
//! name ends in `_ms` or `_us`. Keys are added within a version, none is renamed or removed; readers ignore keys they do
//! not know. Conversions go one way, from the core's types; the documents can also be read back, for our own commands
//! that ask a running server.

mod monitor;
mod overview;
mod problem;
mod result;
mod status;
mod stream;
mod time;

#[cfg(test)]
mod tests;

pub use monitor::{CheckOutput, CheckedMonitor, FilePlace, Monitor, UPTIME_LONGEST, Uptime};
pub use overview::{Counts, Overview, OverviewItem, Slot};
pub use problem::Problem;
pub use result::{
    CheckResult, Failing, Http, Icmp, Incident, Job, Reason, State, TimingsUs, Tls, Verdict, VerdictLetter,
};
pub use status::{ConfigError, ConfigStanding, EngineStanding, Status};
pub use stream::{CompactResult, CompactResults, Hello, Notice, ResultEvent};
pub use time::Time;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The rows, in the list's order.
    pub items: Vec<T>,
    /// Where the next page begins: opaque, to be sent back as it is. `null` on the last page.
    #[schema(required)]
    pub next: Option<String>,
}
