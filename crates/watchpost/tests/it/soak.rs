//! Everything at once, for as long as wanted: all kinds of checks against good and hostile peers, edits of the
//! configuration, clients of the API and of the live stream, stops and kills. A minute of it is part of every test run;
//! `make soak` runs an hour.
//!
//! `WATCHPOST_SOAK_MINUTES` says how long, `WATCHPOST_SOAK_SEED` which chances are taken.

#![expect(clippy::print_stdout, reason = "it says how far it is, and what it saw at the end")]

pub(crate) mod audit;
mod clients;
mod fleet;
mod gauge;
mod peers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::harness::{Server, Site, wait_for};
use audit::{Lateness, Row, TOO_BUSY, incidents_of, torn};
use clients::{Clients, Life, Told};
use fleet::{Fleet, Watched};
use gauge::{Gauge, Handles, Memory};
use peers::Peers;

/// How long it takes unless said otherwise.
const SHORT: Duration = Duration::from_secs(60);
/// Lives that are long enough to tell whether memory and handles stay flat.
const LONG_LIVES: u32 = 3;
/// Of the whole time, so much is theirs, in percent; the rest belongs to the short lives between them.
const LONG_SHARE: u32 = 85;
/// Checks that must have ended before the first look at handles: all kinds have opened by then what they share.
const CHECKS_BEFORE: u64 = 1_000;
/// Looks at the handles before anybody comes: two seconds.
const LOOKS_AT_REST: usize = 8;
/// The steps in which the main thread goes.
const STEP: Duration = Duration::from_millis(100);
/// Between two lines that say how far it is.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// A line of the log that a broken file makes, and that is no fault.
const REFUSED: &str = "the configuration was refused, the one before goes on";
/// Results must at no time be further behind than this many, whatever the machine is busy with: about a minute's.
const QUEUED_MAX: u64 = 15_000;
/// Of what is wrong, so much is printed.
const SHOWN: usize = 30;

/// splitmix64: chances are random, and the same for the same seed.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    /// A place in a list of so many.
    pub(crate) fn pick(&mut self, of: usize) -> usize {
        usize::try_from(self.below(of as u64)).unwrap()
    }
}

/// A number from the environment.
pub(crate) fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not {text:?}")))
}

#[test]
fn everything_at_once_stays_flat_accounts_for_every_tick_and_tells_the_truth() {
    let minutes = from_environment("WATCHPOST_SOAK_MINUTES");
    let length = minutes.map_or(SHORT, |minutes| Duration::from_secs(60 * minutes));
    let seed = from_environment("WATCHPOST_SOAK_SEED").unwrap_or(2026);
    let mut soak = Soak::new(seed, length);
    let long = length * LONG_SHARE / 100 / LONG_LIVES;
    let short = length * (100 - LONG_SHARE) / 100 / (LONG_LIVES - 1);
    for _ in 1..LONG_LIVES {
        soak.long_life(long);
        let until = Instant::now() + short;
        while Instant::now() < until {
            soak.short_life();
        }
    }
    soak.last_life(long);
    soak.verdict();
}

/// What is known of a long life at its end.
struct Lived {
    memory: Memory,
    first: Handles,
    last: Handles,
}

#[derive(Default)]
struct Counts {
    stops: u64,
    kills: u64,
    reloads: u64,
    refused: u64,
    handles_most: usize,
    queued_most: u64,
    in_flight_most: u64,
    waiting_most: u64,
}

/// What the audit at the end found.
#[derive(Default)]
struct Sums {
    results: usize,
    missed: i64,
    covered: usize,
    too_busy: usize,
    incidents: usize,
    late_p99_ms: i64,
    late_worst_ms: i64,
    /// Verdicts by monitor and tick.
    kept: BTreeMap<(String, i64), String>,
}

