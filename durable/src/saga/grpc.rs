//! `titan.mesh.v1.SagasService`: the sagas of a store, for who operates it.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use mesh::{
    proto::{
        self, CancelSagaRequest, CancelSagaResponse, GetSagaRequest, GetSagaResponse,
        ListSagasRequest, ListSagasResponse, RetrySagaRequest, RetrySagaResponse, SagaDirection,
        SagaStatus, SkipStepRequest, SkipStepResponse,
        sagas_service_server::{SagasService, SagasServiceServer},
    },
    status,
};
use tonic::{Request, Response, Status as Answer};

use super::{Direction, Entry, Record, Refused, Status, verbs};
use crate::{Store, time};

/// As many as fit on two screens.
const PAGE: usize = 50;
/// Rows that one call looks at when few are of the definition that was asked for.
const MAX_READ: usize = 5_000;
/// Rows of one statement.
const BATCH: u32 = 500;

/// The sagas of a store, as a gRPC service.
#[must_use]
pub fn server(store: Store) -> SagasServiceServer<Operator> {
    SagasServiceServer::new(Operator { store })
}

/// See [`server`].
#[derive(Clone, Debug)]
pub struct Operator {
    store: Store,
}

#[tonic::async_trait]
impl SagasService for Operator {
    async fn list_sagas(
        &self,
        request: Request<ListSagasRequest>,
    ) -> Result<Response<ListSagasResponse>, Answer> {
        let request = request.into_inner();
        let size = usize::try_from(request.page_size).unwrap_or_default();
        let size = if size == 0 { PAGE } else { size };
        let wanted = wanted(request.status());
        let after = after(&request.page_token)?;
        let (sagas, next) = self.page(after, wanted, &request.definition, size).await?;
        let next_page_token = next.map_or_else(String::new, |id| token(&id));
        Ok(Response::new(ListSagasResponse { sagas, next_page_token }))
    }

    async fn get_saga(
        &self,
        request: Request<GetSagaRequest>,
    ) -> Result<Response<GetSagaResponse>, Answer> {
        let id = request.into_inner().id;
        let Some(saga) = verbs::get(&self.store, &id).await? else {
            return Err(Refused::NotFound(id).into());
        };
        let history = verbs::history(&self.store, &id).await?;
        let history = history.into_iter().map(Into::into).collect();
        Ok(Response::new(GetSagaResponse { saga: Some(saga.into()), history }))
    }

    async fn retry_saga(
        &self,
        request: Request<RetrySagaRequest>,
    ) -> Result<Response<RetrySagaResponse>, Answer> {
        let RetrySagaRequest { id, reason } = request.into_inner();
        verbs::retry(&self.store, &id, &reason).await?;
        Ok(Response::new(RetrySagaResponse {}))
    }

    async fn skip_step(
        &self,
        request: Request<SkipStepRequest>,
    ) -> Result<Response<SkipStepResponse>, Answer> {
        let SkipStepRequest { id, reason } = request.into_inner();
        verbs::skip(&self.store, &id, &reason).await?;
        Ok(Response::new(SkipStepResponse {}))
    }

    async fn cancel_saga(
        &self,
        request: Request<CancelSagaRequest>,
    ) -> Result<Response<CancelSagaResponse>, Answer> {
        let CancelSagaRequest { id, reason } = request.into_inner();
        verbs::cancel(&self.store, &id, &reason).await?;
        Ok(Response::new(CancelSagaResponse {}))
    }
}

impl Operator {
    /// A page, and after which saga the next begins, if there may be one.
    async fn page(
        &self,
        mut after: String,
        status: Option<Status>,
        definition: &str,
        size: usize,
    ) -> Result<(Vec<proto::Saga>, Option<String>), Answer> {
        let (mut sagas, mut read) = (Vec::new(), 0);
        while read < MAX_READ {
            let batch = verbs::list(&self.store, &after, status, BATCH).await?;
            let last = batch.len() < BATCH as usize;
            for saga in batch {
                if sagas.len() == size {
                    return Ok((sagas, Some(after)));
                }
                read += 1;
                saga.id.as_ref().clone_into(&mut after);
                if definition.is_empty() || saga.definition == definition {
                    sagas.push(saga.into());
                }
            }
            if last {
                return Ok((sagas, None));
            }
        }
        Ok((sagas, Some(after)))
    }
}

/// Opaque, as AIP-158 asks for. Pages are in the order of ids whatever the
/// filter, so a token only moves the beginning.
fn token(id: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(id)
}

fn after(token: &str) -> Result<String, Answer> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
        let problem = "is not the next_page_token of another page";
        status::invalid(vec![status::field("page_token", "page_token", problem)])
    })
}

fn wanted(status: SagaStatus) -> Option<Status> {
    match status {
        SagaStatus::Unspecified => None,
        SagaStatus::Running => Some(Status::Running),
        SagaStatus::Compensating => Some(Status::Compensating),
        SagaStatus::NeedsAttention => Some(Status::NeedsAttention),
        SagaStatus::Completed => Some(Status::Completed),
        SagaStatus::Compensated => Some(Status::Compensated),
        SagaStatus::Resolved => Some(Status::Resolved),
    }
}

impl From<Status> for SagaStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Running => Self::Running,
            Status::Compensating => Self::Compensating,
            Status::NeedsAttention => Self::NeedsAttention,
            Status::Completed => Self::Completed,
            Status::Compensated => Self::Compensated,
            Status::Resolved => Self::Resolved,
        }
    }
}

impl From<Direction> for SagaDirection {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Do => Self::Do,
            Direction::Undo => Self::Undo,
        }
    }
}

impl From<Record> for proto::Saga {
    fn from(saga: Record) -> Self {
        Self {
            id: saga.id.to_string(),
            definition: saga.definition,
            version: saga.version,
            status: SagaStatus::from(saga.status).into(),
            step: saga.step,
            direction: SagaDirection::from(saga.direction).into(),
            attempts: saga.attempts,
            error: saga.error,
            traceparent: saga.traceparent,
            actor: saga.actor,
            create_time: Some(time::to_proto(saga.created)),
            update_time: Some(time::to_proto(saga.updated)),
        }
    }
}

impl From<Entry> for proto::SagaEntry {
    fn from(entry: Entry) -> Self {
        Self {
            number: entry.number,
            step: entry.step,
            direction: SagaDirection::from(entry.direction).into(),
            happening: entry.happening.word().to_owned(),
            detail: entry.detail,
            time: Some(time::to_proto(entry.time)),
        }
    }
}
