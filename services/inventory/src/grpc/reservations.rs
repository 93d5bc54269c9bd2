//! The contract `titan.inventory.v1.ReservationsService`.

use durable::{command::Command, list};
use prost::{Message, Name};
use titan::inventory::v1::{
    CommitReservationRequest, ConfirmReservationRequest, CreateReservationRequest,
    GetReservationRequest, ListReservationsRequest, ListReservationsResponse,
    ReleaseReservationRequest, Reservation, reservations_service_server::ReservationsService,
};
use tonic::{Request, Response};

use super::{Answer, Grpc, wire};
use crate::{
    app::{Error, commands::ChangeReservation},
    domain::{
        ReservationId,
        reservation::{Refusal, Wish},
    },
    store::{self, RESERVATIONS},
};

impl Grpc {
    async fn change<M>(
        &self,
        request: &Request<M>,
        id: ReservationId,
        wish: Wish,
    ) -> Answer<Reservation>
    where
        M: Message + Name,
    {
        let body = ChangeReservation { reservation: id, wish, at: (self.clock)() };
        Ok(Response::new(self.commands.change(Command::of(request, body)).await?))
    }
}

#[tonic::async_trait]
impl ReservationsService for Grpc {
    async fn create_reservation(
        &self,
        request: Request<CreateReservationRequest>,
    ) -> Answer<Reservation> {
        let id = ReservationId::new(&request.get_ref().reservation_id);
        let wanted = request.get_ref().reservation.clone().unwrap_or_default();
        let wish = wire::hold(wanted, (self.clock)())?;
        self.change(&request, id, wish).await
    }

    async fn get_reservation(
        &self,
        request: Request<GetReservationRequest>,
    ) -> Answer<Reservation> {
        let id = ReservationId::named(&request.get_ref().name);
        let reservation = store::reservation(&self.store, &id).await.map_err(Error::from)?;
        Ok(Response::new(reservation.ok_or(Error::from(Refusal::Unknown))?.into()))
    }

    async fn list_reservations(
        &self,
        request: Request<ListReservationsRequest>,
    ) -> Answer<ListReservationsResponse> {
        let request = request.get_ref();
        let query = RESERVATIONS.query(list::Request {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: "",
            parent: "",
        })?;
        let page = store::list_reservations(&self.store, query).await;
        let (reservations, next_page_token) = page.map_err(Error::from)?;
        let reservations = reservations.into_iter().map(Into::into).collect();
        Ok(Response::new(ListReservationsResponse { reservations, next_page_token }))
    }

    async fn confirm_reservation(
        &self,
        request: Request<ConfirmReservationRequest>,
    ) -> Answer<Reservation> {
        let id = ReservationId::named(&request.get_ref().name);
        self.change(&request, id, Wish::Confirm).await
    }

    async fn commit_reservation(
        &self,
        request: Request<CommitReservationRequest>,
    ) -> Answer<Reservation> {
        let id = ReservationId::named(&request.get_ref().name);
        self.change(&request, id, Wish::Commit).await
    }

    async fn release_reservation(
        &self,
        request: Request<ReleaseReservationRequest>,
    ) -> Answer<Reservation> {
        let id = ReservationId::named(&request.get_ref().name);
        self.change(&request, id, Wish::Release).await
    }
}
