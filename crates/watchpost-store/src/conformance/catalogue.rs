//! Edits of the catalogue, pruning, closing.

use std::time::Duration;

use watchpost_core::plan::Wanted;
use watchpost_core::uptime::Interval;
use watchpost_core::{Change, ClosedWhy, IncidentId, MonitorKey, Phase, Shown, State, Timestamp};

use super::world::{BEGIN, all, commit, define, entry, fail, minute, pass, refused, shows, shows_always, walk, wanted};
use crate::{Commit, Entry, IncidentQuery, Keep, Redefine, Store, StoreError};

type Done = Result<(), StoreError>;

fn edit(at: Timestamp, monitors: Vec<(Option<MonitorKey>, Wanted)>) -> Redefine {
    Redefine { at, monitors, ..Redefine::default() }
}

/// Renaming, reordering and adding in one go, with the state changes that follow.
pub async fn an_edit_keeps_key_and_history(store: &dyn Store) -> Done {
    let keys = define(store, &["a", "b"]).await?;
    commit(store, vec![pass(keys[0], minute(1)), fail(keys[1], minute(1))]).await?;
    let paused = State { phase: Phase::Paused, blind: None, last_tick: Some(minute(1)), shown_since: minute(2) };
    let change = Change::Shown { from: Shown::Unknown, to: Shown::Paused, since: minute(2) };
    let mut edit = edit(
        minute(2),
        vec![
            (Some(keys[1]), wanted("b", "New name")),
            (None, wanted("c", "c")),
            (Some(keys[0]), wanted("renamed", "a")),
        ],
    );
    edit.entries = vec![Entry { state: Some(paused.clone()), changes: vec![change], ..entry(keys[1]) }];
    let now = store.redefine(edit.clone()).await?;
    assert_eq!((now[0], now[2]), (keys[1], keys[0]));
    assert!(!keys.contains(&now[1]));
    let shows = shows_always(store, &now).await?;
    let ids: Vec<String> = shows.known.iter().map(|k| format!("{} {} {}", k.id, k.name, k.target)).collect();
    assert_eq!(ids, ["b New name b.example.org:5432", "c c c.example.org:5432", "renamed a renamed.example.org:5432"]);
    assert_eq!(shows.known.iter().map(|k| k.key).collect::<Vec<_>>(), now);
    assert_eq!(shows.known[0].document, edit.monitors[0].1.document);
    assert_eq!(shows.monitors.iter().map(|m| m.0.key).collect::<Vec<_>>(), now);
    assert_eq!(shows.monitors[2].2, Some(pass(keys[0], minute(1))));
    assert_eq!(shows.monitors[0].1, paused);
    assert_eq!(shows.intervals[&keys[1]].last(), Some(&Interval { from: minute(2), shown: Shown::Paused }));
    assert_eq!(shows.monitors[1].1, State::fresh(true, minute(2)));
    Ok(())
}

/// Its open incident is closed by the edit; lists of history still have it.
pub async fn a_removed_monitor_is_gone_and_its_history_stays(store: &dyn Store) -> Done {
    let keys = define(store, &["a", "b"]).await?;
    let incident = IncidentId::derive(keys[0], minute(1));
    let opened = Change::WentDown { incident, since: minute(1), at: minute(1), reason: refused() };
    let went_down = Entry { results: vec![fail(keys[0], minute(1))], changes: vec![opened], ..entry(keys[0]) };
    store.commit(Commit { at: minute(1), entries: vec![went_down] }).await?;
    let closed = Change::Closed { incident, at: minute(2), why: ClosedWhy::Removed };
    let mut edit = edit(minute(2), vec![(Some(keys[1]), wanted("b", "b"))]);
    edit.removed = vec![keys[0]];
    edit.entries = vec![Entry { changes: vec![closed], ..entry(keys[0]) }];
    store.redefine(edit).await?;
    let shows = shows_always(store, &keys).await?;
    assert_eq!((shows.known.len(), shows.monitors.len(), shows.states.len()), (1, 1, 1));
    assert_eq!(shows.results, [fail(keys[0], minute(1))]);
    assert_eq!(shows.incidents[0].closed, Some((minute(2), ClosedWhy::Removed)));
    assert_eq!(shows.figures.shown.iter().sum::<u64>(), 1);
    assert!(store.recent(None, 5).await?.is_empty());
    assert!(store.monitor(&watchpost_core::MonitorId::new("a")).await?.is_none());
    // What was in flight when it was removed still counts as its history.
    commit(store, vec![pass(keys[0], minute(3))]).await?;
    assert_eq!(walk(store, &all()).await?.len(), 2);
    Ok(())
}

