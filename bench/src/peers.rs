//! The programs that Watchpost is measured beside: wrk, which makes requests and does nothing else, and Debian's
//! prometheus-blackbox-exporter, which makes the same checks without schedule, store and pages.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::child::{self, Process};
use crate::client::{KeptOpen, get, wait_for};
use crate::proc;

/// Debian's name of it.
pub(crate) const BLACKBOX: &str = "prometheus-blackbox-exporter";
/// Connections of wrk, against the target and against blackbox_exporter.
pub(crate) const CONNECTIONS: u32 = 32;
/// Threads of wrk: with one it is the generator that limits, on two cores with the target.
pub(crate) const THREADS: u32 = 2;
/// A program that has not started by then never will.
const START_MAX: Duration = Duration::from_secs(20);

/// What wrk reached.
pub(crate) struct Hammered {
    /// Requests a second.
    pub(crate) rate: f64,
    /// All requests.
    pub(crate) requests: f64,
    /// Seconds of CPU of wrk itself.
    pub(crate) cpu: f64,
}

/// Has wrk make requests as fast as it can.
///
/// # Errors
/// When it is missing, or an answer was not 2xx.
pub(crate) fn wrk(url: &str, seconds: u64, header: Option<&str>) -> anyhow::Result<Hammered> {
    let (threads, connections, duration) =
        (format!("-t{THREADS}"), format!("-c{CONNECTIONS}"), format!("-d{seconds}s"));
    let mut command = child::tied(Path::new("wrk"));
    command.args([threads, connections, duration]);
    if let Some(header) = header {
        command.args(["-H", header]);
    }
    let mut process = Process::spawn("wrk", command.arg(url).stdout(Stdio::piped()))?;
    let mut out = process.child().stdout.take().context("wrk's output is piped")?;
    let mut said = String::new();
    std::io::Read::read_to_string(&mut out, &mut said)?;
    // It has ended and was not waited for: the kernel still knows what it used.
    let cpu = proc::cpu(process.pid())?;
    let number = |line: Option<&str>, place: usize| -> anyhow::Result<f64> {
        line.and_then(|line| line.split_whitespace().nth(place)?.parse().ok())
            .with_context(|| format!("wrk says something else: {said}"))
    };
    let find = |mark: &str| said.lines().find(|line| line.contains(mark));
    if let Some(bad) = find("Non-2xx") {
        bail!("wrk got wrong answers: {}", bad.trim());
    }
    let (rate, requests) = (number(find("Requests/sec:"), 1)?, number(find(" requests in "), 0)?);
    Ok(Hammered { rate, requests, cpu })
}

/// A running blackbox_exporter.
pub(crate) struct Blackbox {
    process: Process,
    address: SocketAddr,
}

impl Blackbox {
    /// Starts it with Debian's module `http_2xx`, over IPv4 and trusting an authority.
    ///
    /// # Errors
    /// When it is missing or does not start.
    pub(crate) fn start(folder: &Path, authority: &Path) -> anyhow::Result<Blackbox> {
        let config = folder.join("blackbox.yml");
        let module = format!(
            "modules:\n  http_2xx:\n    prober: http\n    http:\n      preferred_ip_protocol: ip4\n      \
             tls_config: {{ ca_file: \"{}\" }}\n",
            authority.display()
        );
        std::fs::write(&config, module)?;
        let address = free_address()?;
        let mut command = child::tied(Path::new(BLACKBOX));
        command.arg(format!("--config.file={}", config.display())).arg(format!("--web.listen-address={address}"));
        let process = Process::spawn(BLACKBOX, command.args(["--log.level=error"]).stderr(Stdio::null()))?;
        wait_for("blackbox_exporter to answer", START_MAX, || get(address, "/-/healthy").map(Some))?;
        Ok(Blackbox { process, address })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The path of a probe.
    pub(crate) fn probe(target: &str) -> String {
        format!("/probe?module=http_2xx&target={}", target.replace(':', "%3A").replace('/', "%2F"))
    }

    /// The URL of a probe.
    pub(crate) fn probe_url(&self, target: &str) -> String {
        format!("http://{}{}", self.address, Self::probe(target))
    }

    /// Probes these targets in turn, `rate` a second over all, each thread over a connection that stays open. Returns
    /// the reported durations of each thread, in order, seconds.
    ///
    /// # Errors
    /// When a probe fails.
    pub(crate) fn paced(&self, targets: &[Vec<String>], rate: f64, lasting: Duration) -> anyhow::Result<Vec<Vec<f64>>> {
        let gap = Duration::from_secs_f64(targets.len() as f64 / rate);
        let (began, broken) = (Instant::now(), AtomicBool::new(false));
        let (address, broken) = (self.address, &broken);
        std::thread::scope(|scope| {
            let walkers = targets.iter().enumerate().map(|(place, targets)| {
                let first = began + Duration::from_secs_f64(place as f64 / rate);
                scope.spawn(move || {
                    let walked = walk(address, targets, (first, gap), (began + lasting, broken));
                    broken.fetch_or(walked.is_err(), Ordering::Relaxed);
                    walked
                })
            });
            let walkers: Vec<_> = walkers.collect();
            walkers.into_iter().map(|walker| walker.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?).collect()
        })
    }
}

/// One thread of [`Blackbox::paced`].
fn walk(
    address: SocketAddr,
    targets: &[String],
    (first, gap): (Instant, Duration),
    (until, broken): (Instant, &AtomicBool),
) -> anyhow::Result<Vec<f64>> {
    let mut connection = KeptOpen::connect(address)?;
    let mut durations = Vec::new();
    let mut next = first;
    for target in targets.iter().cycle() {
        if next >= until || broken.load(Ordering::Relaxed) {
            break;
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let answer = connection.get(&Blackbox::probe(target))?;
        if sample(&answer, "probe_success ") != Some(1.0) {
            bail!("blackbox_exporter failed to probe {target}");
        }
        durations.push(sample(&answer, "probe_duration_seconds ").context("a probe has a duration")?);
        next += gap;
    }
    Ok(durations)
}

fn sample(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

/// An address that nobody listens on. Somebody may take it in the moment before it is used; the start fails then.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Whether both are installed; says how to get them.
///
/// # Errors
/// When one is missing.
pub(crate) fn installed() -> anyhow::Result<()> {
    for program in ["wrk", BLACKBOX] {
        if !child::which(program) {
            bail!("{program} is not installed; run scripts/setup.sh bench");
        }
    }
    let version = Command::new(BLACKBOX).arg("--version").output();
    version.map(|_| ()).with_context(|| format!("{BLACKBOX} does not start"))
}
