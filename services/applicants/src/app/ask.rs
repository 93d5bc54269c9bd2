//! Asking the projects service, as a layer: a command to apply goes in, the same
//! command with what is said of its project comes out.

use std::{
    mem,
    task::{Context, Poll},
};

use durable::{command::Command, time};
use futures_util::future::BoxFuture;
use mesh::Channel;
use titan::projects::v1::{
    GetProjectRequest, Project as Answer, project::State,
    projects_service_client::ProjectsServiceClient,
};
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::{Error, commands::StartSubmission};
use crate::domain::{ProjectId, Standing, Title, UserId};

/// A command, and what is said of its project.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) command: StartSubmission,
    /// `None` when there is no such project. It is refused later on, where the
    /// answer of a repeated call is found: that project may be gone by now.
    pub(crate) project: Option<Found>,
}

/// A project, as the projects service says it is.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) title: Title,
    pub(crate) owner: UserId,
    pub(crate) standing: Standing,
}

/// The projects service.
#[derive(Clone, Debug)]
pub(crate) struct Projects(ProjectsServiceClient<Channel>);

impl Projects {
    pub(crate) fn new(channel: Channel) -> Self {
        Projects(ProjectsServiceClient::new(channel))
    }

    /// Asks within the deadline of the call that is being handled.
    async fn find(&mut self, id: &ProjectId) -> Result<Option<Found>, Error> {
        let request = GetProjectRequest { name: id.as_str().to_owned() };
        match self.0.get_project(request).await {
            Ok(answer) => read(answer.into_inner()).map(Some),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(Error::Projects(Box::new(status))),
        }
    }
}

fn read(answer: Answer) -> Result<Found, Error> {
    let standing = match answer.state() {
        State::Archived => Standing::Archived,
        State::Active | State::Unspecified => Standing::Open,
    };
    let as_of = answer.update_time.as_ref().and_then(time::from_proto).ok_or_else(|| {
        Error::Projects(Box::new(Status::internal("a project without update_time")))
    })?;
    let owner = UserId::named(&answer.owner);
    Ok(Found { title: Title { text: answer.title, as_of }, owner, standing })
}

/// Asks before what is inside of it.
#[derive(Clone, Debug)]
pub(crate) struct AskLayer(pub(crate) Projects);

/// See [`AskLayer`].
#[derive(Clone, Debug)]
pub(crate) struct Ask<S> {
    projects: Projects,
    inner: S,
}

impl<S> Layer<S> for AskLayer {
    type Service = Ask<S>;

    fn layer(&self, inner: S) -> Ask<S> {
        Ask { projects: self.0.clone(), inner }
    }
}

impl<S> Service<Command<StartSubmission>> for Ask<S>
where
    S: Service<Command<Asked>, Error = Error, Future: Send> + Clone + Send + 'static,
{
    type Response = S::Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<S::Response, Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, command: Command<StartSubmission>) -> Self::Future {
        let mut projects = self.projects.clone();
        let clone = self.inner.clone();
        // The one that was ready is used; its clone has yet to become so.
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let Command { body: command, caller, key } = command;
            let project = projects.find(command.submission.project()).await?;
            inner.call(Command { body: Asked { command, project }, caller, key }).await
        })
    }
}
