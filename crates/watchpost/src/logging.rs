//! The log: to standard error or a file, as text or JSON.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

/// Where and how to log.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// `error`, `warn`, `info`, `debug`, `trace`; `$WATCHPOST_LOG` wins and takes tracing's filter syntax.
    pub level: String,
    /// One JSON object a line.
    pub json: bool,
    /// Appended to, instead of standard error.
    pub file: Option<PathBuf>,
}

/// Starts logging, once per process.
///
/// # Errors
/// When the log file cannot be opened.
pub fn start(options: &LogOptions) -> anyhow::Result<()> {
    let given = std::env::var("WATCHPOST_LOG").ok().filter(|text| !text.is_empty());
    let filter =
        EnvFilter::try_new(given.as_deref().unwrap_or(&options.level)).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    let started = match (&options.file, options.json) {
        (Some(path), true) => builder.json().with_writer(Mutex::new(open(path)?)).try_init(),
        (Some(path), false) => builder.with_ansi(false).with_writer(Mutex::new(open(path)?)).try_init(),
        (None, true) => builder.json().with_writer(std::io::stderr).try_init(),
        (None, false) => {
            use std::io::IsTerminal;
            let colour = std::io::stderr().is_terminal();
            builder.with_ansi(colour).with_writer(std::io::stderr).try_init()
        }
    };
    // A second start in one process (tests) keeps the first.
    drop(started);
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<std::fs::File> {
    use anyhow::Context;
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot open the log file {}", path.display()))
}
