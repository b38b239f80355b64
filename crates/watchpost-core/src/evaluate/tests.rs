use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::fixture::{fault, monitor, secs, verdict};
use crate::monitor::MonitorKey;
use crate::reason::FaultCode;
use crate::uptime::Interval;

/// Runs a timeline and compares what is printed of it. Each step is `<seconds> <what>`, where what is a verdict (`ok`,
/// `slow`, `fail`, `fault`), a verdict of another tick (`fail@60`), `missed@60..180x3`, `wake`, `pause`, `resume`,
/// `rekind`, `remove`, `back`. A step that is not applied is printed as ignored.
#[expect(clippy::needless_pass_by_value, reason = "an expect! is written in place")]
fn check(settings: &str, timeline: &str, expected: Expect) {
    let monitor = monitor(settings);
    let mut state = State::fresh(true, secs(0));
    let mut printed = String::new();
    for step in timeline.split('|').map(str::trim) {
        let (at, what) = step.split_once(' ').unwrap();
        let at = secs(at.parse().unwrap());
        let done = match what {
            "remove" => removed(state, at),
            _ => evaluate(&monitor, state, &event(what, at), at),
        };
        if !done.applied {
            writeln!(printed, "{} {what}: ignored", short(at)).unwrap();
        }
        for change in &done.changes {
            writeln!(printed, "{} {}", short(at), show(change)).unwrap();
        }
        assert_eq!(done.wake, done.state.wake(monitor.cannot_tell_after));
        state = done.state;
    }
    expected.assert_eq(&printed);
}

fn event(what: &str, at: Timestamp) -> Event {
    let (word, tick) = what.split_once('@').unwrap_or((what, ""));
    match word {
        "wake" => Event::Woken,
        "pause" => Event::Paused,
        "resume" => Event::Resumed,
        "rekind" => Event::Rekinded,
        "back" => Event::ClockSetBack { to: at },
        "missed" => {
            let (span, count) = tick.split_once('x').unwrap();
            let (first, last) = span.split_once("..").unwrap();
            let time = |text: &str| secs(text.parse().unwrap());
            let missed = Missed { first: time(first), last: time(last), count: count.parse().unwrap() };
            Event::Missed { missed, fault: fault(FaultCode::MissedTick) }
        }
        _ => {
            let scheduled_at = if tick.is_empty() { at } else { secs(tick.parse().unwrap()) };
            Event::Checked { scheduled_at, verdict: verdict(word).unwrap() }
        }
    }
}

fn short(at: Timestamp) -> i64 {
    at.as_millis() / 1000
}

fn show(change: &Change) -> String {
    match change {
        Change::Shown { from, to, since } => format!("{from} -> {to} since {}", short(*since)),
        Change::WentDown { since, at, reason, .. } => {
            format!("WentDown at {} since {}: {}", short(*at), short(*since), reason.code)
        }
        Change::Recovered { at, after, .. } => format!("Recovered at {} after {} s", short(*at), after.as_secs()),
        Change::Closed { at, why, .. } => format!("Closed at {}: {}", short(*at), why.as_str()),
        Change::CannotTell { since, fault } => format!("CannotTell since {}: {}", short(*since), fault.code),
    }
}

