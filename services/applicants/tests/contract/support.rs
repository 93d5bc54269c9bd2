//! What every test of this service needs: the service on a fresh database, people
//! who call it, and what a refusal says.

use applicants::Config;
use durable::{Store, testing::backends};
use mesh::{
    App, Channel, proto as wire, status,
    testing::{Mesh, Running},
};
use prost::Name;
use titan::applicants::v1::{
    Applicant, ApproveSubmissionRequest, CancelSubmissionRequest, CreateSubmissionRequest,
    GetApplicantRequest, GetSubmissionRequest, Submission,
    applicants_service_client::ApplicantsServiceClient,
    submissions_service_client::SubmissionsServiceClient,
};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::projects::Projects;

/// The service on one database, beside a projects service.
pub(crate) struct Service {
    pub(crate) projects: Projects,
    mesh: Mesh,
    app: App,
    pub(crate) store: Store,
    _running: [Running; 2],
}

/// A user who calls.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) submissions: SubmissionsServiceClient<Channel>,
    applicants: ApplicantsServiceClient<Channel>,
}

/// The feed of this service, read event by event.
pub(crate) struct Told {
    stream: Streaming<wire::SubscribeResponse>,
    batch: std::vec::IntoIter<wire::Event>,
}

/// Runs a test on a fresh database of every kind.
pub(crate) async fn everywhere(test: impl AsyncFn(Service)) {
    everywhere_with(&Config::default(), test).await;
}

/// Runs a test with other settings.
pub(crate) async fn everywhere_with(config: &Config, test: impl AsyncFn(Service)) {
    for backend in backends().await {
        let store = backend.open(applicants::MIGRATIONS).await;
        let projects = Projects::new().await;
        let mesh = Mesh::new().await;
        let asked = mesh.serve("projects", titan::DESCRIPTORS, projects.routes()).await;
        let app = mesh.app("applicants");
        let routes = applicants::routes(store.clone(), app.channel("projects"), config);
        let running = mesh.serve_app(&app, titan::DESCRIPTORS, routes).await;
        test(Service { projects, mesh, app, store, _running: [asked, running] }).await;
    }
}

impl Service {
    /// Begins to listen to the feed of projects, as the process does.
    pub(crate) fn follow(&self) -> JoinHandle<()> {
        tokio::spawn(applicants::follow(self.store.clone(), self.app.channel("projects")))
    }

    pub(crate) fn user(&self, id: &str) -> Person {
        Person::on(self.mesh.channel_as("applicants", id, &[]))
    }

    pub(crate) fn nobody(&self) -> Person {
        Person::on(self.mesh.channel("applicants"))
    }

    /// What others are told, from the beginning.
    pub(crate) async fn told(&self) -> Told {
        let channel = self.mesh.app("listener").channel("applicants");
        let mut feed = wire::feed_service_client::FeedServiceClient::new(channel);
        let request = wire::SubscribeRequest { consumer: "test".into(), ..Default::default() };
        let stream = feed.subscribe(request).await.unwrap().into_inner();
        Told { stream, batch: Vec::new().into_iter() }
    }
}

impl Told {
    /// The next event, whenever it comes.
    pub(crate) async fn next(&mut self) -> wire::Event {
        loop {
            if let Some(event) = self.batch.next() {
                return event;
            }
            let response = self.stream.message().await.unwrap().expect("a feed does not end");
            self.batch = response.events.into_iter();
        }
    }

    /// The next event of one type; those before it are left out.
    pub(crate) async fn next_of<M: prost::Message + Name + Default>(&mut self) -> M {
        loop {
            let event = self.next().await;
            if event.r#type == M::full_name() {
                return M::decode(&*event.data).unwrap();
            }
        }
    }
}

impl Person {
    fn on(channel: Channel) -> Self {
        let submissions = SubmissionsServiceClient::new(channel.clone());
        Person { submissions, applicants: ApplicantsServiceClient::new(channel) }
    }

    pub(crate) async fn apply(&self, project: &str) -> Result<Submission, Status> {
        self.say(project, "").await
    }

    pub(crate) async fn say(&self, project: &str, comment: &str) -> Result<Submission, Status> {
        self.create(wanted(project, comment)).await
    }

    /// Applies under an idempotency key.
    pub(crate) async fn apply_once(
        &self,
        key: &str,
        project: &str,
        comment: &str,
    ) -> Result<Submission, Status> {
        let mut request = Request::new(wanted(project, comment));
        request.metadata_mut().insert("idempotency-key", key.parse().unwrap());
        self.create(request).await
    }

    pub(crate) async fn create(
        &self,
        request: impl tonic::IntoRequest<CreateSubmissionRequest>,
    ) -> Result<Submission, Status> {
        let answer = self.submissions.clone().create_submission(request).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Submission, Status> {
        let request = GetSubmissionRequest { name: name.into() };
        Ok(self.submissions.clone().get_submission(request).await?.into_inner())
    }

    pub(crate) async fn approve(&self, name: &str, etag: &str) -> Result<Submission, Status> {
        let request = ApproveSubmissionRequest { name: name.into(), etag: etag.into() };
        Ok(self.submissions.clone().approve_submission(request).await?.into_inner())
    }

    pub(crate) async fn cancel(&self, name: &str, etag: &str) -> Result<Submission, Status> {
        let request = CancelSubmissionRequest { name: name.into(), etag: etag.into() };
        Ok(self.submissions.clone().cancel_submission(request).await?.into_inner())
    }

    pub(crate) async fn applicant(&self, name: &str) -> Result<Applicant, Status> {
        let request = GetApplicantRequest { name: name.into() };
        Ok(self.applicants.clone().get_applicant(request).await?.into_inner())
    }
}

fn wanted(project: &str, comment: &str) -> CreateSubmissionRequest {
    let submission = Submission { comment: comment.into(), ..Submission::default() };
    CreateSubmissionRequest { parent: project.into(), submission: Some(submission) }
}

/// The code of a refusal, and its reason.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    (status.code(), status::reason(&status).unwrap_or_default())
}

/// A refusal as [`refused`] tells it.
pub(crate) fn refusal(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

/// The paths of the fields at fault.
#[track_caller]
pub(crate) fn violations<T: std::fmt::Debug>(answer: Result<T, Status>) -> Vec<String> {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let details = status.get_details_bad_request().expect("a BadRequest");
    details.field_violations.into_iter().map(|violation| violation.field).collect()
}
