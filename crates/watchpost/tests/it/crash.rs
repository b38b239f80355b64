//! kill -9 at random moments under load.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Server, Site, Target, wait_for};

const KILLS: u64 = 20;
const MONITORS: usize = 60;

/// splitmix64: the moments are random, and the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// A result's identity, and what was measured.
type Seen = BTreeMap<(String, String), Value>;

#[test]
fn nothing_acknowledged_is_lost_when_it_is_killed_again_and_again() {
    let seed = 2026;
    let mut chance = Chance(seed);
    let target = Target::start(4);
    let site = Site::new(&configuration(&target));
    let mut acknowledged = Seen::new();
    for kill in 0..KILLS {
        target.answer(if kill % 2 == 0 { 200 } else { 503 });
        let server = site.serve();
        let moment = Instant::now() + Duration::from_millis(300 + chance.below(1_200));
        read(&server, &mut acknowledged);
        while Instant::now() < moment {
            read(&server, &mut acknowledged);
        }
        server.kill();
    }
    let server = site.serve();
    let kept = all(&server);
    let lost: Vec<_> = acknowledged.iter().filter(|(tick, _)| !kept.contains_key(*tick)).collect();
    assert!(lost.is_empty(), "seed {seed}: {} of {} lost: {:?}", lost.len(), acknowledged.len(), lost.first());
    for (tick, result) in &acknowledged {
        assert_eq!(kept[tick]["verdict"], result["verdict"], "seed {seed}: {tick:?} changed");
    }
    assert!(acknowledged.len() > 500, "too little happened to mean anything: {}", acknowledged.len());
    no_incident_is_torn(&server);
    missed_ticks_are_unknown(&server, &kept);
    let fresh = wait_for("checks to go on", || {
        let now = server.json("/api/v1/results?limit=1")["items"][0]["scheduled_at"].clone();
        (!kept.keys().any(|(_, at)| now == at.as_str())).then_some(now)
    });
    assert!(fresh.is_string());
    assert_eq!(server.stop(), 0);
}

fn configuration(target: &Target) -> String {
    let mut yaml = "defaults: { interval: 250ms, timeout: 2s }\nmonitors:\n".to_owned();
    for i in 0..MONITORS {
        let _ = writeln!(yaml, "  - {{ id: m{i}, http: \"{}\" }}", target.url(&format!("/{i}")));
    }
    yaml
}

/// Notes the newest results: having been shown, they must stay.
fn read(server: &Server, into: &mut Seen) {
    let page = server.json("/api/v1/results?limit=500");
    note(&page, into);
}

fn note(page: &Value, into: &mut Seen) {
    for item in page["items"].as_array().unwrap() {
        let tick = (item["monitor"].as_str().unwrap().into(), item["scheduled_at"].as_str().unwrap().into());
        into.insert(tick, item.clone());
    }
}

fn all(server: &Server) -> Seen {
    let mut kept = Seen::new();
    let mut path = "/api/v1/results?limit=1000".to_owned();
    loop {
        let page = server.json(&path);
        let before = kept.len();
        note(&page, &mut kept);
        let items = page["items"].as_array().unwrap().len();
        assert_eq!(kept.len() - before, items, "a result is listed twice");
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/results?limit=1000&cursor={next}"),
            None => return kept,
        }
    }
}

fn no_incident_is_torn(server: &Server) {
    let page = server.json("/api/v1/incidents?limit=1000");
    let items = page["items"].as_array().unwrap();
    assert!(items.len() >= MONITORS, "every monitor went down at least once: {}", items.len());
    let mut by_monitor: BTreeMap<&str, Vec<(&str, Option<&str>)>> = BTreeMap::new();
    for item in items {
        let span = (item["since"].as_str().unwrap(), item["closed_at"].as_str());
        by_monitor.entry(item["monitor"].as_str().unwrap()).or_default().push(span);
    }
    for (monitor, mut spans) in by_monitor {
        spans.sort_unstable();
        for pair in spans.windows(2) {
            let closed = pair[0].1.unwrap_or_else(|| panic!("{monitor}: an open incident before a newer one"));
            assert!(closed <= pair[1].0, "{monitor}: {pair:?} overlap");
        }
        let open = spans.iter().filter(|s| s.1.is_none()).count();
        let state = server.monitor(monitor)["state"].clone();
        assert_eq!(open == 1, state == "down" || state == "unknown" && open == 1, "{monitor} is {state}");
    }
}

/// Between two lives there were ticks that nobody ran: each is part of a missed run, none is down.
fn missed_ticks_are_unknown(server: &Server, kept: &Seen) {
    let missed: Vec<&Value> = kept.values().filter(|r| r["reason"]["code"] == "missed_tick").collect();
    assert!(missed.len() as u64 >= KILLS, "{} missed runs in {KILLS} lives", missed.len());
    assert!(missed.iter().all(|r| r["verdict"] == "inconclusive" && r["missed"].as_u64() >= Some(1)));
    let monitors: BTreeSet<&str> = missed.iter().map(|r| r["monitor"].as_str().unwrap()).collect();
    assert_eq!(monitors.len(), MONITORS);
    assert!(server.json("/api/v1/status")["engine"]["results_dropped_total"] == 0);
}
