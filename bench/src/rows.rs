//! The rows of the table, a file for each kind.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use watchpost_core::Timestamp;

use crate::product::{Config, Site};
use crate::table::Figure;
use crate::target::Target;

mod core;
mod icmp;
mod latency;
mod memory;
mod start;
mod steady;
mod storage;
mod throughput;

/// What all rows are measured with.
pub(crate) struct Bench {
    /// How long each measurement is.
    pub(crate) seconds: u64,
    /// How often each is made.
    pub(crate) rounds: usize,
    /// Watchpost's release binary.
    pub(crate) binary: PathBuf,
    /// Where folders are made.
    pub(crate) work: PathBuf,
}

impl Bench {
    /// A folder that goes with its owner.
    fn folder(&self) -> anyhow::Result<TempDir> {
        Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(&self.work)?)
    }

    /// A target, and the folder of its certificate.
    fn target(&self) -> anyhow::Result<(Target, TempDir)> {
        let folder = self.folder()?;
        Ok((Target::start(folder.path())?, folder))
    }

    /// A folder with this configuration.
    fn site(&self, config: &Config<'_>) -> anyhow::Result<Site> {
        Site::new(&self.work, &self.binary, config)
    }

    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// A kind of rows.
pub(crate) struct Row {
    /// Its name for `--only`.
    pub(crate) name: &'static str,
    /// What it measures.
    pub(crate) what: &'static str,
    /// Measures it, all rounds.
    pub(crate) run: fn(&Bench) -> anyhow::Result<Vec<Figure>>,
}

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    Row { name: "http", what: "checks a second in clear", run: throughput::http },
    Row { name: "https", what: "checks a second with full TLS handshakes", run: throughput::https },
    Row { name: "steady", what: "1,000 and 5,000 monitors at 20 s", run: steady::run },
    Row { name: "latency", what: "lateness, and what is reported of a target that takes 50 ms", run: latency::run },
    Row { name: "memory", what: "100,000 monitors", run: memory::run },
    Row { name: "storage", what: "500 results a second on the disk", run: storage::run },
    Row { name: "start", what: "from the start to the first check", run: start::run },
    Row { name: "icmp", what: "5,000 pings in flight", run: icmp::run },
    Row { name: "core", what: "judging, evaluating, encoding", run: core::run },
];

/// The time now.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Sleeps until then.
fn sleep_until(at: Timestamp) {
    std::thread::sleep(at.since(now()));
}
