//! The contract `titan.orders.v1.OrdersService`: parse, decide, answer.

mod wire;

use durable::{Store, command::Command, list};
use titan::orders::v1::{
    self as proto, CancelOrderRequest, ConfirmOrderRequest, CreateOrderRequest, GetOrderRequest,
    ListOrderEventsRequest, ListOrderEventsResponse, ListOrdersRequest, ListOrdersResponse,
    orders_service_server::OrdersService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    app::{
        Commands, answer, asker,
        commands::{CancelOrder, ConfirmOrder},
        queries::{GetOrder, ListOrderEvents, ListOrders},
    },
    domain::{Etag, Intent, Micros, OrderId, order::Asker},
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
    /// When something is asked for, and what was seen before.
    fn intent(&self, etag: &str) -> Intent {
        Intent { seen: Etag::given(etag), at: (self.clock)() }
    }
}

type Answer<T = proto::Order> = Result<Response<T>, Status>;

/// Who calls.
fn by() -> Asker {
    asker(&mesh::call::caller())
}

#[tonic::async_trait]
impl OrdersService for Grpc {
    async fn create_order(&self, request: Request<CreateOrderRequest>) -> Answer {
        let wanted = request.get_ref().order.clone().unwrap_or_default();
        let command = wire::place_order(OrderId::new((self.ids)()), wanted, (self.clock)())?;
        Ok(Response::new(self.commands.place(Command::of(&request, command)).await?))
    }

    async fn get_order(&self, request: Request<GetOrderRequest>) -> Answer {
        let order = wire::order_id(&request.get_ref().name)?;
        Ok(Response::new(answer(GetOrder { by: by(), order }.run(&self.store).await?)))
    }

    async fn list_orders(&self, request: Request<ListOrdersRequest>) -> Answer<ListOrdersResponse> {
        let request = request.get_ref();
        let query = LISTING.query(list::Request {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: &request.order_by,
            parent: "",
        })?;
        let (orders, next_page_token) = ListOrders { by: by(), query }.run(&self.store).await?;
        let orders = orders.into_iter().map(answer).collect();
        Ok(Response::new(ListOrdersResponse { orders, next_page_token }))
    }

    async fn confirm_order(&self, request: Request<ConfirmOrderRequest>) -> Answer {
        let order = wire::order_id(&request.get_ref().name)?;
        let intent = self.intent(&request.get_ref().etag);
        let command = Command::of(&request, ConfirmOrder { order, intent });
        Ok(Response::new(self.commands.confirm(command).await?))
    }

    async fn cancel_order(&self, request: Request<CancelOrderRequest>) -> Answer {
        let order = wire::order_id(&request.get_ref().name)?;
        let intent = self.intent(&request.get_ref().etag);
        let detail = request.get_ref().reason.clone();
        let command = Command::of(&request, CancelOrder { order, intent, detail });
        Ok(Response::new(self.commands.cancel(command).await?))
    }

    async fn list_order_events(
        &self,
        request: Request<ListOrderEventsRequest>,
    ) -> Answer<ListOrderEventsResponse> {
        let ListOrderEventsRequest { parent, page_size, page_token } = request.get_ref();
        let order = wire::order_id(parent)?;
        let query = ListOrderEvents { by: by(), order, page_size: *page_size, page_token };
        let (events, next_page_token) = query.run(&self.store).await?;
        let events = events.into_iter().map(wire::order_event).collect::<Result<_, _>>()?;
        Ok(Response::new(ListOrderEventsResponse { events, next_page_token }))
    }
}
