//! The store on one SQLite file, for one process.
//!
//! * One task ([`writer`]) owns the connection that writes; pages read through a small pool. WAL lets both go on at once.
//! * A commit appends one row to the log ([`commit`]); states, intervals and incidents are written when they change.
//! * When an hour has closed its results become a block per monitor beside their counts ([`compact`]).
//! * The results that are still in the log are in memory too, compactly ([`tail`]); [`index`] is rebuilt from the file
//!   when it is opened. Views join both: a result may be in memory, in a block, or for a moment in both.
//!
//! Lock order: the index's lock is never held while something is awaited.

mod commit;
mod compact;
mod connect;
mod index;
mod pages;
mod prune;
mod recent;
mod redefine;
mod tail;
mod views;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sqlx::SqlitePool;
use tokio::sync::mpsc;
use watchpost_core::ports::BoxFuture;
use watchpost_core::{MonitorKey, State, Timestamp};
use watchpost_wire::stored::StoredError;

use crate::rules::with_newest;
use crate::{Commit, Compacted, Keep, Pruned, Store, StoreError};
use index::Index;
use writer::{Job, Writer};

/// Writes that wait for their turn at most; more wait outside. Rides out one slow fsync at many commits a second.
const WRITES_QUEUED_MAX: usize = 64;

/// Where the store is.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The data folder, made when missing. One process at a time may hold it.
    pub folder: PathBuf,
    /// The database's file, relative to the folder.
    pub file: PathBuf,
}

/// A store on one SQLite file. Clones are handles of the same store; when the last one is gone the folder is free again.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    /// Absent when it may only be read.
    writes: Option<mpsc::Sender<Job>>,
}

struct Shared {
    index: RwLock<Index>,
    readers: SqlitePool,
    path: PathBuf,
    closed: AtomicBool,
    /// Held as long as the store is open.
    folder_lock: Mutex<Option<File>>,
    /// Held by whoever compacts or prunes: both work through the hours in many small steps.
    tidying: tokio::sync::Mutex<()>,
}

impl Shared {
    fn index(&self) -> RwLockReadGuard<'_, Index> {
        // Updates of the index do not panic half way; if one did, what it holds is still the best we have.
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SqliteStore {
    /// Opens the store, makes it when it is not there, and migrates it when it is older.
    ///
    /// # Errors
    /// [`StoreError::Locked`] at once when another process holds the folder, [`StoreError::Newer`] and
    /// [`StoreError::Damaged`] when the file cannot be used, [`StoreError::Path`] when the folder cannot.
    pub async fn open(options: SqliteOptions) -> Result<SqliteStore, StoreError> {
        let lock = connect::lock_folder(&options.folder)?;
        let path = options.folder.join(&options.file);
        let named = |error| in_file(&path, error);
        let mut connection = connect::writer(&path).await.map_err(named)?;
        connect::migrate(&mut connection, &path).await.map_err(named)?;
        let index = Index::load(&mut connection).await.map_err(named)?;
        let shared = Arc::new(Shared {
            index: RwLock::new(index),
            readers: connect::readers(&path),
            path,
            closed: AtomicBool::new(false),
            folder_lock: Mutex::new(Some(lock)),
            tidying: tokio::sync::Mutex::new(()),
        });
        let (writes, jobs) = mpsc::channel(WRITES_QUEUED_MAX);
        tokio::spawn(Writer::new(Arc::clone(&shared), connection).run(jobs));
        Ok(SqliteStore { shared, writes: Some(writes) })
    }

    /// Opens the store for reading beside the process that holds it, as of now: what is committed later to its log is not
    /// seen. Everything that writes answers with an error.
    ///
    /// # Errors
    /// [`StoreError::Path`] when there is no such file; otherwise as [`SqliteStore::open`], but never
    /// [`StoreError::Locked`].
    pub async fn open_read_only(options: SqliteOptions) -> Result<SqliteStore, StoreError> {
        let path = options.folder.join(&options.file);
        let readers = connect::readers(&path);
        let named = |error| in_file(&path, error);
        let mut connection = readers.acquire().await.map_err(|e| named(connect::cannot_open(e, &path)))?;
        connect::check_schema(&mut connection, &path).await.map_err(named)?;
        let index = Index::load(&mut connection).await.map_err(named)?;
        drop(connection);
        let shared = Arc::new(Shared {
            index: RwLock::new(index),
            readers,
            path,
            closed: AtomicBool::new(false),
            folder_lock: Mutex::new(None),
            tidying: tokio::sync::Mutex::new(()),
        });
        Ok(SqliteStore { shared, writes: None })
    }

    /// Has the writer do a job, and waits for its answer. The job is done even when nobody waits any more.
    async fn write<T: Send + 'static>(
        &self,
        job: impl for<'w> FnOnce(&'w mut Writer) -> BoxFuture<'w, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let writes =
            self.writes.as_ref().ok_or_else(|| StoreError::Backend("it was opened for reading only".into()))?;
        let (reply, answer) = tokio::sync::oneshot::channel();
        let job: Job = Box::new(move |writer| {
            Box::pin(async move {
                // Nobody may be waiting any more; what was done is done all the same.
                let _ = reply.send(job(writer).await);
            })
        });
        writes.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Backend("a write ended without an answer".into())))
    }

    fn check_open(&self) -> Result<(), StoreError> {
        if self.shared.closed.load(Ordering::Acquire) { Err(StoreError::Closed) } else { Ok(()) }
    }
}

