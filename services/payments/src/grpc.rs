//! The contract `titan.payments.v1.PaymentsService`: parse, decide, answer.

mod wire;

use durable::{command::Command, list};
use prost::{Message, Name};
use titan::payments::v1::{
    self as proto, CapturePaymentRequest, CreatePaymentRequest, GetPaymentRequest,
    ListBookingsRequest, ListBookingsResponse, ListPaymentsRequest, ListPaymentsResponse,
    RefundPaymentRequest, VoidPaymentRequest, payments_service_server::PaymentsService,
};
use tonic::{Request, Response, Status};

use crate::{
    app::{ChangePayment, Error, Payments},
    domain::{Payment, PaymentId, Refusal, Wish},
    store::LISTING,
};

/// Answers calls.
pub(crate) struct Grpc {
    pub(crate) payments: Payments,
}

type Answer<T = proto::Payment> = Result<Response<T>, Status>;

impl Grpc {
    async fn change<M>(&self, request: &Request<M>, payment: PaymentId, wish: Wish) -> Answer
    where
        M: Message + Name,
    {
        let body = ChangePayment { payment, wish, at: self.payments.now() };
        Ok(Response::new(self.payments.follow(Command::of(request, body)).await?.into()))
    }

    /// A payment that the caller may see.
    async fn find(&self, name: &str) -> Result<Payment, Error> {
        let payment = self.payments.get(&PaymentId::named(name)).await?;
        match wire::only_of() {
            Some(user) if !payment.is_of(&user) => Err(Refusal::NotCustomer.into()),
            _ => Ok(payment),
        }
    }
}

#[tonic::async_trait]
impl PaymentsService for Grpc {
    async fn create_payment(&self, request: Request<CreatePaymentRequest>) -> Answer {
        let id = PaymentId::new(&request.get_ref().payment_id);
        let terms = wire::terms(request.get_ref().payment.clone().unwrap_or_default())?;
        self.change(&request, id, Wish::Authorize(terms)).await
    }

    async fn get_payment(&self, request: Request<GetPaymentRequest>) -> Answer {
        Ok(Response::new(self.find(&request.get_ref().name).await?.into()))
    }

    async fn list_payments(
        &self,
        request: Request<ListPaymentsRequest>,
    ) -> Answer<ListPaymentsResponse> {
        let request = request.get_ref();
        let query = LISTING.query(list::Request {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: "",
            parent: "",
        })?;
        let (payments, next_page_token) = self.payments.list(wire::only_of(), query).await?;
        let payments = payments.into_iter().map(Into::into).collect();
        Ok(Response::new(ListPaymentsResponse { payments, next_page_token }))
    }

    async fn list_bookings(
        &self,
        request: Request<ListBookingsRequest>,
    ) -> Answer<ListBookingsResponse> {
        let payment = self.find(&request.get_ref().parent).await?;
        let bookings = self.payments.bookings(&payment).await?;
        let bookings = bookings.into_iter().map(Into::into).collect();
        Ok(Response::new(ListBookingsResponse { bookings }))
    }

    async fn capture_payment(&self, request: Request<CapturePaymentRequest>) -> Answer {
        let id = PaymentId::named(&request.get_ref().name);
        self.change(&request, id, Wish::Capture).await
    }

    async fn void_payment(&self, request: Request<VoidPaymentRequest>) -> Answer {
        let id = PaymentId::named(&request.get_ref().name);
        self.change(&request, id, Wish::Void).await
    }

    async fn refund_payment(&self, request: Request<RefundPaymentRequest>) -> Answer {
        let id = PaymentId::named(&request.get_ref().name);
        self.change(&request, id, Wish::Refund).await
    }
}
