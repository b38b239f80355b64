//! `watchpost doctor`: what on this machine would keep Watchpost from working, and the fix.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;
use watchpost_checks::{IcmpAccess, probe_icmp, probe_resolver};
use watchpost_core::Timestamp;
use watchpost_core::ports::Clock;
use watchpost_engine::SystemClock;
use watchpost_store::sqlite::{SqliteOptions, SqliteStore};
use watchpost_store::{Catalog, StoreError};

use crate::cli::DoctorArgs;
use crate::commands::{Outcome, counted, print};
use crate::config::{Loaded, Settings};
use crate::control::Client;
use crate::{config, wiring};

/// Free space below which history is at risk soon.
const FREE_WARN: u64 = 1 << 30;
/// Free space below which the next commits may fail.
const FREE_FAIL: u64 = 64 << 20;
/// File handles below which many checks cannot run side by side.
const HANDLES_WARN: u64 = 4_096;
/// No clock of a machine that runs this version stands before the day it was made.
const CLOCK_MIN: Timestamp = Timestamp::from_secs(1_793_000_000);

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    standing: Standing,
    text: String,
    fix: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Good,
    Warning,
    Bad,
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Standing::Good => "ok",
            Standing::Warning => "warning",
            Standing::Bad => "bad",
        }
    }
}

fn good(what: &'static str, text: impl Into<String>) -> Finding {
    Finding { what, standing: Standing::Good, text: text.into(), fix: None }
}

fn bad(what: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { what, standing: Standing::Bad, text: text.into(), fix: Some(fix.into()) }
}

fn warning(what: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { standing: Standing::Warning, ..bad(what, text, fix) }
}

