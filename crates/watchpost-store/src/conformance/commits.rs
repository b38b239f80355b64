//! Commits, replays, placeholders, intervals, incidents.

use std::time::Duration;

use watchpost_core::backfill::Backfilled;
use watchpost_core::uptime::Interval;
use watchpost_core::{Change, ClosedWhy, Incident, IncidentId, MonitorKey, Phase, Shown, State, Timestamp};

use super::world::{
    BEGIN, all, blind, commit, define, entry, fail, minute, missed, pass, refused, shows, shows_always, slow, walk,
};
use crate::{Commit, Entry, Keep, Store, StoreError};

type Done = Result<(), StoreError>;

fn down(monitor: MonitorKey, at: Timestamp) -> (State, Vec<Change>) {
    let incident = IncidentId::derive(monitor, at);
    let phase = Phase::Down { since: at, passes: 0, reason: refused(), incident };
    let state = State { phase, blind: None, last_tick: Some(at), shown_since: at };
    let changes = vec![
        Change::Shown { from: Shown::Up, to: Shown::Down, since: at },
        Change::WentDown { incident, since: at, at, reason: refused() },
    ];
    (state, changes)
}

fn up(monitor: MonitorKey, went_down: Timestamp, at: Timestamp) -> (State, Vec<Change>) {
    let incident = IncidentId::derive(monitor, went_down);
    let state = State { phase: Phase::Up, blind: None, last_tick: Some(at), shown_since: at };
    let changes = vec![
        Change::Shown { from: Shown::Down, to: Shown::Up, since: at },
        Change::Recovered { incident, at, after: at.since(went_down) },
    ];
    (state, changes)
}

fn going_down(monitor: MonitorKey, at: Timestamp) -> Entry {
    let (state, changes) = down(monitor, at);
    Entry { results: vec![fail(monitor, at)], state: Some(state), changes, ..entry(monitor) }
}

fn going_up(monitor: MonitorKey, went_down: Timestamp, at: Timestamp) -> Entry {
    let (state, changes) = up(monitor, went_down, at);
    Entry { results: vec![pass(monitor, at)], state: Some(state), changes, ..entry(monitor) }
}

/// State, result, interval and incident of one commit are all there.
pub async fn a_commit_shows_in_every_view(store: &dyn Store) -> Done {
    let keys = define(store, &["a", "b"]).await?;
    let first = going_down(keys[0], minute(1));
    store.commit(Commit { at: minute(1), entries: vec![first.clone()] }).await?;
    commit(store, vec![pass(keys[1], minute(1))]).await?;
    let shows = shows_always(store, &keys).await?;
    assert_eq!(shows.states[0].1, first.state.clone().unwrap_or_else(|| State::fresh(true, BEGIN)));
    assert_eq!(shows.states[1].1, State { last_tick: Some(minute(1)), ..State::fresh(true, BEGIN) });
    assert_eq!(shows.monitors.len(), 2);
    assert_eq!(shows.monitors[0].2, Some(fail(keys[0], minute(1))));
    assert_eq!(shows.monitors[1].2, Some(pass(keys[1], minute(1))));
    assert_eq!(shows.results, [fail(keys[0], minute(1)), pass(keys[1], minute(1))]);
    let begins = Interval { from: BEGIN, shown: Shown::Unknown };
    assert_eq!(shows.intervals[&keys[0]], [begins, Interval { from: minute(1), shown: Shown::Down }]);
    assert_eq!(shows.intervals[&keys[1]], [begins]);
    assert_eq!(shows.incidents.len(), 1);
    assert_eq!(shows.incidents[0].reason, refused());
    assert_eq!((shows.figures.results, shows.figures.incidents_open), (2, 1));
    assert_eq!(shows.figures.shown, [1, 0, 1, 0, 0, 0]);
    assert_eq!(store.monitor(&watchpost_core::MonitorId::new("b")).await?.and_then(|v| v.last), shows.monitors[1].2);
    assert!(store.monitor(&watchpost_core::MonitorId::new("c")).await?.is_none());
    Ok(())
}

