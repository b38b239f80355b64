//! The simulated network: targets that behave as the seed has it.
//!
//! What a target does is a function of (seed, target, time), so neither the order of checks nor a crash changes it.

use std::sync::Arc;
use std::time::Duration;

use watchpost_checks::Check;
use watchpost_core::observe::{End, Failure, FailureKind, PingSeen, Timings};
use watchpost_core::ports::{BoxFuture, Clock};
use watchpost_core::{Definition, Fault, FaultCode, Observation, Spec, Stage};

use crate::clock::VirtualClock;
use crate::rng::Rng;

/// A target keeps a mood for so long, milliseconds: long enough for outages of several ticks.
const MOOD: i64 = 45_000;

/// All targets.
#[derive(Debug)]
pub struct Network {
    seed: u64,
    clock: Arc<VirtualClock>,
}

/// How a target behaves for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    Slow,
    Down,
    Flaky,
    Mute,
    /// Not the target: we ourselves cannot tell.
    Blind,
}

impl Network {
    /// A network of this seed.
    #[must_use]
    pub fn new(seed: u64, clock: Arc<VirtualClock>) -> Network {
        Network { seed, clock }
    }

    fn rng(&self, target: u64, time: i64) -> Rng {
        Rng::new(self.seed ^ (target << 32), time.cast_unsigned())
    }

    fn mood(&self, target: u64) -> Mood {
        let mut rng = self.rng(target, self.clock.elapsed().div_euclid(MOOD));
        match rng.within(0, 19) {
            0..=9 => Mood::Well,
            10 => Mood::Slow,
            11..=13 => Mood::Down,
            14..=16 => Mood::Flaky,
            17 => Mood::Mute,
            _ => Mood::Blind,
        }
    }

    /// What a check of this definition sees that begins now.
    #[must_use]
    pub fn observe(&self, definition: &Definition) -> Observation {
        let target = target(&definition.spec);
        let mut rng = self.rng(target, self.clock.elapsed());
        let mood = match self.mood(target) {
            Mood::Flaky if rng.chance(500) => Mood::Down,
            Mood::Flaky => Mood::Well,
            other => other,
        };
        let timeout = i64::try_from(definition.timeout.as_millis()).unwrap_or(i64::MAX);
        let took = match mood {
            Mood::Well | Mood::Flaky => rng.within(1, 80),
            Mood::Slow => rng.within(600, 3_000),
            Mood::Down | Mood::Blind => rng.within(0, 5),
            Mood::Mute => timeout,
        };
        self.seen(definition, mood, took)
    }

    fn seen(&self, definition: &Definition, mood: Mood, took: i64) -> Observation {
        let failed = |kind| End::Failed(Failure { stage: Stage::Connect, kind });
        let end = match mood {
            Mood::Well | Mood::Slow | Mood::Flaky => End::Complete,
            Mood::Down => failed(FailureKind::Refused),
            Mood::Mute => failed(FailureKind::Timeout(definition.timeout)),
            Mood::Blind => End::Fault(Fault::new(FaultCode::OutOfFiles, "out of file handles")),
        };
        let total = u32::try_from(took.saturating_mul(1_000)).ok();
        let received = if end == End::Complete { 1 } else { 0 };
        let ping =
            PingSeen { sent: 1, received, rtt_min_us: total, rtt_avg_us: total, rtt_max_us: total, jitter_us: None };
        Observation {
            timings: Timings { connect: total, total, ..Timings::default() },
            end,
            ping: matches!(definition.spec, Spec::Icmp(_)).then_some(ping),
            ..Observation::begin(self.clock.now())
        }
    }
}

/// Targets are told apart by the digits in their address.
fn target(spec: &Spec) -> u64 {
    spec.target().bytes().filter(u8::is_ascii_digit).fold(0, |n, digit| n * 10 + u64::from(digit - b'0'))
}

impl Check for Network {
    /// Answers at once; whoever simulates lets the time pass that [`Timings::total`] says.
    fn check<'a>(&'a self, definition: &'a Definition) -> BoxFuture<'a, Observation> {
        Box::pin(std::future::ready(self.observe(definition)))
    }
}

/// How long a check took by its own account.
#[must_use]
pub(crate) fn took(seen: &Observation) -> Duration {
    Duration::from_micros(u64::from(seen.timings.total.unwrap_or(0)))
}
