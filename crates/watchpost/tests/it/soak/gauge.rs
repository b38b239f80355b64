//! Looks at a server's process from outside, all the time: memory, file handles, and how full its queues are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::clients::Life;
use crate::harness::{PATIENCE, request};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A look at the process.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    /// Resident memory of its own: pages of the program and of files, which the kernel may take back, are not in it.
    own_kib: u64,
    /// Results since its start.
    checks: u64,
}

/// The events that the live stream keeps, and what one may take with its JSON: results up to that number make it grow.
const RING_EVENTS: u64 = 16_384;
const RING_EVENT_BYTES: u64 = 3_072;
/// A result of an hour that is not closed is held in memory.
const OPEN_RESULT_BYTES: u64 = 160;
/// What page caches of five connections (16 MB at most, filled by and by), the allocator's heap of each thread and a
/// moment's work may add.
const SLACK_KIB: u64 = 32 * 1024;
/// A life whose quarter is shorter than this is warming up all the time: then only a coarse bound holds.
const WARM_AFTER: Duration = Duration::from_secs(30);
const WARMING_KIB: u64 = 64 * 1024;

/// What was seen in one life of the process.
#[derive(Default)]
pub(crate) struct Seen {
    looks: Vec<Look>,
    /// Resident memory as the kernel counts it, at the newest look.
    rss_kib: u64,
    /// Most file handles open at once.
    pub(crate) handles_most: usize,
    pub(crate) queued_most: u64,
    pub(crate) in_flight_most: u64,
    pub(crate) waiting_most: u64,
    pub(crate) lateness_p99_ms: Vec<u64>,
    wrong: Vec<String>,
}

/// The looking. Ends when told, or when the life is over.
pub(crate) struct Gauge {
    pid: u32,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: JoinHandle<()>,
}

impl Gauge {
    /// Begins to look.
    pub(crate) fn start(pid: u32, life: &Arc<Life>, requests: &Arc<AtomicU64>) -> Gauge {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (life, requests) = (Arc::clone(life), Arc::clone(requests));
        let (told, into) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) && !life.is_over() {
                look(pid, &life, &into);
                requests.fetch_add(1, Ordering::Relaxed);
                std::thread::park_timeout(LOOK_EVERY);
            }
        });
        Gauge { pid, stop, seen, thread }
    }

    /// How many file handles of each sort are open at least, over some looks.
    pub(crate) fn handles_at_rest(&self, looks: usize) -> Handles {
        let mut fewest = Handles::of(self.pid);
        for _ in 0..looks {
            std::thread::park_timeout(LOOK_EVERY);
            fewest = fewest.fewer(&Handles::of(self.pid));
        }
        fewest
    }

    /// The fewest handles that are seen from now on, until there are no more than at `first`, but for those that may.
    pub(crate) fn handles_again(&self, first: &Handles) -> Handles {
        let until = Instant::now() + PATIENCE;
        let mut fewest = Handles::of(self.pid);
        while !fewest.within(first) && Instant::now() < until {
            std::thread::park_timeout(LOOK_EVERY);
            fewest = fewest.fewer(&Handles::of(self.pid));
        }
        fewest
    }

    /// Ends the looking.
    pub(crate) fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread.join().expect("the looks do not panic");
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn look(pid: u32, life: &Life, into: &Mutex<Seen>) {
    let (Some(rss_kib), Some(own_kib)) = (resident_kib(pid, "VmRSS:"), resident_kib(pid, "RssAnon:")) else { return };
    let handles = Handles::of(pid).total();
    let status = request(life.address, "GET", "/api/v1/status").ok().filter(|answer| answer.status == 200);
    let Some(status) = status.and_then(|answer| serde_json::from_str::<Value>(&answer.body).ok()) else {
        if !life.is_over() {
            into.lock().unwrap().wrong.push("the status was not told".to_owned());
        }
        return;
    };
    let engine = &status["engine"];
    let number = |key: &str| engine[key].as_u64().unwrap();
    let mut seen = into.lock().unwrap();
    seen.looks.push(Look { at: Instant::now(), own_kib, checks: number("checks_total") });
    seen.rss_kib = rss_kib;
    seen.handles_most = seen.handles_most.max(handles);
    seen.queued_most = seen.queued_most.max(number("results_queued"));
    seen.in_flight_most = seen.in_flight_most.max(number("in_flight"));
    seen.waiting_most = seen.waiting_most.max(number("waiting"));
    seen.lateness_p99_ms.push(number("lateness_p99_ms"));
    if number("results_dropped_total") > 0 || engine["store"] != "ok" {
        seen.wrong.push(format!("the store does not keep up: {engine}"));
    }
}

