//! The page of metrics tells what waits, what runs and what was done.

use ::mesh::testing::Mesh;
use durable::{
    params,
    task::{Kind, NewTask, Worker},
    testing::backends,
    upkeep::{Kept, Upkeep},
};

use crate::{
    saga::{Running, World, rests, start as start_saga, trip},
    task::{self, EFFECTS, Seen, enqueue},
};

/// The value of a line of the page.
fn value(page: &str, line: &str) -> Option<f64> {
    let found = page.lines().find_map(|found| found.strip_prefix(line));
    found.map(|value| value.trim().parse().unwrap())
}

#[tokio::test]
async fn what_waits_in_a_store_is_told() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let now = durable::time::now();
        for number in 0..3 {
            let task = NewTask { priority: number, ..NewTask::new("waiting", format!("{number}")) };
            enqueue(&store, task).await;
        }
        enqueue(&store, NewTask::new("waiting", "later").due(now + 3_600_000_000)).await;
        let mut tx = store.begin().await.unwrap();
        for sql in [
            "UPDATE durable_task SET created = created - 60000000 WHERE key = '1'",
            "INSERT INTO durable_task (kind, key, body, priority, due, epoch, attempts, failures,
                created, died, traceparent, actor, correlation)
             SELECT 'dead', key, body, 0, 0, 1, 1, 1, 0, 1, '', '', '' FROM durable_task",
            "INSERT INTO durable_projection (name, generation, version, position, live, tables)
             VALUES ('list', 1, 1, 0, TRUE, '')",
        ] {
            tx.execute(sql, params![]).await.unwrap();
        }
        tx.append(
            "a",
            durable::Expected::Any,
            vec![crate::support::new_event(&crate::support::tick(1))],
        )
        .await
        .unwrap();
        for (id, status) in [("a", "running"), ("b", "running"), ("c", "needs_attention")] {
            let sql = "INSERT INTO durable_saga (id, definition, version, status, step, direction,
                    attempts, data, error, traceparent, actor, created, updated, skipped, revision,
                    pivoted)
                VALUES ($1, 'trip', 1, $2, 'x', 'do', 0, $3, '', '', '', $4, 0, FALSE, 1, FALSE)";
            let row = params![id, status, Vec::<u8>::new(), now - 120_000_000];
            tx.execute(sql, row).await.unwrap();
        }
        tx.commit().await.unwrap();
        crate::retention::until(&store, 1).await;
        let upkeep = Upkeep::new(store, Kept::default());
        upkeep.look().await.unwrap();

        let page = Mesh::new().await.app("metrics").metrics();
        for (line, number) in [
            ("durable_tasks_due{kind=\"waiting\"}", 3.0),
            ("durable_tasks_dead{kind=\"dead\"}", 4.0),
            ("durable_sagas{status=\"running\"}", 2.0),
            ("durable_sagas{status=\"compensating\"}", 0.0),
            ("durable_sagas{status=\"needs_attention\"}", 1.0),
            ("durable_saga_oldest_age_seconds{status=\"compensating\"}", 0.0),
            ("durable_projection_lag_events{projection=\"list\"}", 1.0),
        ] {
            assert_eq!(value(&page, line), Some(number), "{} {line}\n{page}", backend.name);
        }
        for (line, least) in [
            ("durable_task_due_age_seconds{kind=\"waiting\"}", 60.0),
            ("durable_saga_oldest_age_seconds{status=\"running\"}", 120.0),
        ] {
            let age = value(&page, line).unwrap();
            assert!((least..least + 60.0).contains(&age), "{} {line} {age}", backend.name);
        }
    }
}

#[tokio::test]
async fn what_was_done_is_counted() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let (seen, handler_store) = (Seen::default(), store.clone());
        let kind = format!("counted-{}", backend.name);
        let (keys, quick) = (seen.clone(), std::time::Duration::from_millis(1));
        let worker =
            Worker::new(store.clone()).kind(Kind::new(&*kind).retry(quick, quick), move |lease| {
                let (store, keys) = (handler_store.clone(), keys.clone());
                async move {
                    keys.add(lease.key());
                    if lease.attempts() == 1 {
                        return Err("not yet".into());
                    }
                    Ok(task::finish(&store, &lease).await?)
                }
            });
        let running = task::start(worker);
        enqueue(&store, NewTask::new(&*kind, "a")).await;
        task::until(&store, "durable_task", 0).await;
        drop(running);

        let world = World::default();
        let sagas = Running::new(&store, |sagas| sagas.define(trip(&world)));
        assert!(start_saga(&store, &sagas.sagas, "s").await);
        rests(&store, "s").await;
        let page = Mesh::new().await.app("metrics").metrics();
        let attempts = format!("durable_task_attempts_total{{kind=\"{kind}\"}}");
        let failures = format!("durable_task_failures_total{{kind=\"{kind}\"}}");
        assert_eq!(value(&page, &attempts), Some(2.0), "{page}");
        assert_eq!(value(&page, &failures), Some(1.0), "{page}");
        for (line, least) in [
            ("durable_saga_started_total{definition=\"trip\"}", 1.0),
            ("durable_saga_finished_total{status=\"completed\"}", 1.0),
            ("durable_saga_attempts_total{outcome=\"done\"}", 3.0),
            ("durable_saga_step_duration_seconds_count{definition=\"trip\"}", 3.0),
        ] {
            assert!(value(&page, line).is_some_and(|value| value >= least), "{line}\n{page}");
        }
    }
}
