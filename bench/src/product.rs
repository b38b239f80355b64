//! Watchpost as people run it: the release binary, a configuration in a folder, SQLite.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;
use watchpost_core::{CheckResult, MonitorId, MonitorKey};
use watchpost_store::{Catalog, SqliteOptions, SqliteStore, Store, Views};

use crate::child::{self, Process};
use crate::client::{get, wait_for};
use crate::target::now_us;

/// It drains for half a minute at most.
const STOP_MAX: Duration = Duration::from_secs(40);
/// With 100,000 monitors in a file, on a busy machine.
const START_MAX: Duration = Duration::from_secs(120);

/// A folder with a configuration and what it makes of it.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    binary: PathBuf,
}

/// What a configuration holds.
pub(crate) struct Config<'a> {
    /// Every monitor's interval.
    pub(crate) interval: &'a str,
    /// An authority to trust.
    pub(crate) authority: Option<&'a Path>,
    /// URLs of monitors m0, m1, ...
    pub(crate) urls: Vec<String>,
}

impl Config<'_> {
    fn text(&self) -> String {
        let mut text = format!("log: {{ level: warn }}\ndefaults: {{ interval: {}, timeout: 10s }}\n", self.interval);
        if let Some(path) = self.authority {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "network: {{ ca_files: [\"{}\"] }}", path.display());
        }
        text.push_str("monitors:\n");
        for (number, url) in self.urls.iter().enumerate() {
            let _ = writeln!(text, "  - {{ id: m{number}, http: \"{url}\" }}");
        }
        text
    }
}

impl Site {
    /// A new folder below `work`, on the disk that the binary is on.
    pub(crate) fn new(work: &Path, binary: &Path, config: &Config<'_>) -> anyhow::Result<Site> {
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(work)?;
        std::fs::write(folder.path().join("watchpost.yml"), config.text())?;
        Ok(Site { folder, binary: binary.to_owned() })
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts it and waits until `/readyz` says so.
    ///
    /// # Errors
    /// When it ends instead, with what it logged.
    pub(crate) fn start(&self) -> anyhow::Result<Server> {
        let log = self.folder.path().join("log");
        let (began, began_us) = (Instant::now(), now_us());
        let mut command = child::tied(&self.binary);
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(self.folder.path().join("watchpost.yml"));
        command.arg("--data").arg(self.data()).env_remove("WATCHPOST_LOG");
        command.stdout(Stdio::piped()).stderr(std::fs::File::create(&log)?);
        let mut process = Process::spawn("watchpost", &mut command)?;
        let mut lines = BufReader::new(process.child().stdout.take().context("its output is piped")?).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let address = first.split("http://").nth(1).and_then(|rest| rest.split('/').next()?.parse().ok());
        let Some(address) = address else {
            bail!("watchpost did not start: {}", std::fs::read_to_string(&log).unwrap_or_default())
        };
        wait_for("watchpost to be ready", START_MAX, || get(address, "/readyz").map(Some))?;
        Ok(Server { process, address, began_us, ready_after: began.elapsed() })
    }

    /// The newest results of each monitor, oldest first; at most 100 each. Only while no server runs on the folder.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn recorded(&self, count: usize) -> anyhow::Result<BTreeMap<MonitorId, Vec<CheckResult>>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let options = SqliteOptions { folder: self.data(), file: "watchpost.db".into() };
            let store = SqliteStore::open_read_only(options).await?;
            let known = store.known().await?;
            let ids: BTreeMap<MonitorKey, MonitorId> = known.into_iter().map(|known| (known.key, known.id)).collect();
            let mut recent = store.recent(None, count).await?;
            store.close().await?;
            Ok(ids.into_iter().map(|(key, id)| (id, recent.remove(&key).unwrap_or_default())).collect())
        })
    }
}

/// A running Watchpost.
pub(crate) struct Server {
    process: Process,
    address: SocketAddr,
    /// When it was started, microseconds since 1970.
    pub(crate) began_us: i64,
    /// From the start until it was ready.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The engine's figures of `/api/v1/status`.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) fn engine(&self) -> anyhow::Result<Value> {
        let mut status: Value = serde_json::from_str(&get(self.address, "/api/v1/status")?)?;
        Ok(status["engine"].take())
    }

    /// A sample of `/metrics` that has no labels.
    ///
    /// # Errors
    /// When it does not answer, or has no such sample.
    pub(crate) fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = get(self.address, "/metrics")?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.with_context(|| format!("/metrics has no {name}"))
    }

    /// Has it drain and end.
    ///
    /// # Errors
    /// When it does not end well.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.process.stop(STOP_MAX)
    }
}
