//! How late checks begin, and how much is added to a target's own 50 ms, when idle and at 2,000 checks a second.
//!
//! The target writes down when each request arrived and how long it really made it wait. The nth request of a path and
//! the nth result of its monitor belong together.

use std::collections::BTreeMap;
use std::time::Duration;

use watchpost_core::{CheckResult, Timestamp, Verdict};

use super::{Bench, now, sleep_until};
use crate::peers::Blackbox;
use crate::proc::Window;
use crate::product::Config;
use crate::say;
use crate::table::{Aim, Figure, quantile, shown};
use crate::target::Seen;

/// Monitors of the slow target.
const SLOW: usize = 50;
/// Monitors in all, at 1 s.
const LOADED: usize = 2_000;
const WARM_UP: Duration = Duration::from_secs(5);
const AFTERMATH: Duration = Duration::from_secs(2);
/// Results that can be read back of each monitor.
const KEPT: usize = 100;
/// Threads that load blackbox_exporter.
const DRIVERS: usize = 32;
/// What counts as having reached a rate.
const NEARLY: f64 = 0.95;

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    // The measurement, with what comes before and after, has to fit into what is read back.
    anyhow::ensure!(bench.seconds <= 80, "--seconds is at most 80 for this row");
    let mut arrival = Figure::aiming("2,000 checks/s: due until the request arrives, p99, ms", Aim::AtMost(10.0, None));
    let mut began = Figure::new("2,000 checks/s: due until the check began, p99, ms");
    let mut cpu = Figure::new("2,000 checks/s: CPU, % of a core");
    let mut idle = Figure::aiming("50 ms target, reported less its own delay, idle, p99, ms", Aim::AtMost(1.0, None));
    let mut idle_middle = Figure::new("the same, p50, ms");
    let mut busy = Figure::aiming("the same at 2,000 checks/s, p99, ms", Aim::AtMost(3.0, None));
    let mut busy_middle = Figure::new("the same at 2,000 checks/s, p50, ms");
    for _ in 0..bench.rounds {
        let (quiet, loaded) = (round(bench, SLOW)?, round(bench, LOADED)?);
        let at = |values: &[f64], share| quantile(values, share).unwrap_or(f64::NAN);
        arrival.ours.push(at(&loaded.arrived_ms, 0.99));
        arrival.foreign.push(loaded.foreign);
        began.ours.push(at(&loaded.began_ms, 0.99));
        cpu.ours.push(loaded.cpu);
        idle.ours.push(at(&quiet.added_ms, 0.99));
        idle.foreign.push(quiet.foreign);
        idle_middle.ours.push(at(&quiet.added_ms, 0.5));
        busy.ours.push(at(&loaded.added_ms, 0.99));
        busy.foreign.push(loaded.foreign);
        busy_middle.ours.push(at(&loaded.added_ms, 0.5));
        if let Some(quiet) = blackbox(bench, SLOW)? {
            idle.blackbox.push(at(&quiet.added_ms, 0.99));
            idle_middle.blackbox.push(at(&quiet.added_ms, 0.5));
        }
        if let Some(loaded) = blackbox(bench, LOADED)? {
            cpu.blackbox.push(loaded.cpu);
            busy.blackbox.push(at(&loaded.added_ms, 0.99));
            busy_middle.blackbox.push(at(&loaded.added_ms, 0.5));
        }
        let last = |figure: &Figure| figure.ours.last().copied().map_or_else(String::new, shown);
        say(&format!(
            "late: arrival p99 {} ms, begin p99 {} ms; added: idle p99 {} ms, loaded p99 {} ms, {} % CPU",
            last(&arrival),
            last(&began),
            last(&idle),
            last(&busy),
            last(&cpu),
        ));
    }
    Ok(vec![arrival, began, cpu, idle, idle_middle, busy, busy_middle])
}

#[derive(Default)]
struct Round {
    arrived_ms: Vec<f64>,
    began_ms: Vec<f64>,
    added_ms: Vec<f64>,
    cpu: f64,
    foreign: f64,
}

/// The path of a monitor: the first ones are of the slow target.
fn path(monitor: usize) -> String {
    if monitor < SLOW { format!("/delay/50/{monitor}") } else { format!("/log/{monitor}") }
}