/// How memory went in one life.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Most in the part after the warm-up, and most in the last part, KiB.
    pub(crate) first_kib: u64,
    pub(crate) last_kib: u64,
    /// What the last may be.
    pub(crate) allowed_kib: u64,
    /// Everything resident at the end, with the program's own pages.
    pub(crate) rss_kib: u64,
}

impl Seen {
    /// Complaints.
    pub(crate) fn wrong(&self) -> &[String] {
        &self.wrong
    }

    /// Compares the second quarter of the life with the last: the first is the warm-up. Growth is allowed by the number
    /// of results between them, for each is held until its hour is closed.
    pub(crate) fn memory(&self) -> Memory {
        let (Some(begin), Some(end)) = (self.looks.first(), self.looks.last()) else { return Memory::default() };
        let quarter = (end.at - begin.at) / 4;
        let part = |from: Instant, to: Instant| {
            let looks = || self.looks.iter().filter(|look| (from..=to).contains(&look.at));
            let checks = looks().map(|look| look.checks).max().unwrap_or(0);
            (looks().map(|look| look.own_kib).max().unwrap_or(0), checks)
        };
        let (first_kib, before) = part(begin.at + quarter, begin.at + 2 * quarter);
        let (last_kib, after) = part(end.at - quarter, end.at);
        let held = |checks: u64| checks * OPEN_RESULT_BYTES + checks.min(RING_EVENTS) * RING_EVENT_BYTES;
        let slack_kib = if quarter < WARM_AFTER { WARMING_KIB } else { SLACK_KIB };
        let allowed_kib = first_kib + slack_kib + (held(after) - held(before)) / 1_024;
        Memory { first_kib, last_kib, allowed_kib, rss_kib: self.rss_kib }
    }
}

fn resident_kib(pid: u32, of: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(of)?.trim().strip_suffix("kB")?.trim().parse().ok())
}

/// Open file handles by sort: `socket`, `file`, and whatever else the kernel calls them.
#[derive(Clone, Debug)]
pub(crate) struct Handles(BTreeMap<String, usize>);

/// Beyond what was open at first: four connections that read the database, each with its log, are opened when pages ask
/// for them and closed after a minute.
const FILES_MORE: usize = 8;
/// Checks in flight hold sockets; at the moment with the fewest there may be some more than at first.
const SOCKETS_MORE: usize = 6;

impl Handles {
    fn of(pid: u32) -> Handles {
        let mut sorts = BTreeMap::new();
        let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Handles(sorts) };
        // One that is closed meanwhile has no link any more.
        for link in entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok()) {
            let name = link.to_string_lossy();
            let sort = match name.split_once(":[") {
                _ if name.starts_with('/') => "file",
                Some((sort, _)) => sort,
                None => &name,
            };
            *sorts.entry(sort.to_owned()).or_default() += 1;
        }
        Handles(sorts)
    }

    /// All of them.
    pub(crate) fn total(&self) -> usize {
        self.0.values().sum()
    }

    fn fewer(&self, other: &Handles) -> Handles {
        let least =
            |(sort, count): (&String, &usize)| (sort.clone(), (*count).min(other.0.get(sort).copied().unwrap_or(0)));
        Handles(self.0.iter().map(least).collect())
    }

    /// No more of any sort than at first, but for those that may be.
    pub(crate) fn within(&self, first: &Handles) -> bool {
        self.0.iter().all(|(sort, count)| {
            let more = match sort.as_str() {
                "file" => FILES_MORE,
                "socket" => SOCKETS_MORE,
                _ => 0,
            };
            *count <= first.0.get(sort).copied().unwrap_or(0) + more
        })
    }
}

impl fmt::Display for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |sort: &str| self.0.get(sort).copied().unwrap_or(0);
        write!(f, "{} ({} files, {} sockets)", self.total(), count("file"), count("socket"))
    }
}
