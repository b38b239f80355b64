//! Checks a second: the most at which every tick is run and recorded, and what a check costs there.
//!
//! Watchpost is not asked for as many checks as it can do: monitors have an interval. So N monitors at 1 s are N checks
//! a second, in an open loop, and N is raised in steps, as shares of what wrk has just reached against the same target.
//! A step holds when each monitor has a passing result in the store for each of its ticks.

use std::time::Duration;

use watchpost_core::{CheckResult, Verdict};

use super::{Bench, now, sleep_until};
use crate::peers::{Blackbox, Hammered, wrk};
use crate::proc::Window;
use crate::product::Config;
use crate::say;
use crate::table::{Aim, Figure, shown};
use crate::target::Target;

/// Shares of wrk's rate are tried in steps of 1 / so many.
const STEPS: u32 = 20;
/// The highest share that is tried, in steps: half as much again as wrk.
const STEP_MAX: u32 = 30;
/// From the start until the first tick that counts: every monitor is on its grid by then.
const WARM_UP: Duration = Duration::from_secs(4);
/// From the last tick that counts until the stop. Ticks that begin later than that are missed ticks.
const AFTERMATH: Duration = Duration::from_secs(2);
/// A step that does not hold is tried again: something else may have run on the machine.
const TRIES: usize = 2;
/// Results that are read back of each monitor.
const KEPT: usize = 100;

struct Kind {
    name: &'static str,
    secure: bool,
    /// The first step that is tried.
    first: u32,
}

pub(super) fn http(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut ratio = Figure::aiming("HTTP checks/s, share of wrk's", Aim::AtLeast(0.5, Some(0.6)));
    let mut cost = Figure::aiming("HTTP, CPU per check, share of blackbox_exporter's", Aim::AtMost(0.3, Some(0.25)));
    let rest = rounds(bench, &Kind { name: "HTTP", secure: false, first: 8 }, &mut ratio, &mut cost)?;
    Ok([ratio, cost].into_iter().chain(rest).collect())
}

pub(super) fn https(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut ratio = Figure::aiming("HTTPS checks/s, share of wrk's", Aim::AtLeast(0.8, Some(0.9)));
    let mut cost = Figure::new("HTTPS, CPU per check, share of blackbox_exporter's");
    let rest = rounds(bench, &Kind { name: "HTTPS", secure: true, first: 12 }, &mut ratio, &mut cost)?;
    Ok([ratio, cost].into_iter().chain(rest).collect())
}

/// What a step found.
struct Step {
    rate: f64,
    cpu: f64,
    foreign: f64,
    late_p99_ms: f64,
    /// Monitors that lack a tick.
    incomplete: usize,
}

fn rounds(bench: &Bench, kind: &Kind, ratio: &mut Figure, cost: &mut Figure) -> anyhow::Result<Vec<Figure>> {
    let mut rate = Figure::new(format!("{} checks/s", kind.name));
    let mut cpu = Figure::new(format!("{} CPU s per 1,000 checks", kind.name));
    let mut late = Figure::new(format!("{} lateness p99 at that rate, ms", kind.name));
    let mut first = kind.first;
    for _ in 0..bench.rounds {
        let (target, folder) = bench.target()?;
        let fastest = hammer(bench, &target, kind)?;
        let (probes, probe_cpu, others) = probe(bench, &target, (kind, folder.path()))?;
        let Some((place, step)) = climb(bench, &target, kind, (fastest.rate, first))? else {
            anyhow::bail!("not even 1/{STEPS} of wrk's rate was held");
        };
        // The machine may have changed its mind meanwhile.
        let again = hammer(bench, &target, kind)?;
        let wrk_rate = f64::midpoint(fastest.rate, again.rate);
        // The next round begins a step below, and so need not climb all the way again.
        first = place.saturating_sub(1).max(1);
        ratio.ours.push(step.rate / wrk_rate);
        cost.ours.push(step.cpu / probe_cpu);
        rate.ours.push(step.rate);
        rate.wrk.push(wrk_rate);
        rate.blackbox.push(probes);
        rate.foreign.push(step.foreign);
        cpu.ours.push(step.cpu);
        cpu.wrk.push(1_000.0 * (fastest.cpu + again.cpu) / (fastest.requests + again.requests));
        cpu.blackbox.push(probe_cpu);
        cpu.foreign.push(others);
        late.ours.push(step.late_p99_ms);
    }
    Ok(vec![rate, cpu, late])
}

fn url(target: &Target, kind: &Kind, turn: usize) -> String {
    if kind.secure { target.secure_url(turn, "/") } else { target.url(turn, "/") }
}

fn hammer(bench: &Bench, target: &Target, kind: &Kind) -> anyhow::Result<Hammered> {
    target.clear()?;
    let done = wrk(&url(target, kind, 0), bench.seconds, Some("Connection: close"))?;
    let resumed = target.count("handshakes_resumed")?;
    anyhow::ensure!(resumed == 0, "wrk resumed {resumed} sessions");
    say(&format!("{}: wrk {}/s, {} CPU s", kind.name, shown(done.rate), shown(done.cpu)));
    Ok(done)
}