/// The same id and kind is the same monitor; another kind is another one.
pub async fn a_monitor_that_comes_back_has_its_key_and_history_again(store: &dyn Store) -> Done {
    let keys = define(store, &["a"]).await?;
    commit(store, vec![pass(keys[0], minute(1))]).await?;
    let up = State { phase: Phase::Up, blind: None, last_tick: Some(minute(1)), shown_since: minute(1) };
    let shown = Change::Shown { from: Shown::Unknown, to: Shown::Up, since: minute(1) };
    let entries = vec![Entry { state: Some(up), changes: vec![shown], ..entry(keys[0]) }];
    store.commit(Commit { at: minute(1), entries }).await?;
    store.redefine(Redefine { at: minute(2), removed: keys.clone(), ..Redefine::default() }).await?;
    assert!(store.load().await?.is_empty());
    let other_kind = Wanted { definition: wanted("ping", "x").definition, document: wanted("a", "x").document };
    let mut of_other_kind = watchpost_core::Definition::clone(&other_kind.definition);
    of_other_kind.id = watchpost_core::MonitorId::new("a");
    let other = Wanted { definition: of_other_kind.into(), document: other_kind.document };
    let others = store.redefine(edit(minute(3), vec![(None, other)])).await?;
    assert_ne!(others, keys);
    let monitors = vec![(None, wanted("a", "Back"))];
    let back = store.redefine(Redefine { at: minute(4), monitors, removed: others, ..Redefine::default() }).await?;
    assert_eq!(back, keys);
    let shows = shows_always(store, &keys).await?;
    let fresh = State::fresh(true, minute(4));
    assert_eq!(shows.states[0].1, State { last_tick: fresh.last_tick.max(Some(minute(1))), ..fresh });
    assert_eq!(shows.monitors[0].2, Some(pass(keys[0], minute(1))));
    let interval = |at, shown| Interval { from: minute(at), shown };
    let expected = [interval(0, Shown::Unknown), interval(1, Shown::Up), interval(4, Shown::Unknown)];
    assert_eq!(shows.intervals[&keys[0]], expected);
    Ok(())
}

/// When the answer of an edit was lost it is sent again as it was.
pub async fn a_repeated_edit_makes_nothing_twice(store: &dyn Store) -> Done {
    let keys = define(store, &["a", "b"]).await?;
    commit(store, vec![pass(keys[0], minute(1))]).await?;
    let once = shows(store, &keys).await?;
    assert_eq!(define(store, &["a", "b"]).await?, keys);
    shows_always(store, &keys).await?.assert_same(&once, "after a replay");
    Ok(())
}

/// A key of a monitor that is gone belongs to its history.
pub async fn keys_are_never_given_twice(store: &dyn Store) -> Done {
    let first = define(store, &["a", "b"]).await?;
    store.redefine(Redefine { at: minute(1), removed: first.clone(), ..Redefine::default() }).await?;
    let year = Duration::from_secs(366 * 86_400);
    let keep = Keep { now: minute(600_000), results: year, history: year, size_max: None };
    store.prune(Keep { results: Duration::ZERO, history: Duration::ZERO, ..keep }).await?;
    let second = store.redefine(edit(minute(2), vec![(None, wanted("c", "c")), (None, wanted("d", "d"))])).await?;
    assert!(second.iter().all(|key| !first.contains(key)), "{first:?} {second:?}");
    Ok(())
}