/// Replays are no-ops, before and after a compaction.
pub async fn the_same_commit_again_changes_nothing(store: &dyn Store) -> Done {
    let keys = define(store, &["a"]).await?;
    let entries = vec![
        going_down(keys[0], minute(1)),
        Entry { results: vec![fail(keys[0], minute(2)), fail(keys[0], minute(2))], ..entry(keys[0]) },
        going_up(keys[0], minute(1), minute(3)),
    ];
    let batch = Commit { at: minute(3), entries };
    store.commit(batch.clone()).await?;
    let once = shows(store, &keys).await?;
    assert_eq!(once.results.len(), 3);
    store.commit(batch.clone()).await?;
    shows_always(store, &keys).await?.assert_same(&once, "after a replay");
    store.commit(batch).await?;
    shows_always(store, &keys).await?.assert_same(&once, "after a replay");
    // Another result of the same tick is a replay as well: the first one counts.
    commit(store, vec![pass(keys[0], minute(1)), slow(keys[0], minute(2))]).await?;
    shows_always(store, &keys).await?.assert_same(&once, "after a replay");
    Ok(())
}

/// In one batch, across batches, and across a compaction.
pub async fn a_measured_result_takes_the_place_of_a_placeholder_and_never_the_other_way_round(
    store: &dyn Store,
) -> Done {
    let keys = define(store, &["a"]).await?;
    let key = keys[0];
    commit(store, vec![missed(key, minute(1), 1), pass(key, minute(1)), missed(key, minute(2), 3)]).await?;
    commit(store, vec![missed(key, minute(1), 1), fail(key, minute(2)), missed(key, minute(3), 5)]).await?;
    let expected = [missed(key, minute(3), 5), fail(key, minute(2)), pass(key, minute(1))];
    assert_eq!(shows_always(store, &keys).await?.results, expected);
    commit(store, vec![slow(key, minute(3)), missed(key, minute(1), 1)]).await?;
    let after = shows_always(store, &keys).await?;
    assert_eq!(after.results, [slow(key, minute(3)), fail(key, minute(2)), pass(key, minute(1))]);
    assert_eq!(after.figures.results, 3);
    // What was measured without an answer is no placeholder.
    commit(store, vec![blind(key, minute(4))]).await?;
    commit(store, vec![pass(key, minute(4))]).await?;
    assert_eq!(shows_always(store, &keys).await?.results[0], blind(key, minute(4)));
    Ok(())
}

/// The order of commits does not matter to what is shown.
pub async fn results_come_in_any_order(store: &dyn Store) -> Done {
    let keys = define(store, &["a", "b"]).await?;
    for n in [5, 3, 90, 61, 4, 130, 1, 2, 59, 60, 0] {
        commit(store, vec![pass(keys[1], minute(n)), pass(keys[0], minute(n))]).await?;
    }
    let shows = shows_always(store, &keys).await?;
    let order: Vec<i64> = [130, 90, 61, 60, 59, 5, 4, 3, 2, 1, 0].to_vec();
    let expected: Vec<_> = order.iter().flat_map(|n| keys.iter().map(|key| pass(*key, minute(*n)))).collect();
    assert_eq!(shows.results, expected);
    assert_eq!(shows.monitors[0].2, Some(pass(keys[0], minute(130))));
    assert_eq!(shows.states[0].1.last_tick, Some(minute(130)));
    Ok(())
}

/// Results for hours that have been compacted, some of them there already.
pub async fn what_comes_late_is_in_its_place_after_compaction_too(store: &dyn Store) -> Done {
    let keys = define(store, &["a", "b"]).await?;
    let key = keys[0];
    commit(store, (0..60).step_by(2).map(|n| pass(key, minute(n))).collect()).await?;
    commit(store, vec![missed(key, minute(61), 2), pass(keys[1], minute(5))]).await?;
    store.compact(minute(120)).await?;
    commit(store, (0..60).map(|n| fail(key, minute(n))).collect()).await?;
    commit(store, vec![fail(key, minute(61)), pass(keys[1], minute(4))]).await?;
    let shows = shows_always(store, &keys).await?;
    let at = |n: i64| if n % 2 == 0 { pass(key, minute(n)) } else { fail(key, minute(n)) };
    let expected: Vec<_> = [61].into_iter().chain((0..60).rev()).map(at).collect();
    assert_eq!(shows.by_monitor[&key], expected);
    assert_eq!(shows.figures.results, 63);
    let counts = store.counts(key, minute(0), minute(120)).await?;
    assert_eq!((counts.pass, counts.fail, counts.inconclusive), (30, 31, 0));
    Ok(())
}

