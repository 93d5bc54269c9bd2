//! The contract `titan.projects.v1.ProjectsService`: parse, decide, answer.

mod wire;

use durable::{command::Command, list};
use titan::projects::v1::{
    self as proto, ArchiveProjectRequest, CreateProjectRequest, DeleteProjectRequest,
    GetProjectRequest, ListProjectsRequest, ListProjectsResponse, UpdateProjectRequest,
    projects_service_server::ProjectsService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    app::{Commands, PublishProject},
    domain::{Etag, Intent, Micros, Project, ProjectId, UserId},
    store::{LISTING, Projects},
};

/// Answers calls.
pub(crate) struct Grpc {
    pub(crate) commands: Commands,
    pub(crate) projects: Projects,
    /// The time; injected, since the domain has no clock.
    pub(crate) clock: fn() -> Micros,
    /// New ids, unique and growing with time.
    pub(crate) ids: fn() -> Uuid,
}

impl Grpc {
    /// Who asks, when, and what they have seen.
    fn intent(&self, etag: &str) -> Result<Intent, Status> {
        let by = UserId::new(&mesh::call::caller().user()?.id);
        Ok(Intent { by, seen: Etag::given(etag), at: (self.clock)() })
    }
}

type Answer<T = proto::Project> = Result<Response<T>, Status>;

fn answer(project: &Project) -> Answer {
    Ok(Response::new(project.into()))
}

#[tonic::async_trait]
impl ProjectsService for Grpc {
    async fn create_project(&self, request: Request<CreateProjectRequest>) -> Answer {
        let wanted = request.get_ref().project.clone().unwrap_or_default();
        let Intent { by, at, .. } = self.intent("")?;
        let title = wire::title(&wanted.title)?;
        let id = ProjectId::new((self.ids)());
        let (project, event) = Project::publish(id, title, wanted.description, by, at);
        if request.get_ref().validate_only {
            // Nothing can be found under a name that was not published.
            let (name, etag) = (String::new(), String::new());
            return Ok(Response::new(proto::Project { name, etag, ..(&project).into() }));
        }
        let command = Command::of(&request, PublishProject { project, event });
        Ok(Response::new(self.commands.publish(command).await?))
    }

    async fn get_project(&self, request: Request<GetProjectRequest>) -> Answer {
        let id = wire::id(&request.get_ref().name)?;
        answer(&self.projects.get(&id).await?)
    }

    async fn list_projects(
        &self,
        request: Request<ListProjectsRequest>,
    ) -> Answer<ListProjectsResponse> {
        let request = request.get_ref();
        let query = LISTING.query(list::Request {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: &request.order_by,
            parent: "",
        })?;
        let (projects, next_page_token) = self.projects.list(query).await?;
        let projects = projects.iter().map(Into::into).collect();
        Ok(Response::new(ListProjectsResponse { projects, next_page_token }))
    }

    async fn update_project(&self, request: Request<UpdateProjectRequest>) -> Answer {
        let request = request.into_inner();
        let wanted = request.project.unwrap_or_default();
        let id = wire::id_in_body(&wanted.name)?;
        let intent = self.intent(&wanted.etag)?;
        let revision = wire::revision(wanted, request.update_mask.as_ref())?;
        let revise = move |project: &mut Project| project.revise(revision, &intent);
        let project = match request.validate_only {
            true => self.projects.rehearse(&id, revise).await?,
            false => self.projects.change(&id, revise).await?,
        };
        answer(&project)
    }

    async fn archive_project(&self, request: Request<ArchiveProjectRequest>) -> Answer {
        let id = wire::id(&request.get_ref().name)?;
        let intent = self.intent(&request.get_ref().etag)?;
        let archive = move |project: &mut Project| project.archive(&intent);
        answer(&self.projects.change(&id, archive).await?)
    }

    async fn delete_project(&self, request: Request<DeleteProjectRequest>) -> Answer<()> {
        let id = wire::id(&request.get_ref().name)?;
        let intent = self.intent(&request.get_ref().etag)?;
        self.projects.delete(&id, move |project| project.delete(&intent)).await?;
        Ok(Response::new(()))
    }
}
