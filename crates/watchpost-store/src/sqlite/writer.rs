//! The task that owns the connection that writes. Jobs are done one after the other; none ends it but `close`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::mpsc;
use watchpost_core::ports::BoxFuture;

use super::{Shared, backend, connect};
use crate::StoreError;

/// Opening and closing take milliseconds. Without memory for a thread they may never end, and writes must be tried again.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Something for the writer to do. It answers by itself.
pub(super) type Job = Box<dyn for<'w> FnOnce(&'w mut Writer) -> BoxFuture<'w, ()> + Send>;

/// How much a transaction must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survives {
    /// A killed process.
    Kill,
    /// Power loss: `synchronous=FULL`.
    PowerLoss,
}

/// See the module.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    /// Absent after a failure: a transaction that failed half way is left to a closed connection, and a new one is made.
    connection: Option<SqliteConnection>,
    /// What the connection is set to.
    survives: Survives,
    closing: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, connection: SqliteConnection) -> Writer {
        Writer { shared, connection: Some(connection), survives: Survives::Kill, closing: false }
    }

    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while !self.closing {
            let Some(job) = jobs.recv().await else { break };
            if AssertUnwindSafe(job(&mut self)).catch_unwind().await.is_err() {
                tracing::error!("a write of the store panicked; it was given up");
                self.hang_up().await;
            }
        }
        self.hang_up().await;
    }

    async fn hang_up(&mut self) {
        if let Some(connection) = self.connection.take() {
            // An open transaction is rolled back with it; nothing else is to be saved.
            let _ = tokio::time::timeout(CONNECT_MAX, connection.close()).await;
        }
    }

    /// The connection, made anew after a failure.
    pub(super) async fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                self.survives = Survives::Kill;
                let made = tokio::time::timeout(CONNECT_MAX, connect::writer(&self.shared.path)).await;
                made.map_err(|_| StoreError::Backend("the database could not be opened in time".into()))??
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// Begins a transaction. It ends with [`Writer::end`].
    pub(super) async fn begin(&mut self, survives: Survives) -> Result<&mut SqliteConnection, StoreError> {
        let was = self.survives;
        let begun = begin_on(self.connection().await?, survives, was).await;
        match begun {
            Ok(()) => {
                self.survives = survives;
                self.connection().await
            }
            Err(error) => {
                self.hang_up().await;
                Err(error)
            }
        }
    }

    /// Commits, or gives up what was done since [`Writer::begin`].
    pub(super) async fn end<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let ended = match outcome {
            Ok(value) => run_sql(self.connection().await?, "COMMIT").await.map(|()| value),
            Err(error) => Err(error),
        };
        if ended.is_err() {
            self.hang_up().await;
        }
        ended
    }

    /// Empties the write-ahead log into the file and ends the task.
    pub(super) async fn close(&mut self) -> Result<(), StoreError> {
        self.closing = true;
        let emptied = match self.connection().await {
            Ok(connection) => run_sql(connection, "PRAGMA wal_checkpoint(TRUNCATE)").await,
            Err(error) => Err(error),
        };
        if let Err(error) = emptied {
            // Nothing is lost: what it holds is durable, and the next start reads it from there.
            tracing::warn!(%error, "the write-ahead log could not be emptied into the database");
        }
        self.hang_up().await;
        Ok(())
    }
}

async fn begin_on(connection: &mut SqliteConnection, survives: Survives, was: Survives) -> Result<(), StoreError> {
    if survives != was {
        let pragma = match survives {
            Survives::Kill => "PRAGMA synchronous = NORMAL",
            Survives::PowerLoss => "PRAGMA synchronous = FULL",
        };
        run_sql(connection, pragma).await?;
    }
    run_sql(connection, "BEGIN IMMEDIATE").await
}

/// Runs a statement whose rows do not matter.
pub(super) async fn run_sql(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), StoreError> {
    sqlx::query(sql).execute(connection).await.map(|_| ()).map_err(backend)
}