/// Results go by the hour; counts of hours that are gone are kept as long as history is.
pub async fn pruning_drops_old_results_and_keeps_their_counts(store: &dyn Store) -> Done {
    let keys = define(store, &["a", "b"]).await?;
    for key in &keys {
        commit(store, (0..180).map(|n| pass(*key, minute(n))).collect()).await?;
    }
    store.recent(None, 100).await?;
    let hour = Duration::from_secs(3_600);
    let keep = Keep { now: minute(185), results: hour, history: hour * 1_000, size_max: None };
    store.prune(keep).await?;
    store.prune(keep).await?;
    let shows = shows_always(store, &keys).await?;
    assert_eq!(shows.results.last(), Some(&pass(keys[1], minute(120))));
    assert_eq!(shows.results.len(), 120);
    assert_eq!(shows.figures.results, 120);
    assert_eq!(store.recent(None, 100).await?[&keys[0]].len(), 60);
    assert_eq!(store.counts(keys[0], minute(0), minute(180)).await?.pass, 180);
    assert_eq!(store.counts(keys[0], minute(60), minute(130)).await?.pass, 70);
    // What comes late for an hour that is gone is counted with it.
    commit(store, vec![fail(keys[0], minute(200)), fail(keys[0], Timestamp::from_millis(minute(7).as_millis() + 1))])
        .await?;
    shows_always(store, &keys).await?;
    let counts = store.counts(keys[0], minute(0), minute(60)).await?;
    assert_eq!((counts.pass, counts.fail), (60, 1));
    Ok(())
}

/// Intervals that ended, incidents that were closed, and what was removed long ago.
pub async fn pruning_drops_old_history_and_forgets_what_was_removed(store: &dyn Store) -> Done {
    let keys = define(store, &["a", "gone"]).await?;
    let show = |to, at| Change::Shown { from: Shown::Unknown, to, since: minute(at) };
    let open = |key, at| Change::WentDown {
        incident: IncidentId::derive(key, minute(at)),
        since: minute(at),
        at: minute(at),
        reason: refused(),
    };
    let close = |key, of, at| Change::Closed {
        incident: IncidentId::derive(key, minute(of)),
        at: minute(at),
        why: ClosedWhy::Recovered,
    };
    let changes = vec![
        show(Shown::Up, 1),
        open(keys[0], 2),
        show(Shown::Down, 2),
        close(keys[0], 2, 3),
        show(Shown::Up, 3),
        open(keys[0], 5),
        show(Shown::Down, 5),
        close(keys[0], 5, 200),
        show(Shown::Up, 200),
        open(keys[0], 6),
    ];
    store.commit(Commit { at: BEGIN, entries: vec![Entry { changes, ..entry(keys[0]) }] }).await?;
    commit(store, vec![pass(keys[1], minute(1)), pass(keys[0], minute(1))]).await?;
    let mut edit = edit(minute(10), vec![(Some(keys[0]), wanted("a", "a"))]);
    edit.removed = vec![keys[1]];
    store.redefine(edit).await?;
    let hour = Duration::from_secs(3_600);
    store.prune(Keep { now: minute(240), results: hour, history: hour * 2, size_max: None }).await?;
    let shows = shows_always(store, &keys).await?;
    let interval = |at, shown| Interval { from: minute(at), shown };
    assert_eq!(shows.intervals[&keys[0]], [interval(5, Shown::Down), interval(200, Shown::Up)]);
    assert!(!shows.intervals.contains_key(&keys[1]));
    let opened: Vec<_> = shows.incidents.iter().map(|i| i.opened_at).collect();
    assert_eq!(opened, [minute(6), minute(5)]);
    assert_eq!(shows.counts[&keys[0]][0].pass, 0);
    // Nothing is left of the removed one, so it comes back as a new one.
    let monitors = vec![(Some(keys[0]), wanted("a", "a")), (None, wanted("gone", "gone"))];
    let now = store.redefine(Redefine { at: minute(300), monitors, ..Redefine::default() }).await?;
    assert!(!keys.contains(&now[1]));
    Ok(())
}

/// Whatever is asked of it.
pub async fn a_closed_store_says_so(store: &dyn Store) -> Done {
    let keys = define(store, &["a"]).await?;
    store.close().await?;
    store.close().await?;
    let closed = |error: Option<StoreError>| assert!(matches!(error, Some(StoreError::Closed)), "{error:?}");
    closed(commit(store, vec![pass(keys[0], minute(1))]).await.err());
    closed(define(store, &["b"]).await.err());
    closed(store.load().await.err());
    closed(store.known().await.err());
    closed(store.monitors().await.err());
    closed(store.results(all()).await.err());
    closed(store.incidents(IncidentQuery { limit: 1, ..IncidentQuery::default() }).await.err());
    closed(store.compact(minute(60)).await.err());
    Ok(())
}
