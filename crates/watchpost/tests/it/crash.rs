//! kill -9 at random moments under load. `WATCHPOST_KILLS` says how many times.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Server, Site, Target, wait_for};
use crate::soak::audit::{incidents, list, torn};
use crate::soak::{Chance, from_environment};

/// How often it is killed unless said otherwise.
const KILLS: u64 = 20;
const MONITORS: usize = 60;
/// Results that must have been seen for each kill, or too little happened to mean anything.
const SEEN_PER_KILL: u64 = 25;

/// A result's identity, and what was measured.
type Seen = BTreeMap<(String, String), Value>;

#[test]
fn nothing_acknowledged_is_lost_when_it_is_killed_again_and_again() {
    let seed = 2026;
    let kills = from_environment("WATCHPOST_KILLS").unwrap_or(KILLS);
    let mut chance = Chance::new(seed);
    let target = Target::start(4);
    let site = Site::new(&configuration(&target));
    let mut acknowledged = Seen::new();
    for kill in 0..kills {
        target.answer(if kill % 2 == 0 { 200 } else { 503 });
        let server = site.serve();
        let moment = Instant::now() + Duration::from_millis(300 + chance.below(1_200));
        read(&server, &mut acknowledged);
        while Instant::now() < moment {
            read(&server, &mut acknowledged);
        }
        server.kill();
    }
    target.answer(503);
    let server = site.serve();
    let kept = all(&server);
    let lost: Vec<_> = acknowledged.iter().filter(|(tick, _)| !kept.contains_key(*tick)).collect();
    assert!(lost.is_empty(), "seed {seed}: {} of {} lost: {:?}", lost.len(), acknowledged.len(), lost.first());
    for (tick, result) in &acknowledged {
        assert_eq!(kept[tick]["verdict"], result["verdict"], "seed {seed}: {tick:?} changed");
    }
    let enough = acknowledged.len() as u64 > SEEN_PER_KILL * kills;
    assert!(enough, "too little happened to mean anything: {}", acknowledged.len());
    let incidents = no_incident_is_torn(&server);
    let missed = missed_ticks_are_unknown(&server, &kept, kills);
    let fresh = wait_for("checks to go on", || {
        let now = server.json("/api/v1/results?limit=1")["items"][0]["scheduled_at"].clone();
        (!kept.keys().any(|(_, at)| now == at.as_str())).then_some(now)
    });
    assert!(fresh.is_string());
    assert_eq!(server.stop(), 0);
    let (told, kept) = (acknowledged.len(), kept.len());
    println!("crash: {kills} times kill -9, seed {seed}, {MONITORS} monitors at 250 ms");
    println!("  results    {kept} kept, {told} of them told before a kill and none lost");
    println!("  incidents  {incidents}, none torn");
    println!("  missed     {missed} runs of ticks between lives, each unknown and none down");
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
    note(page["items"].as_array().unwrap(), into);
}

fn note(items: &[Value], into: &mut Seen) {
    for item in items {
        let tick = (item["monitor"].as_str().unwrap().into(), item["scheduled_at"].as_str().unwrap().into());
        into.insert(tick, item.clone());
    }
}

fn all(server: &Server) -> Seen {
    let mut kept = Seen::new();
    let items = list(server, "/api/v1/results", "cursor");
    note(&items, &mut kept);
    assert_eq!(kept.len(), items.len(), "a result is listed twice");
    kept
}

/// How many there are, once the target's failing has taken every monitor down.
fn no_incident_is_torn(server: &Server) -> usize {
    wait_for("every monitor to be down", || {
        let monitors = list(server, "/api/v1/monitors", "cursor");
        monitors.iter().all(|monitor| monitor["state"] == "down").then_some(())
    });
    let by_monitor = incidents(server);
    assert_eq!(by_monitor.len(), MONITORS);
    let count = by_monitor.values().map(Vec::len).sum();
    for (monitor, spans) in by_monitor {
        if let Some(torn) = torn(&monitor, &spans) {
            panic!("{torn}");
        }
        let newest = spans.last().expect("it has been down");
        assert_eq!(newest.1, None, "{monitor} is down without an open incident");
    }
    count
}

/// Between two lives there were ticks that nobody ran: each is part of a missed run, none is down.
fn missed_ticks_are_unknown(server: &Server, kept: &Seen, kills: u64) -> usize {
    let missed: Vec<&Value> = kept.values().filter(|r| r["reason"]["code"] == "missed_tick").collect();
    assert!(missed.len() as u64 >= kills, "{} missed runs in {kills} lives", missed.len());
    assert!(missed.iter().all(|r| r["verdict"] == "inconclusive" && r["missed"].as_u64() >= Some(1)));
    let monitors: BTreeSet<&str> = missed.iter().map(|r| r["monitor"].as_str().unwrap()).collect();
    assert_eq!(monitors.len(), MONITORS);
    assert!(server.json("/api/v1/status")["engine"]["results_dropped_total"] == 0);
    missed.len()
}
