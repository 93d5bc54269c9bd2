//! `titan.mesh.v1.TasksService`: the dead tasks of a store, for who operates it.

use mesh::{
    proto::{
        self, DiscardTaskRequest, DiscardTaskResponse, ListDeadTasksRequest, ListDeadTasksResponse,
        RequeueTaskRequest, RequeueTaskResponse,
        tasks_service_server::{TasksService, TasksServiceServer},
    },
    status,
};
use tonic::{Code, Request, Response, Status};

use super::{DeadTask, Failure, dead};
use crate::{Store, time};

/// As many as fit on two screens.
const PAGE: u32 = 50;

/// The dead tasks of a store, as a gRPC service.
#[must_use]
pub fn server(store: Store) -> TasksServiceServer<Tasks> {
    TasksServiceServer::new(Tasks { store })
}

/// See [`server`].
#[derive(Clone, Debug)]
pub struct Tasks {
    store: Store,
}

#[tonic::async_trait]
impl TasksService for Tasks {
    async fn list_dead_tasks(
        &self,
        request: Request<ListDeadTasksRequest>,
    ) -> Result<Response<ListDeadTasksResponse>, Status> {
        let size = u32::try_from(request.get_ref().page_size).unwrap_or_default();
        let tasks = dead::dead(&self.store, if size == 0 { PAGE } else { size }).await?;
        let tasks = tasks.into_iter().map(proto::DeadTask::from).collect();
        Ok(Response::new(ListDeadTasksResponse { tasks }))
    }

    async fn requeue_task(
        &self,
        request: Request<RequeueTaskRequest>,
    ) -> Result<Response<RequeueTaskResponse>, Status> {
        let RequeueTaskRequest { kind, key } = request.into_inner();
        let mut tx = self.store.begin().await?;
        let found = dead::requeue(&mut tx, &kind, &key).await?;
        tx.commit().await?;
        there(found, &kind, &key)?;
        Ok(Response::new(RequeueTaskResponse {}))
    }

    async fn discard_task(
        &self,
        request: Request<DiscardTaskRequest>,
    ) -> Result<Response<DiscardTaskResponse>, Status> {
        let DiscardTaskRequest { kind, key } = request.into_inner();
        let mut tx = self.store.begin().await?;
        let found = dead::discard(&mut tx, &kind, &key).await?;
        tx.commit().await?;
        there(found, &kind, &key)?;
        Ok(Response::new(DiscardTaskResponse {}))
    }
}

fn there(found: bool, kind: &str, key: &str) -> Result<(), Status> {
    if found {
        return Ok(());
    }
    let message = format!("no dead task {kind}/{key}");
    Err(status::refuse(Code::NotFound, "DEAD_TASK_NOT_FOUND", message))
}

impl From<DeadTask> for proto::DeadTask {
    fn from(task: DeadTask) -> Self {
        Self {
            kind: task.kind,
            key: task.key,
            attempts: task.attempts,
            error: task.error,
            failures: task.failures.into_iter().map(Into::into).collect(),
            traceparent: task.traceparent,
            actor: task.actor,
            create_time: Some(time::to_proto(task.created)),
            death_time: Some(time::to_proto(task.died)),
        }
    }
}

impl From<Failure> for proto::TaskFailure {
    fn from(failure: Failure) -> Self {
        Self {
            attempt: failure.attempt,
            worker: failure.owner,
            error: failure.error,
            time: Some(time::to_proto(failure.time)),
        }
    }
}
