//! Lists, filters, counts, recent results.

use watchpost_core::uptime::Counts;
use watchpost_core::{Change, CheckResult, ClosedWhy, IncidentId, MonitorKey, Region, Timestamp};

use super::world::{
    BEGIN, all, blind, commit, define, entry, fail, minute, missed, pass, refused, shows_always, slow, walk,
};
use crate::{Commit, Entry, IncidentQuery, PAGE_MAX, RECENT_MAX, ResultQuery, Store, StoreError, VerdictKind};

type Done = Result<(), StoreError>;

/// Three monitors, three hours and a bit, every kind of result; the first two hours compacted, some of it late.
async fn filled(store: &dyn Store) -> Result<(Vec<MonitorKey>, Vec<CheckResult>), StoreError> {
    let keys = define(store, &["a", "b", "ping"]).await?;
    let kinds = [pass, fail, slow, blind];
    let mut rows = Vec::new();
    for n in 0_i64..200 {
        for (m, key) in keys.iter().enumerate().filter(|(m, _)| n % (*m as i64 + 1) == 0) {
            let kind = (n as usize / 3 + m) % (kinds.len() + 1);
            rows.push(kinds.get(kind).map_or_else(|| missed(*key, minute(n), 4), |make| make(*key, minute(n))));
        }
    }
    let (late, timely): (Vec<_>, Vec<_>) =
        rows.iter().cloned().partition(|r| r.tick.scheduled_at.as_millis() / 60_000 % 7 == 0);
    commit(store, timely).await?;
    store.compact(minute(120)).await?;
    commit(store, late).await?;
    rows.sort_by_key(|r| (std::cmp::Reverse(r.tick.scheduled_at), r.tick.monitor));
    Ok((keys, rows))
}

/// However it is cut, the list is the list.
pub async fn every_page_size_gives_the_same_list(store: &dyn Store) -> Done {
    let (keys, rows) = filled(store).await?;
    for limit in [1, 2, 3, 7, 64, 99, PAGE_MAX] {
        assert_eq!(walk(store, &ResultQuery { limit, ..all() }).await?, rows, "pages of {limit}");
        for key in &keys {
            let of_one: Vec<_> = rows.iter().filter(|r| r.tick.monitor == *key).cloned().collect();
            let query = ResultQuery { limit, monitor: Some(*key), ..all() };
            assert_eq!(walk(store, &query).await?, of_one, "pages of {limit} of {key:?}");
        }
    }
    assert_eq!(shows_always(store, &keys).await?.results, rows);
    assert_eq!(store.results(ResultQuery { limit: 0, ..all() }).await?.items, rows[..1]);
    Ok(())
}

/// What comes in after the first page does not move the second one.
pub async fn a_cursor_stays_valid_while_results_come_in(store: &dyn Store) -> Done {
    let (keys, rows) = filled(store).await?;
    let first = store.results(ResultQuery { limit: 50, ..all() }).await?;
    commit(store, (200..230).map(|n| pass(keys[0], minute(n))).collect()).await?;
    store.compact(Timestamp::MAX).await?;
    let rest = walk(store, &ResultQuery { after: first.next, ..all() }).await?;
    assert_eq!([first.items, rest].concat(), rows);
    Ok(())
}

/// The cursor names tick and monitor, so all regions of both come together.
pub async fn ticks_of_several_regions_are_not_split_between_pages(store: &dyn Store) -> Done {
    let keys = define(store, &["a", "b"]).await?;
    let mut rows = Vec::new();
    for n in (0..5).rev() {
        for key in &keys {
            for region in ["eu", "local", "us"] {
                let mut row = pass(*key, minute(n));
                row.tick.region = Region::new(region);
                rows.push(row);
            }
        }
    }
    let mut shuffled = rows.clone();
    shuffled.reverse();
    commit(store, shuffled).await?;
    for limit in 1..8 {
        assert_eq!(walk(store, &ResultQuery { limit, ..all() }).await?, rows, "pages of {limit}");
    }
    assert_eq!(shows_always(store, &keys).await?.results, rows);
    Ok(())
}