#[test]
fn one_failing_tick_is_an_outage_unless_more_are_asked_for() {
    check(
        "",
        "0 ok | 60 fail | 120 ok",
        expect![[r#"
            0 unknown -> up since 0
            60 up -> down since 60
            60 WentDown at 60 since 60: refused
            120 down -> up since 120
            120 Recovered at 120 after 60 s
        "#]],
    );
}

#[test]
fn an_outage_began_with_its_first_failing_tick_and_is_told_with_the_last() {
    check(
        "fail_after 3, recover_after 2",
        "0 ok | 60 fail | 120 fail | 180 fail | 240 fail | 3840 ok | 3900 ok",
        expect![[r#"
            0 unknown -> up since 0
            180 up -> down since 60
            180 WentDown at 180 since 60: refused
            3900 down -> up since 3900
            3900 Recovered at 3900 after 3840 s
        "#]],
    );
}

#[test]
fn a_pass_between_failures_begins_the_count_anew() {
    check(
        "fail_after 2",
        "0 ok | 60 fail | 120 ok | 180 fail | 240 slow | 300 fail | 360 ok",
        expect![[r#"
            0 unknown -> up since 0
            240 up -> degraded since 240
            360 degraded -> up since 360
        "#]],
    );
}

#[test]
fn a_failure_between_passes_begins_the_recovery_anew() {
    check(
        "recover_after 2",
        "0 fail | 60 ok | 120 fail | 180 ok | 240 slow",
        expect![[r#"
            0 unknown -> down since 0
            0 WentDown at 0 since 0: refused
            240 down -> degraded since 240
            240 Recovered at 240 after 240 s
        "#]],
    );
}

#[test]
fn while_failing_before_down_what_is_shown_stays_as_it_was() {
    check(
        "fail_after 3",
        "0 fail | 60 fail | 120 slow | 180 fail | 240 fail | 300 slow | 360 fail | 420 ok",
        expect![[r#"
            120 unknown -> degraded since 120
            420 degraded -> up since 420
        "#]],
    );
}

#[test]
fn a_first_result_that_fails_shows_down_from_its_tick() {
    check(
        "fail_after 2",
        "60 fail | 120 fail",
        expect![[r#"
            120 unknown -> down since 60
            120 WentDown at 120 since 60: refused
        "#]],
    );
}

#[test]
fn what_we_could_not_tell_neither_counts_nor_resets() {
    check(
        "fail_after 2, recover_after 2",
        "0 ok | 60 fail | 120 fault | 180 fail | 240 ok | 300 fault | 360 ok",
        expect![[r#"
            0 unknown -> up since 0
            120 up -> unknown since 120
            180 unknown -> down since 180
            180 WentDown at 180 since 180: refused
            300 down -> unknown since 300
            360 unknown -> up since 360
            360 Recovered at 360 after 180 s
        "#]],
    );
}

#[test]
fn time_in_which_we_could_not_tell_is_never_shown_as_down() {
    // Before the outage is confirmed, also of a monitor of which nothing was known yet...
    check(
        "fail_after 3",
        "0 fail | 60 fault | 120 fail | 180 fail",
        expect![[r#"
            180 unknown -> down since 120
            180 WentDown at 180 since 120: refused
        "#]],
    );
    // ... and in the middle of it: the outage goes on, its blind part stays unknown.
    check(
        "",
        "0 ok | 60 fail | 120 fault | 180 missed@180..240x2 | 300 fail | 360 ok",
        expect![[r#"
            0 unknown -> up since 0
            60 up -> down since 60
            60 WentDown at 60 since 60: refused
            120 down -> unknown since 120
            180 missed@180..240x2: ignored
            300 unknown -> down since 300
            360 down -> up since 360
            360 Recovered at 360 after 300 s
        "#]],
    );
}

#[test]
fn we_say_once_per_spell_that_we_cannot_tell() {
    check(
        "cannot_tell_after 900s",
        "0 ok | 60 fault | 900 wake | 960 wake | 961 wake | 1020 fault | 2000 wake | 2040 ok | 2100 fault | 3000 wake",
        expect![[r#"
            0 unknown -> up since 0
            60 up -> unknown since 60
            900 wake: ignored
            960 CannotTell since 60: out_of_files
            961 wake: ignored
            2000 wake: ignored
            2040 unknown -> up since 2040
            2100 up -> unknown since 2100
            3000 CannotTell since 2100: out_of_files
        "#]],
    );
}

#[test]
fn a_restart_after_a_long_stop_shows_unknown_and_alarms_nobody() {
    check(
        "cannot_tell_after 900s",
        "0 ok | 7200 missed@60..7200x120 | 7200 wake | 7201 ok",
        expect![[r#"
            0 unknown -> up since 0
            7200 up -> unknown since 60
            7200 wake: ignored
            7201 unknown -> up since 7201
        "#]],
    );
    // When we are back and still cannot tell, the spell is as long as it is.
    check(
        "cannot_tell_after 900s",
        "0 ok | 7200 missed@60..7200x120 | 7201 fault | 7202 wake",
        expect![[r#"
            0 unknown -> up since 0
            7200 up -> unknown since 60
            7202 CannotTell since 60: out_of_files
        "#]],
    );
}

#[test]
fn missed_ticks_that_overlap_a_measured_one_leave_it_alone() {
    check(
        "",
        "0 ok | 60 slow | 240 missed@0..240x5 | 300 ok",
        expect![[r#"
            0 unknown -> up since 0
            60 up -> degraded since 60
            240 degraded -> unknown since 120
            300 unknown -> up since 300
        "#]],
    );
    check(
        "",
        "0 ok | 240 ok | 241 missed@60..180x3",
        expect![[r#"
            0 unknown -> up since 0
            241 missed@60..180x3: ignored
        "#]],
    );
}

#[test]
fn a_replay_changes_nothing_and_an_older_tick_is_late() {
    check(
        "fail_after 2",
        "0 ok | 60 fail | 61 fail@60 | 120 ok | 121 fail@60 | 122 fail@90 | 180 fail | 181 fail@180 | 240 fail",
        expect![[r#"
            0 unknown -> up since 0
            61 fail@60: ignored
            121 fail@60: ignored
            122 fail@90: ignored
            181 fail@180: ignored
            240 up -> down since 180
            240 WentDown at 240 since 180: refused
        "#]],
    );
}

#[test]
fn pausing_closes_the_incident_and_resuming_begins_anew() {
    check(
        "fail_after 1",
        "0 fail | 30 pause | 31 pause | 60 fail | 70 wake | 90 resume | 91 resume | 120 fail",
        expect![[r#"
            0 unknown -> down since 0
            0 WentDown at 0 since 0: refused
            30 down -> paused since 30
            30 Closed at 30: paused
            31 pause: ignored
            60 fail: ignored
            70 wake: ignored
            90 paused -> unknown since 90
            91 resume: ignored
            120 unknown -> down since 120
            120 WentDown at 120 since 120: refused
        "#]],
    );
}

#[test]
fn a_check_that_began_before_a_pause_does_not_count_after_it() {
    check(
        "",
        "0 ok | 65 pause | 70 resume | 71 fail@60 | 72 fail@70",
        expect![[r#"
            0 unknown -> up since 0
            65 up -> paused since 65
            70 paused -> unknown since 70
            71 fail@60: ignored
            72 unknown -> down since 70
            72 WentDown at 70 since 70: refused
        "#]],
    );
}

#[test]
fn another_kind_of_check_begins_anew_and_stays_paused_if_it_was() {
    check(
        "",
        "0 fail | 30 rekind | 31 fail@0 | 60 ok | 90 pause | 100 rekind | 120 fail | 180 resume | 180 ok",
        expect![[r#"
            0 unknown -> down since 0
            0 WentDown at 0 since 0: refused
            30 down -> unknown since 30
            30 Closed at 30: changed
            31 fail@0: ignored
            60 unknown -> up since 60
            90 up -> paused since 90
            100 rekind: ignored
            120 fail: ignored
            180 paused -> unknown since 180
            180 unknown -> up since 180
        "#]],
    );
}

#[test]
fn removing_closes_the_incident() {
    check(
        "",
        "0 fail | 30 remove",
        expect![[r#"
            0 unknown -> down since 0
            0 WentDown at 0 since 0: refused
            30 down -> unknown since 30
            30 Closed at 30: removed
        "#]],
    );
}

#[test]
fn a_clock_that_is_set_back_lets_earlier_ticks_count_again() {
    check(
        "fail_after 2",
        "0 ok | 3600 fail | 3660 fail | 120 back | 180 fail | 240 ok | 300 ok",
        expect![[r#"
            0 unknown -> up since 0
            3660 up -> down since 3600
            3660 WentDown at 3660 since 3600: refused
            120 down -> down since 120
            240 down -> up since 240
            240 Recovered at 240 after 120 s
        "#]],
    );
}

#[test]
fn a_check_that_began_before_the_clock_was_set_back_does_not_block_those_after() {
    check(
        "",
        "0 ok | 3600 ok | 120 back | 121 fail@3660 | 122 missed@3660..3720x2 | 180 ok",
        expect![[r#"
            0 unknown -> up since 0
            121 fail@3660: ignored
            122 missed@3660..3720x2: ignored
        "#]],
    );
}

#[test]
fn a_blind_spell_survives_a_clock_that_is_set_back() {
    check(
        "cannot_tell_after 900s",
        "0 ok | 3600 fault | 120 back | 1019 wake | 1020 wake | 1080 ok",
        expect![[r#"
            0 unknown -> up since 0
            3600 up -> unknown since 3600
            120 unknown -> unknown since 120
            1019 wake: ignored
            1020 CannotTell since 120: out_of_files
            1080 unknown -> up since 1080
        "#]],
    );
}

#[test]
fn thresholds_that_are_edited_count_from_the_next_result() {
    let (strict, loose) = (monitor("fail_after 2"), monitor("fail_after 5"));
    let mut state = State::fresh(true, secs(0));
    for at in [0, 60, 120] {
        state = evaluate(&loose, state, &event("fail", secs(at)), secs(at)).state;
    }
    assert_eq!(state.failing(&loose).map(|f| (f.count, f.of)), Some((3, 5)));
    let step = evaluate(&strict, state, &event("fail", secs(180)), secs(180));
    assert_eq!(step.state.since(), secs(0));
    assert!(step.state.incident().is_some());
}

#[test]
fn incidents_of_different_monitors_and_ticks_have_different_ids_that_javascript_can_hold() {
    let mut ids = std::collections::BTreeSet::new();
    for key in [0, 1, 2, 1 << 20, (1 << 20) + 1, 1 << 31, u32::MAX] {
        for at in 0..1000 {
            let id = IncidentId::derive(MonitorKey(key), secs(1_795_141_000 + at * 20)).number();
            assert!(id < 1 << 53);
            assert!(ids.insert(id), "{key} {at}");
        }
    }
}

/// An event of a random history, and how much later than the one before it comes.
fn events() -> impl Strategy<Value = Vec<(i64, Event)>> {
    let verdicts = prop_oneof![
        3 => Just("ok"), 1 => Just("slow"), 4 => Just("fail"), 2 => Just("fault"), 1 => Just("missing"),
    ];
    // Ticks come in order, twice, late, or from a clock that was wrong.
    let checked = (verdicts, prop_oneof![6 => Just(0), 2 => -200..0i64, 1 => 1..40i64])
        .prop_map(|(word, off)| Event::Checked { scheduled_at: secs(off), verdict: verdict(word).unwrap() });
    let missed = (-200..0i64, 0..200i64).prop_map(|(first, len)| {
        let missed = Missed { first: secs(first), last: secs(first + len), count: 1 };
        Event::Missed { missed, fault: fault(FaultCode::MissedTick) }
    });
    let others = prop_oneof![
        4 => Just(Event::Woken),
        1 => Just(Event::Paused),
        2 => Just(Event::Resumed),
        1 => Just(Event::Rekinded),
        1 => Just(Event::ClockSetBack { to: secs(0) }),
    ];
    let event = prop_oneof![12 => checked, 2 => missed, 4 => others];
    prop::collection::vec((prop_oneof![1 => Just(0), 8 => 1..90i64], event), 0..60)
}

/// Moves an event's times, which are relative in [`events`], to `now`; a clock that is set back makes an earlier now.
fn place(event: Event, now: Timestamp) -> (Event, Timestamp) {
    let by = Duration::from_millis(u64::try_from(now.as_millis()).unwrap());
    match event {
        Event::Checked { scheduled_at, verdict } => (Event::Checked { scheduled_at: scheduled_at + by, verdict }, now),
        Event::Missed { missed, fault } => {
            let missed = Missed { first: missed.first + by, last: missed.last + by, ..missed };
            (Event::Missed { missed, fault }, now)
        }
        Event::ClockSetBack { .. } => {
            let to = now - Duration::from_secs(150);
            (Event::ClockSetBack { to }, to)
        }
        other => (other, now),
    }
}

/// A slow second opinion on when an outage may be told: consecutive failing ticks since the last good one.
#[derive(Default)]
struct Watcher {
    fails: u32,
    open: Option<IncidentId>,
    intervals: Vec<Interval>,
}

impl Watcher {
    fn see(&mut self, event: &Event, step: &Step, fail_after: u32) {
        match event {
            Event::Checked { verdict: Verdict::Fail(_), .. } if step.applied => self.fails += 1,
            Event::Checked { verdict: Verdict::Inconclusive(_), .. } => {
                assert!(step.changes.iter().all(|c| matches!(c, Change::Shown { to: Shown::Unknown, .. })));
            }
            Event::Checked { .. } if step.applied => self.fails = 0,
            Event::Paused | Event::Resumed | Event::Rekinded if step.applied => self.fails = 0,
            _ => {}
        }
        for change in &step.changes {
            match change {
                Change::WentDown { incident, since, at, .. } => {
                    assert!(self.fails >= fail_after && since <= at);
                    assert_eq!(self.open.replace(*incident), None, "two incidents at once");
                }
                Change::Recovered { incident, .. } | Change::Closed { incident, .. } => {
                    assert_eq!(self.open.take(), Some(*incident), "closed what was not open");
                }
                Change::Shown { to, since, .. } => {
                    self.intervals.retain(|i| i.from < *since);
                    self.intervals.push(Interval { from: *since, shown: *to });
                }
                Change::CannotTell { .. } => {}
            }
        }
        assert_eq!(step.state.incident(), self.open);
        assert!(self.intervals.is_sorted_by(|a, b| a.from < b.from));
    }
}

proptest! {
    #[test]
    fn the_invariants_hold_whatever_happens(fail_after in 1..4u32, recover_after in 1..4u32, events in events()) {
        let monitor = monitor(&format!(
            "fail_after {fail_after}, recover_after {recover_after}, cannot_tell_after 100s"
        ));
        let mut state = State::fresh(true, secs(100_000));
        let mut now = secs(100_000);
        let mut watcher = Watcher::default();
        for (later, event) in events {
            let (event, at) = place(event, now + Duration::from_secs(later.unsigned_abs()));
            now = at;
            let step = evaluate(&monitor, state.clone(), &event, now);
            watcher.see(&event, &step, fail_after);
            // Not applied means nothing happened; the same tick or command again does nothing.
            if !step.applied {
                prop_assert_eq!(&step.state, &state);
                prop_assert!(step.changes.is_empty());
            }
            let again = evaluate(&monitor, step.state.clone(), &event, now);
            prop_assert!(again.changes.is_empty());
            prop_assert_eq!(again.state.shown(), step.state.shown());
            // What is shown is what the last change said, and only a change changes it.
            let changed = step.changes.iter().any(|c| matches!(c, Change::Shown { .. }));
            let differs = |a: &State, b: &State| a.shown() != b.shown() || a.shown_since > b.shown_since;
            prop_assert_eq!(changed, differs(&state, &step.state));
            // A wake that was answered does not come again at once.
            let woken = evaluate(&monitor, step.state.clone(), &Event::Woken, now);
            prop_assert!(woken.wake.is_none_or(|wake| wake > now));
            prop_assert!(step.state.shown_since <= now + TICK_AHEAD_MAX);
            state = step.state;
        }
    }

    #[test]
    fn time_known_to_be_blind_is_never_down(fail_after in 1..4u32, words in prop::collection::vec(0..3u8, 1..40)) {
        let monitor = monitor(&format!("fail_after {fail_after}"));
        let mut state = State::fresh(true, secs(0));
        let mut watcher = Watcher::default();
        let word = |n: u8| ["ok", "fail", "fault"][usize::from(n)];
        for (i, n) in words.iter().enumerate() {
            let at = secs(60 * i64::try_from(i).unwrap());
            let event = event(word(*n), at);
            let step = evaluate(&monitor, state, &event, at);
            watcher.see(&event, &step, fail_after);
            state = step.state;
        }
        for (i, n) in words.iter().enumerate() {
            let at = secs(60 * i64::try_from(i).unwrap());
            let shown = watcher.intervals.iter().rfind(|x| x.from <= at).map(|x| x.shown);
            match word(*n) {
                "fault" => prop_assert!(shown.is_none_or(|s| s == Shown::Unknown)),
                "ok" => prop_assert!(shown == Some(Shown::Up)),
                _ => {}
            }
        }
    }
}
