//! What a team writes without a gateway: axum handlers with serde types that call
//! the service through tonic's channel.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use serde::{Deserialize, Serialize};
use titan::projects::v1::{
    CreateProjectRequest, GetProjectRequest, Project,
    projects_service_client::ProjectsServiceClient,
};
use tokio::net::TcpListener;
use tonic::{Request, transport::Channel};

use super::{LOOPBACK, tell};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProjectJson {
    name: String,
    title: String,
    description: String,
    owner: String,
    state: &'static str,
    create_time: Option<String>,
    update_time: Option<String>,
    etag: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewProjectJson {
    title: String,
    #[serde(default)]
    description: String,
}

impl From<Project> for ProjectJson {
    fn from(project: Project) -> Self {
        Self {
            state: project.state().as_str_name(),
            name: project.name,
            title: project.title,
            description: project.description,
            owner: project.owner,
            create_time: project.create_time.map(|time| time.to_string()),
            update_time: project.update_time.map(|time| time.to_string()),
            etag: project.etag,
        }
    }
}

type Client = ProjectsServiceClient<Channel>;
type Answer = Result<Json<ProjectJson>, StatusCode>;

pub(super) async fn serve(upstream: &str) -> anyhow::Result<()> {
    let channel = Channel::from_shared(format!("http://{upstream}"))?.connect_lazy();
    let client = Arc::new(ProjectsServiceClient::new(channel));
    let router = Router::new()
        .route("/v1/projects/{id}", get(get_project))
        .route("/v1/projects", axum::routing::post(create_project))
        .with_state(client);
    let listener = TcpListener::bind(LOOPBACK).await?;
    tell(&listener.local_addr()?.to_string());
    Ok(axum::serve(listener, router).await?)
}

async fn get_project(State(client): State<Arc<Client>>, Path(id): Path<String>) -> Answer {
    let request = GetProjectRequest { name: format!("projects/{id}") };
    let reply =
        (*client).clone().get_project(request).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(Json(reply.into_inner().into()))
}

async fn create_project(
    State(client): State<Arc<Client>>,
    headers: HeaderMap,
    Json(project): Json<NewProjectJson>,
) -> Answer {
    let project =
        Project { title: project.title, description: project.description, ..Project::default() };
    let mut request =
        Request::new(CreateProjectRequest { project: Some(project), validate_only: false });
    let token = headers.get("authorization").and_then(|token| token.to_str().ok());
    if let Some(token) = token.and_then(|token| token.parse().ok()) {
        request.metadata_mut().insert("authorization", token);
    }
    let reply =
        (*client).clone().create_project(request).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(Json(reply.into_inner().into()))
}
