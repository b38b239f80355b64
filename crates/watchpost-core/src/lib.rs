//! The pure core of Watchpost: what to check when, what an observation means, and what follows from it.
//!
//! Nothing here reads a clock, draws a random number or does I/O: time comes in as an argument, ids and phases are
//! derived. Reading order is file order:
//!
//! 1. [`time`], [`monitor`], [`spec`], [`expect`]: what is watched, and what is expected of it;
//! 2. [`schedule`]: when it is due, its pace while failing, and which ticks were missed;
//! 3. [`observe`], [`reason`], [`judge`]: what a check saw, and the verdict on it;
//! 4. [`state`], [`evaluate`], [`backfill`]: the state machine, one event at a time, and late results;
//! 5. [`result`], [`incident`], [`uptime`], [`plan`]: what is kept, counted and compared;
//! 6. [`ports`]: the seams to the shell.

pub mod time;

pub mod expect;
pub mod monitor;
pub mod spec;

pub mod schedule;

pub mod judge;
pub mod observe;
pub mod reason;

pub mod backfill;
pub mod evaluate;
pub mod state;

pub mod incident;
pub mod plan;
pub mod result;
pub mod uptime;

pub mod ports;

#[cfg(test)]
mod fixture;

pub use evaluate::{Change, Event, Step, evaluate};
pub use expect::Expect;
pub use incident::{ClosedWhy, Incident, IncidentId};
pub use judge::judge;
pub use monitor::{Definition, Monitor, MonitorId, MonitorKey, Region, Secret};
pub use observe::Observation;
pub use reason::{Fault, FaultCode, Reason, ReasonCode, Stage, Verdict};
pub use result::CheckResult;
pub use spec::{Kind, Spec};
pub use state::{Phase, Shown, State};
pub use time::Timestamp;
