use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::fixture::{monitor, secs, verdict};
use crate::{IncidentId, MonitorKey, Reason, ReasonCode};

/// `0 up | 60 unknown`: intervals by their beginning in seconds.
fn intervals(text: &str) -> Vec<Interval> {
    let one = |part: &str| {
        let (from, shown) = part.trim().split_once(' ').unwrap();
        Interval { from: secs(from.parse().unwrap()), shown: Shown::from_word(shown).unwrap() }
    };
    text.split('|').map(one).collect()
}

/// `60 ok | 120 fail`: late ticks.
fn late(text: &str) -> Vec<Late> {
    let one = |part: &str| {
        let (at, word) = part.trim().split_once(' ').unwrap();
        Late { scheduled_at: secs(at.parse().unwrap()), verdict: verdict(word).unwrap() }
    };
    text.split('|').map(str::trim).filter(|p| !p.is_empty()).map(one).collect()
}

/// Fills and compares: the intervals, and each incident as `since..end`.
fn check(settings: &str, before: &str, ticks: &str, after: &str, incidents: &str) {
    check_beside(&[], (settings, before), ticks, (after, incidents));
}

fn check_beside(known: &[Incident], (settings, before): (&str, &str), ticks: &str, (after, incidents): (&str, &str)) {
    let filled = backfill(&monitor(settings), &intervals(before), known, &late(ticks));
    let shown: Vec<String> =
        filled.intervals.iter().map(|i| format!("{} {}", i.from.as_millis() / 1000, i.shown)).collect();
    assert_eq!(shown.join(" | "), after);
    let outages: Vec<String> = filled
        .incidents
        .iter()
        .map(|i| {
            let (end, why) = i.closed.unwrap();
            format!("{}..{} {}", i.since.as_millis() / 1000, end.as_millis() / 1000, why.as_str())
        })
        .collect();
    assert_eq!(outages.join(" | "), incidents);
}

#[test]
fn an_unknown_stretch_is_filled_with_what_was_seen() {
    check(
        "",
        "0 up | 60 unknown | 300 up",
        "60 ok | 120 fail | 180 fail | 240 ok",
        "0 up | 120 down | 240 up | 300 up",
        "120..240 recovered",
    );
}

#[test]
fn an_outage_that_reaches_the_end_of_the_stretch_ends_there() {
    check(
        "fail_after 2",
        "0 up | 60 unknown | 300 up",
        "60 ok | 120 fail | 180 fail | 240 fail",
        "0 up | 120 down | 300 up",
        "120..300 recovered",
    );
}

#[test]
fn one_late_result_speaks_for_its_own_tick_only() {
    check("", "0 up | 60 unknown | 300 up", "120 ok", "0 up | 60 unknown | 120 up | 180 unknown | 300 up", "");
    // ... so the next one still finds its place.
    check(
        "",
        "0 up | 60 unknown | 120 up | 180 unknown | 300 up",
        "240 fail",
        "0 up | 60 unknown | 120 up | 180 unknown | 240 down | 300 up",
        "240..300 recovered",
    );
}

#[test]
fn late_results_of_a_slower_pace_speak_until_the_next_was_due() {
    check(
        "every 60s, while_down 120s",
        "0 up | 60 unknown | 480 up",
        "60 fail | 180 fail | 300 ok | 360 ok",
        "0 up | 60 down | 300 up | 420 unknown | 480 up",
        "60..300 recovered",
    );
}

#[test]
fn the_newest_interval_belongs_to_the_state_machine() {
    check("", "0 up | 60 unknown", "60 ok | 120 fail", "0 up | 60 unknown", "");
    check("", "0 unknown", "60 fail", "0 unknown", "");
}

#[test]
fn what_is_known_is_not_filled() {
    check("", "0 up | 60 down | 120 paused | 300 up", "60 ok | 180 fail", "0 up | 60 down | 120 paused | 300 up", "");
}

#[test]
fn an_outage_within_a_known_one_has_its_incident_already() {
    let known = |since, closed: Option<i64>| Incident {
        id: IncidentId::from_number(1),
        monitor: MonitorKey(0),
        since: secs(since),
        opened_at: secs(since),
        reason: Reason::new(ReasonCode::Refused, None, "connection refused"),
        closed: closed.map(|at| (secs(at), ClosedWhy::Recovered)),
    };
    let before = ("", "0 up | 60 down | 120 unknown | 300 down");
    let filled = "0 up | 60 down | 180 up | 240 down | 300 down";
    for closed in [None, Some(360)] {
        check_beside(&[known(60, closed)], before, "120 fail | 180 ok | 240 fail", (filled, ""));
    }
    // It was closed for another reason before: this is another outage.
    check_beside(
        &[known(60, Some(120))],
        before,
        "120 ok | 180 ok | 240 fail",
        ("0 up | 60 down | 120 up | 240 down | 300 down", "240..300 recovered"),
    );
}

