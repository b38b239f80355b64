//! Many monitors at a high rate.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use watchpost_core::Timestamp;

use crate::harness::{Server, Site, Target, wait_for};

const MONITORS: usize = 2_000;
/// A check that has ended is taken note of within so many milliseconds, also while 2,000 begin.
const NOTICED_WITHIN: i64 = 100;
const RUN: Duration = Duration::from_secs(60);
/// Requests of a monitor whose results were not committed yet when they were counted: one in flight, some pending.
const UNDER_WAY_MAX: u64 = 3;

#[test]
fn two_thousand_monitors_at_one_second_miss_no_tick_and_repeat_none() {
    let target = Target::start(8);
    let mut yaml = "defaults: { interval: 1s, timeout: 5s }\nmonitors:\n".to_owned();
    for i in 0..MONITORS {
        let _ = writeln!(yaml, "  - {{ id: m{i}, http: \"{}\" }}", target.url(&format!("/{i}")));
    }
    let site = Site::new(&yaml);
    let server = site.serve();
    let began = Instant::now();
    wait_for("a minute to pass", || {
        // Somebody looks at it meanwhile, as people do.
        if began.elapsed() < RUN {
            server.json("/api/v1/status");
        }
        (began.elapsed() >= Duration::from_secs(25)).then_some(())
    });
    wait_for("the rest of it", || (began.elapsed() >= Duration::from_secs(50)).then_some(()));
    wait_for("its end", || (began.elapsed() >= RUN).then_some(()));
    let status = server.json("/api/v1/status");
    assert_eq!(status["engine"]["results_dropped_total"], 0);
    let asked = target.seen();
    let ticks = ticks(&server);
    assert_eq!(ticks.len(), MONITORS);
    for (monitor, ticks) in &ticks {
        every_tick_once(monitor, ticks);
    }
    // The store would show a tick that ran twice once only; the target was asked, though.
    for (i, path) in (0..MONITORS).map(|i| (i, format!("/{i}"))) {
        let (asked, kept) = (asked.get(&path).copied().unwrap_or(0), ticks[&format!("m{i}")].len() as u64);
        assert!(asked <= kept + UNDER_WAY_MAX, "m{i}: asked {asked} times for {kept} results");
    }
    let requests: u64 = target.seen().values().sum();
    let results: usize = ticks.values().map(Vec::len).sum();
    assert!(requests as usize >= results, "{requests} requests, {results} results");
    println!("{results} results in {} s, lateness p99 {} ms", RUN.as_secs(), status["engine"]["lateness_p99_ms"]);
    assert_eq!(server.stop(), 0);
}

/// A result's tick and the end of its check, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Ran {
    tick: i64,
    ended: i64,
}

/// Each monitor's results, newest first; each is a pass.
fn ticks(server: &Server) -> BTreeMap<String, Vec<Ran>> {
    let mut ticks: BTreeMap<String, Vec<Ran>> = BTreeMap::new();
    for i in 0..MONITORS {
        let page = server.json(&format!("/api/v1/monitors/m{i}/results?limit=1000"));
        let ran = page["items"].as_array().unwrap().iter().map(|item| {
            assert_eq!(item["verdict"], "pass", "{item}");
            let time = |key: &str| item[key].as_str().unwrap().parse::<Timestamp>().unwrap().as_millis();
            let took = item["timings_us"]["total"].as_i64().unwrap() / 1_000;
            Ran { tick: time("scheduled_at"), ended: time("at") + took }
        });
        ticks.insert(format!("m{i}"), ran.collect());
    }
    ticks
}

/// The first tick is the prompt one; from then on there is one a second. Only a grid tick that came while the prompt
/// check ran is covered by it.
fn every_tick_once(monitor: &str, ran: &[Ran]) {
    let (grid, prompt) = (&ran[..ran.len() - 1], ran[ran.len() - 1]);
    assert!(grid.len() >= 55, "{monitor} has {} ticks", grid.len());
    for pair in grid.windows(2) {
        assert_eq!(pair[0].tick - pair[1].tick, 1_000, "{monitor}: from {} to {}", pair[1].tick, pair[0].tick);
    }
    let first = grid[grid.len() - 1].tick;
    let latest = prompt.ended.max(prompt.tick) + NOTICED_WITHIN + 1_000;
    assert!(prompt.tick < first && first <= latest, "{monitor}: prompt {prompt:?}, then {first}");
}
