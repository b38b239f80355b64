//! The live stream's events.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};
use watchpost_core::Definition;

use super::overview::tuple;
use super::{CheckResult, Failing, Reason, State, Time, VerdictLetter};

/// `event: hello`: the first event, and again when a reader was too slow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hello {
    /// The time now.
    pub at: Time,
    /// Where the stream goes on from.
    pub cursor: String,
    /// False: something was missed, so the overview must be fetched again.
    pub resumed: bool,
}

/// `event: monitors` and `event: status`: something else changed and is to be fetched again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// When.
    pub at: Time,
}

/// `event: result`: a result that is durable now, and what it made of its monitor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResultEvent {
    /// Whose.
    pub monitor: String,
    /// The state after it.
    pub state: State,
    /// Since when.
    pub since: Time,
    /// Why.
    #[schema(required)]
    pub reason: Option<Reason>,
    /// Set while the state stays though it fails.
    #[schema(required)]
    pub failing: Option<Failing>,
    /// The result.
    pub result: CheckResult,
}

impl ResultEvent {
    /// The event of a result.
    #[must_use]
    pub fn of(
        definition: &Definition,
        state: &watchpost_core::State,
        result: &watchpost_core::CheckResult,
    ) -> ResultEvent {
        ResultEvent {
            monitor: definition.id.as_str().to_owned(),
            state: state.shown().into(),
            since: state.since().into(),
            reason: state.cause().map(Reason::from),
            failing: state.failing(definition).map(Failing::from),
            result: CheckResult::of(definition, result),
        }
    }
}

/// `event: results` of the compact view: a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CompactResults {
    /// The results in the order they became durable.
    pub r: Vec<CompactResult>,
}

/// `[id, scheduled_at_ms, verdict letter, total_us, reason code, state, since_ms]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactResult(
    /// Whose.
    pub String,
    /// The tick it was due at, milliseconds since 1970 UTC.
    pub i64,
    /// The verdict.
    pub VerdictLetter,
    /// Total time, microseconds.
    pub Option<u32>,
    /// Reason code.
    pub Option<Cow<'static, str>>,
    /// The state after it.
    pub State,
    /// Since when, milliseconds since 1970 UTC.
    pub i64,
);

impl CompactResult {
    /// The entry of a result.
    #[must_use]
    pub fn of(
        definition: &Definition,
        state: &watchpost_core::State,
        result: &watchpost_core::CheckResult,
    ) -> CompactResult {
        CompactResult(
            definition.id.as_str().to_owned(),
            result.tick.scheduled_at.as_millis(),
            (&result.verdict).into(),
            result.timings.total,
            Reason::code_of(&result.verdict).map(Cow::Borrowed),
            state.shown().into(),
            state.since().as_millis(),
        )
    }
}

impl PartialSchema for CompactResult {
    fn schema() -> RefOr<Schema> {
        tuple(
            "id, scheduled_at in milliseconds since 1970 UTC, verdict, total time in microseconds, reason code, state, \
             since in milliseconds since 1970 UTC",
            vec![
                String::schema().into(),
                i64::schema().into(),
                VerdictLetter::schema().into(),
                Option::<u32>::schema().into(),
                Option::<String>::schema().into(),
                State::schema().into(),
                i64::schema().into(),
            ],
        )
    }
}

impl ToSchema for CompactResult {
    fn name() -> Cow<'static, str> {
        "CompactResult".into()
    }
}
