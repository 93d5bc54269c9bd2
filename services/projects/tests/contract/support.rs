//! What every test of this service needs: the service on a fresh database, people
//! who call it, and what a refusal says.

use std::fmt::Debug;

use durable::testing::backends;
use mesh::{
    Channel, proto as wire, status,
    testing::{Mesh, Running},
};
use prost::{Message, Name};
use titan::projects::v1::{
    CreateProjectRequest, Project, UpdateProjectRequest,
    projects_service_client::ProjectsServiceClient,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

pub(crate) type Client = ProjectsServiceClient<Channel>;

/// The service on one database.
pub(crate) struct Service {
    mesh: Mesh,
    _running: Running,
}

/// Runs a test on a fresh database of every kind.
pub(crate) async fn everywhere(test: impl AsyncFn(Service)) {
    for backend in backends().await {
        let store = backend.open(projects::MIGRATIONS).await;
        let mesh = Mesh::new().await;
        let routes = projects::routes(store, &projects::Config::default());
        let running = mesh.serve("projects", titan::DESCRIPTORS, routes).await;
        test(Service { mesh, _running: running }).await;
    }
}

impl Service {
    /// A client of nobody in particular.
    pub(crate) fn stranger(&self) -> Client {
        Client::new(self.mesh.channel("projects"))
    }

    /// A client of a user.
    pub(crate) fn user(&self, id: &str) -> Client {
        Client::new(self.mesh.channel_as("projects", id, &[]))
    }

    /// Publishes a project of Ada's.
    pub(crate) async fn publish(&self, title: &str) -> Project {
        let project = Project { title: title.into(), ..Project::default() };
        let request = CreateProjectRequest { project: Some(project), validate_only: false };
        self.user("ada").create_project(request).await.unwrap().into_inner()
    }

    /// Everything that others were told so far, in order.
    pub(crate) async fn told(&self) -> Vec<wire::Event> {
        // What is told last is known, so nobody waits for what does not come.
        let last = self.publish("the last").await.name;
        let channel = self.mesh.app("applicants").channel("projects");
        let mut feed = wire::feed_service_client::FeedServiceClient::new(channel);
        let request = wire::SubscribeRequest { consumer: "test".into(), ..Default::default() };
        let mut stream = feed.subscribe(request).await.unwrap().into_inner();
        let mut events = Vec::new();
        while let Some(batch) = stream.message().await.unwrap() {
            for event in batch.events {
                if event.stream == last {
                    return events;
                }
                events.push(event);
            }
        }
        panic!("the feed ended");
    }
}

/// Asserts what an event says.
#[track_caller]
pub(crate) fn tells<M>(event: &wire::Event, expected: &M)
where
    M: Message + Name + Default + PartialEq + Debug,
{
    assert_eq!(event.r#type, M::full_name());
    assert_eq!(&M::decode(&*event.data).unwrap(), expected);
}

/// An update of some fields.
pub(crate) fn update(project: Project, paths: &[&str]) -> UpdateProjectRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    UpdateProjectRequest {
        project: Some(project),
        update_mask: Some(prost_types::FieldMask { paths }),
        validate_only: false,
    }
}

/// Another title for a project.
pub(crate) fn retitled(project: &Project, title: &str) -> UpdateProjectRequest {
    let project = Project { name: project.name.clone(), title: title.into(), ..Project::default() };
    update(project, &["title"])
}

/// The code of a refusal, and its reason.
#[track_caller]
pub(crate) fn refused<T: Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    (status.code(), status::reason(&status).unwrap_or_default())
}

/// The paths of the fields at fault.
#[track_caller]
pub(crate) fn violations<T: Debug>(answer: Result<T, Status>) -> Vec<String> {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let details = status.get_details_bad_request().expect("a BadRequest");
    details.field_violations.into_iter().map(|violation| violation.field).collect()
}