/// Probes a second of blackbox_exporter, its CPU seconds per 1,000 of them, and what others used meanwhile.
fn probe(bench: &Bench, target: &Target, (kind, folder): (&Kind, &std::path::Path)) -> anyhow::Result<(f64, f64, f64)> {
    let blackbox = Blackbox::start(folder, &target.identity.authority)?;
    // The first probe reads files and looks things up.
    wrk(&blackbox.probe_url(&url(target, kind, 0)), 1, None)?;
    target.clear()?;
    let window = Window::begin(&[blackbox.pid(), target.pid()])?;
    let done = wrk(&blackbox.probe_url(&url(target, kind, 0)), bench.seconds, None)?;
    let used = window.end(done.cpu)?;
    let asked = target.count("asked")? as f64;
    anyhow::ensure!(asked >= done.requests, "blackbox_exporter made {asked} requests for {} probes", done.requests);
    let resumed = target.count("handshakes_resumed")?;
    anyhow::ensure!(resumed == 0, "blackbox_exporter resumed {resumed} sessions");
    let cpu = 1_000.0 * used.cpu[0] / done.requests;
    say(&format!("{}: blackbox_exporter {}/s, {} CPU s per 1,000", kind.name, shown(done.rate), shown(cpu)));
    Ok((done.rate, cpu, used.foreign))
}

/// The highest step that holds, beginning at `first`; down from there when that one does not.
fn climb(
    bench: &Bench,
    target: &Target,
    kind: &Kind,
    (fastest, first): (f64, u32),
) -> anyhow::Result<Option<(u32, Step)>> {
    let share = |place: u32| fastest * f64::from(place) / f64::from(STEPS);
    let mut best = None;
    for place in first..=STEP_MAX {
        match hold(bench, target, kind, share(place))? {
            Some(step) => best = Some((place, step)),
            None => break,
        }
    }
    for place in (1..first).rev() {
        if best.is_some() {
            break;
        }
        best = hold(bench, target, kind, share(place))?.map(|step| (place, step));
    }
    Ok(best)
}

fn hold(bench: &Bench, target: &Target, kind: &Kind, rate: f64) -> anyhow::Result<Option<Step>> {
    for _ in 0..TRIES {
        let step = step(bench, target, kind, rate as usize)?;
        say(&format!(
            "{}: {}/s: {} CPU s per 1,000, lateness p99 {} ms, {} monitors lack a tick, others {:.0} %",
            kind.name,
            shown(step.rate),
            shown(step.cpu),
            shown(step.late_p99_ms),
            step.incomplete,
            step.foreign,
        ));
        if step.incomplete == 0 {
            return Ok(Some(step));
        }
    }
    Ok(None)
}

fn step(bench: &Bench, target: &Target, kind: &Kind, monitors: usize) -> anyhow::Result<Step> {
    target.clear()?;
    let urls = (0..monitors).map(|turn| url(target, kind, turn)).collect();
    let authority = kind.secure.then_some(target.identity.authority.as_path());
    let site = bench.site(&Config { interval: "1s", authority, urls })?;
    let server = site.start()?;
    let from = now() + WARM_UP;
    let until = from + bench.length();
    sleep_until(from);
    let window = Window::begin(&[server.pid(), target.pid()])?;
    sleep_until(until);
    let used = window.end(0.0)?;
    sleep_until(until + AFTERMATH);
    let engine = server.engine()?;
    server.stop()?;
    if kind.secure {
        let (full, resumed) = (target.count("handshakes_full")?, target.count("handshakes_resumed")?);
        anyhow::ensure!(resumed == 0 && full > 0, "{resumed} of {} handshakes were resumed", full + resumed);
    }
    let recorded = site.recorded(KEPT)?;
    let whole = |results: &[CheckResult]| {
        let counted = results.iter().filter(|result| {
            let tick = result.tick.scheduled_at;
            tick >= from && tick < until && result.ticks == 1 && result.verdict == Verdict::Pass
        });
        counted.count() as u64 == bench.seconds
    };
    let complete = recorded.values().filter(|results| whole(results)).count();
    let dropped = engine["results_dropped_total"].as_u64().unwrap_or(u64::MAX);
    anyhow::ensure!(recorded.len() == monitors, "{} of {monitors} monitors are recorded", recorded.len());
    anyhow::ensure!(dropped == 0, "{dropped} results were dropped");
    Ok(Step {
        rate: monitors as f64,
        cpu: 1_000.0 * used.cpu[0] / (monitors as f64 * used.seconds),
        foreign: used.foreign,
        late_p99_ms: engine["lateness_p99_ms"].as_f64().unwrap_or(f64::NAN),
        incomplete: monitors - complete,
    })
}
