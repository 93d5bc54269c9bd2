//! `titan.mesh.v1.EventsService`: what an operator sees of a log and of the
//! consumers beside it, and what they decide.

mod wire;

use mesh::{
    proto::{
        Decision, DiscardEventRequest, DiscardEventResponse, ForgetConsumerRequest,
        ForgetConsumerResponse, GetEventRequest, GetEventResponse, ListConsumersRequest,
        ListConsumersResponse, ListDeadLettersRequest, ListDeadLettersResponse, ListEventsRequest,
        ListEventsResponse, ListParkedStreamsRequest, ListParkedStreamsResponse,
        ListSubscribersRequest, ListSubscribersResponse, PauseConsumerRequest,
        PauseConsumerResponse, ReleaseStreamRequest, ReleaseStreamResponse, ReplayConsumerRequest,
        ReplayConsumerResponse, ResumeConsumerRequest, ResumeConsumerResponse,
        events_service_server::{EventsService, EventsServiceServer},
    },
    status,
};
use tonic::{Code, Request, Response, Status};

use crate::{
    Store,
    consumer::operate,
    log::{self, Limit, Matching},
};

const PAGE: usize = 100;
/// With one event of the largest size on top it stays below the 4 MiB that gRPC
/// clients accept.
const PAGE_BYTES: usize = 1024 * 1024;
/// Dead letters hold events of any size; a page of them is read by a person.
const MAX_LETTERS: usize = 100;

/// The operator's view of a store, as a gRPC service.
#[must_use]
pub fn server(store: Store) -> EventsServiceServer<Events> {
    EventsServiceServer::new(Events { store })
}

/// The operator's view of a store.
#[derive(Clone, Debug)]
pub struct Events {
    store: Store,
}

impl Events {
    async fn page(
        &self,
        after: i64,
        matching: &Matching,
        events: usize,
    ) -> Result<ListEventsResponse, Status> {
        let end = log::end(&self.store).await?;
        let limit = Limit { events, bytes: PAGE_BYTES };
        let mut position = after.min(end);
        // Pieces without a match are passed over, up to the end.
        loop {
            let batch = log::read(&self.store, position, end, matching, limit).await?;
            position = batch.position;
            if !batch.events.is_empty() || position >= end {
                let events = batch.events.into_iter().map(Into::into).collect();
                return Ok(ListEventsResponse { events, position, end });
            }
        }
    }
}

fn decision(decision: Option<&Decision>) -> operate::Decision<'_> {
    let said = |text: fn(&Decision) -> &str| decision.map_or("", text);
    operate::Decision { operator: said(|by| &by.operator), reason: said(|by| &by.reason) }
}

#[tonic::async_trait]
impl EventsService for Events {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let ListEventsRequest { after, types, streams, page_size } = request.into_inner();
        let events = usize::try_from(page_size).ok().filter(|size| *size > 0).unwrap_or(PAGE);
        let page = self.page(after, &Matching { types, streams }, events).await?;
        Ok(Response::new(page))
    }

    async fn get_event(
        &self,
        request: Request<GetEventRequest>,
    ) -> Result<Response<GetEventResponse>, Status> {
        let position = request.into_inner().position;
        let page = self.page(position - 1, &Matching::default(), 1).await?;
        let event = page.events.into_iter().find(|event| event.position == position);
        let missing = || {
            let message = format!("there is no event at position {position}");
            status::refuse(Code::NotFound, "EVENT_NOT_FOUND", message)
        };
        Ok(Response::new(GetEventResponse { event: Some(event.ok_or_else(missing)?) }))
    }

    async fn list_consumers(
        &self,
        _: Request<ListConsumersRequest>,
    ) -> Result<Response<ListConsumersResponse>, Status> {
        let consumers = operate::consumers(&self.store).await?;
        let consumers = consumers.into_iter().map(wire::standing).collect();
        Ok(Response::new(ListConsumersResponse { consumers }))
    }

    async fn list_parked_streams(
        &self,
        request: Request<ListParkedStreamsRequest>,
    ) -> Result<Response<ListParkedStreamsResponse>, Status> {
        let streams = operate::parked(&self.store, &request.get_ref().consumer).await?;
        let streams = streams.into_iter().map(wire::parked).collect();
        Ok(Response::new(ListParkedStreamsResponse { streams }))
    }

    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        let letters = operate::dead_letters(&self.store, &request.get_ref().consumer).await?;
        let letters = letters.into_iter().take(MAX_LETTERS).map(wire::letter).collect();
        Ok(Response::new(ListDeadLettersResponse { letters }))
    }

    async fn release_stream(
        &self,
        request: Request<ReleaseStreamRequest>,
    ) -> Result<Response<ReleaseStreamResponse>, Status> {
        let request = request.get_ref();
        let by = decision(request.decision.as_ref());
        operate::release(&self.store, &request.consumer, &request.stream, by).await?;
        Ok(Response::new(ReleaseStreamResponse {}))
    }

    async fn discard_event(
        &self,
        request: Request<DiscardEventRequest>,
    ) -> Result<Response<DiscardEventResponse>, Status> {
        let DiscardEventRequest { consumer, stream, position, decision: by } = request.get_ref();
        let by = decision(by.as_ref());
        operate::discard(&self.store, consumer, stream, *position, by).await?;
        Ok(Response::new(DiscardEventResponse {}))
    }

    async fn pause_consumer(
        &self,
        request: Request<PauseConsumerRequest>,
    ) -> Result<Response<PauseConsumerResponse>, Status> {
        let request = request.get_ref();
        let by = decision(request.decision.as_ref());
        operate::pause(&self.store, &request.consumer, by).await?;
        Ok(Response::new(PauseConsumerResponse {}))
    }

    async fn resume_consumer(
        &self,
        request: Request<ResumeConsumerRequest>,
    ) -> Result<Response<ResumeConsumerResponse>, Status> {
        let request = request.get_ref();
        let by = decision(request.decision.as_ref());
        operate::resume(&self.store, &request.consumer, by).await?;
        Ok(Response::new(ResumeConsumerResponse {}))
    }

    async fn replay_consumer(
        &self,
        request: Request<ReplayConsumerRequest>,
    ) -> Result<Response<ReplayConsumerResponse>, Status> {
        let ReplayConsumerRequest { consumer, position, skip, decision: by } = request.get_ref();
        let by = decision(by.as_ref());
        operate::replay(&self.store, consumer, *position, *skip, by).await?;
        Ok(Response::new(ReplayConsumerResponse {}))
    }

    async fn list_subscribers(
        &self,
        _: Request<ListSubscribersRequest>,
    ) -> Result<Response<ListSubscribersResponse>, Status> {
        let subscribers = operate::subscribers(&self.store).await?;
        let subscribers = subscribers.into_iter().map(wire::subscriber).collect();
        Ok(Response::new(ListSubscribersResponse { subscribers }))
    }

    async fn forget_consumer(
        &self,
        request: Request<ForgetConsumerRequest>,
    ) -> Result<Response<ForgetConsumerResponse>, Status> {
        let ForgetConsumerRequest { consumer, force, decision: by } = request.get_ref();
        let by = decision(by.as_ref());
        operate::forget(&self.store, consumer, *force, by).await?;
        Ok(Response::new(ForgetConsumerResponse {}))
    }
}
