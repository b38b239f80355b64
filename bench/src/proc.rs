//! What the kernel knows about a process, and about the machine meanwhile.

use std::fs;
use std::time::Instant;

use anyhow::Context;

/// Clock ticks a second in `/proc`: 100 on every Linux that we know.
const TICKS_A_SECOND: f64 = 100.0;

/// Seconds of CPU, user and system, that a process has used. Also of one that has ended and was not waited for.
///
/// # Errors
/// When there is no such process.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The program's name comes second, in brackets, and may hold anything.
    let rest = text.rsplit_once(") ").context("/proc/PID/stat has another form")?.1;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("/proc/PID/stat has another form")?;
    Ok((user + system) / TICKS_A_SECOND)
}

/// Resident memory, megabytes (10^6).
///
/// # Errors
/// When there is no such process.
pub(crate) fn rss_mb(pid: u32) -> anyhow::Result<f64> {
    megabytes(pid, "status", "VmRSS:")
}

/// The most that was ever resident, megabytes.
///
/// # Errors
/// When there is no such process.
pub(crate) fn rss_peak_mb(pid: u32) -> anyhow::Result<f64> {
    megabytes(pid, "status", "VmHWM:")
}

/// Resident memory with shared pages divided among those that share them, megabytes.
///
/// # Errors
/// When there is no such process.
pub(crate) fn pss_mb(pid: u32) -> anyhow::Result<f64> {
    megabytes(pid, "smaps_rollup", "Pss:")
}

fn megabytes(pid: u32, file: &str, key: &str) -> anyhow::Result<f64> {
    Ok(number(&format!("/proc/{pid}/{file}"), key)? * 1_024.0 / 1e6)
}

/// Bytes that were sent to the disk for a process (`self` is us).
///
/// # Errors
/// When there is no such process.
pub(crate) fn written(pid: &str) -> anyhow::Result<f64> {
    number(&format!("/proc/{pid}/io"), "write_bytes:")
}

fn number(path: &str, key: &str) -> anyhow::Result<f64> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find(|line| line.starts_with(key)).with_context(|| format!("{path} has no {key}"))?;
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).with_context(|| format!("{path}: {line}"))
}

/// The machine's own count: seconds of CPU that programs used, and that the hypervisor kept.
fn machine() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<f64> =
        text.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|f| f.parse().ok()).collect();
    let at = |place: usize| fields.get(place).copied().unwrap_or(0.0) / TICKS_A_SECOND;
    // user, nice and system; interrupts belong to nobody.
    (at(0) + at(1) + at(2), at(7))
}

/// A stretch of time in which some processes are measured.
pub(crate) struct Window {
    began: Instant,
    pids: Vec<u32>,
    cpu: Vec<f64>,
    machine: (f64, f64),
    own: f64,
}

/// What happened in it.
pub(crate) struct Used {
    /// How long it was, seconds.
    pub(crate) seconds: f64,
    /// Seconds of CPU, in the order of the processes.
    pub(crate) cpu: Vec<f64>,
    /// CPU that others used or that the hypervisor kept, per cent of a core.
    pub(crate) foreign: f64,
}

impl Window {
    /// Begins.
    ///
    /// # Errors
    /// When a process is gone.
    pub(crate) fn begin(pids: &[u32]) -> anyhow::Result<Window> {
        let cpu = pids.iter().map(|pid| cpu(*pid)).collect::<anyhow::Result<_>>()?;
        let own = cpu_of_self();
        Ok(Window { began: Instant::now(), pids: pids.to_vec(), cpu, machine: machine(), own })
    }

    /// Ends. `ended` is CPU of programs that came and went meanwhile.
    ///
    /// # Errors
    /// When a process is gone.
    pub(crate) fn end(&self, ended: f64) -> anyhow::Result<Used> {
        let seconds = self.began.elapsed().as_secs_f64();
        let (busy, stolen) = machine();
        let used = self.pids.iter().zip(&self.cpu).map(|(pid, before)| Ok(cpu(*pid)? - before));
        let cpu = used.collect::<anyhow::Result<Vec<f64>>>()?;
        let ours = cpu.iter().sum::<f64>() + ended + cpu_of_self() - self.own;
        let others = (busy - self.machine.0 - ours).max(0.0) + stolen - self.machine.1;
        Ok(Used { seconds, cpu, foreign: 100.0 * others / seconds })
    }
}

fn cpu_of_self() -> f64 {
    cpu(std::process::id()).unwrap_or(0.0)
}