impl Counts {
    fn note(&mut self, seen: &gauge::Seen) {
        self.handles_most = self.handles_most.max(seen.handles_most);
        self.queued_most = self.queued_most.max(seen.queued_most);
        self.in_flight_most = self.in_flight_most.max(seen.in_flight_most);
        self.waiting_most = self.waiting_most.max(seen.waiting_most);
    }
}

struct Soak {
    seed: u64,
    chance: Chance,
    began: Instant,
    length: Duration,
    told: Instant,
    peers: Peers,
    fleet: Fleet,
    site: Site,
    clients: Clients,
    counts: Counts,
    lives: Vec<Lived>,
    sums: Sums,
    wrong: Vec<String>,
}

impl Soak {
    fn new(seed: u64, length: Duration) -> Soak {
        // Peers and clients are in this process, and each of their connections takes a handle.
        let _ = watchpost::wiring::raise_handles();
        let peers = Peers::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ping = runtime.block_on(watchpost_checks::probe_icmp()).is_ok();
        let fleet = Fleet::new(&peers, ping);
        let site = Site::new(&fleet.yaml());
        std::fs::write(site.folder.path().join("ca.pem"), &peers.authority).unwrap();
        let clients = Clients::start(fleet.steady.iter().map(|watched| watched.id.clone()).collect(), seed);
        let began = Instant::now();
        println!("soak: {} s, seed {seed}, {} monitors, ping {ping}", length.as_secs(), fleet.ids().len());
        Soak {
            seed,
            chance: Chance::new(seed),
            began,
            length,
            told: began,
            peers,
            fleet,
            site,
            clients,
            counts: Counts::default(),
            lives: Vec::new(),
            sums: Sums::default(),
            wrong: Vec::new(),
        }
    }

    /// A life that is long enough to look at memory and handles.
    fn long_life(&mut self, length: Duration) {
        let server = self.lived(length);
        if self.chance.below(2) == 0 { self.stop(server) } else { self.kill(server) }
    }

    /// The last of them: at its end nothing is checked any more, and all that was kept is looked at.
    fn last_life(&mut self, length: Duration) {
        let server = self.lived(length);
        self.fleet.paused = true;
        self.reload(&server.0);
        self.audit(&server.0);
        self.stop(server);
    }

    fn lived(&mut self, length: Duration) -> (Server, Arc<Life>) {
        let until = Instant::now() + length;
        self.flap(true);
        let (server, life) = self.begin();
        let gauge = Gauge::start(server.pid(), &life, self.clients.requests());
        wait_for("the first checks to end", || {
            (server.json("/api/v1/status")["engine"]["checks_total"].as_u64() > Some(CHECKS_BEFORE)).then_some(())
        });
        let first = gauge.handles_at_rest(LOOKS_AT_REST);
        self.clients.enter(&life);
        while Instant::now() < until {
            self.flap(false);
            if self.chance.below(20) == 0 {
                self.edit(&server);
            }
            self.tell(&server);
            std::thread::park_timeout(STEP);
        }
        self.clients.leave();
        self.flap(true);
        let last = gauge.handles_again(&first);
        if !last.within(&first) {
            self.wrong.push(format!("file handles are not given back: {first:?} at first, {last:?} without clients"));
        }
        let seen = gauge.end();
        self.counts.note(&seen);
        self.wrong.extend(seen.wrong().iter().cloned());
        let memory = seen.memory();
        if memory.last_kib > memory.allowed_kib {
            self.wrong.push(format!("memory grows: {memory:?}"));
        }
        self.lives.push(Lived { memory, first, last });
        self.metrics(&server);
        (server, life)
    }

    /// A moment, ended by a stop or a kill, perhaps amid a reload.
    fn short_life(&mut self) {
        let (server, life) = self.begin();
        self.clients.enter(&life);
        let until = Instant::now() + Duration::from_millis(300 + self.chance.below(2_000));
        while Instant::now() < until {
            self.flap(false);
            std::thread::park_timeout(STEP);
        }
        if self.chance.below(2) == 0 {
            self.fleet.edit(&mut self.chance);
            self.site.write(&self.fleet.yaml());
            std::thread::park_timeout(Duration::from_millis(self.chance.below(500)));
        }
        if self.chance.below(2) == 0 {
            self.stop((server, life));
        } else {
            self.kill((server, life));
        }
        self.clients.leave();
    }

