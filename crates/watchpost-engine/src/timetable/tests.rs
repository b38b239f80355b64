use std::collections::BTreeMap;
use std::num::NonZeroU32;

use watchpost_core::monitor::{Pace, Source, Thresholds};
use watchpost_core::schedule::Schedule;
use watchpost_core::spec::{HostPort, IpVersion, Spec, TcpSpec};
use watchpost_core::{Definition, IncidentId, MonitorId, Reason, ReasonCode};

use super::*;

pub(crate) fn monitor(key: u32, every: Duration) -> Arc<Monitor> {
    let address = HostPort { host: "db.example.org".into(), port: 5432 };
    let definition = Definition {
        id: MonitorId::new(&format!("m{key}")),
        name: format!("Monitor {key}"),
        group: None,
        tags: Vec::new(),
        spec: Spec::Tcp(TcpSpec { address, send: None, expect: None, ip: IpVersion::Any }),
        expect: Arc::default(),
        schedule: Schedule::Every(every),
        pace: Pace { retry: Some(Duration::from_secs(5)), while_down: Some(Duration::from_secs(480)) },
        thresholds: Thresholds { fail_after: NonZeroU32::new(3).unwrap(), ..Thresholds::default() },
        timeout: Duration::from_secs(10),
        active: true,
        cannot_tell_after: Duration::from_mins(15),
        source: Source::Api,
    };
    Arc::new(Monitor { key: MonitorKey(key), definition: Arc::new(definition) })
}

