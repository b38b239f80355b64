//! What a quiet installation costs, how evenly its checks are spread, and how soon all are back after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Bench, now, sleep_until};
use crate::client::wait_for;
use crate::peers::Blackbox;
use crate::proc::{Window, pss_mb, rss_mb};
use crate::product::Config;
use crate::say;
use crate::table::{Aim, Figure, shown};
use crate::target::Target;

const INTERVAL: Duration = Duration::from_secs(20);
/// From the start until it is measured: each monitor has had its first check, and what the start took is settled.
const WARM_UP: Duration = Duration::from_secs(30);
/// It is measured for so many intervals, whatever `--seconds` says: the seconds of an interval are compared.
const INTERVALS: u32 = 2;
/// Threads that drive blackbox_exporter.
const DRIVERS: usize = 4;

struct Size {
    monitors: usize,
    cpu: f64,
    rss: f64,
}

const SIZES: [Size; 2] = [Size { monitors: 1_000, cpu: 1.0, rss: 40.0 }, Size { monitors: 5_000, cpu: 5.0, rss: 60.0 }];

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut lines: Vec<Figure> = Vec::new();
    for size in SIZES {
        let what = format!("{} monitors at 20 s: ", shown(size.monitors as f64));
        let mut cpu = Figure::aiming(what.clone() + "CPU, % of a core", Aim::AtMost(size.cpu, None));
        let mut rss = Figure::aiming(what.clone() + "RSS, MB", Aim::AtMost(size.rss, None));
        let mut pss = Figure::new(what.clone() + "PSS, MB");
        let mut busiest = Figure::aiming(what.clone() + "busiest second / mean", Aim::AtMost(2.0, None));
        let mut back = Figure::aiming(what + "restarted and ready until all were checked, s", Aim::AtMost(20.0, None));
        for _ in 0..bench.rounds {
            let round = round(bench, size.monitors)?;
            cpu.ours.push(round.cpu);
            cpu.foreign.push(round.foreign);
            rss.ours.push(round.rss);
            pss.ours.push(round.pss);
            busiest.ours.push(round.busiest);
            back.ours.push(round.back);
            let (probed, resident) = blackbox(bench, size.monitors)?;
            cpu.blackbox.push(probed);
            rss.blackbox.push(resident);
            say(&format!(
                "{} monitors: {} % of a core, {} MB, busiest second {}, back in {} s; blackbox_exporter {} %, {} MB",
                size.monitors,
                shown(round.cpu),
                shown(round.rss),
                shown(round.busiest),
                shown(round.back),
                shown(probed),
                shown(resident),
            ));
        }
        lines.extend([cpu, rss, pss, busiest, back]);
    }
    Ok(lines)
}

struct Round {
    cpu: f64,
    foreign: f64,
    rss: f64,
    pss: f64,
    busiest: f64,
    back: f64,
}

fn round(bench: &Bench, monitors: usize) -> anyhow::Result<Round> {
    let (target, _folder) = bench.target()?;
    let urls = (0..monitors).map(|turn| target.url(turn, &format!("/log/{turn}"))).collect();
    let site = bench.site(&Config { interval: "20s", authority: None, urls })?;
    let server = site.start()?;
    let from = now() + WARM_UP;
    let until = from + INTERVAL * INTERVALS;
    sleep_until(from);
    let window = Window::begin(&[server.pid(), target.pid()])?;
    sleep_until(until);
    let used = window.end(0.0)?;
    let (rss, pss) = (rss_mb(server.pid())?, pss_mb(server.pid())?);
    let busiest = busiest_second(&target, (from.as_millis() * 1_000, until.as_millis() * 1_000))?;
    server.stop()?;
    target.clear()?;
    let server = site.start()?;
    wait_for("all monitors to be checked after the restart", INTERVAL * 3, || {
        Ok((target.count("kept")? >= monitors as u64 && all_checked(&target, monitors)?.is_some()).then_some(()))
    })?;
    let last = all_checked(&target, monitors)?.unwrap_or(i64::MAX);
    let back = (last - server.began_us) as f64 / 1e6 - server.ready_after.as_secs_f64();
    server.stop()?;
    Ok(Round { cpu: 100.0 * used.cpu[0] / used.seconds, foreign: used.foreign, rss, pss, busiest, back })
}

/// Requests in the busiest second by those in the mean one, between two times.
fn busiest_second(target: &Target, (from_us, until_us): (i64, i64)) -> anyhow::Result<f64> {
    let mut seconds: BTreeMap<i64, u64> = BTreeMap::new();
    let mut all = 0;
    for seen in target.seen()?.iter().filter(|seen| (from_us..until_us).contains(&seen.arrived_us)) {
        *seconds.entry((seen.arrived_us - from_us) / 1_000_000).or_default() += 1;
        all += 1;
    }
    let busiest = seconds.values().copied().max().unwrap_or(0);
    let mean = f64::from(all) / ((until_us - from_us) as f64 / 1e6);
    Ok(busiest as f64 / mean)
}

/// When the last monitor had its first request, if all had one.
fn all_checked(target: &Target, monitors: usize) -> anyhow::Result<Option<i64>> {
    let mut checked = BTreeSet::new();
    for seen in target.seen()? {
        checked.insert(seen.path);
        if checked.len() == monitors {
            return Ok(Some(seen.arrived_us));
        }
    }
    Ok(None)
}

/// CPU and memory of blackbox_exporter when it is asked for as many probes.
fn blackbox(bench: &Bench, monitors: usize) -> anyhow::Result<(f64, f64)> {
    let (target, folder) = bench.target()?;
    let blackbox = Blackbox::start(folder.path(), &target.identity.authority)?;
    let rate = monitors as f64 / INTERVAL.as_secs_f64();
    let drivers: Vec<Vec<String>> = (0..DRIVERS).map(|turn| vec![target.url(turn, "/")]).collect();
    let window = Window::begin(&[blackbox.pid(), target.pid()])?;
    blackbox.paced(&drivers, rate, bench.length())?;
    let used = window.end(0.0)?;
    Ok((100.0 * used.cpu[0] / used.seconds, rss_mb(blackbox.pid())?))
}