    fn begin(&mut self) -> (Server, Arc<Life>) {
        let server = self.site.serve();
        let life = Life::new(server.address);
        assert_eq!(ids(&server), self.fleet.ids(), "seed {}: the monitors are those of the file", self.seed);
        (server, life)
    }

    fn stop(&mut self, (server, life): (Server, Arc<Life>)) {
        life.end();
        let log = Arc::clone(&server.log);
        let status = server.stop();
        if status != 0 {
            self.wrong.push(format!("told to stop, it ended with {status}"));
        }
        self.counts.stops += 1;
        self.read_log(&log.lock().unwrap());
    }

    fn kill(&mut self, (server, life): (Server, Arc<Life>)) {
        life.end();
        let log = Arc::clone(&server.log);
        server.kill();
        self.counts.kills += 1;
        self.read_log(&log.lock().unwrap());
    }

    fn read_log(&mut self, log: &str) {
        let bad = |line: &&str| (line.contains("ERROR") && !line.contains(REFUSED)) || line.contains("panicked");
        self.wrong.extend(log.lines().filter(bad).map(|line| format!("log: {line}")));
    }

    /// Changes the file: to something good that is taken over, or to something broken that changes nothing.
    fn edit(&mut self, server: &Server) {
        if self.chance.below(4) > 0 {
            self.fleet.edit(&mut self.chance);
            return self.reload(server);
        }
        self.site.write(&self.fleet.broken(&mut self.chance));
        wait_for("a broken file to be refused", || {
            let status = server.json("/api/v1/status");
            (!status["config"]["error"].is_null()).then_some(())
        });
        assert_eq!(ids(server), self.fleet.ids(), "seed {}: a broken file changes nothing", self.seed);
        self.counts.refused += 1;
        self.reload(server);
    }

    /// Writes the file as it should be, and waits until it is in use.
    fn reload(&mut self, server: &Server) {
        let paused = self.fleet.paused;
        self.site.write(&self.fleet.yaml());
        wait_for("a good file to be taken over", || {
            let marker = server.monitor(self.fleet.marker());
            let taken = marker["name"] == self.fleet.marker_name() && (marker["state"] == "paused") == paused;
            (taken && server.json("/api/v1/status")["config"]["error"].is_null()).then_some(())
        });
        assert_eq!(ids(server), self.fleet.ids(), "seed {}: the monitors are those of the file", self.seed);
        self.counts.reloads += 1;
    }

    /// Peers go up and down, each at its own pace; or all are up.
    fn flap(&self, up: bool) {
        let elapsed = self.began.elapsed().as_secs();
        for (n, flag) in self.peers.flaps().iter().enumerate() {
            let turn = elapsed / (3 + 2 * n as u64);
            flag.store(up || turn.is_multiple_of(2), Ordering::Relaxed);
        }
    }

    fn tell(&mut self, server: &Server) {
        if self.told.elapsed() < TELL_EVERY {
            return;
        }
        self.told = Instant::now();
        let (status, counts) = (server.json("/api/v1/status"), &self.counts);
        println!(
            "soak: {} of {} s, {} checks in this life, {} stops, {} kills, {} reloads, {} requests, {} wrong",
            self.began.elapsed().as_secs(),
            self.length.as_secs(),
            status["engine"]["checks_total"],
            counts.stops,
            counts.kills,
            counts.reloads,
            self.clients.requests().load(Ordering::Relaxed),
            self.wrong.len() + self.clients.complaints().len()
        );
    }

