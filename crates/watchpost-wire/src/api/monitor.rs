//! A monitor, its uptime, and the answer to a check.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;
use watchpost_core::monitor::Source;
use watchpost_core::schedule::Schedule;
use watchpost_core::uptime::{Interval, account};
use watchpost_core::{Definition, Shown, Timestamp};

use super::{CheckResult, Failing, Reason, State, Time};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How far back state intervals are needed for [`Uptime::of`].
pub const UPTIME_LONGEST: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Up time by known time, a fraction; `null` when nothing is known of the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Uptime {
    /// Of the last 24 hours.
    #[serde(rename = "24h")]
    #[schema(required)]
    pub day: Option<f64>,
    /// Of the last 7 days.
    #[serde(rename = "7d")]
    #[schema(required)]
    pub week: Option<f64>,
    /// Of the last 30 days.
    #[serde(rename = "30d")]
    #[schema(required)]
    pub month: Option<f64>,
    /// Of the last 90 days.
    #[serde(rename = "90d")]
    #[schema(required)]
    pub quarter: Option<f64>,
}

impl Uptime {
    /// Accounts for the ranges that end at `now`. `intervals` are those that touch the last [`UPTIME_LONGEST`], in order.
    #[must_use]
    pub fn of(intervals: &[Interval], now: Timestamp) -> Uptime {
        let ratio = |range| account(intervals, now - range, now).availability();
        Uptime { day: ratio(DAY), week: ratio(DAY * 7), month: ratio(DAY * 30), quarter: ratio(UPTIME_LONGEST) }
    }
}

/// Where a monitor of a file is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilePlace {
    /// The file's path as given.
    pub path: String,
    /// The line its entry begins on, counted from 1.
    pub line: u32,
}

/// A monitor with its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Monitor {
    /// The name that scripts use: any text, percent-encoded in paths.
    pub id: String,
    /// The name shown.
    pub name: String,
    /// The group it is listed in.
    #[schema(required)]
    pub group: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// `http`, `tcp`, `tls`, `udp`, `icmp`, `dns`.
    #[schema(value_type = String)]
    pub kind: Cow<'static, str>,
    /// What is checked, as written; passwords masked.
    pub target: String,
    /// `file`: locked, to be changed where `file` says. `api`: made in the page or the API.
    #[schema(value_type = String)]
    pub source: Cow<'static, str>,
    /// Where it is written, for monitors of a file.
    #[schema(required)]
    pub file: Option<FilePlace>,
    /// False: paused.
    pub active: bool,
    /// Where its pings go, for heartbeats.
    #[schema(required)]
    pub ping_url: Option<String>,
    /// Seconds between checks; `null` for a cron schedule.
    #[serde(serialize_with = "number")]
    #[schema(required)]
    pub interval_s: Option<f64>,
    /// What people see.
    pub state: State,
    /// Since when.
    pub since: Time,
    /// Why it is what it is; `null` while all is well or nothing is known.
    #[schema(required)]
    pub reason: Option<Reason>,
    /// Set while the state stays though it fails.
    #[schema(required)]
    pub failing: Option<Failing>,
    /// The newest result.
    #[schema(required)]
    pub last_result: Option<CheckResult>,
    /// Availability.
    pub uptime: Uptime,
}

impl Monitor {
    /// A monitor as it is shown.
    #[must_use]
    pub fn of(
        definition: &Definition,
        state: &watchpost_core::State,
        last: Option<&watchpost_core::CheckResult>,
        uptime: Uptime,
    ) -> Monitor {
        let (source, file) = match &definition.source {
            Source::File { path, line } => ("file", Some(FilePlace { path: path.to_string(), line: *line })),
            Source::Api => ("api", None),
        };
        Monitor {
            id: definition.id.as_str().to_owned(),
            name: definition.name.clone(),
            group: definition.group.clone(),
            tags: definition.tags.clone(),
            kind: Cow::Borrowed(definition.kind().as_str()),
            target: definition.spec.target(),
            source: Cow::Borrowed(source),
            file,
            active: definition.active,
            ping_url: None,
            interval_s: interval_s(&definition.schedule),
            state: state.shown().into(),
            since: state.since().into(),
            reason: state.cause().map(Reason::from),
            failing: state.failing(definition).map(Failing::from),
            last_result: last.map(|last| CheckResult::of(definition, last)),
            uptime,
        }
    }
}

/// Seconds between checks on a grid.
pub(super) fn interval_s(schedule: &Schedule) -> Option<f64> {
    match schedule {
        Schedule::Every(interval) => Some(interval.as_secs_f64()),
        Schedule::Cron(_) => None,
    }
}

/// Writes a number of seconds without a fraction where there is none: `30`, not `30.0`.
pub(super) fn number<S: Serializer>(seconds: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match seconds {
        None => serializer.serialize_none(),
        Some(seconds) => {
            let duration = Duration::try_from_secs_f64(*seconds).unwrap_or(Duration::MAX);
            match duration.subsec_nanos() {
                0 => serializer.serialize_u64(duration.as_secs()),
                _ => serializer.serialize_f64(*seconds),
            }
        }
    }
}

/// Which monitor was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckedMonitor {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    #[schema(value_type = String)]
    pub kind: Cow<'static, str>,
}

/// The answer to a check: of the API, of `check --json`, and a line of `run-once --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckOutput {
    /// Which monitor.
    pub monitor: CheckedMonitor,
    /// Its state after the check.
    pub state: State,
    /// The result.
    pub result: CheckResult,
}

impl CheckOutput {
    /// The document of a check.
    #[must_use]
    pub fn of(definition: &Definition, state: Shown, result: &watchpost_core::CheckResult) -> CheckOutput {
        CheckOutput {
            monitor: CheckedMonitor {
                id: definition.id.as_str().to_owned(),
                name: definition.name.clone(),
                kind: Cow::Borrowed(definition.kind().as_str()),
            },
            state: state.into(),
            result: CheckResult::of(definition, result),
        }
    }
}
