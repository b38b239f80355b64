//! The standing of the process itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Time;

/// How Watchpost itself is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// The time now.
    pub at: Time,
    /// When it was started.
    pub started_at: Time,
    /// How long ago that is, seconds.
    pub uptime_s: u64,
    /// Accounts are on: somebody must sign in.
    pub accounts: bool,
    /// The addresses listened on.
    pub listen: Vec<String>,
    /// All of them are loopback addresses.
    pub loopback_only: bool,
    /// The configuration.
    pub config: ConfigStanding,
    /// The engine.
    pub engine: EngineStanding,
}

/// The configuration in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigStanding {
    /// Where it was read; `null` when there is none.
    #[schema(required)]
    pub source: Option<String>,
    /// When it was last taken over.
    #[schema(required)]
    pub loaded_at: Option<Time>,
    /// Counts the configurations taken over since the start, from 1.
    pub generation: u64,
    /// Set while the file holds something that was refused: the configuration before it stays in use.
    #[schema(required)]
    pub error: Option<ConfigError>,
}

/// Why a configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigError {
    /// When it was read.
    pub at: Time,
    /// What is wrong, with file, line and column.
    pub text: String,
}

/// The engine's figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EngineStanding {
    /// Monitors known.
    pub monitors: u64,
    /// Of them not paused.
    pub active: u64,
    /// Checks running.
    pub in_flight: u64,
    /// Checks due that wait for a place.
    pub waiting: u64,
    /// Results that are not durable yet.
    pub results_queued: u64,
    /// How long the last commit took, milliseconds.
    pub commit_lag_ms: u64,
    /// Lateness of check starts over the last minute, 99th percentile, milliseconds.
    pub lateness_p99_ms: u64,
    /// Checks ended since the start.
    pub checks_total: u64,
    /// Results that could not be kept since the start.
    pub results_dropped_total: u64,
    /// `ok`, or `failing: ` and why.
    pub store: String,
}
