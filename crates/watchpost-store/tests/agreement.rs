//! Random histories give the same views on the model and on SQLite, with compactions, prunings and restarts in between.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::time::Duration;

use proptest::prelude::*;
use watchpost_core::backfill::Backfilled;
use watchpost_core::uptime::Interval;
use watchpost_core::{Change, CheckResult, ClosedWhy, IncidentId, MonitorKey, Phase, Region, Shown, State};
use watchpost_store::conformance::world::{
    blind, define, entry, fail, minute, missed, pass, refused, shows, slow, wanted,
};
use watchpost_store::{Catalog, Commit, Entry, Keep, MemoryStore, Redefine, SqliteOptions, SqliteStore, Store};

const IDS: [&str; 4] = ["a", "b", "ping", "d"];

/// Something that happens to a store. Times are minutes.
#[derive(Clone, Debug)]
enum Happening {
    Commit(Vec<Happened>),
    Replay,
    Wanted(Vec<bool>),
    Compact(i64),
    Prune { now: i64, results: u64, history: u64 },
    Restart,
    Look,
}

#[derive(Clone, Debug)]
struct Happened {
    monitor: usize,
    results: Vec<(i64, u8, bool)>,
    state: Option<(u8, i64)>,
    changes: Vec<(u8, i64, i64)>,
    backfilled: Option<Vec<(u8, i64)>>,
}

fn happened() -> impl Strategy<Value = Happened> {
    let tick = || prop_oneof![0..240_i64, 170..190_i64];
    (
        0..IDS.len() + 1,
        proptest::collection::vec((tick(), 0..6_u8, proptest::bool::weighted(0.1)), 0..12),
        proptest::option::weighted(0.3, (any::<u8>(), tick())),
        proptest::collection::vec((any::<u8>(), tick(), tick()), 0..3),
        proptest::option::weighted(0.1, proptest::collection::vec((any::<u8>(), tick()), 0..4)),
    )
        .prop_map(|(monitor, results, state, changes, backfilled)| Happened {
            monitor,
            results,
            state,
            changes,
            backfilled,
        })
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => proptest::collection::vec(happened(), 1..4).prop_map(Happening::Commit),
        1 => Just(Happening::Replay),
        1 => proptest::collection::vec(any::<bool>(), IDS.len()).prop_map(Happening::Wanted),
        3 => (0..300_i64).prop_map(Happening::Compact),
        1 => (100..500_i64, 0..200_u64, 0..400_u64)
            .prop_map(|(now, results, history)| Happening::Prune { now, results, history }),
        1 => Just(Happening::Restart),
        2 => Just(Happening::Look),
    ]
}

fn shown(n: u8) -> Shown {
    Shown::ALL[usize::from(n) % Shown::ALL.len()]
}

fn result(key: MonitorKey, (at, kind, abroad): (i64, u8, bool)) -> CheckResult {
    let at = minute(at);
    let mut row = match kind {
        0 | 1 => pass(key, at),
        2 => fail(key, at),
        3 => slow(key, at),
        4 => blind(key, at),
        _ => missed(key, at, 3),
    };
    if abroad {
        row.tick.region = Region::new("eu");
    }
    row
}

fn to_entry(keys: &[MonitorKey], what: &Happened) -> Entry {
    let key = keys.get(what.monitor).copied().unwrap_or(MonitorKey(77));
    let phases = [Phase::Unknown, Phase::Up, Phase::Paused, Phase::Degraded { reason: refused() }];
    let state = what.state.map(|(n, at)| State {
        phase: phases[usize::from(n) % phases.len()].clone(),
        blind: None,
        last_tick: (n < 200).then(|| minute(at)),
        shown_since: minute(at),
    });
    let change = |(n, at, other): &(u8, i64, i64)| {
        let incident = IncidentId::derive(key, minute(other / 20));
        match n % 4 {
            0 => Change::WentDown { incident, since: minute(0), at: minute(other / 20), reason: refused() },
            1 => Change::Recovered { incident, at: minute(*at), after: Duration::ZERO },
            2 => Change::Closed { incident, at: minute(*at), why: ClosedWhy::Paused },
            _ => Change::Shown { from: Shown::Up, to: shown(n / 4), since: minute(*at) },
        }
    };
    let backfilled = what.backfilled.as_ref().map(|list| Backfilled {
        intervals: list.iter().map(|(n, at)| Interval { from: minute(*at), shown: shown(*n) }).collect(),
        incidents: Vec::new(),
    });
    Entry {
        results: what.results.iter().map(|r| result(key, *r)).collect(),
        wake: state.as_ref().map(|s| s.shown_since),
        state,
        changes: what.changes.iter().map(change).collect(),
        backfilled,
        ..entry(key)
    }
}

