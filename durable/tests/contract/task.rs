//! Tasks: what is enqueued is done once, by one worker at a time, when it is due.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use durable::{params, testing::backends};

#[tokio::test]
async fn a_hook_runs_after_its_commit_and_after_nothing_else() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let ran = Arc::new(AtomicU32::new(0));
        let hook = || {
            let ran = ran.clone();
            move || drop(ran.fetch_add(1, Ordering::SeqCst))
        };
        let mut rolled_back = store.begin().await.unwrap();
        rolled_back.after_commit(hook());
        rolled_back.rollback().await.unwrap();
        let mut dropped = store.begin().await.unwrap();
        dropped.after_commit(hook());
        drop(dropped);
        let mut broken = store.begin().await.unwrap();
        broken.after_commit(hook());
        broken.query("SELECT nothing FROM nowhere", params![]).await.unwrap_err();
        broken.commit().await.unwrap_err();
        assert_eq!(ran.load(Ordering::SeqCst), 0, "{}", backend.name);
        let mut tx = store.begin().await.unwrap();
        tx.after_commit(hook());
        tx.after_commit(hook());
        tx.commit().await.unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), 2, "{}", backend.name);
    }
}