/// Looks at everything; exit status 1 when something is bad.
pub async fn run(args: DoctorArgs) -> Outcome {
    let mut findings = Vec::new();
    match config::find_and_load(args.config.config.as_deref()) {
        Ok(loaded) => {
            let folder = config::data_folder(args.data.data.as_deref(), &loaded);
            findings.push(configuration(&loaded));
            findings.extend(data(&loaded.settings, &folder).await);
            findings.push(roots(&loaded.settings));
        }
        Err(problems) => findings.push(bad("configuration", problems.to_string(), "mend the places named")),
    }
    findings.push(clock(SystemClock.now()));
    findings.push(icmp().await);
    findings.push(resolver().await);
    findings.push(handles());
    let text = match args.json {
        true => as_json(&findings),
        false => as_text(&findings),
    };
    print(&text)?;
    let any_bad = findings.iter().any(|f| f.standing == Standing::Bad);
    Ok(if any_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn configuration(loaded: &Loaded) -> Finding {
    match loaded.source.shown() {
        Some(place) => good("configuration", format!("{place}: {}", counted(loaded.monitors.len(), "monitor"))),
        None => warning(
            "configuration",
            "none found: Watchpost would start empty",
            "write ./watchpost.yml or /etc/watchpost/watchpost.yml, or give --config",
        ),
    }
}

async fn data(settings: &Settings, folder: &Path) -> Vec<Finding> {
    let there = folder.ancestors().find(|f| f.is_dir()).unwrap_or(Path::new("."));
    let mut findings = vec![space(there)];
    findings.push(match tempfile_in(there) {
        Ok(()) => good("data folder", format!("{} can be written", folder.display())),
        Err(e) => bad(
            "data folder",
            format!("{} cannot be written: {e}", there.display()),
            "give the account that runs Watchpost the right to write there, or choose another folder with --data",
        ),
    });
    findings.push(database(settings, folder).await);
    findings
}

/// Whether a file can be made in the folder; nothing is left behind.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".watchpost-doctor-{}", std::process::id()));
    std::fs::write(&path, b"")?;
    std::fs::remove_file(&path)
}

fn space(folder: &Path) -> Finding {
    let free = match nix::sys::statvfs::statvfs(folder) {
        Ok(stat) => stat.blocks_available().saturating_mul(stat.fragment_size()),
        Err(e) => {
            return warning(
                "disk",
                format!("cannot tell the free space of {}: {e}", folder.display()),
                "look at it with df",
            );
        }
    };
    let text = format!("{} MiB free at {}", free >> 20, folder.display());
    match free {
        0..FREE_FAIL => bad("disk", text, "make room: results cannot be kept without"),
        FREE_FAIL..FREE_WARN => warning("disk", text, "make room, or lower storage.size_max"),
        FREE_WARN.. => good("disk", text),
    }
}

async fn database(settings: &Settings, folder: &Path) -> Finding {
    if Client::find(folder).await.is_some() {
        return good("database", "in use by the running server, which answers");
    }
    let options = SqliteOptions { folder: folder.to_owned(), file: settings.storage.file.clone() };
    if !folder.join(&options.file).exists() {
        return good("database", "none yet: it is made at the first start");
    }
    // For looking only: a newer version's doctor must not migrate what an older server still uses.
    let known = match SqliteStore::open_read_only(options).await {
        Ok(store) => store.known().await,
        Err(e) => Err(e),
    };
    match known {
        Ok(known) => good("database", format!("can be read: {}", counted(known.len(), "monitor"))),
        Err(e @ StoreError::Newer { .. }) => bad("database", e.to_string(), "use that version"),
        Err(e @ StoreError::Damaged(_)) => {
            bad("database", e.to_string(), "keep a copy of the file before anything else")
        }
        Err(e) => bad("database", e.to_string(), "look at the file's owner and permissions, and at the disk"),
    }
}

fn roots(settings: &Settings) -> Finding {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    match wiring::checker(settings, clock) {
        Ok(_) => good("TLS roots", "the certificates to trust can be read"),
        Err(e) => bad("TLS roots", format!("{e:#}"), "mend network.ca_files"),
    }
}

fn clock(now: Timestamp) -> Finding {
    if now < CLOCK_MIN {
        return bad("clock", format!("the clock says {now}, which is in the past"), "set it, and let NTP keep it");
    }
    let synchronised =
        ["/run/systemd/timesync/synchronized", "/run/chrony", "/var/lib/ntp/ntp.drift", "/var/lib/ntpsec/ntp.drift"];
    match synchronised.iter().any(|path| Path::new(path).exists()) {
        true => good("clock", format!("{now}, kept by a time service")),
        false => warning(
            "clock",
            format!("{now}; no time service was found"),
            "install systemd-timesyncd or chrony, unless the machine's host keeps its clock",
        ),
    }
}

async fn icmp() -> Finding {
    match probe_icmp().await {
        Ok(IcmpAccess::Datagram) => good("ICMP", "ping sockets may be used"),
        Ok(IcmpAccess::Raw) => good("ICMP", "raw sockets may be used"),
        Err(fault) => warning(
            "ICMP",
            fault.text.to_string(),
            "sysctl net.ipv4.ping_group_range=\"0 2147483647\", or setcap cap_net_raw+ep on the binary",
        ),
    }
}

async fn resolver() -> Finding {
    let fix = "look at /etc/resolv.conf: names in monitors need a resolver, addresses do not";
    let probed = probe_resolver(None).await;
    let silent: Vec<String> =
        probed.iter().filter_map(|p| p.answer.as_ref().err().map(|why| format!("{} ({why})", p.server))).collect();
    if probed.is_empty() {
        return warning("DNS", "no name server is configured", fix);
    }
    match silent.len() {
        0 => good("DNS", format!("{} answered", counted(probed.len(), "name server"))),
        some if some < probed.len() => warning("DNS", format!("no answer from {}", silent.join(", ")), fix),
        _ => bad("DNS", format!("no name server answers: {}", silent.join(", ")), fix),
    }
}

fn handles() -> Finding {
    let handles = wiring::raise_handles();
    match handles < HANDLES_WARN {
        true => warning(
            "file handles",
            format!("at most {handles}"),
            "raise LimitNOFILE of the service to 65536 to check many targets side by side",
        ),
        false => good("file handles", format!("up to {handles}")),
    }
}

fn as_text(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        lines.push(format!("{:<8} {:<14} {}", finding.standing.word(), finding.what, finding.text));
        lines.extend(finding.fix.as_ref().map(|fix| format!("{:<23} fix: {fix}", "")));
    }
    lines.join("\n")
}

fn as_json(findings: &[Finding]) -> String {
    let rows: Vec<serde_json::Value> = findings
        .iter()
        .map(|f| json!({ "what": f.what, "standing": f.standing.word(), "text": f.text, "fix": f.fix }))
        .collect();
    json!({ "findings": rows }).to_string()
}
