//! The log: to standard error or a file, as text or JSON.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use watchpost_wire::config::LogSettings;

/// Starts logging, once per process. `$WATCHPOST_LOG` wins over the configured level and takes tracing's filter syntax.
///
/// # Errors
/// When the log file cannot be opened.
pub fn start(options: &LogSettings) -> anyhow::Result<()> {
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
