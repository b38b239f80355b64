//! The target as its users see it: where it listens, what it counted and kept.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use serde_json::Value;

use super::{ADDRESSES, Identity, Seen, address};
use crate::child::{self, Process};
use crate::client::get;

/// A running target.
pub(crate) struct Target {
    process: Process,
    port: u16,
    secure_port: u16,
    /// What it shows, and who vouches for it.
    pub(crate) identity: Identity,
}

impl Target {
    /// Starts one; its certificate is kept in `folder`.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Target> {
        let identity = Identity::make(folder)?;
        let mut command = child::tied(&std::env::current_exe()?);
        command.arg("target").arg(&identity.certificate).arg(&identity.key).stdout(Stdio::piped());
        let mut process = Process::spawn("the target", &mut command)?;
        let mut line = String::new();
        BufReader::new(process.child().stdout.take().context("its output is piped")?).read_line(&mut line)?;
        let mut ports = line.split_whitespace().map(str::parse);
        let mut port = || ports.next().context("the target did not start")?.context("the target says its ports");
        let (port, secure_port) = (port()?, port()?);
        Ok(Target { process, port, secure_port, identity })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A URL in clear, on the address whose turn it is.
    pub(crate) fn url(&self, turn: usize, path: &str) -> String {
        format!("http://{}{path}", address(number(turn), self.port))
    }

    /// A URL over TLS, likewise.
    pub(crate) fn secure_url(&self, turn: usize, path: &str) -> String {
        format!("https://{}{path}", address(number(turn), self.secure_port))
    }

    /// A count.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) fn count(&self, name: &str) -> anyhow::Result<u64> {
        let stats: Value = serde_json::from_str(&get(address(0, self.port), "/-/stats")?)?;
        stats[name].as_u64().with_context(|| format!("the target does not count {name}"))
    }

    /// The requests that were kept, in order.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) fn seen(&self) -> anyhow::Result<Vec<Seen>> {
        let text = get(address(0, self.port), "/-/log")?;
        Ok(text.lines().filter_map(Seen::parse).collect())
    }

    /// The requests that were kept, by path.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) fn seen_by_path(&self) -> anyhow::Result<BTreeMap<String, Vec<Seen>>> {
        let mut by_path: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
        for seen in self.seen()? {
            by_path.entry(seen.path.clone()).or_default().push(seen);
        }
        Ok(by_path)
    }

    /// Forgets what was counted and kept.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        get(address(0, self.port), "/-/clear").map(|_| ())
    }
}

fn number(turn: usize) -> u8 {
    u8::try_from(turn % usize::from(ADDRESSES)).unwrap_or(0)
}