/// [`Change::Shown`] takes back what was said of later times.
pub async fn an_interval_replaces_all_that_began_later(store: &dyn Store) -> Done {
    let keys = define(store, &["a"]).await?;
    let show = |to, at| Change::Shown { from: Shown::Unknown, to, since: minute(at) };
    let changes = |changes| Commit { at: BEGIN, entries: vec![Entry { changes, ..entry(keys[0]) }] };
    store.commit(changes(vec![show(Shown::Up, 1), show(Shown::Unknown, 5), show(Shown::Up, 9)])).await?;
    store.commit(changes(vec![show(Shown::Down, 4)])).await?;
    let interval = |at, shown| Interval { from: minute(at), shown };
    let expected = [interval(0, Shown::Unknown), interval(1, Shown::Up), interval(4, Shown::Down)];
    assert_eq!(shows_always(store, &keys).await?.intervals[&keys[0]], expected);
    let from = |at| store.intervals(None, minute(at));
    assert_eq!(from(3).await?[&keys[0]], expected[1..]);
    assert_eq!(from(4).await?[&keys[0]], expected[2..]);
    assert_eq!(from(999).await?[&keys[0]], expected[2..]);
    assert_eq!(from(-5).await?[&keys[0]], expected);
    Ok(())
}

/// The clock was set back amid an outage: the incident does not end before it began.
pub async fn no_incident_ends_before_it_began(store: &dyn Store) -> Done {
    let keys = define(store, &["a"]).await?;
    let key = keys[0];
    store.commit(Commit { at: minute(9), entries: vec![going_down(key, minute(9))] }).await?;
    store.commit(Commit { at: minute(5), entries: vec![going_up(key, minute(9), minute(5))] }).await?;
    let incident = shows_always(store, &keys).await?.incidents[0].clone();
    assert_eq!((incident.since, incident.opened_at), (minute(5), minute(5)));
    assert_eq!(incident.closed, Some((minute(5), ClosedWhy::Recovered)));
    Ok(())
}

/// A machine that starts in 1970 does not wipe out what is known of the years since.
pub async fn a_clock_that_stands_in_another_age_takes_no_history(store: &dyn Store) -> Done {
    let keys = define(store, &["a"]).await?;
    let show = |to, since| Change::Shown { from: Shown::Unknown, to, since };
    let changes = |change| Commit { at: BEGIN, entries: vec![Entry { changes: vec![change], ..entry(keys[0]) }] };
    store.commit(changes(show(Shown::Up, minute(1)))).await?;
    store.commit(changes(show(Shown::Down, Timestamp::EPOCH))).await?;
    let shown: Vec<Shown> = store.intervals(None, minute(-5)).await?[&keys[0]].iter().map(|i| i.shown).collect();
    assert_eq!(shown, [Shown::Down, Shown::Unknown, Shown::Up]);
    Ok(())
}

/// A replay neither opens a closed incident again nor closes it at another time.
pub async fn incidents_are_opened_once_and_closed_once(store: &dyn Store) -> Done {
    let keys = define(store, &["a"]).await?;
    let key = keys[0];
    let send = |entry| store.commit(Commit { at: BEGIN, entries: vec![entry] });
    send(going_down(key, minute(1))).await?;
    send(going_up(key, minute(1), minute(2))).await?;
    send(going_up(key, minute(1), minute(3))).await?;
    send(going_down(key, minute(1))).await?;
    send(going_down(key, minute(7))).await?;
    let incident = IncidentId::derive(key, minute(7));
    let closed = Change::Closed { incident, at: minute(8), why: ClosedWhy::Removed };
    send(Entry { changes: vec![closed], ..entry(key) }).await?;
    let incidents = shows_always(store, &keys).await?.incidents;
    assert_eq!(incidents.len(), 2);
    assert_eq!(incidents[0].closed, Some((minute(8), ClosedWhy::Removed)));
    assert_eq!(incidents[1].closed, Some((minute(2), ClosedWhy::Recovered)));
    assert_eq!(store.figures().await?.incidents_open, 0);
    Ok(())
}