fn secs(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn up(last: i64) -> State {
    State { phase: Phase::Up, last_tick: Some(secs(last)), ..State::fresh(true, secs(0)) }
}

fn reason() -> Reason {
    Reason::new(ReasonCode::Refused, None, "connection refused")
}

fn down(since: i64) -> Phase {
    let incident = IncidentId::from_number(1);
    Phase::Down { since: secs(since), passes: 0, reason: reason(), incident }
}

/// Runs whatever is due in whole seconds up to `until`, each check ending at once with `phase`.
fn run(table: &mut Timetable, from: i64, until: i64, phase: &Phase) -> Vec<i64> {
    let mut ticks = Vec::new();
    for now in (from * 10..=until * 10).map(|t| Timestamp::from_millis(t * 100)) {
        while let Some(start) = table.take_due(now) {
            ticks.push(start.tick.as_millis() / 1_000);
            table.finished(start.monitor.key, start.tick, phase, now);
        }
    }
    ticks
}

#[test]
fn a_new_monitor_gets_one_prompt_tick_and_then_its_grid() {
    let mut table = Timetable::new();
    table.put(&monitor(0, Duration::from_mins(1)), &State::fresh(true, secs(10)), Put::Edited, secs(10));
    assert_eq!(run(&mut table, 10, 200, &Phase::Up), [10, 60, 120, 180]);
}

#[test]
fn a_thousand_new_monitors_are_not_a_burst() {
    let mut table = Timetable::new();
    for key in 0..1_000 {
        table.put(&monitor(key, Duration::from_hours(1)), &State::fresh(true, secs(1)), Put::Edited, secs(1));
    }
    let mut by_moment: BTreeMap<Timestamp, usize> = BTreeMap::new();
    while let Some(due) = table.next_due() {
        *by_moment.entry(due).or_default() += 1;
        assert!(table.take_due(due).is_some());
    }
    assert!(by_moment.values().all(|n| *n <= 3), "{by_moment:?}");
}

#[test]
fn a_restart_goes_on_with_the_grid_and_tells_what_was_missed() {
    let mut table = Timetable::new();
    let missed = table.put(&monitor(0, Duration::from_mins(1)), &up(120), Put::Resumed, secs(310));
    assert_eq!(missed, Some(Missed { first: secs(180), last: secs(300), count: 3 }));
    assert_eq!(run(&mut table, 310, 430, &Phase::Up), [360, 420]);
}

#[test]
fn a_daily_monitor_that_was_missed_is_caught_up_at_once() {
    let day = 86_400;
    let mut table = Timetable::new();
    let missed = table.put(&monitor(0, Duration::from_hours(24)), &up(day), Put::Resumed, secs(2 * day + 600));
    assert_eq!(missed.map(|m| m.count), Some(1));
    assert_eq!(table.next_due(), Some(secs(2 * day + 600)));
}

#[test]
fn while_failing_the_pace_takes_over_and_nothing_is_missed_by_it() {
    let failing =
        Phase::Failing { since: secs(60), failures: 1, reason: reason(), before: watchpost_core::state::Standing::Up };
    let mut table = Timetable::new();
    table.put(&monitor(0, Duration::from_mins(1)), &up(0), Put::Resumed, secs(1));
    assert_eq!(run(&mut table, 1, 75, &failing), [60, 65, 70, 75]);
    assert_eq!(run(&mut table, 76, 1_100, &down(60)), [80, 560, 1_040]);
    let state = State { phase: down(60), ..up(1_040) };
    let mut restarted = Timetable::new();
    let missed = restarted.put(&monitor(0, Duration::from_mins(1)), &state, Put::Resumed, secs(1_300));
    assert_eq!(missed, None, "nothing was due before 1520");
    assert_eq!(restarted.next_due(), Some(secs(1_520)));
}

#[test]
fn a_check_that_lasts_covers_the_ticks_it_overlaps() {
    let mut table = Timetable::new();
    table.put(&monitor(0, Duration::from_secs(10)), &up(0), Put::Resumed, secs(1));
    let start = table.take_due(secs(10)).unwrap();
    assert_eq!(table.take_due(secs(35)).map(|s| s.tick), None, "one in flight at a time");
    table.finished(start.monitor.key, start.tick, &Phase::Up, secs(35));
    let next = table.take_due(secs(40)).unwrap();
    assert_eq!((next.tick, next.missed), (secs(40), None));
}

#[test]
fn ticks_that_nobody_could_start_are_reported_as_missed() {
    let mut table = Timetable::new();
    table.put(&monitor(0, Duration::from_secs(10)), &up(0), Put::Resumed, secs(1));
    let start = table.take_due(secs(47)).unwrap();
    assert_eq!(start.tick, secs(40));
    assert_eq!(start.missed, Some(Missed { first: secs(10), last: secs(30), count: 3 }));
}

#[test]
fn a_check_out_of_turn_keeps_the_grid_and_excludes_a_second() {
    let mut table = Timetable::new();
    table.put(&monitor(0, Duration::from_mins(1)), &up(0), Put::Resumed, secs(1));
    let start = table.start_now(MonitorKey(0), secs(30)).unwrap();
    assert_eq!(table.start_now(MonitorKey(0), secs(30)).unwrap_err(), CheckNowError::Running);
    assert_eq!(table.start_now(MonitorKey(9), secs(30)).unwrap_err(), CheckNowError::Unknown);
    table.finished(start.monitor.key, start.tick, &Phase::Up, secs(31));
    assert_eq!(table.next_due(), Some(secs(60)));
    let at_grid = table.start_now(MonitorKey(0), secs(30)).unwrap();
    assert!(at_grid.tick > start.tick, "ticks of a monitor only grow");
}

#[test]
fn a_check_out_of_turn_runs_the_tick_that_is_due_already_and_passes_over_none() {
    let mut table = Timetable::new();
    table.put(&monitor(0, Duration::from_mins(1)), &up(0), Put::Resumed, secs(1));
    let start = table.start_now(MonitorKey(0), secs(61)).unwrap();
    assert_eq!((start.tick, start.late, start.missed), (secs(60), Duration::from_secs(1), None));
    table.finished(MonitorKey(0), start.tick, &Phase::Up, secs(62));
    let start = table.start_now(MonitorKey(0), secs(245)).unwrap();
    let missed = Missed { first: secs(120), last: secs(180), count: 2 };
    assert_eq!((start.tick, start.missed), (secs(240), Some(missed)));
    assert_eq!((table.in_flight(), table.next_due()), (1, None));
}

#[test]
fn an_edit_during_a_check_is_followed_by_a_prompt_tick_with_the_new_definition() {
    let mut table = Timetable::new();
    table.put(&monitor(0, Duration::from_mins(1)), &up(0), Put::Resumed, secs(1));
    let start = table.take_due(secs(60)).unwrap();
    let edited = monitor(0, Duration::from_hours(1));
    table.put(&edited, &up(60), Put::Edited, secs(61));
    assert_eq!((table.in_flight(), table.next_due()), (1, None));
    table.finished(start.monitor.key, start.tick, &Phase::Up, secs(62));
    let next = table.take_due(secs(62)).unwrap();
    assert_eq!(next.monitor.schedule, edited.schedule);
}

#[test]
fn removing_during_a_check_leaves_nothing_in_flight() {
    let mut table = Timetable::new();
    table.put(&monitor(0, Duration::from_mins(1)), &up(0), Put::Resumed, secs(1));
    let start = table.take_due(secs(60)).unwrap();
    table.remove(MonitorKey(0));
    table.finished(start.monitor.key, start.tick, &Phase::Up, secs(61));
    assert_eq!((table.in_flight(), table.len(), table.next_due()), (0, 0, None));
}

#[test]
fn a_check_of_a_monitor_that_was_made_again_frees_only_its_own_place() {
    let mut table = Timetable::new();
    let monitor = monitor(0, Duration::from_mins(1));
    table.put(&monitor, &up(0), Put::Resumed, secs(1));
    let old = table.take_due(secs(60)).unwrap();
    table.remove(MonitorKey(0));
    table.put(&monitor, &State::fresh(true, secs(61)), Put::Edited, secs(61));
    let new = table.take_due(secs(61)).unwrap();
    table.finished(MonitorKey(0), old.tick, &Phase::Up, secs(62));
    assert_eq!((table.in_flight(), table.next_due()), (1, None));
    table.finished(MonitorKey(0), new.tick, &Phase::Up, secs(63));
    assert_eq!((table.in_flight(), table.next_due()), (0, Some(secs(120))));
}

#[test]
fn checks_out_of_turn_leave_nothing_behind() {
    let mut table = Timetable::new();
    table.put(&monitor(0, Duration::from_hours(24 * 7)), &up(0), Put::Resumed, secs(1));
    for at in 10..10_000 {
        let start = table.start_now(MonitorKey(0), secs(at)).unwrap();
        table.finished(MonitorKey(0), start.tick, &Phase::Up, secs(at));
    }
    assert!(table.heap.len() < 2 * STALE_MAX, "{}", table.heap.len());
    assert_eq!(table.next_due(), Some(secs(86_400 * 7)));
}

#[test]
fn a_clock_set_back_does_not_stop_the_checks() {
    let mut table = Timetable::new();
    table.put(&monitor(0, Duration::from_mins(1)), &up(0), Put::Resumed, secs(1));
    run(&mut table, 1, 100_000, &Phase::Up);
    table.set_back(secs(500));
    assert_eq!(run(&mut table, 500, 610, &Phase::Up), [540, 600]);
}

#[test]
fn ticks_that_are_lived_again_differ_from_those_of_the_first_time() {
    let mut table = Timetable::new();
    table.put(&monitor(0, Duration::from_mins(1)), &up(0), Put::Resumed, secs(1));
    run(&mut table, 1, 1_210, &Phase::Up);
    let tick = |table: &mut Timetable, now: i64| {
        let start = table.take_due(secs(now)).unwrap();
        table.finished(MonitorKey(0), start.tick, &Phase::Up, secs(now));
        assert_eq!(start.missed, None);
        start.tick
    };
    let later = |seconds, millis| secs(seconds) + Duration::from_millis(millis);
    table.set_back(secs(1_050));
    assert_eq!([tick(&mut table, 1_080), tick(&mut table, 1_141)], [later(1_080, 1), later(1_140, 1)]);
    table.set_back(secs(1_070));
    assert_eq!([tick(&mut table, 1_080), tick(&mut table, 1_140)], [later(1_080, 2), later(1_140, 2)]);
    // All three times are over.
    assert_eq!([tick(&mut table, 1_200), tick(&mut table, 1_260)], [later(1_200, 2), later(1_260, 0)]);
}

#[test]
fn a_paused_monitor_is_never_due() {
    let mut table = Timetable::new();
    let paused = State { phase: Phase::Paused, ..up(0) };
    table.put(&monitor(0, Duration::from_mins(1)), &paused, Put::Edited, secs(1));
    assert_eq!(table.next_due(), None);
    assert_eq!((table.len(), table.active()), (1, 0));
    assert_eq!(table.start_now(MonitorKey(0), secs(5)).unwrap_err(), CheckNowError::Paused);
}
