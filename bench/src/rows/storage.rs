//! Bytes on the disk for each result, at 500 results a second: 10,000 HTTP monitors at 20 s.
//!
//! Two ways. The product is watched for a while: that has no closing of an hour in it. And the store alone is driven by
//! a clock of its own through some hours, each compacted ten minutes after its end as the engine does, with results
//! drawn from those that the product has just recorded.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use watchpost_core::observe::Timings;
use watchpost_core::plan::{Document, Wanted};
use watchpost_core::schedule::{Schedule, phase};
use watchpost_core::{CheckResult, MonitorId, MonitorKey, Timestamp};
use watchpost_store::{Catalog, Commit, Entry, Redefine, SqliteOptions, SqliteStore, Store};

use super::core::{definition, http_spec};
use super::{Bench, now, sleep_until};
use crate::proc::{Window, written};
use crate::product::Config;
use crate::say;
use crate::table::{Aim, Figure, shown};

const MONITORS: usize = 10_000;
const INTERVAL: Duration = Duration::from_secs(20);
/// New monitors are first checked 2 ms apart, so that it takes as long as an interval until each is on its grid.
const WARM_UP: Duration = Duration::from_secs(30);
/// The write-ahead log is written into the database every few minutes; this is long enough to have seen it.
const WATCHED: Duration = Duration::from_secs(240);
/// Results of each monitor that are taken from the product: 120,000 in all.
const SAMPLES: usize = 12;
/// Hours that the store is driven through. The first ones make the room that later ones use again.
const HOURS: i64 = 4;
/// Hours before the database's growth is looked at.
const HOURS_BEFORE: i64 = 2;
/// An hour is closed so long after its end, as by the engine.
const CLOSE_AFTER: i64 = 600;
/// A full hour to begin at.
const BEGIN: i64 = 1_795_140_000;

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut live =
        Figure::aiming("500 results/s: bytes written a result, product, no hour closed", Aim::AtMost(500.0, None));
    let mut cpu = Figure::new("500 results/s: CPU, % of a core");
    let mut with_hours =
        Figure::aiming("500 results/s: bytes written a result, store, hours closed", Aim::AtMost(500.0, None));
    let mut kept = Figure::aiming("bytes kept a result when its hour is closed", Aim::AtMost(30.0, Some(15.0)));
    let (used, cpu_share, samples) = watch(bench)?;
    live.ours.push(used);
    cpu.ours.push(cpu_share);
    say(&format!("storage: {} bytes written a result, {} % of a core", shown(used), shown(cpu_share)));
    let folder = bench.folder()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let driven = runtime.block_on(drive(folder.path(), &samples))?;
    with_hours.ours.push(driven.written);
    kept.ours.push(driven.kept);
    say(&format!("storage: {} written, {} kept, over hours", shown(driven.written), shown(driven.kept)));
    Ok(vec![live, with_hours, kept, cpu])
}

/// Bytes that the product writes for a result, its CPU in per cent of a core, and results of each monitor.
fn watch(bench: &Bench) -> anyhow::Result<(f64, f64, Vec<Vec<CheckResult>>)> {
    let (target, _folder) = bench.target()?;
    let urls = (0..MONITORS).map(|turn| target.url(turn, &format!("/?{turn}"))).collect();
    let site = bench.site(&Config { interval: "20s", authority: None, urls })?;
    let server = site.start()?;
    sleep_until(now() + WARM_UP);
    let pid = server.pid();
    let window = Window::begin(&[pid])?;
    let (checks, bytes) = (server.metric("watchpost_engine_checks_total")?, written(&pid.to_string())?);
    sleep_until(now() + WATCHED);
    let checks = server.metric("watchpost_engine_checks_total")? - checks;
    let bytes = written(&pid.to_string())? - bytes;
    let used = window.end(0.0)?;
    server.stop()?;
    let samples: Vec<Vec<CheckResult>> = site.recorded(SAMPLES)?.into_values().collect();
    anyhow::ensure!(
        samples.iter().all(|results| results.len() == SAMPLES),
        "not every monitor was checked often enough"
    );
    Ok((bytes / checks, 100.0 * used.cpu[0] / used.seconds, samples))
}

struct Driven {
    written: f64,
    kept: f64,
}

