//! The asynchronous shell around the core, data going one way:
//!
//! ```text
//! timetable --tick--> run --arrival--> recorder --batch--> store, then --news--> publish port
//! ```
//!
//! * [`timetable`] (what is due), [`recorder`] (evaluate and collect) and [`wakes`] (deadlines) have no I/O; the
//!   simulation drives them as the engine does.
//! * [`drive`] is the one task that owns the three and moves data between them; [`run`] carries one check; [`retain`]
//!   compacts and prunes; [`supervise`] owns the tasks; [`once`] runs every monitor once, for cron.
//!
//! Invariants: checks never wait for the store; one check is in flight per monitor; every tick ends as a result or as
//! part of a recorded run of missed ones; what is published is durable.

pub mod clock;
pub mod drive;
pub mod engine;
pub mod late;
pub mod lateness;
pub mod once;
mod persist;
mod pulse;
pub mod recorder;
pub mod retain;
pub mod run;
pub mod supervise;
pub mod timetable;
pub mod wakes;

pub use clock::SystemClock;
pub use engine::{ApplyError, Engine, EngineOptions, Parts};
