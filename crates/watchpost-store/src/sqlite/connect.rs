//! Folder lock, connections, migrations, and what their errors mean.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlSafeStr, SqliteConnection, SqlitePool};

use super::backend;
use crate::StoreError;

/// The file in the data folder whose lock says that the folder is in use.
const LOCK_FILE: &str = "watchpost.lock";
/// How long a statement waits for another connection: only a checkpoint or a backup by hand holds one up.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// Connections that read at once: pages are short, and each connection is a thread with its cache.
const READERS_MAX: u32 = 4;
/// A reader that is not used for so long is given back.
const READER_IDLE_MAX: Duration = Duration::from_secs(60);
/// How long a page waits for a reader before it fails.
const READER_WAIT_MAX: Duration = Duration::from_secs(10);
/// Page cache of the writer, kibibytes (negative as the pragma wants it).
const WRITER_CACHE_KIB: &str = "-8192";
/// Page cache of a reader, kibibytes.
const READER_CACHE_KIB: &str = "-2048";
/// The write-ahead log shrinks to this many bytes after it has been emptied.
const WAL_KEPT_BYTES: &str = "16777216";

/// `SQLITE_IOERR`
const IO_ERROR: u32 = 10;
/// `SQLITE_FULL`
const FULL: u32 = 13;
/// `SQLITE_CANTOPEN`
const CANNOT_OPEN: u32 = 14;
/// `SQLITE_CORRUPT`
pub(super) const CORRUPT: u32 = 11;
/// `SQLITE_NOTADB`
pub(super) const NOT_A_DATABASE: u32 = 26;

/// The primary result code of SQLite: the low byte of the extended one.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<u32>().ok().map(|code| code & 0xff)
}

/// Takes the folder for this process, and makes it when it is not there. The lock dies with the process.
pub(super) fn lock_folder(folder: &Path) -> Result<File, StoreError> {
    let cannot = |source| StoreError::Path { path: folder.display().to_string(), source };
    // What is kept may name internal hosts: only for us.
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
    let path = folder.join(LOCK_FILE);
    let cannot = |source| StoreError::Path { path: path.display().to_string(), source };
    let mut options = OpenOptions::new();
    let mut file =
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            let pid = Some(pid.trim()).filter(|pid| !pid.is_empty()).unwrap_or("?").to_owned();
            return Err(StoreError::Locked { folder: folder.display().to_string(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(cannot(source)),
    }
    // The process id is for people only: a full disk must not keep us from starting to say so.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_MAX)
        .foreign_keys(false)
        .pragma("temp_store", "memory")
        .log_statements(tracing::log::LevelFilter::Off)
        .log_slow_statements(tracing::log::LevelFilter::Off, Duration::ZERO)
}

/// The connection that writes.
pub(super) async fn writer(path: &Path) -> Result<SqliteConnection, StoreError> {
    let cannot = |source| StoreError::Path { path: path.display().to_string(), source };
    // Made here, because SQLite would let everybody read it; its files beside it get the same mode.
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(cannot)?;
    let options = options(path)
        .create_if_missing(true)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("cache_size", WRITER_CACHE_KIB)
        .pragma("journal_size_limit", WAL_KEPT_BYTES);
    options.connect().await.map_err(|e| cannot_open(e, path))
}

/// The connections that read; made when they are needed.
pub(super) fn readers(path: &Path) -> SqlitePool {
    let options = options(path).pragma("cache_size", READER_CACHE_KIB).pragma("query_only", "on");
    SqlitePoolOptions::new()
        .min_connections(0)
        .max_connections(READERS_MAX)
        .idle_timeout(READER_IDLE_MAX)
        .acquire_timeout(READER_WAIT_MAX)
        .connect_lazy_with(options)
}

/// What a connection that cannot be made means.
pub(super) fn cannot_open(error: sqlx::Error, path: &Path) -> StoreError {
    match (primary_code(&error), error) {
        (Some(CANNOT_OPEN), error) => {
            StoreError::Path { path: path.display().to_string(), source: std::io::Error::other(error) }
        }
        (Some(IO_ERROR | FULL), error) => {
            // The files beside the database are made anew at each opening, which takes some kilobytes.
            let cause = format!("{error}; if its disk is full, which watchpost doctor tells, make room");
            StoreError::Path { path: path.display().to_string(), source: std::io::Error::other(cause) }
        }
        (_, sqlx::Error::Io(source)) => StoreError::Path { path: path.display().to_string(), source },
        (_, error) => backend(error),
    }
}

fn migrations() -> Vec<Migration> {
    let simple = |version, name: &'static str, sql: &'static str| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    vec![simple(1, "first", include_str!("../../migrations/sqlite/0001_first.sql"))]
}

/// Brings the schema up to what this version knows.
pub(super) async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let found = found_schema(connection, path).await?;
    if found == Some(newest_known()) {
        // Nothing to write: a full disk must not keep us from starting.
        return Ok(());
    }
    if found.is_none() {
        let foreign: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
            .fetch_one(&mut *connection)
            .await
            .map_err(backend)?;
        if foreign > 0 {
            return Err(StoreError::Damaged("it belongs to another program".to_owned()));
        }
    }
    Migrator::with_migrations(migrations()).run_direct(None, connection, false).await.map_err(|e| match e {
        sqlx::migrate::MigrateError::Execute(e) | sqlx::migrate::MigrateError::ExecuteMigration(e, _) => backend(e),
        other => StoreError::Damaged(other.to_string()),
    })
}

/// Is of the schema this version knows, for those who may not migrate.
pub(super) async fn check_schema(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let known = newest_known();
    match found_schema(connection, path).await? {
        Some(found) if found == known => Ok(()),
        Some(_) | None => {
            Err(StoreError::Backend("it is of an older version; start the server once to bring it up to date".into()))
        }
    }
}

fn newest_known() -> i64 {
    migrations().iter().map(|m| m.version).max().unwrap_or(0)
}

/// The schema's version; `None` when there is none yet.
async fn found_schema(connection: &mut SqliteConnection, path: &Path) -> Result<Option<i64>, StoreError> {
    let there: Option<i64> = sqlx::query_scalar("SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations'")
        .fetch_optional(&mut *connection)
        .await
        .map_err(|e| cannot_open(e, path))?;
    if there.is_none() {
        return Ok(None);
    }
    let found: Option<i64> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(connection).await.map_err(backend)?;
    let known = newest_known();
    match found {
        Some(found) if found > known => Err(StoreError::Newer { found, known }),
        found => Ok(found),
    }
}