/// Late results rewrite the intervals and bring their incidents with them.
pub async fn what_is_backfilled_replaces_the_intervals(store: &dyn Store) -> Done {
    let keys = define(store, &["a"]).await?;
    let key = keys[0];
    store.commit(Commit { at: BEGIN, entries: vec![going_down(key, minute(9))] }).await?;
    let intervals = vec![
        Interval { from: minute(0), shown: Shown::Up },
        Interval { from: minute(3), shown: Shown::Down },
        Interval { from: minute(4), shown: Shown::Up },
        Interval { from: minute(9), shown: Shown::Down },
    ];
    let incident = Incident {
        id: IncidentId::derive(key, minute(3)),
        monitor: key,
        since: minute(3),
        opened_at: minute(3),
        reason: refused(),
        closed: Some((minute(4), ClosedWhy::Recovered)),
    };
    let backfilled = Some(Backfilled { intervals: intervals.clone(), incidents: vec![incident.clone()] });
    let results = vec![fail(key, minute(3)), pass(key, minute(4))];
    let batch = Commit { at: BEGIN, entries: vec![Entry { results, backfilled, ..entry(key) }] };
    assert!(batch.has_changes());
    store.commit(batch.clone()).await?;
    store.commit(batch).await?;
    let shows = shows_always(store, &keys).await?;
    assert_eq!(shows.intervals[&key], intervals);
    assert_eq!(shows.incidents.len(), 2);
    assert_eq!(shows.incidents[1], incident);
    // What the state machine did meanwhile stays.
    store.commit(Commit { at: BEGIN, entries: vec![going_up(key, minute(9), minute(12))] }).await?;
    let late = vec![Interval { from: minute(2), shown: Shown::Up }, intervals[3]];
    let backfilled = Some(Backfilled { intervals: late.clone(), incidents: Vec::new() });
    store.commit(Commit { at: BEGIN, entries: vec![Entry { backfilled, ..entry(key) }] }).await?;
    let up = Interval { from: minute(12), shown: Shown::Up };
    assert_eq!(shows_always(store, &keys).await?.intervals[&key], [late[0], late[1], up]);
    Ok(())
}

/// Nothing is made of it, and the rest of the batch is kept.
pub async fn a_commit_for_a_monitor_that_is_not_there_is_dropped(store: &dyn Store) -> Done {
    let keys = define(store, &["a"]).await?;
    let nobody = MonitorKey(4_000_000_000);
    let entries =
        vec![going_down(nobody, minute(1)), Entry { results: vec![pass(keys[0], minute(1))], ..entry(keys[0]) }];
    store.commit(Commit { at: BEGIN, entries }).await?;
    let shows = shows_always(store, &[keys[0], nobody]).await?;
    assert_eq!(shows.results, [pass(keys[0], minute(1))]);
    assert_eq!((shows.incidents.len(), shows.states.len()), (0, 1));
    Ok(())
}

/// `load` gives the newest tick even when its result is gone.
pub async fn the_newest_tick_survives_compaction_and_pruning(store: &dyn Store) -> Done {
    let keys = define(store, &["a"]).await?;
    commit(store, (0..90).map(|n| pass(keys[0], minute(n))).collect()).await?;
    let newest = |states: Vec<(MonitorKey, State)>| states[0].1.last_tick;
    assert_eq!(newest(store.load().await?), Some(minute(89)));
    store.compact(minute(120)).await?;
    assert_eq!(newest(store.load().await?), Some(minute(89)));
    let hour = Duration::from_secs(3_600);
    store.prune(Keep { now: minute(600), results: hour, history: hour, size_max: None }).await?;
    assert_eq!(walk(store, &all()).await?, []);
    assert_eq!(newest(store.load().await?), Some(minute(89)));
    assert!(store.monitors().await?[0].last.is_none());
    Ok(())
}
