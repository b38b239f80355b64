//! The fault plan: what goes wrong when, drawn from the seed before the world begins.

use crate::rng::Rng;

/// Something that goes wrong, or that somebody does. Spans are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The process dies; what was not committed is lost. It comes back after this span.
    Crash(i64),
    /// The process is suspended for this span.
    Suspend(i64),
    /// The wall clock steps, back when negative.
    Step(i64),
    /// The store takes no writes for this span.
    StoreFails(i64),
    /// The store takes its time for this span.
    StoreSlow(i64),
    /// Results are delivered late, twice, out of order, or not at all for this span.
    Unruly(i64),
    /// Somebody wants a monitor checked out of turn.
    CheckNow,
    /// Somebody edits the configuration.
    Edit(Edit),
}

/// What somebody edits; which monitor it is about is drawn when it happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Another id and name, the same target.
    #[default]
    Rename,
    /// Other thresholds.
    Thresholds,
    /// Another interval or pace.
    Pace,
    /// Another target of the same kind.
    Target,
    /// Switched off, or on again.
    Switch,
    /// Another kind of check.
    Rekind,
    /// Taken out.
    Remove,
    /// A monitor that was taken out comes back, or a new one comes.
    Add,
}

/// Draws the plan for a world of this length: pairs of (milliseconds since the beginning, trouble), in order.
#[must_use]
pub(crate) fn plan(seed: u64, length: i64) -> Vec<(i64, Trouble)> {
    let mut rng = Rng::new(seed, 1);
    // In every other world the clock never goes back, so that what is ordered by time is asserted strictly.
    let steady = rng.chance(500);
    let mut plan = Vec::new();
    let mut at = rng.within(5_000, 60_000);
    while at < length {
        let trouble = match draw(&mut rng) {
            Trouble::Step(by) if steady => Trouble::Step(by.abs()),
            other => other,
        };
        plan.push((at, trouble));
        at += match rng.chance(200) {
            true => rng.within(0, 1_500), // trouble seldom comes alone
            false => rng.within(5_000, 120_000),
        };
    }
    plan
}

fn draw(rng: &mut Rng) -> Trouble {
    match rng.within(0, 99) {
        0..=11 => Trouble::Crash(rng.within(0, 90_000)),
        12..=19 => Trouble::Suspend(rng.within(500, 200_000)),
        20..=27 => Trouble::Step(-rng.within(1, 120_000)),
        28..=35 => Trouble::Step(rng.within(1, 120_000)),
        36..=43 => Trouble::StoreFails(rng.within(100, 40_000)),
        44..=49 => Trouble::StoreSlow(rng.within(1_000, 60_000)),
        50..=61 => Trouble::Unruly(rng.within(5_000, 90_000)),
        62..=67 => Trouble::CheckNow,
        _ => {
            let edits = [
                Edit::Rename,
                Edit::Thresholds,
                Edit::Thresholds,
                Edit::Pace,
                Edit::Target,
                Edit::Switch,
                Edit::Switch,
                Edit::Rekind,
                Edit::Remove,
                Edit::Add,
            ];
            Trouble::Edit(rng.pick(&edits))
        }
    }
}
