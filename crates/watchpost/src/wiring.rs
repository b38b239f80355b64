//! Turns settings into parts. The only place that names implementations.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use watchpost_checks::{Checker, CheckerOptions, PrivateTargets};
use watchpost_core::ports::Clock;
use watchpost_engine::EngineOptions;
use watchpost_store::Store;
use watchpost_store::sqlite::{SqliteOptions, SqliteStore};
use watchpost_web::Limits;
use watchpost_wire::config;

use crate::config::Settings;

/// File handles that are not for checks: listeners, pages, database, log.
const HANDLES_RESERVED: u64 = 1_024;
/// Checks in flight at most, however many handles there are.
const IN_FLIGHT_MAX: u64 = 4_096;
/// Connections to our pages that there is always room for.
const CONNECTIONS_MIN: usize = 16;
/// Handles that one check may hold: a connection, its predecessor in closing, a resolver's socket.
const HANDLES_PER_CHECK: u64 = 3;

/// Makes what runs checks.
///
/// # Errors
/// When a CA file cannot be used.
pub fn checker(settings: &Settings, clock: Arc<dyn Clock>) -> anyhow::Result<Checker> {
    let options = CheckerOptions {
        ca_files: settings.network.ca_files.clone(),
        private_targets: match settings.network.private_targets {
            config::PrivateTargets::Allow => PrivateTargets::Allow,
            config::PrivateTargets::Deny => PrivateTargets::Deny,
        },
        ..CheckerOptions::new(clock)
    };
    Checker::new(options).context("cannot set up checks")
}

/// Opens the store in the data folder, which the store makes, for us alone, if it is not there.
///
/// # Errors
/// When the folder or the database cannot be used, or another process uses it.
pub async fn open_store(settings: &Settings, folder: &Path) -> anyhow::Result<Arc<dyn Store>> {
    let file = settings.storage.file.clone();
    // Whole, so that messages name the folder wherever they are read.
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let store = SqliteStore::open(SqliteOptions { folder, file }).await?;
    Ok(Arc::new(store))
}

/// Opens what is there for looking only, also beside a running server. `None` when there is no database yet.
///
/// # Errors
/// When the database cannot be read.
pub async fn open_read_only(settings: &Settings, folder: &Path) -> anyhow::Result<Option<Arc<dyn Store>>> {
    let file = settings.storage.file.clone();
    if !folder.join(&file).exists() {
        return Ok(None);
    }
    let store = SqliteStore::open_read_only(SqliteOptions { folder: folder.to_owned(), file }).await?;
    Ok(Some(Arc::new(store)))
}

/// The engine's options.
#[must_use]
pub fn engine_options(settings: &Settings) -> EngineOptions {
    EngineOptions {
        in_flight_max: in_flight_max(),
        keep_results: settings.storage.keep_results,
        keep_history: settings.storage.keep_history,
        size_max: settings.storage.size_max,
    }
}

/// As many checks as file handles allow.
fn in_flight_max() -> usize {
    let handles = raise_handles();
    let checks = (handles.saturating_sub(HANDLES_RESERVED) / HANDLES_PER_CHECK).clamp(16, IN_FLIGHT_MAX);
    usize::try_from(checks).unwrap_or(16)
}

/// The limits of the pages: of file handles their connections take a quarter at most, so that checks have the rest.
#[must_use]
pub fn page_limits() -> Limits {
    let limits = Limits::default();
    let quarter = usize::try_from(raise_handles() / 4).unwrap_or(limits.connections);
    Limits { connections: quarter.clamp(CONNECTIONS_MIN, limits.connections), ..limits }
}

/// Raises the limit on file handles as far as we may, and tells how far that is.
#[must_use]
pub fn raise_handles() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return HANDLES_RESERVED };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    }
}

/// Percent-encodes an id for a path (RFC 3986, everything but unreserved characters).
#[must_use]
pub fn encode(id: &str) -> String {
    id.bytes().fold(String::with_capacity(id.len()), |mut path, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
            _ => {
                use std::fmt::Write;
                // Writing to a String cannot fail.
                let _ = write!(path, "%{byte:02X}");
            }
        }
        path
    })
}
