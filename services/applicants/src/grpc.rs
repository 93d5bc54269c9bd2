//! The contracts `titan.applicants.v1.SubmissionsService` and
//! `ApplicantsService`: parse, decide, answer.

mod wire;

use durable::{Store, command::Command, list};
use titan::applicants::v1::{
    self as proto, ApproveSubmissionRequest, CancelSubmissionRequest, CreateSubmissionRequest,
    GetApplicantRequest, GetSubmissionRequest, ListSubmissionsRequest, ListSubmissionsResponse,
    applicants_service_server::ApplicantsService, submissions_service_server::SubmissionsService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    app::{
        Commands,
        commands::{ApproveSubmission, CancelSubmission, StartSubmission},
        queries::{GetApplicant, GetSubmission, ListSubmissions},
    },
    domain::{Etag, Intent, Micros, ProjectId, SubmissionId},
    store::LISTING,
};

/// Answers calls.
#[derive(Clone)]
pub(crate) struct Grpc {
    pub(crate) commands: Commands,
    pub(crate) store: Store,
    /// The time; injected, since the domain has no clock.
    pub(crate) clock: fn() -> Micros,
    /// New ids, unique and growing with time.
    pub(crate) ids: fn() -> Uuid,
}

impl Grpc {
    /// Who asks, when, and what they have seen.
    fn intent(&self, etag: &str) -> Result<Intent, Status> {
        Ok(Intent { by: wire::caller()?, seen: Etag::given(etag), at: (self.clock)() })
    }
}

type Answer<T = proto::Submission> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl SubmissionsService for Grpc {
    async fn create_submission(&self, request: Request<CreateSubmissionRequest>) -> Answer {
        let wanted = request.get_ref();
        let project = ProjectId::named(&wanted.parent);
        let body = StartSubmission {
            submission: SubmissionId::new(project, (self.ids)()),
            by: wire::caller()?,
            comment: wanted.submission.as_ref().map_or_else(String::new, |it| it.comment.clone()),
            at: (self.clock)(),
        };
        Ok(Response::new(self.commands.start(Command::of(&request, body)).await?))
    }

    async fn get_submission(&self, request: Request<GetSubmissionRequest>) -> Answer {
        let submission = wire::submission_id(&request.get_ref().name)?;
        let query = GetSubmission { by: wire::caller()?, submission };
        Ok(Response::new(query.run(&self.store).await?.into()))
    }

    async fn list_submissions(
        &self,
        request: Request<ListSubmissionsRequest>,
    ) -> Answer<ListSubmissionsResponse> {
        let request = request.get_ref();
        let query = LISTING.query(list::Request {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: "",
            parent: &request.parent,
        })?;
        let (by, project) = (wire::caller()?, ProjectId::named(&request.parent));
        let list = ListSubmissions { by, project, query };
        let (submissions, next_page_token) = list.run(&self.store).await?;
        let submissions = submissions.into_iter().map(Into::into).collect();
        Ok(Response::new(ListSubmissionsResponse { submissions, next_page_token }))
    }

    async fn approve_submission(&self, request: Request<ApproveSubmissionRequest>) -> Answer {
        let submission = wire::submission_id(&request.get_ref().name)?;
        let intent = self.intent(&request.get_ref().etag)?;
        let command = Command::of(&request, ApproveSubmission { submission, intent });
        Ok(Response::new(self.commands.approve(command).await?))
    }

    async fn cancel_submission(&self, request: Request<CancelSubmissionRequest>) -> Answer {
        let submission = wire::submission_id(&request.get_ref().name)?;
        let intent = self.intent(&request.get_ref().etag)?;
        let command = Command::of(&request, CancelSubmission { submission, intent });
        Ok(Response::new(self.commands.cancel(command).await?))
    }
}

#[tonic::async_trait]
impl ApplicantsService for Grpc {
    async fn get_applicant(
        &self,
        request: Request<GetApplicantRequest>,
    ) -> Answer<proto::Applicant> {
        let by = wire::caller()?;
        let applicant = wire::applicant_id(&request.get_ref().name, &by);
        let applicant = GetApplicant { by, applicant }.run(&self.store).await?;
        Ok(Response::new(applicant.into()))
    }
}
