//! What is served: a project of about 400 bytes as JSON, from memory, so that
//! only the way of the call is measured.

use titan::projects::v1::{
    ArchiveProjectRequest, CreateProjectRequest, DeleteProjectRequest, GetProjectRequest,
    ListProjectsRequest, ListProjectsResponse, Project, UpdateProjectRequest, project::State,
    projects_service_server::ProjectsService,
};
use tonic::{Request, Response, Status};

/// The path of the project.
pub(crate) const NAME: &str = "projects/018f4c6e-8d1a-7b3c-9e2f-5a6b7c8d9e0f";

/// The project that is served.
pub(crate) fn project() -> Project {
    let time = prost_types::Timestamp { seconds: 1_764_000_000, nanos: 123_000_000 };
    Project {
        name: NAME.to_owned(),
        title: "A bridge over the river".to_owned(),
        description: "Planning, permits and first piles; looking for people who have done it."
            .to_owned(),
        owner: "users/018f4c6e-0000-7000-8000-000000000001".to_owned(),
        state: State::Active as i32,
        create_time: Some(time),
        update_time: Some(time),
        archive_time: None,
        etag: "7".to_owned(),
    }
}

/// Answers from memory.
#[derive(Clone, Debug)]
pub(crate) struct Memory;

#[tonic::async_trait]
impl ProjectsService for Memory {
    async fn get_project(
        &self,
        _: Request<GetProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        Ok(Response::new(project()))
    }

    async fn create_project(
        &self,
        request: Request<CreateProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        let given = request.into_inner().project.unwrap_or_default();
        Ok(Response::new(Project {
            title: given.title,
            description: given.description,
            ..project()
        }))
    }

    async fn list_projects(
        &self,
        _: Request<ListProjectsRequest>,
    ) -> Result<Response<ListProjectsResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn update_project(
        &self,
        _: Request<UpdateProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn archive_project(
        &self,
        _: Request<ArchiveProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn delete_project(
        &self,
        _: Request<DeleteProjectRequest>,
    ) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}