struct Both {
    folder: tempfile::TempDir,
    model: MemoryStore,
    sqlite: SqliteStore,
    keys: Vec<MonitorKey>,
    there: Vec<bool>,
    last: Option<Commit>,
    edits: i64,
}

impl Both {
    async fn new() -> Both {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions { folder: folder.path().to_owned(), file: "watchpost.db".into() };
        let (model, sqlite) = (MemoryStore::new(), SqliteStore::open(options).await.unwrap());
        let keys = define(&model, &IDS).await.unwrap();
        assert_eq!(define(&sqlite, &IDS).await.unwrap(), keys);
        Both { folder, model, sqlite, keys, there: vec![true; IDS.len()], last: None, edits: 0 }
    }

    async fn happens(&mut self, what: Happening) {
        match what {
            Happening::Commit(list) => {
                let entries = list.iter().map(|what| to_entry(&self.keys, what)).collect();
                self.commit(Commit { at: minute(0), entries }).await;
            }
            Happening::Replay => {
                if let Some(batch) = self.last.clone() {
                    self.commit(batch).await;
                }
            }
            Happening::Wanted(there) => self.wanted(there).await,
            Happening::Compact(before) => {
                self.sqlite.compact(minute(before)).await.unwrap();
                self.look().await;
            }
            Happening::Prune { now, results, history } => {
                let span = |minutes: u64| Duration::from_secs(minutes * 60);
                let keep = Keep { now: minute(now), results: span(results), history: span(history), size_max: None };
                self.model.prune(keep).await.unwrap();
                self.sqlite.prune(keep).await.unwrap();
                self.look().await;
            }
            Happening::Restart => {
                self.sqlite.close().await.unwrap();
                let options = SqliteOptions { folder: self.folder.path().to_owned(), file: "watchpost.db".into() };
                self.sqlite = SqliteStore::open(options).await.unwrap();
                self.model = self.model.crash();
                self.look().await;
                self.wanted(self.there.clone()).await;
            }
            Happening::Look => self.look().await,
        }
    }

    async fn commit(&mut self, batch: Commit) {
        self.model.commit(batch.clone()).await.unwrap();
        self.sqlite.commit(batch.clone()).await.unwrap();
        self.last = Some(batch);
    }

    /// Removes and brings back monitors until exactly these are there.
    async fn wanted(&mut self, there: Vec<bool>) {
        self.edits += 1;
        let known = self.model.known().await.unwrap();
        let mut edit = Redefine { at: minute(self.edits * 13), ..Redefine::default() };
        for (id, there) in IDS.iter().zip(&there) {
            let key = known.iter().find(|k| k.id.as_str() == *id).map(|k| k.key);
            match (*there, key) {
                (true, key) => edit.monitors.push((key, wanted(id, &format!("{id} {}", self.edits % 3)))),
                (false, Some(key)) => edit.removed.push(key),
                (false, None) => {}
            }
        }
        let keys = self.model.redefine(edit.clone()).await.unwrap();
        assert_eq!(self.sqlite.redefine(edit.clone()).await.unwrap(), keys);
        for ((_, wanted), key) in edit.monitors.iter().zip(keys) {
            let place = IDS.iter().position(|id| *id == wanted.definition.id.as_str()).unwrap();
            self.keys[place] = key;
        }
        self.there = there;
    }

    async fn look(&self) {
        let model = shows(&self.model, &self.keys).await.unwrap();
        let sqlite = shows(&self.sqlite, &self.keys).await.unwrap();
        sqlite.assert_same(&model, "on SQLite (left) and in the model");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        max_shrink_iters: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_history_shows_the_same_on_both_stores(history in proptest::collection::vec(happening(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut both = Both::new().await;
            for what in history {
                both.happens(what).await;
            }
            both.look().await;
            both.sqlite.close().await.unwrap();
        });
    }
}
