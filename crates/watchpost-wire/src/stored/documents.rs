//! States, reasons and plan documents as JSON texts, each with its version in `v`: readable with any SQLite shell.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use watchpost_core::plan;
use watchpost_core::state::{Blind, Standing};
use watchpost_core::{Fault, FaultCode, IncidentId, Phase, Reason, ReasonCode, Stage, State, Timestamp};

use super::{Result, StoredError, VERSION};

#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

#[derive(Serialize, Deserialize)]
struct Document<T> {
    v: u32,
    #[serde(flatten)]
    body: T,
}

#[derive(Serialize, Deserialize)]
struct StateV1 {
    #[serde(flatten)]
    phase: PhaseV1,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blind: Option<BlindV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_tick: Option<i64>,
    shown_since: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
enum PhaseV1 {
    Unknown,
    Up,
    Degraded { reason: ReasonV1 },
    Failing { since: i64, failures: u32, reason: ReasonV1, before: StandingV1 },
    Down { since: i64, passes: u32, reason: ReasonV1, incident: u64 },
    Paused,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
enum StandingV1 {
    Unknown,
    Up,
    Degraded { reason: ReasonV1 },
}

#[derive(Serialize, Deserialize)]
struct BlindV1 {
    since: i64,
    code: String,
    text: String,
    told: bool,
}

#[derive(Serialize, Deserialize)]
struct ReasonV1 {
    code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    text: String,
}

#[derive(Deserialize)]
struct PlanDocumentV1<'a> {
    #[serde(borrow)]
    document: &'a RawValue,
}

/// A state as text.
#[must_use]
pub fn state_to_text(state: &State) -> String {
    write(StateV1 {
        phase: phase_out(&state.phase),
        blind: state.blind.as_ref().map(|b| BlindV1 {
            since: b.since.as_millis(),
            code: b.fault.code.as_str().to_owned(),
            text: b.fault.text.to_string(),
            told: b.told,
        }),
        last_tick: state.last_tick.map(Timestamp::as_millis),
        shown_since: state.shown_since.as_millis(),
    })
}

/// Reads what [`state_to_text`] wrote.
///
/// # Errors
/// When a newer version wrote it, or when it is not what was written.
pub fn state_from_text(text: &str) -> Result<State> {
    let stored: StateV1 = read("state", text)?;
    let blind = match stored.blind {
        None => None,
        Some(b) => Some(Blind {
            since: Timestamp::from_millis(b.since),
            fault: Fault::new(known("state", "fault code", FaultCode::from_word(&b.code))?, b.text),
            told: b.told,
        }),
    };
    Ok(State {
        phase: phase_in(stored.phase)?,
        blind,
        last_tick: stored.last_tick.map(Timestamp::from_millis),
        shown_since: Timestamp::from_millis(stored.shown_since),
    })
}

/// A reason as text.
#[must_use]
pub fn reason_to_text(reason: &Reason) -> String {
    write(reason_out(reason))
}

/// Reads what [`reason_to_text`] wrote.
///
/// # Errors
/// When a newer version wrote it, or when it is not what was written.
pub fn reason_from_text(text: &str) -> Result<Reason> {
    reason_in(read("reason", text)?)
}

/// A monitor's document, as plans compare it, as text.
#[must_use]
pub fn document_to_text(document: &plan::Document) -> String {
    format!(r#"{{"v":{VERSION},"document":{}}}"#, document.as_text())
}

/// Reads what [`document_to_text`] wrote.
///
/// # Errors
/// When a newer version wrote it, or when it is not what was written.
pub fn document_from_text(text: &str) -> Result<plan::Document> {
    let what = "document";
    readable(what, text)?;
    let read: PlanDocumentV1<'_> = serde_json::from_str(text).map_err(|e| damaged(what, &e))?;
    Ok(plan::Document::from_text(read.document.get()))
}

fn write<T: Serialize>(body: T) -> String {
    // Cannot fail: texts, numbers and maps with text keys only. An empty text would be reported when read.
    serde_json::to_string(&Document { v: VERSION, body }).unwrap_or_default()
}

fn read<T: for<'de> Deserialize<'de>>(what: &'static str, text: &str) -> Result<T> {
    readable(what, text)?;
    serde_json::from_str::<Document<T>>(text).map(|d| d.body).map_err(|e| damaged(what, &e))
}

/// Whether this version knows the text's.
fn readable(what: &'static str, text: &str) -> Result<()> {
    let Versioned { v: found } = serde_json::from_str(text).map_err(|e| damaged(what, &e))?;
    if found > VERSION {
        return Err(StoredError::Newer { what, found });
    }
    Ok(())
}

fn damaged(what: &'static str, error: &serde_json::Error) -> StoredError {
    StoredError::Damaged { what, why: error.to_string() }
}

fn known<T>(what: &'static str, word: &str, found: Option<T>) -> Result<T> {
    found.ok_or_else(|| StoredError::Damaged { what, why: format!("unknown {word}") })
}

fn reason_out(reason: &Reason) -> ReasonV1 {
    ReasonV1 {
        code: reason.code.as_str().to_owned(),
        stage: reason.stage.map(|s| s.as_str().to_owned()),
        text: reason.text.to_string(),
    }
}

fn reason_in(stored: ReasonV1) -> Result<Reason> {
    let code = known("reason", "code", ReasonCode::from_word(&stored.code))?;
    let stage = match stored.stage {
        None => None,
        Some(word) => Some(known("reason", "stage", Stage::from_word(&word))?),
    };
    Ok(Reason::new(code, stage, stored.text))
}

fn phase_out(phase: &Phase) -> PhaseV1 {
    match phase {
        Phase::Unknown => PhaseV1::Unknown,
        Phase::Up => PhaseV1::Up,
        Phase::Degraded { reason } => PhaseV1::Degraded { reason: reason_out(reason) },
        Phase::Failing { since, failures, reason, before } => PhaseV1::Failing {
            since: since.as_millis(),
            failures: *failures,
            reason: reason_out(reason),
            before: match before {
                Standing::Unknown => StandingV1::Unknown,
                Standing::Up => StandingV1::Up,
                Standing::Degraded { reason } => StandingV1::Degraded { reason: reason_out(reason) },
            },
        },
        Phase::Down { since, passes, reason, incident } => PhaseV1::Down {
            since: since.as_millis(),
            passes: *passes,
            reason: reason_out(reason),
            incident: incident.number(),
        },
        Phase::Paused => PhaseV1::Paused,
    }
}

fn phase_in(stored: PhaseV1) -> Result<Phase> {
    Ok(match stored {
        PhaseV1::Unknown => Phase::Unknown,
        PhaseV1::Up => Phase::Up,
        PhaseV1::Degraded { reason } => Phase::Degraded { reason: reason_in(reason)? },
        PhaseV1::Failing { since, failures, reason, before } => Phase::Failing {
            since: Timestamp::from_millis(since),
            failures,
            reason: reason_in(reason)?,
            before: match before {
                StandingV1::Unknown => Standing::Unknown,
                StandingV1::Up => Standing::Up,
                StandingV1::Degraded { reason } => Standing::Degraded { reason: reason_in(reason)? },
            },
        },
        PhaseV1::Down { since, passes, reason, incident } => Phase::Down {
            since: Timestamp::from_millis(since),
            passes,
            reason: reason_in(reason)?,
            incident: IncidentId::from_number(incident),
        },
        PhaseV1::Paused => Phase::Paused,
    })
}
