//! 100,000 monitors: how soon it is ready and how much memory it takes; new from a file, and known to the database.

use std::time::{Duration, Instant};

use super::Bench;
use crate::proc::{pss_mb, rss_mb, rss_peak_mb};
use crate::product::{Config, Server};
use crate::say;
use crate::table::{Aim, Figure, shown};

const MONITORS: usize = 100_000;
/// New monitors are first checked 2 ms apart: the last one after 200 s.
const CHECKED_MAX: Duration = Duration::from_secs(300);
/// Between two looks at how far the first checks are.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What the start took is given back by then.
const SETTLE: Duration = Duration::from_secs(10);

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut first = Figure::aiming("100,000 monitors, new from YAML: ready after, s", Aim::AtMost(10.0, None));
    let mut first_rss = Figure::new("100,000 monitors, new from YAML, all checked: RSS, MB");
    let mut second = Figure::aiming("100,000 monitors, known to the database: ready after, s", Aim::AtMost(3.0, None));
    let mut rss = Figure::aiming("100,000 monitors, known to the database: RSS, MB", Aim::AtMost(300.0, None));
    let mut peak = Figure::new("100,000 monitors, known to the database: RSS at its peak, MB");
    let mut pss = Figure::new("100,000 monitors, known to the database: PSS, MB");
    let (target, _folder) = bench.target()?;
    for round in 0..bench.rounds {
        let urls = (0..MONITORS).map(|turn| target.url(turn, &format!("/?{turn}"))).collect();
        let site = bench.site(&Config { interval: "1h", authority: None, urls })?;
        let server = site.start()?;
        first.ours.push(server.ready_after.as_secs_f64());
        // All results are there in one round; waiting for them in each would take an hour.
        let last = round + 1 == bench.rounds;
        if last {
            all_checked(&server)?;
            first_rss.ours.push(rss_mb(server.pid())?);
        }
        server.stop()?;
        if !last {
            continue;
        }
        for _ in 0..bench.rounds {
            let server = site.start()?;
            second.ours.push(server.ready_after.as_secs_f64());
            std::thread::sleep(SETTLE);
            rss.ours.push(rss_mb(server.pid())?);
            peak.ours.push(rss_peak_mb(server.pid())?);
            pss.ours.push(pss_mb(server.pid())?);
            server.stop()?;
        }
    }
    for figure in [&first, &first_rss, &second, &rss, &peak] {
        say(&format!("{}: {:?}", figure.what, figure.ours.iter().map(|value| shown(*value)).collect::<Vec<_>>()));
    }
    Ok(vec![first, first_rss, second, rss, pss, peak])
}

fn all_checked(server: &Server) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let checked = server.engine()?["checks_total"].as_u64().unwrap_or(0);
        if checked >= MONITORS as u64 {
            return Ok(());
        }
        anyhow::ensure!(began.elapsed() < CHECKED_MAX, "only {checked} monitors were checked");
        std::thread::sleep(LOOK_EVERY);
    }
}
