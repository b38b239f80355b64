//! Clocks that step, and processes that are stopped.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Seen, asked, engine, incidents, millis, results, target};
use crate::harness::{Server, Site, Target, wait_for, watchpost};

const MONITORS: usize = 20;
const HOUR: i64 = 3_600_000;
/// How long the process is stopped; `make soak` stops it for two minutes.
const STOPPED: &str = "WATCHPOST_STOP_SECONDS";

/// A clock that the test sets: libfaketime reads the file at each look at the time. The monotonic clock stays as it is.
struct Clock {
    file: PathBuf,
    library: PathBuf,
}

impl Clock {
    fn new(folder: &Path) -> Clock {
        let clock = Clock { file: folder.join("clock"), library: libfaketime() };
        clock.set(0);
        clock
    }

    /// So far from the real time, in seconds.
    fn set(&self, seconds: i64) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }

    fn serve(&self, site: &Site) -> Server {
        let mut command = watchpost();
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(site.config());
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", &self.file);
        for name in ["FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC", "DONT_FAKE_MONOTONIC", "NO_FAKE_STAT"] {
            command.env(name, "1");
        }
        Server::spawn(&mut command)
    }
}

fn libfaketime() -> PathBuf {
    let folders = ["lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64", "lib"];
    // Threads need the variant for threads.
    let mut paths = folders.iter().map(|folder| PathBuf::from(format!("/usr/{folder}/faketime/libfaketimeMT.so.1")));
    let found = paths.find(|path| path.exists());
    found.expect("this test needs libfaketime: scripts/setup.sh test installs it (Debian's package libfaketime)")
}

fn configuration(url: &str, more: &str) -> String {
    let mut yaml = "defaults: { interval: 1s, timeout: 5s }\nmonitors:\n".to_owned();
    for i in 0..MONITORS {
        let _ = writeln!(yaml, "  - {{ id: m{i}, http: \"{url}\"{more} }}");
    }
    yaml
}

fn ids() -> impl Iterator<Item = String> {
    (0..MONITORS).map(|i| format!("m{i}"))
}

/// Waits until each monitor is up by a pass that is due at or after this; until then it may be unknown.
fn wait_for_passes_from(server: &Server, from: i64) {
    for id in ids() {
        wait_for(&format!("{id} to pass again"), || {
            let monitor = server.monitor(&id);
            assert_ne!(monitor["state"], "down", "{monitor}");
            let last = &monitor["last_result"];
            let passed = last["verdict"] == "pass" && millis(&last["scheduled_at"]) >= from;
            (passed && monitor["state"] == "up").then_some(())
        });
    }
}

