//! What only the model can do: fail when told to, and crash.

use std::sync::Arc;

use super::*;
use crate::conformance::world::{all, commit, define, minute, pass, shows, walk};

async fn make() -> (Arc<dyn Store>, ()) {
    (Arc::new(MemoryStore::new()), ())
}

crate::store_conformance!(make);

#[tokio::test]
async fn a_failing_commit_is_lost_or_kept_as_told() {
    let store = MemoryStore::new();
    let keys = define(&store, &["a"]).await.unwrap();
    store.fail_commits(1, FailingCommit::Lost);
    assert!(commit(&store, vec![pass(keys[0], minute(1))]).await.is_err());
    store.fail_commits(1, FailingCommit::Kept);
    assert!(commit(&store, vec![pass(keys[0], minute(2))]).await.is_err());
    commit(&store, vec![pass(keys[0], minute(3))]).await.unwrap();
    let kept: Vec<_> = walk(&store, &all()).await.unwrap().into_iter().map(|r| r.tick.scheduled_at).collect();
    assert_eq!(kept, [minute(3), minute(2)]);
    assert_eq!(store.commits(), 3);
}

#[tokio::test]
async fn after_a_crash_there_is_what_was_committed_but_no_definitions() {
    let store = MemoryStore::new();
    let keys = define(&store, &["a"]).await.unwrap();
    commit(&store, vec![pass(keys[0], minute(1))]).await.unwrap();
    let before = shows(&store, &keys).await.unwrap();
    let zombie = store.clone();
    let after = store.crash();
    assert!(matches!(commit(&zombie, vec![pass(keys[0], minute(2))]).await, Err(StoreError::Closed)));
    let mut shown = shows(&after, &keys).await.unwrap();
    assert!(shown.monitors.is_empty());
    shown.monitors.clone_from(&before.monitors);
    shown.assert_same(&before, "after a crash");
    assert_eq!(define(&after, &["a"]).await.unwrap(), keys);
    shows(&after, &keys).await.unwrap().assert_same(&before, "defined again");
}