/// Drives the store through [`HOURS`], a commit a second.
async fn drive(folder: &Path, samples: &[Vec<CheckResult>]) -> anyhow::Result<Driven> {
    let store = SqliteStore::open(SqliteOptions { folder: folder.to_owned(), file: "watchpost.db".into() }).await?;
    let begin = Timestamp::from_secs(BEGIN);
    let keys = store.redefine(Redefine { at: begin, monitors: wanted(samples)?, ..Redefine::default() }).await?;
    let (seconds, took) = (by_second(&keys), took(samples));
    let size = || std::fs::metadata(folder.join("watchpost.db")).map(|file| file.len() as f64);
    let before = written("self")?;
    let (mut results, mut grown_from) = (0_u64, (0.0, 0_u64));
    for second in 0..HOURS * 3_600 + CLOSE_AFTER {
        let at = begin + Duration::from_secs(u64::try_from(second)?);
        let due = &seconds[usize::try_from(second)? % seconds.len()];
        let entries: Vec<Entry> = due.iter().map(|(place, key)| entry(&samples[*place][0], *key, at, &took)).collect();
        results += entries.len() as u64;
        store.commit(Commit { at: at + Duration::from_secs(1), entries }).await?;
        if second >= 3_600 && second % 3_600 == CLOSE_AFTER {
            store.compact(at.hour()).await?;
            if second / 3_600 == HOURS_BEFORE {
                grown_from = (size()?, results);
            }
        }
    }
    store.compact((begin + Duration::from_secs(u64::try_from(HOURS * 3_600)?)).hour()).await?;
    let grown = (size()? - grown_from.0) / (results - grown_from.1) as f64;
    let written = (written("self")? - before) / results as f64;
    store.close().await?;
    Ok(Driven { written, kept: grown })
}

/// Monitors like those that were watched.
fn wanted(samples: &[Vec<CheckResult>]) -> anyhow::Result<Vec<(Option<MonitorKey>, Wanted)>> {
    let one = |(number, results): (usize, &Vec<CheckResult>)| {
        let http = results.first().and_then(|result| result.http.as_ref()).context("a result has its URL")?;
        let mut definition = definition(http_spec(&http.url)?);
        definition.id = MonitorId::new(&format!("m{number}"));
        definition.schedule = Schedule::Every(INTERVAL);
        let document = Document::new(&serde_json::json!({ "id": definition.id.as_str() }));
        Ok((None, Wanted { definition: definition.into(), document }))
    };
    samples.iter().enumerate().map(one).collect()
}

/// Which monitors are due in which second of the interval, by their place among the samples.
fn by_second(keys: &[MonitorKey]) -> Vec<Vec<(usize, MonitorKey)>> {
    let mut seconds: BTreeMap<u64, Vec<(usize, MonitorKey)>> = BTreeMap::new();
    for (place, key) in keys.iter().enumerate() {
        seconds.entry(phase(*key, INTERVAL).as_secs()).or_default().push((place, *key));
    }
    (0..INTERVAL.as_secs()).map(|second| seconds.remove(&second).unwrap_or_default()).collect()
}

/// How long a recorded check took, and how long after its tick it began.
type Took = (Timings, Duration);

fn took(samples: &[Vec<CheckResult>]) -> Vec<Took> {
    samples.iter().flatten().map(|sample| (sample.timings, sample.at.since(sample.tick.scheduled_at))).collect()
}

/// A result of this monitor's, due in this second. What differs from tick to tick is drawn from all that was recorded, of
/// whichever monitor: a few values that come again and again would pack better than real ones do.
fn entry(own: &CheckResult, key: MonitorKey, second: Timestamp, took: &[Took]) -> Entry {
    let mut result = own.clone();
    let count = u64::try_from(took.len()).unwrap_or(1).max(1);
    let drawn = mixed(second.as_millis().cast_unsigned() ^ (u64::from(key.0) << 44)) % count;
    if let Some((timings, began_after)) = usize::try_from(drawn).ok().and_then(|drawn| took.get(drawn)) {
        result.tick.scheduled_at = second + Duration::from_millis(u64::from(phase(key, INTERVAL).subsec_millis()));
        result.at = result.tick.scheduled_at + *began_after;
        result.timings = *timings;
    }
    result.tick.monitor = key;
    Entry { monitor: key, results: vec![result], state: None, wake: None, changes: Vec::new(), backfilled: None }
}

/// Spreads numbers that lie close together (the finalizer of splitmix64).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