    /// Counters that must stand at zero, and a queue that must empty itself.
    fn metrics(&mut self, server: &Server) {
        let metrics = server.get("/metrics").body;
        for name in ["watchpost_panics_total", "watchpost_commit_failures_total", "watchpost_results_dropped_total"] {
            let line = metrics.lines().find(|line| line.starts_with(name));
            if line != Some(&format!("{name} 0")) {
                self.wrong.push(format!("metrics: {line:?} for {name}"));
            }
        }
        wait_for("streams that nobody reads any more to be gone", || {
            server.get("/metrics").body.contains("\nwatchpost_live_streams 0").then_some(())
        });
    }

    /// Looks at all that was kept. Nothing is checked any more, so it stands still.
    fn audit(&mut self, server: &Server) {
        wait_for("the last checks to end and be kept", || {
            let engine = server.json("/api/v1/status")["engine"].clone();
            (engine["in_flight"] == 0 && engine["results_queued"] == 0).then_some(())
        });
        let mut incidents = audit::incidents(server);
        for (monitor, spans) in &incidents {
            self.wrong.extend(torn(monitor, spans));
        }
        let kept: Vec<Watched> = self.fleet.kept().cloned().collect();
        let rows: Vec<Vec<Row>> = kept.iter().map(|watched| audit::history(server, watched)).collect();
        let mut lateness = Lateness::default();
        rows.iter().for_each(|rows| lateness.note(rows));
        let mut sums = Sums::default();
        for (watched, rows) in kept.iter().zip(&rows) {
            self.wrong.extend(audit::verdicts(watched, rows));
            if !watched.paced {
                let ticks = audit::ticks(watched, rows, &lateness);
                sums.missed += ticks.missed;
                sums.covered += ticks.covered;
                self.wrong.extend(ticks.wrong);
            }
            sums.results += rows.len();
            sums.too_busy += rows.iter().filter(|row| row.missed.is_none() && row.verdict == TOO_BUSY).count();
            let last = rows.len().saturating_sub(1);
            let late = rows[..last].iter().filter(|row| row.late);
            self.wrong.extend(late.map(|row| format!("{}: late amid others: {row:?}", watched.id)));
            let told = incidents.remove(&watched.id).unwrap_or_default();
            sums.incidents += told.len();
            self.wrong.extend(not_the_incidents(watched, rows, &told));
        }
        (sums.late_p99_ms, sums.late_worst_ms) = lateness.p99_and_worst();
        self.churn(server);
        let verdicts = |(watched, rows): (Watched, Vec<Row>)| {
            rows.into_iter().map(move |row| ((watched.id.clone(), row.due), row.verdict)).collect::<Vec<_>>()
        };
        sums.kept = kept.into_iter().zip(rows).flat_map(verdicts).collect();
        self.sums = sums;
    }

    /// Results of those that came and went and are there now: nothing that none of their definitions could make.
    fn churn(&mut self, server: &Server) {
        let may = |verdict: &str| Fleet::CHURN_MAY.contains(&verdict) || verdict == "fault:missed_tick";
        for id in self.fleet.ids().iter().filter(|id| id.starts_with("churn-")) {
            let results = audit::list(server, &format!("/api/v1/monitors/{id}/results"), "before");
            let odd = results.iter().find(|result| !may(&audit::verdict(result)));
            self.wrong.extend(odd.map(|odd| format!("{id}: {odd}")));
        }
    }
}

impl Soak {
    /// Says what happened, and fails when something was wrong.
    fn verdict(mut self) {
        let clients = std::mem::replace(&mut self.clients, Clients::start(Vec::new(), 0));
        self.wrong.extend(clients.complaints());
        let told = clients.end();
        self.acknowledged(&told);
        let active = self.fleet.ids().len() as u64;
        if self.counts.queued_most > QUEUED_MAX || self.counts.in_flight_most > active {
            let (queued, flight) = (self.counts.queued_most, self.counts.in_flight_most);
            self.wrong.push(format!("queues: {queued} results, {flight} checks in flight of {active} monitors"));
        }
        self.print(&told);
        let shown = self.wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
        assert!(self.wrong.is_empty(), "seed {}: {} wrong:\n{shown}", self.seed, self.wrong.len());
        assert!(self.sums.results > 2_000 && told.results.len() > 1_000, "too little happened to mean anything");
        assert!(self.counts.stops + self.counts.kills > 3 && self.counts.reloads > 3 && told.events > 100);
    }