#[test]
fn a_clock_that_steps_forward_leaves_missed_ticks_and_nothing_down() {
    let target = Target::start(2);
    let site = Site::new(&configuration(&target.url("/"), ""));
    let clock = Clock::new(site.folder.path());
    let server = clock.serve(&site);
    ids().for_each(|id| {
        server.wait_for_state(&id, "up");
    });
    let stepped = millis(&server.json("/api/v1/status")["at"]);
    let asked = target.seen()["/"];
    clock.set(3_600);
    wait_for_passes_from(&server, stepped + HOUR);
    for id in ids() {
        let results = results(&server, &id);
        super::every_tick_is_accounted_for(&id, &results, Duration::from_secs(1));
        let missed: Vec<_> = results.iter().filter(|r| r.ticks > 1).collect();
        assert_eq!(missed.len(), 1, "{id}: an hour is one run: {missed:?}");
        assert_eq!(missed[0].verdict, "inconclusive");
        assert!((3_590..=3_601).contains(&missed[0].ticks), "{id}: {missed:?}");
    }
    assert!(incidents(&server).is_empty());
    // An hour of ticks was not made up for: each monitor went on with its grid.
    let burst = target.seen()["/"] - asked;
    let seconds = (millis(&server.json("/api/v1/status")["at"]) - stepped - HOUR) / 1_000;
    assert!(burst <= MONITORS as u64 * (u64::try_from(seconds).unwrap() + 3), "{burst} checks in {seconds} s");
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_clock_that_steps_back_stops_no_check_and_makes_no_outage() {
    let target = Target::start(2);
    let site = Site::new(&configuration(&target.url("/"), ""));
    let clock = Clock::new(site.folder.path());
    let server = clock.serve(&site);
    // Some seconds of results, so that the time after the step is one that is known already.
    wait_for("a few ticks", || (engine(&server, "checks_total") >= 4 * MONITORS as u64).then_some(()));
    ids().for_each(|id| {
        server.wait_for_state(&id, "up");
    });
    let (asked, at) = (target.seen()["/"], Instant::now());
    clock.set(-3_600);
    let stepped = wait_for("the clock to be back", || {
        let now = millis(&server.json("/api/v1/status")["at"]);
        (now < millis(&server.json("/api/v1/status")["started_at"])).then_some(now)
    });
    // Checks go on at their interval, and what they find is kept.
    for id in ids() {
        wait_for(&format!("results of {id} after the step"), || {
            assert_eq!(server.monitor(&id)["state"], "up", "{id}");
            let after = results(&server, &id).into_iter().filter(|r| r.tick >= stepped && r.tick < stepped + HOUR / 2);
            let after: Vec<Seen> = after.collect();
            assert!(after.iter().all(|r| r.verdict == "pass"), "{id}: {after:?}");
            (after.len() >= 3).then(|| super::every_tick_is_accounted_for(&id, &after, Duration::from_secs(1)))
        });
    }
    let most = MONITORS as u64 * (at.elapsed().as_secs() + 3);
    assert!(target.seen()["/"] - asked <= most, "no storm: {} checks, at most {most}", target.seen()["/"] - asked);
    assert!(incidents(&server).is_empty());

    target.answer(503);
    server.wait_for_state("m0", "down");
    target.answer(200);
    server.wait_for_state("m0", "up");
    wait_for("all to be up again", || ids().all(|id| server.monitor(&id)["state"] == "up").then_some(()));
    let all = incidents(&server);
    assert!(all.iter().any(|incident| incident["monitor"] == "m0"), "{all:?}");
    for incident in &all {
        let (since, opened) = (millis(&incident["since"]), millis(&incident["opened_at"]));
        let closed = millis(&incident["closed_at"]);
        assert!(stepped <= since && since <= opened && opened <= closed, "{incident}");
        assert!(incident["duration_ms"].as_i64().unwrap() < HOUR / 2, "{incident}");
    }
    assert!(!server.logged().contains("ERROR"), "{}", server.logged());
    assert_eq!(server.stop(), 0);
}

/// Takes half a second to answer: of the checks, half are under way at any moment.
fn slow() -> std::net::SocketAddr {
    target(|mut stream| {
        if asked(&mut stream).is_some() {
            std::thread::park_timeout(Duration::from_millis(500));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
    })
}

#[test]
fn a_process_that_was_stopped_goes_on_and_takes_nothing_for_down() {
    let seconds: u64 = std::env::var(STOPPED).ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    // What was under way when it was stopped must not be told as the target's latency either.
    let strict = configuration(&format!("http://{}/", slow()), ", expect: { latency: { down: 4s } }");
    let site = Site::new(&strict);
    let server = site.serve();
    ids().for_each(|id| {
        server.wait_for_state(&id, "up");
    });
    let (checks, at) = (engine(&server, "checks_total"), Instant::now());
    server.signal("STOP");
    let stopped = Instant::now();
    while stopped.elapsed() < Duration::from_secs(seconds) {
        std::thread::park_timeout(Duration::from_secs(seconds).saturating_sub(stopped.elapsed()));
    }
    server.signal("CONT");
    let woken = millis(&server.json("/api/v1/status")["at"]);
    wait_for_passes_from(&server, woken);
    for id in ids() {
        let results = results(&server, &id);
        super::every_tick_is_accounted_for(&id, &results, Duration::from_secs(1));
        assert!(results.iter().all(|r| r.verdict != "fail"), "{id}: {results:?}");
        // The gap is one run of missed ticks, or what is left of the check that was under way.
        let gap = |r: &Seen| (r.ticks * 1_000).max(r.ended - r.tick);
        let missed: i64 = results.iter().filter(|r| r.code == "missed_tick").map(gap).sum();
        let asleep = i64::try_from(seconds).unwrap();
        assert!(missed >= (asleep - 2) * 1_000, "{id}: {missed} ms are missed of {asleep} s");
    }
    assert!(incidents(&server).is_empty());
    let (burst, awake) = (engine(&server, "checks_total") - checks, at.elapsed().as_secs() - seconds);
    assert!(burst <= MONITORS as u64 * (awake + 3), "no burst: {burst} checks in {awake} s awake");
    assert_eq!(server.stop(), 0);
}