fn round(bench: &Bench, monitors: usize) -> anyhow::Result<Round> {
    let (target, _folder) = bench.target()?;
    let urls = (0..monitors).map(|turn| target.url(turn, &path(turn))).collect();
    let site = bench.site(&Config { interval: "1s", authority: None, urls })?;
    let server = site.start()?;
    let from = now() + WARM_UP;
    let until = from + bench.length();
    sleep_until(from);
    let window = Window::begin(&[server.pid(), target.pid()])?;
    sleep_until(until);
    let used = window.end(0.0)?;
    sleep_until(until + AFTERMATH);
    server.stop()?;
    let seen = target.seen_by_path()?;
    let mut round = Round { cpu: 100.0 * used.cpu[0] / used.seconds, foreign: used.foreign, ..Round::default() };
    for (id, results) in site.recorded(KEPT)? {
        let number: usize = id.as_str().trim_start_matches('m').parse()?;
        let asked = seen.get(&path(number)).map(Vec::as_slice).unwrap_or_default();
        anyhow::ensure!(asked.len() == results.len(), "{id}: {} requests, {} results", asked.len(), results.len());
        for (seen, result) in asked.iter().zip(&results) {
            round.add(seen, result, (from, until))?;
        }
    }
    anyhow::ensure!(round.arrived_ms.len() as u64 == monitors as u64 * bench.seconds, "not every tick was run");
    Ok(round)
}

impl Round {
    fn add(&mut self, seen: &Seen, result: &CheckResult, (from, until): (Timestamp, Timestamp)) -> anyhow::Result<()> {
        let due = result.tick.scheduled_at;
        if due < from || due >= until {
            return Ok(());
        }
        anyhow::ensure!(result.verdict == Verdict::Pass, "{}: {:?}", seen.path, result.verdict);
        self.arrived_ms.push((seen.arrived_us - due.as_millis() * 1_000) as f64 / 1_000.0);
        self.began_ms.push((result.at.as_millis() - due.as_millis()) as f64);
        if seen.delay_us > 0 {
            let total = result.timings.total.map_or(f64::NAN, f64::from);
            self.added_ms.push((total - seen.delay_us as f64) / 1_000.0);
        }
        Ok(())
    }
}

/// The same of blackbox_exporter: as many probes a second, of them [`SLOW`] of the slow target. `None` when it did not
/// come near that rate.
fn blackbox(bench: &Bench, rate: usize) -> anyhow::Result<Option<Round>> {
    let (target, folder) = bench.target()?;
    let blackbox = Blackbox::start(folder.path(), &target.identity.authority)?;
    // Each driver asks for every path in turn, so that the slow ones are spread evenly. Their paths are their own.
    let every = (rate / SLOW).max(1);
    let paths = |driver: usize, step: usize| match step % every {
        0 => format!("/delay/50/{driver}"),
        _ => "/".to_owned(),
    };
    let drivers: Vec<Vec<String>> = (0..DRIVERS)
        .map(|driver| (0..every).map(|step| target.url(driver, &paths(driver, step + driver))).collect())
        .collect();
    let window = Window::begin(&[blackbox.pid(), target.pid()])?;
    let durations = blackbox.paced(&drivers, rate as f64, bench.length())?;
    let used = window.end(0.0)?;
    let reached = durations.iter().map(Vec::len).sum::<usize>() as f64 / used.seconds;
    if reached < NEARLY * rate as f64 {
        say(&format!("blackbox_exporter made only {} of {rate} probes a second", shown(reached)));
        return Ok(None);
    }
    let seen: BTreeMap<String, Vec<Seen>> = target.seen_by_path()?;
    let mut round = Round { cpu: 100.0 * used.cpu[0] / used.seconds, ..Round::default() };
    for (driver, durations) in durations.iter().enumerate() {
        let slow = durations.iter().enumerate().filter(|(step, _)| (step + driver) % every == 0);
        let asked = seen.get(&format!("/delay/50/{driver}")).map(Vec::as_slice).unwrap_or_default();
        round.added_ms.extend(slow.zip(asked).map(|((_, took), seen)| took * 1_000.0 - seen.delay_us as f64 / 1_000.0));
    }
    Ok(Some(round))
}