    /// What a client was told stays true, whatever came after it.
    fn acknowledged(&mut self, told: &Told) {
        for (tick, verdict) in &told.results {
            let kept = self.sums.kept.get(tick);
            if kept != Some(verdict) {
                self.wrong.push(format!("{tick:?} was told as {verdict}, and is kept as {kept:?}"));
            }
        }
    }

    fn print(&self, told: &Told) {
        let (counts, sums) = (&self.counts, &self.sums);
        let mb = |kib: u64| format!("{:.1}", kib as f64 / 1_024.0);
        println!("soak: {} s on {} monitors, seed {}", self.length.as_secs(), self.fleet.ids().len(), self.seed);
        println!("  restarts   {} by SIGTERM, {} by kill -9", counts.stops, counts.kills);
        println!("  reloads    {} taken over, {} broken files refused", counts.reloads, counts.refused);
        let Sums { results, missed, covered, incidents, .. } = sums;
        println!("  results    {results}, {missed} ticks missed between lives, {covered} covered by a longer check");
        println!("  too busy   {} checks that this machine could not give their time", sums.too_busy);
        println!("  lateness   p99 {} ms, worst {} ms", sums.late_p99_ms, sums.late_worst_ms);
        println!("  incidents  {incidents}, each as the results make it");
        for (n, Lived { memory, first, last }) in self.lives.iter().enumerate() {
            let Memory { first_kib, last_kib, allowed_kib, rss_kib } = *memory;
            let (warm, end, most, rss) = (mb(first_kib), mb(last_kib), mb(allowed_kib), mb(rss_kib));
            println!(
                "  memory     life {}: {warm} MB of its own after the warm-up, {end} at the end (allowed {most}), RSS {rss}",
                n + 1
            );
            println!("  handles    life {}: {first} at first, {last} at the end", n + 1);
        }
        println!("  handles    {} at most, with clients", counts.handles_most);
        let Counts { queued_most, in_flight_most, waiting_most, .. } = counts;
        println!("  queues     {queued_most} results, {in_flight_most} in flight, {waiting_most} waiting at most");
        println!("  API        {} requests, {} results told and none lost", told.requests, told.results.len());
        println!("  streams    {} opened, {} events read", told.streams, told.events);
        println!("  dropped    0 results; {} wrong", self.wrong.len());
    }
}

/// The ids of all monitors, sorted.
fn ids(server: &Server) -> Vec<String> {
    let monitors = audit::list(server, "/api/v1/monitors", "cursor");
    let mut ids: Vec<String> = monitors.iter().map(|monitor| monitor["id"].as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    ids
}

/// Where the incidents that were told differ from those that the results make. An open one was closed by the pause at
/// the end.
fn not_the_incidents(watched: &Watched, rows: &[Row], told: &[audit::Span]) -> Option<String> {
    let made = incidents_of(watched, rows);
    let same = |(made, told): (&audit::Span, &audit::Span)| {
        made.0 == told.0 && (made.1 == told.1 || (made.1.is_none() && told.1.is_some()))
    };
    let odd = made.iter().zip(told).find(|(made, told)| !same((made, told)));
    match odd {
        Some((made, told)) => Some(format!("{}: the results make {made:?}, told is {told:?}", watched.id)),
        None if made.len() != told.len() => {
            let (made, told) = (made.len(), told.len());
            Some(format!("{}: the results make {made} incidents, told are {told}", watched.id))
        }
        None => None,
    }
}
