//! A seeded virtual world that asserts the invariants.
//!
//! One process of Watchpost is simulated: its timetable, recorder and wakes, which have no I/O, between a virtual clock,
//! a simulated network and the memory store. From the seed come the configuration, the targets' moods and a fault plan:
//! crashes, suspensions, clock steps, a store that fails or is slow, results that come late, twice, out of order or
//! never, and edits. After every step independent second opinions ([`Violation`] says which was contradicted) are asked:
//!
//! * the states are what plain counters make of the same events; replays change nothing;
//! * the right ticks start at the right time, and those that do not are recorded as missed, once;
//! * wakes come in time and do not spin;
//! * what was committed is in the store, and nothing else, before and after each crash;
//! * outages alternate with recoveries, never overlap, and have `fail_after` failing ticks on record.
//!
//! The same seed gives the same trace, byte by byte.

mod catalog;
mod clock;
mod durable;
mod faults;
mod ledger;
mod model;
mod network;
mod oracle;
mod process;
mod punctual;
mod rng;
mod world;

use std::fmt;

pub use clock::VirtualClock;
pub use network::Network;
pub use rng::Rng;
pub use world::run;

/// Events kept for a violation's report.
const LAST_EVENTS: usize = 40;

/// How a world is made.
#[derive(Clone, Copy, Debug)]
pub struct WorldOptions {
    /// How long the world goes on, in milliseconds of its own time.
    pub length_ms: i64,
    /// A mistake to be made on purpose, to see that it is found.
    pub bug: Option<Bug>,
}

impl Default for WorldOptions {
    /// Half an hour, without mistakes.
    fn default() -> WorldOptions {
        WorldOptions { length_ms: 1_800_000, bug: None }
    }
}

/// Mistakes that can be made on purpose. Each must be found within 200 seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A result that is delivered twice counts twice.
    ReplayCounts,
    /// What we could not tell counts as a failure.
    FaultsFail,
    /// A state is committed without the result that made it.
    StateWithoutResult,
    /// A result is committed without the state it made.
    ResultWithoutState,
    /// A batch that the store refused is dropped.
    DropsRefused,
    /// Ticks that were missed are not recorded.
    ForgetsMissed,
    /// A clock that is set back goes unnoticed.
    SkipsSetBack,
    /// A deadline that was answered is set again.
    WakesAgain,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 8] = [
        Bug::ReplayCounts,
        Bug::FaultsFail,
        Bug::StateWithoutResult,
        Bug::ResultWithoutState,
        Bug::DropsRefused,
        Bug::ForgetsMissed,
        Bug::SkipsSetBack,
        Bug::WakesAgain,
    ];
}

/// What happened in a world: one line per event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The lines, oldest first, each beginning with the milliseconds since the world began.
    pub lines: Vec<String>,
    /// Results that counted.
    pub results: u64,
    /// Incidents opened.
    pub incidents: u64,
}

/// An invariant that did not hold.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Violation {
    /// The world's seed.
    pub seed: u64,
    /// The step, counted from 1.
    pub step: u64,
    /// What did not hold.
    pub what: String,
    /// The last events before it.
    pub last: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} step {}: {}", self.seed, self.step, self.what)?;
        self.last.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// What a soak did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Worlds run.
    pub worlds: u64,
    /// Results that counted in them.
    pub results: u64,
    /// Incidents opened in them.
    pub incidents: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} worlds, {} results, {} incidents: every invariant held",
            self.worlds, self.results, self.incidents
        )
    }
}

/// Runs the worlds of the seeds that once failed, then those of `count` seeds from `from_seed` on.
///
/// # Errors
/// With the first [`Violation`].
pub fn soak(from_seed: u64, count: u64) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let seeds = from_seed..from_seed.saturating_add(count);
    for seed in once_failed().chain(seeds) {
        let trace = run(seed, &WorldOptions::default())?;
        report.worlds += 1;
        report.results += trace.results;
        report.incidents += trace.incidents;
    }
    Ok(report)
}

/// The seeds of `seeds.txt`.
pub fn once_failed() -> impl Iterator<Item = u64> {
    let lines = include_str!("../seeds.txt").lines();
    lines.filter_map(|line| line.split_whitespace().next().and_then(|seed| seed.parse().ok()))
}

#[cfg(test)]
mod tests;
