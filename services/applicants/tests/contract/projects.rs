//! A projects service that does what a test says: it answers GetProject from
//! memory, can be held before it answers, and has a real feed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use durable::{Expected, NewEvent, Store, testing::Backend, time};
use mesh::Routes;
use prost::Name;
use titan::projects::v1::{
    ArchiveProjectRequest, CreateProjectRequest, DeleteProjectRequest, GetProjectRequest,
    ListProjectsRequest, ListProjectsResponse, Project, ProjectArchived, ProjectDeleted,
    ProjectTitleChanged, UpdateProjectRequest,
    project::State,
    projects_service_server::{ProjectsService, ProjectsServiceServer},
};
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

/// What the test directs; clones are the same service.
#[derive(Clone)]
pub(crate) struct Projects {
    store: Store,
    world: Arc<World>,
}

struct World {
    projects: Mutex<HashMap<String, Project>>,
    failure: Mutex<Option<Status>>,
    gate: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
    _backend: Backend,
}

/// One GetProject that has read its answer and does not give it yet.
pub(crate) struct Held {
    arrived: oneshot::Receiver<()>,
    leave: oneshot::Sender<()>,
}

impl Held {
    /// Waits until the answer has been read.
    pub(crate) async fn arrived(&mut self) {
        (&mut self.arrived).await.unwrap();
    }

    /// Lets the answer go.
    pub(crate) fn leave(self) {
        self.leave.send(()).unwrap();
    }
}

impl Projects {
    pub(crate) async fn new() -> Self {
        let backend = durable::testing::sqlite();
        let store = backend.open(&[]).await;
        let (projects, failure, gate) = Default::default();
        let world = World { projects, failure, gate, _backend: backend };
        Projects { store, world: Arc::new(world) }
    }

    pub(crate) fn routes(&self) -> Routes {
        Routes::new()
            .add(ProjectsServiceServer::new(self.clone()))
            .add(durable::feed::server(self.store.clone()))
    }

    /// A project of Olga's.
    pub(crate) fn publish(&self, id: &str, title: &str) -> String {
        let name = format!("projects/{id}");
        let project = Project {
            name: name.clone(),
            title: title.into(),
            owner: "users/olga".into(),
            state: State::Active.into(),
            update_time: Some(time::to_proto(time::now())),
            ..Project::default()
        };
        self.world.projects.lock().unwrap().insert(name.clone(), project);
        name
    }

    /// Gives it another title and tells so; returns the event's position.
    pub(crate) async fn rename(&self, name: &str, title: &str) -> i64 {
        let update_time = self.retitle(name, title);
        let (project, title) = (name.into(), title.into());
        self.tell(name, &ProjectTitleChanged { project, title, update_time }).await
    }

    fn retitle(&self, name: &str, title: &str) -> Option<prost_types::Timestamp> {
        let mut projects = self.world.projects.lock().unwrap();
        let project = projects.get_mut(name).unwrap();
        let last = time::from_proto(project.update_time.as_ref().unwrap()).unwrap();
        project.title = title.into();
        project.update_time = Some(time::to_proto(time::now().max(last + 1)));
        project.update_time
    }

    /// Closes it and tells so.
    pub(crate) async fn archive(&self, name: &str) {
        self.world.projects.lock().unwrap().get_mut(name).unwrap().set_state(State::Archived);
        self.tell(name, &ProjectArchived { project: name.into() }).await;
    }

    /// Removes it and tells so.
    pub(crate) async fn delete(&self, name: &str) {
        self.world.projects.lock().unwrap().remove(name);
        self.tell(name, &ProjectDeleted { project: name.into() }).await;
    }

    /// From now on GetProject fails, or does not.
    pub(crate) fn fail(&self, status: Option<Status>) {
        *self.world.failure.lock().unwrap() = status;
    }

    /// Holds the next GetProject between reading its answer and giving it.
    pub(crate) fn hold(&self) -> Held {
        let (arrive, arrived) = oneshot::channel();
        let (leave, left) = oneshot::channel();
        *self.world.gate.lock().unwrap() = Some((arrive, left));
        Held { arrived, leave }
    }

    async fn tell(&self, name: &str, event: &impl Name) -> i64 {
        let mut tx = self.store.begin().await.unwrap();
        tx.append(name, Expected::Any, vec![NewEvent::of(event)]).await.unwrap();
        let sql = "SELECT max(position) AS position FROM durable_event";
        let row = tx.query_one(sql, vec![]).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        row.get("position").unwrap()
    }
}

#[tonic::async_trait]
impl ProjectsService for Projects {
    async fn get_project(
        &self,
        request: Request<GetProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        if let Some(status) = self.world.failure.lock().unwrap().clone() {
            return Err(status);
        }
        let name = &request.get_ref().name;
        let project = self.world.projects.lock().unwrap().get(name).cloned();
        let gate = self.world.gate.lock().unwrap().take();
        if let Some((arrive, left)) = gate {
            arrive.send(()).unwrap();
            left.await.unwrap();
        }
        project.map(Response::new).ok_or_else(|| Status::not_found("no such project"))
    }

    async fn create_project(
        &self,
        _: Request<CreateProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        unreachable!("this service only reads projects")
    }

    async fn list_projects(
        &self,
        _: Request<ListProjectsRequest>,
    ) -> Result<Response<ListProjectsResponse>, Status> {
        unreachable!("this service only reads projects")
    }

    async fn update_project(
        &self,
        _: Request<UpdateProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        unreachable!("this service only reads projects")
    }

    async fn archive_project(
        &self,
        _: Request<ArchiveProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        unreachable!("this service only reads projects")
    }

    async fn delete_project(
        &self,
        _: Request<DeleteProjectRequest>,
    ) -> Result<Response<()>, Status> {
        unreachable!("this service only reads projects")
    }
}