#[test]
fn too_few_failures_stay_unknown() {
    check("fail_after 3", "0 up | 60 unknown | 300 up", "60 fail | 120 fail", "0 up | 60 unknown | 300 up", "");
}

fn histories() -> impl Strategy<Value = (Vec<Interval>, Vec<Late>)> {
    let interval = (1..10_i64, prop::sample::select(vec![Shown::Unknown, Shown::Up, Shown::Down, Shown::Paused]));
    let tick = (1..5_i64, prop::sample::select(vec!["ok", "slow", "fail", "fault"]));
    (prop::collection::vec(interval, 0..12), prop::collection::vec(tick, 0..30)).prop_map(|(spans, ticks)| {
        let mut at = 0;
        let mut list: Vec<Interval> = Vec::new();
        for (span, shown) in spans {
            if list.last().is_none_or(|last| last.shown != shown) {
                list.push(Interval { from: secs(at * 30), shown });
            }
            at += span;
        }
        let mut at = 0;
        let late = |(span, word): (i64, &str)| {
            at += span;
            Late { scheduled_at: secs(at * 30), verdict: verdict(word).unwrap() }
        };
        (list, ticks.into_iter().map(late).collect())
    })
}

fn shown_at(list: &[Interval], at: Timestamp) -> Option<Shown> {
    list.iter().rfind(|i| i.from <= at).map(|i| i.shown)
}

proptest! {
    #[test]
    fn filling_keeps_what_is_known_and_makes_a_proper_list(
        (before, late) in histories(), fail_after in 1..4u32
    ) {
        let monitor = monitor(&format!("fail_after {fail_after}"));
        let filled = backfill(&monitor, &before, &[], &late);
        prop_assert!(filled.intervals.is_sorted_by(|a, b| a.from < b.from));
        let settled = &filled.intervals[..filled.intervals.len().saturating_sub(1)];
        prop_assert!(settled.windows(2).all(|w| w[0].shown != w[1].shown));
        prop_assert_eq!(filled.intervals.last(), before.last());
        prop_assert_eq!(filled.intervals.first().map(|i| i.from), before.first().map(|i| i.from));
        let newest = before.last().map(|i| i.from);
        for step in 0..4_000 {
            let at = secs(step * 5);
            let (was, is) = (shown_at(&before, at), shown_at(&filled.intervals, at));
            if was != Some(Shown::Unknown) || newest.is_some_and(|newest| newest <= at) {
                prop_assert_eq!(was, is, "at {}", step * 5);
            }
        }
        for incident in &filled.incidents {
            let (end, _) = incident.closed.unwrap();
            prop_assert!(incident.since <= incident.opened_at && incident.opened_at <= end);
            prop_assert_eq!(shown_at(&filled.intervals, incident.since), Some(Shown::Down));
        }
        prop_assert!(filled.incidents.is_sorted_by(|a, b| a.closed.unwrap().0 <= b.since));
        // The same results once more have nothing left to fill.
        let again = backfill(&monitor, &filled.intervals, &filled.incidents, &late);
        prop_assert_eq!(again.intervals, filled.intervals);
        prop_assert_eq!(again.incidents, []);
    }

    #[test]
    fn filling_a_whole_stretch_is_the_same_as_having_been_there(
        words in prop::collection::vec(prop::sample::select(vec!["ok", "slow", "fail", "fault"]), 1..30),
        fail_after in 1..4u32, recover_after in 1..4u32
    ) {
        let monitor = monitor(&format!("fail_after {fail_after}, recover_after {recover_after}"));
        let mut at = secs(0);
        let late: Vec<Late> = words.iter().map(|word| {
            let tick = Late { scheduled_at: at, verdict: verdict(word).unwrap() };
            at = at + Duration::from_secs(60);
            tick
        }).collect();
        let gap = [Interval { from: secs(0), shown: Shown::Unknown }, Interval { from: at, shown: Shown::Paused }];
        let filled = backfill(&monitor, &gap, &[], &late);

        let mut live = vec![gap[0]];
        let mut went_down = 0;
        let mut state = State::fresh(true, secs(0));
        for tick in &late {
            let event = Event::Checked { scheduled_at: tick.scheduled_at, verdict: tick.verdict.clone() };
            let step = evaluate(&monitor, state, &event, tick.scheduled_at);
            for change in &step.changes {
                match change {
                    Change::Shown { to, since, .. } => push(&mut live, Interval { from: *since, shown: *to }),
                    Change::WentDown { .. } => went_down += 1,
                    _ => {}
                }
            }
            state = step.state;
        }
        push(&mut live, gap[1]);
        prop_assert_eq!(filled.intervals, live);
        prop_assert_eq!(filled.incidents.len(), went_down);
    }
}