/// Verdicts, times, monitor, alone and together.
pub async fn lists_can_be_narrowed_by_verdict_and_time(store: &dyn Store) -> Done {
    let (keys, rows) = filled(store).await?;
    let verdicts = [
        vec![VerdictKind::Fail],
        vec![VerdictKind::Pass, VerdictKind::Degraded],
        vec![VerdictKind::Inconclusive],
        vec![],
    ];
    for _ in 0..2 {
        for verdicts in &verdicts {
            for (from, to) in
                [(None, None), (Some(31), Some(171)), (Some(60), Some(120)), (None, Some(0)), (Some(90), None)]
            {
                for monitor in [None, Some(keys[1])] {
                    let (from, to) = (from.map(minute), to.map(minute));
                    let query = ResultQuery { monitor, verdicts: verdicts.clone(), from, to, after: None, limit: 9 };
                    let asked = |r: &&CheckResult| {
                        monitor.is_none_or(|m| m == r.tick.monitor)
                            && (verdicts.is_empty() || verdicts.contains(&VerdictKind::of(&r.verdict)))
                            && from.is_none_or(|from| from <= r.tick.scheduled_at)
                            && to.is_none_or(|to| r.tick.scheduled_at < to)
                    };
                    let expected: Vec<_> = rows.iter().filter(asked).cloned().collect();
                    assert_eq!(walk(store, &query).await?, expected, "{query:?}");
                }
            }
        }
        store.compact(minute(180)).await?;
    }
    let turned = ResultQuery { from: Some(minute(90)), to: Some(minute(20)), ..all() };
    assert_eq!(store.results(turned.clone()).await?.items, []);
    assert_eq!(store.results(ResultQuery { monitor: Some(keys[0]), ..turned }).await?.items, []);
    Ok(())
}

/// By monitor, open or not, and with the cursor.
pub async fn incidents_are_listed_newest_first_a_page_at_a_time(store: &dyn Store) -> Done {
    let keys = define(store, &["a", "b"]).await?;
    for n in 0..12_i64 {
        let key = keys[usize::from(n % 3 == 0)];
        let incident = IncidentId::derive(key, minute(n / 2));
        let mut changes = vec![Change::WentDown { incident, since: minute(0), at: minute(n / 2), reason: refused() }];
        if n % 4 != 0 {
            changes.push(Change::Closed { incident, at: minute(n + 1), why: ClosedWhy::Paused });
        }
        store.commit(Commit { at: BEGIN, entries: vec![Entry { changes, ..entry(key) }] }).await?;
    }
    let everything = store.incidents(IncidentQuery { limit: PAGE_MAX, ..IncidentQuery::default() }).await?;
    assert!(!everything.more);
    let expected = everything.items;
    assert!(expected.is_sorted_by_key(|i| std::cmp::Reverse((i.opened_at, i.id))));
    assert!(expected.len() > 8);
    for monitor in [None, Some(keys[0]), Some(keys[1])] {
        for open in [None, Some(true), Some(false)] {
            let asked = expected.iter().filter(|i| {
                monitor.is_none_or(|m| m == i.monitor) && open.is_none_or(|open| open == i.closed.is_none())
            });
            let mut found = Vec::new();
            let mut after = None;
            loop {
                let page = store.incidents(IncidentQuery { monitor, open, after, limit: 2 }).await?;
                after = page.items.last().map(|i| (i.opened_at, i.id));
                found.extend(page.items);
                if !page.more {
                    break;
                }
            }
            assert_eq!(found, asked.cloned().collect::<Vec<_>>());
        }
    }
    Ok(())
}

/// Whole hours, parts of hours, nothing.
pub async fn counts_are_what_counting_gives(store: &dyn Store) -> Done {
    let (keys, rows) = filled(store).await?;
    for _ in 0..2 {
        for (from, until) in [(0, 60), (0, 200), (17, 43), (59, 121), (60, 180), (-100, 1_000), (5, 5), (9, 3)] {
            for key in &keys {
                let mut expected = Counts::default();
                let range = minute(from)..minute(until);
                for r in rows.iter().filter(|r| r.tick.monitor == *key && range.contains(&r.tick.scheduled_at)) {
                    expected.add(&r.verdict, r.ticks);
                }
                let counts = store.counts(*key, minute(from), minute(until)).await?;
                assert_eq!(counts, expected, "{key:?} from {from} until {until}");
            }
        }
        store.compact(Timestamp::MAX).await?;
    }
    assert_eq!(store.counts(MonitorKey(999), minute(0), minute(9)).await?, Counts::default());
    Ok(())
}

/// However many are asked for, and however often, with compactions and results in between.
pub async fn recent_results_reach_back_beyond_the_open_hour(store: &dyn Store) -> Done {
    let (keys, mut rows) = filled(store).await?;
    for round in 0..4 {
        for count in [1, 5, 2, 40, 100, 3, 5_000] {
            let recent = store.recent(None, count).await?;
            for key in &keys {
                let mut expected: Vec<_> = rows.iter().filter(|r| r.tick.monitor == *key).cloned().collect();
                expected.truncate(count.min(RECENT_MAX));
                expected.reverse();
                assert_eq!(recent[key], expected, "{count} of {key:?}, round {round}");
            }
        }
        let more: Vec<_> = (0..31).map(|n| pass(keys[0], minute(200 + round * 31 + n))).collect();
        commit(store, more.clone()).await?;
        rows.splice(0..0, more.into_iter().rev());
        store.compact(minute(180 + round * 60)).await?;
    }
    assert_eq!(store.recent(Some(vec![keys[2]]), 1).await?.len(), 1);
    assert!(store.recent(Some(vec![MonitorKey(999)]), 1).await?.is_empty());
    Ok(())
}