impl Store for SqliteStore {
    fn load(&self) -> BoxFuture<'_, Result<Vec<(MonitorKey, State)>, StoreError>> {
        Box::pin(async move {
            self.check_open()?;
            let index = self.shared.index();
            let there = index.monitors.iter().filter(|(_, held)| !held.removed);
            Ok(there.map(|(key, held)| (*key, with_newest(held.state.clone(), held.newest))).collect())
        })
    }

    fn commit(&self, batch: Commit) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.check_open()?;
            self.write(move |writer| Box::pin(writer.commit(batch))).await
        })
    }

    fn compact(&self, before: Timestamp) -> BoxFuture<'_, Result<Compacted, StoreError>> {
        Box::pin(async move {
            self.check_open()?;
            let _alone = self.shared.tidying.lock().await;
            self.compact_hours(before).await
        })
    }

    fn prune(&self, keep: Keep) -> BoxFuture<'_, Result<Pruned, StoreError>> {
        Box::pin(async move {
            self.check_open()?;
            let _alone = self.shared.tidying.lock().await;
            self.prune_all(keep).await
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if self.shared.closed.swap(true, Ordering::AcqRel) {
                return Ok(());
            }
            let closed = match &self.writes {
                Some(_) => self.write(|writer| Box::pin(writer.close())).await,
                None => Ok(()),
            };
            self.shared.readers.close().await;
            self.shared.folder_lock.lock().unwrap_or_else(PoisonError::into_inner).take();
            closed
        })
    }
}

/// Says which file is damaged.
fn in_file(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Damaged(what) => StoreError::Damaged(format!("{}: {what}", path.display())),
        other => other,
    }
}

/// What a failing statement means to the caller.
fn backend(error: sqlx::Error) -> StoreError {
    match connect::primary_code(&error) {
        Some(connect::CORRUPT | connect::NOT_A_DATABASE) => StoreError::Damaged(error.to_string()),
        Some(_) | None => StoreError::Backend(Box::new(error)),
    }
}

/// What a row that cannot be read means to the caller.
fn unreadable(error: StoredError) -> StoreError {
    match error {
        StoredError::Newer { found, .. } => {
            StoreError::Newer { found: i64::from(found), known: i64::from(watchpost_wire::stored::VERSION) }
        }
        damaged @ StoredError::Damaged { .. } => StoreError::Damaged(damaged.to_string()),
    }
}

/// A key as SQLite gives it back.
fn key_from(number: i64) -> Result<MonitorKey, StoreError> {
    u32::try_from(number).map(MonitorKey).map_err(|_| StoreError::Damaged(format!("there is no monitor {number}")))
}

/// Keys as SQLite's `json_each` takes them.
fn key_list(keys: impl IntoIterator<Item = MonitorKey>) -> String {
    let numbers: Vec<String> = keys.into_iter().map(|key| key.0.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

/// Where the block and the counts of a monitor and hour are.
fn block_id(hour: i64, monitor: MonitorKey) -> i64 {
    hour * HOUR_STRIDE + i64::from(monitor.0)
}

/// The monitor whose block this is.
fn block_monitor(id: i64) -> MonitorKey {
    // Below 2^32, so it fits.
    MonitorKey(u32::try_from(id.rem_euclid(HOUR_STRIDE)).unwrap_or(u32::MAX))
}

/// Ids between an hour and the next one: room for every key.
const HOUR_STRIDE: i64 = 1 << 32;
