//! The SQLite store: the suite, what outlives a process, and what it makes of bad files and folders.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use watchpost_core::Timestamp;
use watchpost_store::conformance::world::{all, commit, define, minute, missed, pass, shows, walk, wanted};
use watchpost_store::{Catalog, Keep, Redefine, SqliteOptions, SqliteStore, Store, StoreError, Views};

fn options(folder: &Path) -> SqliteOptions {
    SqliteOptions { folder: folder.to_owned(), file: "watchpost.db".into() }
}

async fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(options(folder)).await.unwrap()
}

async fn open_error(folder: &Path) -> StoreError {
    SqliteStore::open(options(folder)).await.err().expect("it must not open")
}

async fn make() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Arc::new(open(folder.path()).await), folder)
}

watchpost_store::store_conformance!(make);

fn copy_files(from: &Path, to: &Path) {
    for file in ["watchpost.db", "watchpost.db-wal"] {
        if from.join(file).exists() {
            std::fs::copy(from.join(file), to.join(file)).unwrap();
        }
    }
}

#[tokio::test]
async fn everything_is_as_before_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let keys = define(&store, &["a", "b", "never"]).await.unwrap();
    for key in &keys[..2] {
        commit(&store, (0..150).map(|n| pass(*key, minute(n))).collect()).await.unwrap();
    }
    store.compact(minute(120)).await.unwrap();
    commit(&store, vec![missed(keys[0], minute(150), 3), pass(keys[1], minute(7)), pass(keys[1], minute(400))])
        .await
        .unwrap();
    let before = shows(&store, &keys).await.unwrap();
    store.close().await.unwrap();

    let store = open(folder.path()).await;
    let mut after = shows(&store, &keys).await.unwrap();
    assert!(after.monitors.is_empty(), "definitions are not stored");
    assert_eq!(define(&store, &["a", "b", "never"]).await.unwrap(), keys);
    after.monitors = shows(&store, &keys).await.unwrap().monitors;
    after.assert_same(&before, "opened again");
    store.close().await.unwrap();

    // Once more, with nothing left in the log.
    let store = open(folder.path()).await;
    store.compact(Timestamp::MAX).await.unwrap();
    store.close().await.unwrap();
    let store = open(folder.path()).await;
    define(&store, &["a", "b", "never"]).await.unwrap();
    shows(&store, &keys).await.unwrap().assert_same(&before, "afterwards");
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_was_committed_is_in_a_copy_of_the_files_made_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let keys = define(&store, &["a", "b"]).await.unwrap();
    for n in 0..90 {
        commit(&store, vec![pass(keys[0], minute(n)), pass(keys[1], minute(n))]).await.unwrap();
        if n % 30 == 7 {
            let copy = tempfile::tempdir().unwrap();
            copy_files(folder.path(), copy.path());
            let killed = open(copy.path()).await;
            let expected = walk(&store, &all()).await.unwrap();
            assert_eq!(expected.len() as i64, 2 * (n + 1));
            assert_eq!(walk(&killed, &all()).await.unwrap(), expected);
            assert_eq!(killed.load().await.unwrap(), store.load().await.unwrap());
            killed.close().await.unwrap();
        }
        if n == 70 {
            store.compact(minute(60)).await.unwrap();
        }
    }
    store.close().await.unwrap();
}

/// Between the blocks and the deletion of the log rows that they were made of.
#[tokio::test]
async fn a_compaction_cut_short_shows_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let keys = define(&store, &["a", "b"]).await.unwrap();
    let rows = (0..60).flat_map(|n| keys.iter().map(move |key| pass(*key, minute(n)))).collect();
    commit(&store, rows).await.unwrap();
    let before = shows(&store, &keys).await.unwrap();
    store.close().await.unwrap();
    let path = folder.path().join("watchpost.db");
    let log = sql(&path, "CREATE TABLE saved AS SELECT * FROM results_log").await;
    log.unwrap();
    let store = open(folder.path()).await;
    store.compact(minute(60)).await.unwrap();
    store.close().await.unwrap();
    sql(&path, "INSERT INTO results_log SELECT * FROM saved").await.unwrap();
    sql(&path, "DELETE FROM blocks WHERE id % 4294967296 = 2").await.unwrap();
    sql(&path, "DELETE FROM counts WHERE id % 4294967296 = 2").await.unwrap();
    sql(&path, "UPDATE hours SET blocks = 1, results = 60").await.unwrap();

    let store = open(folder.path()).await;
    define(&store, &["a", "b"]).await.unwrap();
    shows(&store, &keys).await.unwrap().assert_same(&before, "afterwards");
    store.compact(minute(60)).await.unwrap();
    shows(&store, &keys).await.unwrap().assert_same(&before, "afterwards");
    store.close().await.unwrap();
}

async fn sql(path: &Path, statement: &'static str) -> Result<u64, sqlx::Error> {
    use sqlx::Connection;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await?;
    let done = sqlx::query(statement).execute(&mut connection).await?;
    connection.close().await?;
    Ok(done.rows_affected())
}

#[tokio::test]
async fn a_second_process_is_told_who_holds_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    match open_error(folder.path()).await {
        StoreError::Locked { folder: named, pid } => {
            assert_eq!(named, folder.path().display().to_string());
            assert_eq!(pid, std::process::id().to_string());
        }
        other => panic!("{other}"),
    }
    store.close().await.unwrap();
    open(folder.path()).await.close().await.unwrap();
}

