//! From the start of the process until the target has the first request of a check.

use std::net::SocketAddr;
use std::time::Duration;

use super::Bench;
use crate::client::{get, wait_for};
use crate::peers::Blackbox;
use crate::product::Config;
use crate::say;
use crate::table::{Aim, Figure, shown};
use crate::target::{Target, now_us};

const MONITORS: usize = 100;
/// A start is short: it is made more often than other measurements.
const STARTS_PER_ROUND: usize = 5;
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut new = Figure::aiming("start to first check, 100 new monitors, ms", Aim::AtMost(100.0, None));
    let mut again = Figure::new("start to first check, 100 known monitors that are due, ms");
    let (target, folder) = bench.target()?;
    for _ in 0..bench.rounds * STARTS_PER_ROUND {
        let urls = (0..MONITORS).map(|turn| target.url(turn, &format!("/log/{turn}"))).collect();
        // Due every second, so that at the second start some are due at once.
        let site = bench.site(&Config { interval: "1s", authority: None, urls })?;
        for figure in [&mut new, &mut again] {
            target.clear()?;
            let server = site.start()?;
            let arrived = first_arrival(&target)?;
            figure.ours.push((arrived - server.began_us) as f64 / 1_000.0);
            server.stop()?;
        }
        new.blackbox.push(blackbox(&target, folder.path())?);
    }
    say(&format!("start to first check: {:?} ms", new.ours.iter().map(|ms| shown(*ms)).collect::<Vec<_>>()));
    Ok(vec![new, again])
}

fn first_arrival(target: &Target) -> anyhow::Result<i64> {
    wait_for("the first check", PATIENCE, || Ok(target.seen()?.first().map(|seen| seen.arrived_us)))
}

/// It checks when it is asked: so it is asked as soon as it listens.
fn blackbox(target: &Target, folder: &std::path::Path) -> anyhow::Result<f64> {
    target.clear()?;
    let began = now_us();
    let blackbox = Blackbox::start(folder, &target.identity.authority)?;
    let address: SocketAddr = blackbox.address();
    get(address, &Blackbox::probe(&target.url(0, "/log/blackbox")))?;
    Ok((first_arrival(target)? - began) as f64 / 1_000.0)
}
