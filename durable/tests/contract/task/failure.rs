//! What follows a failure: another attempt later, and in the end a dead letter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use durable::{
    Error,
    task::{Kind, NewTask, Worker, dead, discard, requeue},
    testing::backends,
};

use super::{EFFECTS, Seen, count, effect, effects, enqueue, finish, start, until};
use crate::support::within;

fn quick(name: &str) -> Kind {
    Kind::new(name).retry(Duration::from_millis(1), Duration::from_millis(2))
}

/// An error with a cause.
#[derive(Debug, thiserror::Error)]
#[error("the mail was not sent")]
struct Unsent(#[source] std::io::Error);

#[tokio::test]
async fn a_failed_attempt_leaves_nothing_and_is_followed_by_another() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (handler_store, attempts) = (store.clone(), Arc::new(AtomicU32::new(0)));
        let count_attempts = attempts.clone();
        let worker = Worker::new(store.clone()).kind(quick("x"), move |lease| {
            let (store, attempts) = (handler_store.clone(), count_attempts.clone());
            async move {
                assert_eq!(attempts.fetch_add(1, Ordering::SeqCst) + 1, lease.attempts());
                let mut tx = store.begin().await?;
                effect(&mut tx, &lease).await?;
                lease.complete(&mut tx).await?;
                if lease.attempts() < 4 {
                    return Err("not today".into());
                }
                Ok(tx.commit().await?)
            }
        });
        enqueue(&store, NewTask::new("x", "a")).await;
        let _running = start(worker);
        until(&store, "effect", 1).await;
        assert_eq!(attempts.load(Ordering::SeqCst), 4, "{}", backend.name);
        assert_eq!(count(&store, "durable_task").await, 0, "{}", backend.name);
        assert_eq!(count(&store, "durable_task_failure").await, 0, "{}", backend.name);
    }
}

#[tokio::test]
async fn a_panic_and_an_end_without_settling_are_failures() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let worker = Worker::new(store.clone())
            .kind(quick("panic").attempts(2), |_| async { panic!("on purpose") })
            .kind(quick("nothing").attempts(1), |_| async { Ok(()) });
        enqueue(&store, NewTask::new("panic", "a")).await;
        enqueue(&store, NewTask::new("nothing", "b")).await;
        let _running = start(worker);
        within(async {
            while dead(&store, 10).await.unwrap().len() < 2 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        let mut dead = dead(&store, 10).await.unwrap();
        dead.sort_by(|one, two| one.key.cmp(&two.key));
        assert!(dead[0].error.contains("panicked"), "{dead:?}");
        assert_eq!((dead[0].attempts, dead[0].failures.len()), (2, 2), "{}", backend.name);
        assert!(dead[1].error.contains("neither"), "{dead:?}");
    }
}

#[tokio::test]
async fn a_dead_letter_tells_all_and_lives_again_by_command() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (handler_store, mended) = (store.clone(), Arc::new(AtomicBool::new(false)));
        let is_mended = mended.clone();
        let worker = Worker::new(store.clone()).kind(quick("mail").attempts(3), move |lease| {
            let (store, mended) = (handler_store.clone(), is_mended.clone());
            async move {
                if !mended.load(Ordering::SeqCst) {
                    return Err(Unsent(std::io::Error::other("no route")).into());
                }
                Ok(finish(&store, &lease).await?)
            }
        });
        enqueue(&store, NewTask::new("mail", "a").body(*b"hello")).await;
        enqueue(&store, NewTask::new("mail", "b")).await;
        let _running = start(worker);
        within(async {
            while dead(&store, 10).await.unwrap().len() < 2 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        let letters = dead(&store, 10).await.unwrap();
        let letter = letters.iter().find(|task| task.key == "a").unwrap();
        assert_eq!((&letter.kind[..], &letter.body[..]), ("mail", &b"hello"[..]));
        assert_eq!(letter.error, "the mail was not sent: no route", "{}", backend.name);
        let attempts: Vec<_> = letter.failures.iter().map(|failure| failure.attempt).collect();
        assert_eq!(attempts, [1, 2, 3], "{}", backend.name);
        assert!(letter.failures.iter().all(|failure| failure.error.ends_with("no route")));
        assert!(!enqueue(&store, NewTask::new("mail", "a")).await, "its key is still taken");

        mended.store(true, Ordering::SeqCst);
        let mut tx = store.begin().await.unwrap();
        assert!(requeue(&mut tx, "mail", "a").await.unwrap());
        assert!(!requeue(&mut tx, "mail", "unknown").await.unwrap());
        assert!(discard(&mut tx, "mail", "b").await.unwrap());
        tx.commit().await.unwrap();
        until(&store, "effect", 1).await;
        assert_eq!(effects(&store).await, ["a"], "{}", backend.name);
        until(&store, "durable_task", 0).await;
        assert_eq!(count(&store, "durable_task_failure").await, 0, "{}", backend.name);
    }
}

#[tokio::test]
async fn a_kind_that_fails_or_hangs_holds_up_no_other() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (handler_store, hanging) = (store.clone(), Seen::default());
        let hangs = hanging.clone();
        let worker = Worker::new(store.clone())
            .kind(quick("bad").attempts(u32::MAX), |_| async { Err("always".into()) })
            .kind(Kind::new("hanging").concurrency(2), move |lease| {
                hangs.add(lease.key());
                std::future::pending()
            })
            .kind(Kind::new("good"), move |lease| {
                let store = handler_store.clone();
                async move { Ok(finish(&store, &lease).await?) }
            });
        for number in 0..20 {
            for kind in ["bad", "hanging", "good"] {
                enqueue(&store, NewTask::new(kind, number.to_string())).await;
            }
        }
        let _running = start(worker);
        until(&store, "effect", 20).await;
        hanging.until(2).await;
        assert_eq!(hanging.keys().len(), 2, "{}: no more at once than asked for", backend.name);
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    for backend in backends().await {
        let store = backend.open(&[]).await;
        let mut tx = store.begin().await.unwrap();
        let large = NewTask::new("x", "a").body(vec![0; durable::task::MAX_TASK_BYTES + 1]);
        let refused = tx.enqueue(large).await;
        assert!(matches!(refused, Err(Error::TaskTooLarge { .. })), "{}", backend.name);
    }
}
