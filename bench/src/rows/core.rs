//! What the core adds to a check, on one thread: judging, evaluating, encoding, and reading back.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watchpost_core::monitor::{Pace, Source, Thresholds};
use watchpost_core::observe::HttpSeen;
use watchpost_core::ports::Clock;
use watchpost_core::result::Tick;
use watchpost_core::schedule::Schedule;
use watchpost_core::spec::{HttpMethod, HttpSpec, HttpUrl, HttpVersion, IpVersion, VerifyTls};
use watchpost_core::{
    CheckResult, Definition, Event, Monitor, MonitorId, MonitorKey, Observation, Region, Spec, Stage, State, Timestamp,
    Verdict, evaluate, judge,
};
use watchpost_wire::stored::{decode_block, encode_batch, encode_block};

use super::{Bench, now};
use crate::say;
use crate::table::{Figure, shown};

/// Each is repeated for so long in a round.
const LENGTH: Duration = Duration::from_millis(500);
/// Results in the batch and in the block: an hour of one monitor at 1 s.
const RESULTS: u32 = 3_600;

/// The system's clock.
pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }
}

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let names = ["judge", "evaluate a pass", "encode in a batch", "decode from a block"];
    let mut lines = names.map(|name| Figure::new(format!("core, {name}, ns a result")));
    let mut size = Figure::new("bytes a result in a block, HTTP at 1 s");
    let definition = definition(http_spec("http://127.0.0.1:8080/health")?);
    let monitor = Monitor { key: MonitorKey(1), definition: definition.into() };
    let seen = passing();
    anyhow::ensure!(judge(&monitor.definition, &seen) == Verdict::Pass, "what was seen is no pass");
    let hour: Vec<CheckResult> = (0..RESULTS).map(|second| result(monitor.key, &seen, second)).collect();
    let block = encode_block(&hour);
    size.ours.push(block.len() as f64 / f64::from(RESULTS));
    for _ in 0..bench.rounds {
        let mut state = State::fresh(true, Timestamp::EPOCH);
        let mut at = Timestamp::EPOCH;
        let figures = [
            nanoseconds(1, || {
                black_box(judge(&monitor.definition, black_box(&seen)));
            }),
            nanoseconds(1, || {
                at = at + Duration::from_secs(1);
                let event = Event::Checked { scheduled_at: at, verdict: Verdict::Pass };
                state = evaluate(&monitor, state.clone(), &event, at).state;
            }),
            nanoseconds(RESULTS, || {
                black_box(encode_batch(black_box(&hour)));
            }),
            nanoseconds(RESULTS, || {
                let _ = black_box(decode_block(monitor.key, black_box(&block)));
            }),
        ];
        for (line, figure) in lines.iter_mut().zip(figures) {
            line.ours.push(figure);
        }
    }
    for line in &lines {
        say(&format!("{}: {:?}", line.what, line.ours.iter().map(|ns| shown(*ns)).collect::<Vec<_>>()));
    }
    Ok(lines.into_iter().chain([size]).collect())
}

/// Calls `work`, which does `units` of it, again and again, and says how long one of them takes.
fn nanoseconds(units: u32, mut work: impl FnMut()) -> f64 {
    /// Calls between two looks at the clock.
    const CALLS: u32 = 64;
    let (began, mut done) = (Instant::now(), 0_u64);
    while began.elapsed() < LENGTH {
        for _ in 0..CALLS {
            work();
        }
        done += u64::from(CALLS * units);
    }
    began.elapsed().as_secs_f64() * 1e9 / done as f64
}

fn passing() -> Observation {
    let mut seen = Observation::begin(Timestamp::EPOCH);
    seen.address = Some(([127, 0, 0, 1], 8080).into());
    seen.timings.add(Stage::Connect, Duration::from_micros(110));
    seen.timings.add(Stage::Ttfb, Duration::from_micros(240));
    seen.timings.add(Stage::Transfer, Duration::from_micros(15));
    seen.timings.total = Some(372);
    seen.http = Some(HttpSeen {
        status: 200,
        url: "http://127.0.0.1:8080/health".to_owned(),
        version: "1.1",
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: None,
        body_bytes: 3,
        truncated: false,
        redirects: 0,
    });
    seen
}

/// A monitor's result of this second; timings that repeat would pack better than real ones do.
fn result(monitor: MonitorKey, seen: &Observation, second: u32) -> CheckResult {
    let scheduled_at = Timestamp::EPOCH + Duration::from_secs(u64::from(second));
    let tick = Tick { monitor, region: Region::local(), scheduled_at };
    let mut seen = Observation { started_at: scheduled_at + Duration::from_millis(2), ..seen.clone() };
    let noise = second.wrapping_mul(2_654_435_761) >> 22;
    seen.timings.ttfb = seen.timings.ttfb.map(|us| us + noise);
    seen.timings.total = seen.timings.total.map(|us| us + noise);
    CheckResult::new(tick, &seen, Verdict::Pass)
}

/// A plain GET.
pub(super) fn http_spec(url: &str) -> anyhow::Result<Spec> {
    Ok(Spec::Http(Box::new(HttpSpec {
        url: HttpUrl::parse(url)?,
        method: HttpMethod::One("GET".to_owned()),
        headers: Vec::new(),
        body: None,
        auth: None,
        redirects: 10,
        verify_tls: VerifyTls::Yes,
        version: HttpVersion::Auto,
        ip: IpVersion::Any,
        body_max: 1 << 20,
        read_body: true,
        tcp_first: false,
    })))
}

/// A monitor at 1 s of what `spec` says.
pub(super) fn definition(spec: Spec) -> Definition {
    Definition {
        id: MonitorId::new("bench"),
        name: "bench".to_owned(),
        group: None,
        tags: Vec::new(),
        spec,
        expect: Arc::default(),
        schedule: Schedule::Every(Duration::from_secs(1)),
        pace: Pace::default(),
        thresholds: Thresholds { fail_after: NonZeroU32::MIN, recover_after: NonZeroU32::MIN },
        timeout: Duration::from_secs(10),
        active: true,
        cannot_tell_after: Duration::from_mins(15),
        source: Source::Api,
    }
}