#[tokio::test]
async fn it_can_be_read_beside_the_process_that_writes() {
    let folder = tempfile::tempdir().unwrap();
    let missing = SqliteStore::open_read_only(options(folder.path())).await.err();
    assert!(matches!(missing, Some(StoreError::Path { .. })), "{missing:?}");
    let store = open(folder.path()).await;
    let keys = define(&store, &["a"]).await.unwrap();
    commit(&store, (0..70).map(|n| pass(keys[0], minute(n))).collect()).await.unwrap();
    store.compact(minute(60)).await.unwrap();
    let reader = SqliteStore::open_read_only(options(folder.path())).await.unwrap();
    assert_eq!(walk(&reader, &all()).await.unwrap(), walk(&store, &all()).await.unwrap());
    assert_eq!(reader.known().await.unwrap(), store.known().await.unwrap());
    assert!(matches!(commit(&reader, vec![pass(keys[0], minute(99))]).await, Err(StoreError::Backend(_))));
    reader.close().await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_for_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("watchpost.db");
    std::fs::write(&path, "not a database at all, but long enough to be taken for one: ".repeat(100)).unwrap();
    let error = open_error(folder.path()).await;
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");

    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    sql(&path, "CREATE TABLE theirs (x)").await.unwrap();
    let error = open_error(folder.path()).await;
    assert!(matches!(&error, StoreError::Damaged(text) if text.contains("another program")), "{error}");

    std::fs::remove_file(&path).unwrap();
    open(folder.path()).await.close().await.unwrap();
    sql(&path, "UPDATE _sqlx_migrations SET version = 99").await.unwrap();
    let error = open_error(folder.path()).await;
    assert!(matches!(error, StoreError::Newer { found: 99, known: 1 }), "{error}");

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = open_error(&file).await;
    assert!(matches!(error, StoreError::Path { .. }), "{error}");
}

#[tokio::test]
async fn a_log_row_or_a_page_that_is_not_what_was_written_is_found_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("watchpost.db");
    let store = open(folder.path()).await;
    let keys = define(&store, &["a"]).await.unwrap();
    commit(&store, (0..500).map(|n| pass(keys[0], minute(n))).collect()).await.unwrap();
    store.close().await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    sql(&path, "UPDATE results_log SET rows = substr(rows, 1, 40)").await.unwrap();
    let error = open_error(folder.path()).await.to_string();
    let advice = ["watchpost.db: row 1 of results_log", "`DELETE FROM results_log WHERE seq = 1`"];
    assert!(advice.iter().all(|words| error.contains(words)), "{error}");
    for file in ["watchpost.db-wal", "watchpost.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join(file));
    }
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = open_error(folder.path()).await;
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
}

#[tokio::test]
async fn a_write_that_fails_is_reported_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("watchpost.db");
    let store = open(folder.path()).await;
    let keys = define(&store, &["a"]).await.unwrap();
    commit(&store, vec![pass(keys[0], minute(1))]).await.unwrap();
    // Stands in for a full disk: what matters is that the statement fails amid the transaction.
    let refuse = "CREATE TRIGGER full BEFORE INSERT ON results_log BEGIN SELECT raise(ABORT, 'disk full'); END";
    sql(&path, refuse).await.unwrap();
    let error = commit(&store, vec![pass(keys[0], minute(2))]).await.unwrap_err();
    assert!(matches!(&error, StoreError::Backend(e) if e.to_string().contains("disk full")), "{error:?}");
    assert_eq!(walk(&store, &all()).await.unwrap().len(), 1);
    sql(&path, "DROP TRIGGER full").await.unwrap();
    commit(&store, vec![pass(keys[0], minute(2))]).await.unwrap();
    assert_eq!(walk(&store, &all()).await.unwrap().len(), 2);
    store.close().await.unwrap();
}

#[tokio::test]
async fn an_edit_that_fails_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("watchpost.db");
    let store = open(folder.path()).await;
    let keys = define(&store, &["a"]).await.unwrap();
    let before = shows(&store, &keys).await.unwrap();
    sql(&path, "CREATE TRIGGER full BEFORE INSERT ON states BEGIN SELECT raise(ABORT, 'disk full'); END")
        .await
        .unwrap();
    let monitors = vec![(Some(keys[0]), wanted("a", "changed")), (None, wanted("b", "b"))];
    let edit = Redefine { at: minute(1), monitors, ..Redefine::default() };
    assert!(store.redefine(edit.clone()).await.is_err());
    shows(&store, &keys).await.unwrap().assert_same(&before, "afterwards");
    sql(&path, "DROP TRIGGER full").await.unwrap();
    assert_eq!(store.redefine(edit).await.unwrap().len(), 2);
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_oldest_results_go_when_the_store_grows_too_large() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let keys = define(&store, &["a", "b", "c", "d"]).await.unwrap();
    for hour in 0..40 {
        let rows = (0..60).flat_map(|n| keys.iter().map(move |key| pass(*key, minute(hour * 60 + n)))).collect();
        commit(&store, rows).await.unwrap();
    }
    store.compact(minute(39 * 60)).await.unwrap();
    let year = std::time::Duration::from_secs(366 * 86_400);
    let keep = Keep { now: minute(2_400), results: year, history: year, size_max: Some(110_000) };
    let pruned = store.prune(keep).await.unwrap();
    assert!(pruned.blocks > 0);
    let left = walk(&store, &all()).await.unwrap();
    assert!(left.len() > 500 && left.len() < 9_000, "{}", left.len());
    assert_eq!(left[0], pass(keys[0], minute(2_399)));
    assert_eq!(left.len() as u64, store.figures().await.unwrap().results);
    assert_eq!(store.prune(keep).await.unwrap().blocks, 0);
    store.close().await.unwrap();
}
