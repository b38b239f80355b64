use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::fixture::{fault, keyed, monitor, secs, verdict};
use crate::reason::FaultCode;
use crate::state::{Standing, State};
use crate::{Event, evaluate};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Prints the ticks of a monitor in `(after, until]`.
#[expect(clippy::needless_pass_by_value, reason = "an expect! is written in place")]
fn check_ticks(settings: &str, after: &str, until: &str, expected: Expect) {
    let printed: Vec<String> =
        ticks(&monitor(settings), time(after), time(until)).iter().map(Timestamp::to_string).collect();
    expected.assert_eq(&(printed.join("\n") + "\n"));
}

fn ticks(monitor: &Monitor, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let next = |last: &Timestamp| next_tick(monitor, *last).filter(|tick| *tick <= until);
    std::iter::successors(next(&after), next).collect()
}

#[test]
fn an_interval_is_a_grid_that_does_not_move() {
    check_ticks(
        "every 20s",
        "2026-11-20T00:00:00Z",
        "2026-11-20T00:01:00Z",
        expect![[r#"
            2026-11-20T00:00:20.000Z
            2026-11-20T00:00:40.000Z
            2026-11-20T00:01:00.000Z
        "#]],
    );
    let monitor = keyed(&monitor("every 20s"), 7);
    let from_anywhere: Vec<_> =
        (0..20_000).map(|ms| next_tick(&monitor, Timestamp::from_millis(1_795_141_000_000 + ms)).unwrap()).collect();
    let mut grid = from_anywhere.clone();
    grid.dedup();
    assert_eq!(grid.len(), 2, "20 s hold one tick and the beginning of the next: {grid:?}");
    assert_eq!(grid[1].since(grid[0]), Duration::from_secs(20));
}

#[test]
fn a_thousand_monitors_at_20_s_spread_evenly_over_the_seconds() {
    let base = monitor("every 20s");
    let mut seconds = [0_u32; 20];
    for key in 1..=1000 {
        let tick = next_tick(&keyed(&base, key), secs(1_795_140_000)).unwrap();
        seconds[usize::try_from(tick.as_millis() / 1000 % 20).unwrap()] += 1;
    }
    assert_eq!(seconds.iter().sum::<u32>(), 1000);
    assert!(seconds.iter().all(|n| (40..60).contains(n)), "{seconds:?}");
}

#[test]
fn few_monitors_keep_apart_as_far_as_many_do() {
    let base = monitor("every 60s");
    for count in [2_u32, 3, 5, 10, 100] {
        let mut phases: Vec<i64> =
            (1..=count).map(|key| millis(phase(keyed(&base, key).key, Duration::from_secs(60)))).collect();
        phases.sort_unstable();
        let gaps = phases.windows(2).map(|w| w[1] - w[0]).chain([phases[0] + 60_000 - phases[phases.len() - 1]]);
        let widest = gaps.max().unwrap();
        assert!(widest < 3 * 60_000 / i64::from(count), "{count} monitors leave {widest} ms empty");
    }
}

#[test]
fn a_phase_lies_in_its_interval_for_every_key() {
    for key in [0, 1, 2, 1000, u32::MAX] {
        for interval in [100, 1_000, 20_000, 86_400_000] {
            let interval = Duration::from_millis(interval);
            assert!(phase(MonitorKey(key), interval) < interval);
        }
    }
}

#[test]
fn cron_runs_at_local_time_in_its_zone() {
    check_ticks(
        "cron 0 3 * * * Europe/Riga",
        "2026-11-20T00:00:00Z",
        "2026-11-22T12:00:00Z",
        expect![[r#"
            2026-11-20T01:00:00.000Z
            2026-11-21T01:00:00.000Z
            2026-11-22T01:00:00.000Z
        "#]],
    );
}

#[test]
fn a_cron_time_that_the_clock_skips_runs_when_the_clock_goes_on() {
    // 29 March 2026: 03:00 becomes 04:00 in Riga, at 01:00 UTC.
    check_ticks(
        "cron 30 3 * * * Europe/Riga",
        "2026-03-27T12:00:00Z",
        "2026-03-30T12:00:00Z",
        expect![[r#"
            2026-03-28T01:30:00.000Z
            2026-03-29T01:00:00.000Z
            2026-03-30T00:30:00.000Z
        "#]],
    );
    // An expression of every half hour has no time to make up for.
    check_ticks(
        "cron */30 * * * * Europe/Riga",
        "2026-03-29T00:00:00Z",
        "2026-03-29T02:00:00Z",
        expect![[r#"
            2026-03-29T00:30:00.000Z
            2026-03-29T01:00:00.000Z
            2026-03-29T01:30:00.000Z
            2026-03-29T02:00:00.000Z
        "#]],
    );
}

#[test]
fn a_cron_time_that_the_clock_repeats_runs_once_and_every_half_hour_goes_on() {
    // 25 October 2026: 04:00 becomes 03:00 in Riga, at 01:00 UTC.
    check_ticks(
        "cron 30 3 * * * Europe/Riga",
        "2026-10-24T12:00:00Z",
        "2026-10-26T12:00:00Z",
        expect![[r#"
            2026-10-25T00:30:00.000Z
            2026-10-26T01:30:00.000Z
        "#]],
    );
    check_ticks(
        "cron */30 * * * * Europe/Riga",
        "2026-10-24T23:30:00Z",
        "2026-10-25T02:00:00Z",
        expect![[r#"
            2026-10-25T00:00:00.000Z
            2026-10-25T00:30:00.000Z
            2026-10-25T01:00:00.000Z
            2026-10-25T01:30:00.000Z
            2026-10-25T02:00:00.000Z
        "#]],
    );
}

#[test]
fn cron_goes_on_from_any_moment_around_a_change_of_the_clock() {
    for expression in
        ["30 3 * * *", "0 3 * * *", "0 4 * * *", "*/7 * * * *", "15 * * * *", "0 0 3 * * *", "*/5 3 * * *"]
    {
        let cron = Cron::parse(expression, "Europe/Riga").unwrap();
        for day in ["2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z"] {
            for step in 0..360_i64 {
                let after = Timestamp::from_millis(time(day).as_millis() - 5_400_000 + step * 41_237);
                let next = cron.next_after(after).unwrap();
                assert!(
                    next > after && next.since(after) <= Duration::from_secs(26 * 3600),
                    "{expression} {after} {next}"
                );
                // The same answer from every moment until it comes.
                let between = Timestamp::from_millis(i64::midpoint(after.as_millis(), next.as_millis()));
                assert_eq!(cron.next_after(between), Some(next), "{expression} after {between}, from {after}");
                let previous = cron.previous_before(next + Duration::from_millis(1)).unwrap();
                assert_eq!(previous, next, "{expression}: the last before just after {next}");
            }
        }
    }
}

#[test]
fn a_cron_expression_says_what_is_wrong_with_it() {
    let error = |expression, zone| Cron::parse(expression, zone).unwrap_err().to_string();
    assert!(
        error("61 * * * *", "UTC").starts_with("`61 * * * *` is not a cron expression (minute hour day month weekday)")
    );
    assert_eq!(
        error("* * * * *", "Europe/Rīga"),
        "`Europe/Rīga` is not a time zone of the IANA database, such as Europe/Riga"
    );
    assert_eq!(error("30 2 31 2 *", "UTC"), "`30 2 31 2 *` never comes due");
    for hangs in [", * * * *", "0 , * * *", "1,,2 * * * *", "0 0 1, * *"] {
        assert!(error(hangs, "UTC").ends_with("a value is missing beside a comma"), "{hangs}");
    }
    let seconds = Cron::parse("*/10 * * * * *", "UTC").unwrap();
    assert_eq!(seconds.next_after(secs(1)), Some(secs(10)));
    assert!(Cron::parse("@daily", "UTC").is_ok());
}

#[test]
fn the_pace_takes_over_while_failing_and_down() {
    let monitor = monitor("every 60s, fail_after 3, retry 5s, while_down 480s");
    let mut state = State::fresh(true, secs(0));
    let mut due = secs(0);
    let mut started = Vec::new();
    for word in ["ok", "fail", "fail", "fail", "fail", "ok", "ok"] {
        started.push(due.as_millis() / 1000);
        let event = Event::Checked { scheduled_at: due, verdict: verdict(word).unwrap() };
        state = evaluate(&monitor, state, &event, due).state;
        due = next_due(&monitor, &state.phase, due, due + Duration::from_secs(1)).unwrap();
    }
    assert_eq!(started, [0, 60, 65, 70, 550, 1030, 1080], "and back to the grid");
}

#[test]
fn a_slow_check_covers_the_ticks_that_it_overlaps() {
    let monitor = monitor("every 1s, retry 5s");
    let up = Phase::Up;
    assert_eq!(next_due(&monitor, &up, secs(10), secs(13)), Some(secs(14)));
    let failing = failing(secs(10));
    assert_eq!(next_due(&monitor, &failing, secs(10), secs(13)), Some(secs(15)));
    assert_eq!(next_due(&monitor, &failing, secs(10), secs(17)), Some(secs(17)), "overtaken: at once");
}

fn failing(since: Timestamp) -> Phase {
    let Some(crate::Verdict::Fail(reason)) = verdict("fail") else { unreachable!() };
    Phase::Failing { since, failures: 1, reason, before: Standing::Up }
}

#[test]
fn a_retry_never_crosses_the_next_cron_tick() {
    let monitor = monitor("cron 0 * * * * UTC, retry 1500s, fail_after 9");
    let mut at = time("2026-11-20T00:00:00Z");
    let mut due = Vec::new();
    for _ in 0..5 {
        at = next_due(&monitor, &failing(at), at, at).unwrap();
        due.push(at.to_string()[11..16].to_owned());
    }
    assert_eq!(due, ["00:25", "00:50", "01:00", "01:25", "01:50"]);
}

#[test]
fn a_pace_of_nothing_makes_no_two_ticks_the_same() {
    let monitor = monitor("retry 0s");
    assert!(next_due(&monitor, &failing(secs(0)), secs(60), secs(60)).unwrap() > secs(60));
}

#[test]
fn of_late_ticks_the_newest_runs_and_the_others_are_missed() {
    let monitor = monitor("every 60s");
    let missed = |first, last, count| Some(Missed { first: secs(first), last: secs(last), count });
    let cases = [
        (60, 60, 60, None),
        (60, 119, 60, None),
        (60, 120, 120, missed(60, 60, 1)),
        (60, 600, 600, missed(60, 540, 9)),
        (60, 659, 600, missed(60, 540, 9)),
        // A prompt tick: a regular one that overtakes it takes its place.
        (75, 125, 120, None),
        (75, 185, 180, missed(120, 120, 1)),
    ];
    for (due, now, run, missed) in cases {
        assert_eq!(settle_due(&monitor, secs(due), secs(now)), Due { run: secs(run), missed }, "{due} at {now}");
    }
}

#[test]
fn a_cron_tick_missed_for_long_is_counted_up_to_a_limit_and_the_newest_runs() {
    let monitor = monitor("cron * * * * * * UTC");
    let Due { run, missed } = settle_due(&monitor, secs(1_795_140_000), secs(1_795_240_000));
    let missed = missed.unwrap();
    assert_eq!((run, missed.first, missed.last), (secs(1_795_240_000), secs(1_795_140_000), secs(1_795_239_999)));
    assert_eq!(missed.count, MISSED_CRON_MAX);
}

#[test]
fn missed_ticks_show_as_unknown_from_the_first_of_them() {
    let monitor = monitor("every 60s");
    let up = evaluate(
        &monitor,
        State::fresh(true, secs(0)),
        &Event::Checked { scheduled_at: secs(60), verdict: verdict("ok").unwrap() },
        secs(60),
    );
    let missed = missed_between(&monitor, secs(60), secs(700)).unwrap();
    assert_eq!(missed, Missed { first: secs(120), last: secs(660), count: 10 });
    let step = evaluate(&monitor, up.state, &Event::Missed { missed, fault: fault(FaultCode::MissedTick) }, secs(700));
    assert_eq!((step.state.shown_since, step.state.last_tick), (secs(120), Some(secs(660))));
}

fn schedules() -> impl Strategy<Value = Monitor> {
    let every = (1..200_000_i64, any::<u32>()).prop_map(|(ms, key)| {
        keyed(&monitor(&format!("every {}s", Duration::from_millis(ms.unsigned_abs()).as_secs_f64())), key)
    });
    let cron = prop::sample::select(vec!["*/5 * * * *", "30 3 * * *", "7 */2 * * *", "*/20 * * * * *"])
        .prop_map(|e| monitor(&format!("cron {e} Europe/Riga")));
    prop_oneof![2 => every, 1 => cron]
}

/// Around the autumn change of 2026, where an hour comes twice.
const AROUND: i64 = 1_792_890_000_000;

proptest! {
    #[test]
    fn the_next_tick_is_after_and_no_tick_lies_between(
        monitor in schedules(), after in -10_000_000..10_000_000_i64, on in 0.0..1.0
    ) {
        let after = Timestamp::from_millis(AROUND + after);
        let next = next_tick(&monitor, after).unwrap();
        prop_assert!(next > after);
        let span = i64::try_from(next.since(after).as_millis()).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a place within a day")]
        let between = after + Duration::from_millis((span as f64 * on) as u64);
        prop_assert_eq!(next_tick(&monitor, between), Some(next));
    }

    #[test]
    fn missed_ticks_are_those_that_counting_one_by_one_finds(
        monitor in schedules(), after in -5_000_000..5_000_000_i64, span in 0..3_000_000_i64
    ) {
        let after = Timestamp::from_millis(AROUND + after);
        let until = after + Duration::from_millis(span.unsigned_abs());
        let until = until.min(ticks_limit(&monitor, after));
        let all = ticks(&monitor, after, until);
        let counted = all.first().map(|first| Missed {
            first: *first,
            last: all[all.len() - 1],
            count: u32::try_from(all.len()).unwrap(),
        });
        prop_assert_eq!(missed_between(&monitor, after, until), counted);
    }

    #[test]
    fn a_late_tick_and_those_missed_before_it_are_all_that_were_due(
        monitor in schedules(), before in -5_000_000..5_000_000_i64, late in 0..3_000_000_i64, off in 0..500_i64
    ) {
        let tick = next_tick(&monitor, Timestamp::from_millis(AROUND + before)).unwrap();
        let due = tick + Duration::from_millis(off.unsigned_abs());
        let now = (due + Duration::from_millis(late.unsigned_abs())).min(ticks_limit(&monitor, due));
        let mut all = vec![due];
        all.extend(ticks(&monitor, due, now));
        let settled = settle_due(&monitor, due, now);
        prop_assert_eq!(settled.run, all.pop().unwrap());
        // Only regular ticks are missed: a prompt or paced one is not counted on.
        all.retain(|missed| off == 0 || *missed != due || next_tick(&monitor, due - TICK_GAP_MIN) == Some(due));
        let missed = all.first().map(|first| Missed {
            first: *first,
            last: all[all.len() - 1],
            count: u32::try_from(all.len()).unwrap(),
        });
        prop_assert_eq!(settled.missed, missed);
    }

    #[test]
    fn what_is_due_next_lies_ahead(
        monitor in schedules(), retry in proptest::option::of(0..100_000_u64), down in any::<bool>(),
        last in 0..1_000_000_i64, took in -50_000..400_000_i64
    ) {
        let mut definition = (*monitor.definition).clone();
        definition.pace.retry = retry.map(Duration::from_millis);
        let monitor = Monitor { key: monitor.key, definition: definition.into() };
        let last = Timestamp::from_millis(AROUND + last);
        let now = Timestamp::from_millis(last.as_millis() + took);
        let phase = if down { failing(last) } else { Phase::Up };
        let due = next_due(&monitor, &phase, last, now).unwrap();
        prop_assert!(due > last && due >= now, "never the same tick again, never in the past");
        if pace(monitor.pace, &phase).is_none() {
            prop_assert!(due > now, "the grid has no second chance");
        }
        if let Schedule::Cron(_) = monitor.schedule {
            prop_assert!(due <= next_tick(&monitor, last.max(now)).unwrap());
        }
    }
}

/// So far that counting one by one takes no more than 2,000 steps.
fn ticks_limit(monitor: &Monitor, after: Timestamp) -> Timestamp {
    match &monitor.schedule {
        Schedule::Every(every) => after + *every * 2_000,
        Schedule::Cron(_) => Timestamp::MAX,
    }
}
