//! What a check costs, and what judging, evaluating and storing it add. `make bench` runs it.
//!
//! Targets and checks share the machine, so the figures for checks are a lower bound: use them to compare one commit
//! with another on one machine, not as a promise.
#![expect(clippy::print_stdout, reason = "a tool for the terminal")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use tokio::task::JoinSet;
use watchpost_checks::{Check, Checker, CheckerOptions, StartsPerHost};
use watchpost_core::monitor::{Pace, Source, Thresholds};
use watchpost_core::ports::Clock;
use watchpost_core::result::Tick;
use watchpost_core::schedule::Schedule;
use watchpost_core::{
    CheckResult, Definition, Event, Expect, Monitor, MonitorId, MonitorKey, Observation, Region, Spec, State,
    Timestamp, Verdict, evaluate, judge,
};
use watchpost_wire::stored::{decode_block, encode_batch, encode_block};

mod target;

/// What a check costs, and what the core adds to it.
#[derive(Parser)]
struct Args {
    /// Seconds per row.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Checks in flight.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("{:<34} {:>12} {:>14}", "", "per second", "each");
    let (definition, seen) = runtime.block_on(checks(&args))?;
    core(&args, &Monitor { key: MonitorKey(1), definition }, &seen);
    Ok(())
}

fn row(what: &str, count: u64, took: Duration) {
    let rate = count as f64 / took.as_secs_f64();
    println!("{what:<34} {rate:>12.0} {:>11.3} us", 1e6 / rate);
}

/// Real checks of a target in this process. Returns what the last one saw, for the rows that follow.
async fn checks(args: &Args) -> anyhow::Result<(Arc<Definition>, Observation)> {
    let mut options = CheckerOptions::new(Arc::new(SystemClock));
    // What is measured is the check, not its politeness.
    options.starts_per_host = StartsPerHost { per_second: 1_000_000_000, burst: 1_000_000 };
    let checker = Arc::new(Checker::new(options)?);
    let (http, tcp) = (target::http().await?, target::tcp().await?);
    let tcp = definition(watchpost_core::spec::Spec::Tcp(target::tcp_spec(tcp)));
    let http = definition(Spec::Http(Box::new(target::http_spec(http)?)));
    let seen = checker.check(&http).await;
    anyhow::ensure!(judge(&http, &seen) == Verdict::Pass, "the target does not answer: {seen:?}");
    for (what, definition) in [("check tcp", &tcp), ("check http", &http)] {
        one_after_another(what, args, &checker, definition).await;
        at_once(what, args, &checker, definition).await;
    }
    Ok((http, seen))
}

async fn one_after_another(what: &str, args: &Args, checker: &Checker, definition: &Definition) {
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed().as_secs() < args.seconds {
        black_box(checker.check(definition).await);
        count += 1;
    }
    row(&format!("{what}, one after another"), count, begun.elapsed());
}

async fn at_once(what: &str, args: &Args, checker: &Arc<Checker>, definition: &Arc<Definition>) {
    let until = Instant::now() + Duration::from_secs(args.seconds);
    let begun = Instant::now();
    let passed = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..args.in_flight {
        let (checker, definition, passed) = (Arc::clone(checker), Arc::clone(definition), Arc::clone(&passed));
        workers.spawn(async move {
            while Instant::now() < until {
                let seen = checker.check(&definition).await;
                // Only what passes counts: failing fast would look like speed.
                if judge(&definition, &seen) == Verdict::Pass {
                    passed.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    workers.join_all().await;
    row(&format!("{what}, {} in flight", args.in_flight), passed.load(Ordering::Relaxed), begun.elapsed());
}

/// The pure parts, on one thread.
fn core(args: &Args, monitor: &Monitor, seen: &Observation) {
    repeat("judge http", args, 1, || {
        black_box(judge(&monitor.definition, black_box(seen)));
    });
    let mut state = State::fresh(true, Timestamp::EPOCH);
    let mut at = Timestamp::EPOCH;
    repeat("evaluate a pass", args, 1, || {
        at = at + Duration::from_secs(1);
        let event = Event::Checked { scheduled_at: at, verdict: Verdict::Pass };
        state = evaluate(monitor, state.clone(), &event, at).state;
    });
    let hour: Vec<CheckResult> = (0..3_600).map(|second| result(monitor, seen, second)).collect();
    let rows = hour.len() as u64;
    repeat("encode a result (batch)", args, rows, || {
        black_box(encode_batch(black_box(&hour)));
    });
    let block = encode_block(&hour);
    repeat("decode a result (block)", args, rows, || {
        let _ = black_box(decode_block(monitor.key, black_box(&block)));
    });
    let bytes = |encoded: usize| encoded as f64 / rows as f64;
    println!("\nan hour of http results at 1 s: {:.1} bytes each in a block", bytes(block.len()));
}

/// Calls `work`, which does `units` of it, for as long as asked.
fn repeat(what: &str, args: &Args, units: u64, mut work: impl FnMut()) {
    /// Calls between two looks at the clock.
    const CALLS: u64 = 64;
    let (begun, mut calls) = (Instant::now(), 0);
    while begun.elapsed().as_secs() < args.seconds {
        for _ in 0..CALLS {
            work();
        }
        calls += CALLS;
    }
    row(what, calls * units, begun.elapsed());
}

fn result(monitor: &Monitor, seen: &Observation, second: u32) -> CheckResult {
    let scheduled_at = Timestamp::EPOCH + Duration::from_secs(u64::from(second));
    let tick = Tick { monitor: monitor.key, region: Region::local(), scheduled_at };
    let mut seen = Observation { started_at: scheduled_at + Duration::from_millis(2), ..seen.clone() };
    // Timings that repeat would pack better than real ones do.
    let noise = second.wrapping_mul(2_654_435_761) >> 22;
    seen.timings.ttfb = seen.timings.ttfb.map(|us| us + noise);
    seen.timings.total = seen.timings.total.map(|us| us + noise);
    CheckResult::new(tick, &seen, Verdict::Pass)
}

fn definition(spec: Spec) -> Arc<Definition> {
    Arc::new(Definition {
        id: MonitorId::new("bench"),
        name: "bench".to_owned(),
        group: None,
        tags: Vec::new(),
        spec,
        expect: Expect::default(),
        schedule: Schedule::Every(Duration::from_secs(1)),
        pace: Pace::default(),
        thresholds: Thresholds { fail_after: NonZeroU32::MIN, recover_after: NonZeroU32::MIN },
        timeout: Duration::from_secs(10),
        active: true,
        cannot_tell_after: Duration::from_mins(15),
        source: Source::Api,
    })
}

/// `host:port` of an address.
fn host_port(address: SocketAddr) -> watchpost_core::spec::HostPort {
    watchpost_core::spec::HostPort { host: address.ip().to_string(), port: address.port() }
}
