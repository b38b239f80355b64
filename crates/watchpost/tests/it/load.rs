//! Many monitors at a high rate.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::harness::{Server, Site, Target, wait_for};

const MONITORS: usize = 2_000;
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

/// Scheduled times of each monitor's results, in milliseconds, newest first; each a pass that stands for one tick.
fn ticks(server: &Server) -> BTreeMap<String, Vec<i64>> {
    let mut ticks: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for i in 0..MONITORS {
        let page = server.json(&format!("/api/v1/monitors/m{i}/results?limit=1000"));
        let times = page["items"].as_array().unwrap().iter().map(|item| {
            assert_eq!(item["verdict"], "pass", "{item}");
            item["scheduled_at"].as_str().unwrap().parse::<watchpost_core::Timestamp>().unwrap().as_millis()
        });
        ticks.insert(format!("m{i}"), times.collect());
    }
    ticks
}

/// The first tick is the prompt one, which may have covered the grid's first; from then on there is one a second.
fn every_tick_once(monitor: &str, ticks: &[i64]) {
    let grid = &ticks[..ticks.len() - 1];
    assert!(grid.len() >= 55, "{monitor} has {} ticks", grid.len());
    for pair in grid.windows(2) {
        assert_eq!(pair[0] - pair[1], 1_000, "{monitor}: from {} to {}", pair[1], pair[0]);
    }
    let first = grid[grid.len() - 1] - ticks[ticks.len() - 1];
    assert!((1..=1_500).contains(&first), "{monitor}: the prompt tick came {first} ms before the grid");
}
