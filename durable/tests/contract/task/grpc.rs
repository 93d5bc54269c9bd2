//! What operators are told of dead tasks, and what they can do.

use durable::{
    task::{self, Kind, NewTask, Worker},
    testing::backends,
};
use mesh::proto::{
    DiscardTaskRequest, ListDeadTasksRequest, RequeueTaskRequest,
    tasks_service_client::TasksServiceClient,
};
use tonic::Code;

use super::{EFFECTS, count, enqueue, start};

#[tokio::test]
async fn operators_see_and_settle_dead_tasks_but_not_what_is_in_them() {
    for backend in backends().await {
        let store = backend.open(EFFECTS).await;
        let mut client = TasksServiceClient::new(task::server(store.clone()));
        let kind = Kind::new("mail").attempts(1);
        let worker = Worker::new(store.clone()).kind(kind, |_| async { Err("no route".into()) });
        enqueue(&store, NewTask::new("mail", "a").body(*b"secret")).await;
        let running = start(worker);
        let dead = async |client: &mut TasksServiceClient<_>| {
            crate::support::within(async {
                loop {
                    let request = ListDeadTasksRequest::default();
                    let answer = client.list_dead_tasks(request).await.unwrap().into_inner();
                    if !answer.tasks.is_empty() {
                        return answer.tasks;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                }
            })
            .await
        };
        let tasks = dead(&mut client).await;
        let told = (tasks[0].kind.as_str(), tasks[0].key.as_str(), tasks[0].error.as_str());
        assert_eq!(told, ("mail", "a", "no route"), "{}", backend.name);
        assert_eq!(tasks[0].failures.len(), 1);
        assert!(!format!("{tasks:?}").contains("secret"));

        let requeue = |key: &str| RequeueTaskRequest { kind: "mail".into(), key: key.into() };
        client.requeue_task(requeue("a")).await.unwrap();
        // It fails once more, and has two failures on record then.
        assert_eq!(dead(&mut client).await[0].failures.len(), 2, "{}", backend.name);
        drop(running);
        let missing = client.requeue_task(requeue("b")).await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);
        assert_eq!(mesh::status::reason(&missing).as_deref(), Some("DEAD_TASK_NOT_FOUND"));
        let discard = DiscardTaskRequest { kind: "mail".into(), key: "a".into() };
        client.discard_task(discard.clone()).await.unwrap();
        assert_eq!(client.discard_task(discard).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(count(&store, "durable_task_failure").await, 0, "{}", backend.name);
    }
}
