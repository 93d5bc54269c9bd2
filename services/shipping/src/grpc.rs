//! The contract `titan.shipping.v1.ShipmentsService`: parse, decide, answer.

mod wire;

use durable::{Store, command::Command, list};
use prost::{Message, Name};
use titan::shipping::v1::{
    self as proto, CancelShipmentRequest, CreateShipmentRequest, GetShipmentRequest,
    HandOverShipmentRequest, ListShipmentsRequest, ListShipmentsResponse,
    shipments_service_server::ShipmentsService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    app::{ChangeShipment, Commands, Error},
    domain::{Micros, Refusal, ShipmentId, Wish},
    store::{self, LISTING},
};

/// Answers calls.
pub(crate) struct Grpc {
    pub(crate) commands: Commands,
    pub(crate) store: Store,
    /// The time; injected, since the domain has no clock.
    pub(crate) clock: fn() -> Micros,
    /// New tracking codes, unique.
    pub(crate) ids: fn() -> Uuid,
}

type Answer<T = proto::Shipment> = Result<Response<T>, Status>;

impl Grpc {
    async fn change<M>(&self, request: &Request<M>, shipment: ShipmentId, wish: Wish) -> Answer
    where
        M: Message + Name,
    {
        let body = ChangeShipment { shipment, wish, at: (self.clock)() };
        Ok(Response::new(self.commands.run(Command::of(request, body)).await?))
    }
}

#[tonic::async_trait]
impl ShipmentsService for Grpc {
    async fn create_shipment(&self, request: Request<CreateShipmentRequest>) -> Answer {
        let id = ShipmentId::new(&request.get_ref().shipment_id);
        let parcel = wire::parcel(request.get_ref().shipment.clone().unwrap_or_default())?;
        self.change(&request, id, Wish::Prepare(parcel)).await
    }

    async fn get_shipment(&self, request: Request<GetShipmentRequest>) -> Answer {
        let id = ShipmentId::named(&request.get_ref().name);
        let shipment = store::get(&self.store, &id).await.map_err(Error::from)?;
        let shipment = shipment.ok_or(Error::from(Refusal::Unknown))?;
        match wire::only_of() {
            Some(user) if !shipment.is_of(&user) => Err(Error::from(Refusal::NotCustomer).into()),
            _ => Ok(Response::new(shipment.into())),
        }
    }

    async fn list_shipments(
        &self,
        request: Request<ListShipmentsRequest>,
    ) -> Answer<ListShipmentsResponse> {
        let request = request.get_ref();
        let query = LISTING.query(list::Request {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: "",
            parent: "",
        })?;
        let page = store::list(&self.store, wire::only_of(), query).await;
        let (shipments, next_page_token) = page.map_err(Error::from)?;
        let shipments = shipments.into_iter().map(Into::into).collect();
        Ok(Response::new(ListShipmentsResponse { shipments, next_page_token }))
    }

    async fn hand_over_shipment(&self, request: Request<HandOverShipmentRequest>) -> Answer {
        let id = ShipmentId::named(&request.get_ref().name);
        let tracking = (self.ids)().simple().to_string();
        self.change(&request, id, Wish::HandOver { tracking }).await
    }

    async fn cancel_shipment(&self, request: Request<CancelShipmentRequest>) -> Answer {
        let id = ShipmentId::named(&request.get_ref().name);
        self.change(&request, id, Wish::Cancel).await
    }
}
