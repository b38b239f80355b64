//! The overview: one small row per monitor, for pages with 10,000 of them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ArrayItems, Schema};
use utoipa::{PartialSchema, ToSchema};
use watchpost_core::{Definition, Shown};

use super::monitor::{interval_s, number};
use super::{Failing, Reason, State, Time, VerdictLetter};

/// All monitors in their order, small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// When it was put together.
    pub at: Time,
    /// Where to open the live stream so that nothing is missed.
    pub cursor: String,
    /// Monitors by state.
    pub counts: Counts,
    /// All monitors, in the order of the file.
    pub items: Vec<OverviewItem>,
}

/// Monitors by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Up.
    pub up: u64,
    /// Degraded.
    pub degraded: u64,
    /// Down.
    pub down: u64,
    /// Unknown.
    pub unknown: u64,
    /// Paused.
    pub paused: u64,
    /// In maintenance.
    pub maintenance: u64,
}

impl Counts {
    /// Counts one monitor.
    pub fn add(&mut self, shown: Shown) {
        *match shown {
            Shown::Up => &mut self.up,
            Shown::Degraded => &mut self.degraded,
            Shown::Down => &mut self.down,
            Shown::Unknown => &mut self.unknown,
            Shown::Paused => &mut self.paused,
            Shown::Maintenance => &mut self.maintenance,
        } += 1;
    }
}

/// One monitor in the overview.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OverviewItem {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The group it is listed in.
    #[schema(required)]
    pub group: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// Its kind.
    #[schema(value_type = String)]
    pub kind: Cow<'static, str>,
    /// What is checked.
    pub target: String,
    /// What people see.
    pub state: State,
    /// Since when.
    pub since: Time,
    /// False: paused.
    pub active: bool,
    /// Seconds between checks; `null` for a cron schedule.
    #[serde(serialize_with = "number")]
    #[schema(required)]
    pub interval_s: Option<f64>,
    /// Why it is what it is.
    #[schema(required)]
    pub reason: Option<Reason>,
    /// Set while the state stays though it fails.
    #[schema(required)]
    pub failing: Option<Failing>,
    /// Total time of the newest result, microseconds.
    #[schema(required)]
    pub latency_us: Option<u32>,
    /// Availability of the last 24 hours, a fraction.
    #[schema(required)]
    pub uptime_24h: Option<f64>,
    /// The newest results, oldest first.
    pub recent: Vec<Slot>,
}

impl OverviewItem {
    /// A monitor's row. `recent` is oldest first.
    #[must_use]
    pub fn of(
        definition: &Definition,
        state: &watchpost_core::State,
        last: Option<&watchpost_core::CheckResult>,
        recent: &[watchpost_core::CheckResult],
        uptime_24h: Option<f64>,
    ) -> OverviewItem {
        OverviewItem {
            id: definition.id.as_str().to_owned(),
            name: definition.name.clone(),
            group: definition.group.clone(),
            tags: definition.tags.clone(),
            kind: Cow::Borrowed(definition.kind().as_str()),
            target: definition.spec.target(),
            state: state.shown().into(),
            since: state.since().into(),
            active: definition.active,
            interval_s: interval_s(&definition.schedule),
            reason: state.cause().map(Reason::from),
            failing: state.failing(definition).map(Failing::from),
            latency_us: last.and_then(|last| last.timings.total),
            uptime_24h,
            recent: recent.iter().map(Slot::of).collect(),
        }
    }
}

/// One past result: `[scheduled_at_ms, verdict letter, total_us, reason code]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot(
    /// The tick it was due at, milliseconds since 1970 UTC.
    pub i64,
    /// The verdict.
    pub VerdictLetter,
    /// Total time, microseconds.
    pub Option<u32>,
    /// Reason code.
    pub Option<Cow<'static, str>>,
);

impl Slot {
    /// The slot of a result.
    #[must_use]
    pub fn of(result: &watchpost_core::CheckResult) -> Slot {
        Slot(
            result.tick.scheduled_at.as_millis(),
            (&result.verdict).into(),
            result.timings.total,
            Reason::code_of(&result.verdict).map(Cow::Borrowed),
        )
    }
}

impl PartialSchema for Slot {
    fn schema() -> RefOr<Schema> {
        tuple(
            "scheduled_at in milliseconds since 1970 UTC, verdict, total time in microseconds, reason code",
            vec![
                i64::schema().into(),
                VerdictLetter::schema().into(),
                Option::<u32>::schema().into(),
                Option::<String>::schema().into(),
            ],
        )
    }
}

impl ToSchema for Slot {
    fn name() -> Cow<'static, str> {
        "Slot".into()
    }
}

/// The schema of an array of exactly these items.
pub(super) fn tuple(description: &str, items: Vec<TupleItem>) -> RefOr<Schema> {
    let count = items.len();
    ArrayBuilder::new()
        .description(Some(description))
        .items(ArrayItems::False)
        .prefix_items(items.into_iter().map(|item| item.0))
        .min_items(Some(count))
        .max_items(Some(count))
        .into()
}

/// A schema in a tuple: references and plain ones alike.
pub(super) struct TupleItem(Schema);

impl From<RefOr<Schema>> for TupleItem {
    fn from(schema: RefOr<Schema>) -> TupleItem {
        match schema {
            RefOr::T(schema) => TupleItem(schema),
            // The parts of our tuples are plain types; a reference here would only widen the schema.
            RefOr::Ref(_) => TupleItem(Schema::Object(utoipa::openapi::schema::Object::default())),
        }
    }
}
