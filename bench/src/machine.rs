//! The machine and the versions that figures belong to.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Lines of a list: what, and which.
pub(crate) fn facts(root: &Path) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = after("/proc/meminfo", "MemTotal:").and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    vec![
        ("CPU", after("/proc/cpuinfo", "model name").unwrap_or_else(unknown)),
        ("cores", format!("{cores}, shared by target, measured program and load generator")),
        ("memory", memory.map_or_else(unknown, |kib| format!("{:.1} GB", kib * 1_024.0 / 1e9))),
        (
            "kernel",
            fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| unknown(), |text| text.trim().to_owned()),
        ),
        ("system", after("/etc/os-release", "PRETTY_NAME=").map_or_else(unknown, |name| name.replace('"', ""))),
        ("Watchpost", said(Command::new("git").args(["describe", "--always", "--dirty", "--tags"]).current_dir(root))),
        ("rustc", said(Command::new("rustc").arg("--version"))),
        ("wrk", said(Command::new("wrk").arg("-v")).split(" [").next().unwrap_or_default().to_owned()),
        ("blackbox_exporter", blackbox()),
    ]
}

/// What follows a key in a file of lines.
fn after(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(rest.trim_start_matches([' ', '\t', ':']).to_owned())
}

fn blackbox() -> String {
    let text = said(Command::new(crate::peers::BLACKBOX).arg("--version"));
    text.split_once("version ").map_or(text.clone(), |(_, rest)| rest.split(' ').next().unwrap_or(rest).to_owned())
}

/// The first line that it prints, on whichever stream; wrk ends with an error even when it only tells its version.
fn said(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return unknown() };
    let all = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&all).lines().next().map_or_else(unknown, |line| line.trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// Load of the machine over the last minute, before we add to it.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
