//! What every test of this service needs: two replicas on one fresh database,
//! somebody who calls them, and what a refusal says.

use std::{sync::Arc, time::Duration};

use durable::testing::{backends, told_before};
use mesh::{
    Channel, proto as wire,
    testing::{Mesh, Running},
};
use payments::{Config, provider::Simulated};
use titan::{
    money::v1::Money,
    payments::v1::{
        Booking, CapturePaymentRequest, CreatePaymentRequest, GetPaymentRequest,
        ListBookingsRequest, Payment, RefundPaymentRequest, VoidPaymentRequest, booking::Kind,
        payments_service_client::PaymentsServiceClient,
    },
};
use tonic::{Code, Status};

pub(crate) use durable::testing::{keyed, refusal, refused, violations};

pub(crate) type Client = PaymentsServiceClient<Channel>;

/// The service on one database.
pub(crate) struct Service {
    mesh: Mesh,
    _running: Vec<Running>,
}

/// Runs a test on a fresh database of every kind.
pub(crate) async fn everywhere(test: impl AsyncFn(Service)) {
    for backend in backends().await {
        let mesh = Mesh::new().await;
        let config = Config::default();
        let mut running = Vec::new();
        for _ in 0..2 {
            let store = backend.open(payments::MIGRATIONS).await;
            let provider = Arc::new(Simulated::new(store.clone(), Duration::ZERO));
            let routes = payments::routes(store, provider, &config);
            running.push(mesh.serve("payments", titan::DESCRIPTORS, routes).await);
        }
        test(Service { mesh, _running: running }).await;
    }
}

impl Service {
    /// A client of another process of the mesh, without a user.
    pub(crate) fn process(&self, name: &'static str) -> Client {
        Client::new(self.mesh.app(name).channel("payments"))
    }

    pub(crate) fn orders(&self) -> Client {
        self.process("orders")
    }

    pub(crate) fn user(&self, id: &str) -> Client {
        Client::new(self.mesh.channel_as("payments", id, &[]))
    }

    pub(crate) fn admin(&self) -> Client {
        Client::new(self.mesh.channel_as("payments", "root", &["admin"]))
    }

    pub(crate) fn nobody(&self) -> Client {
        Client::new(self.mesh.channel("payments"))
    }

    /// Everything that others were told so far, in order.
    pub(crate) async fn told(&self) -> Vec<wire::Event> {
        // What is told last is known, so nobody waits for what does not come.
        let last = void(&mut self.orders(), "the-last").await.unwrap().name;
        told_before(self.mesh.app("listener").channel("payments"), &last).await
    }
}

/// EUR 12.50 of Ada's, by a card.
pub(crate) fn paid_by(card: &str) -> Payment {
    let amount = Money { currency_code: "EUR".into(), minor_units: 1_250 };
    Payment {
        customer: "users/ada".into(),
        amount: Some(amount),
        card: card.into(),
        ..Payment::default()
    }
}

/// `captured` and `refunded`, and the state.
pub(crate) fn totals(payment: &Payment) -> (i64, i64) {
    let minor = |money: &Option<Money>| money.as_ref().map_or(0, |money| money.minor_units);
    (minor(&payment.captured), minor(&payment.refunded))
}

pub(crate) async fn create(
    client: &mut Client,
    id: &str,
    payment: Payment,
) -> Result<Payment, Status> {
    let request = CreatePaymentRequest { payment_id: id.into(), payment: Some(payment) };
    Ok(client.create_payment(request).await?.into_inner())
}

pub(crate) async fn get(client: &mut Client, id: &str) -> Result<Payment, Status> {
    let request = GetPaymentRequest { name: format!("payments/{id}") };
    Ok(client.get_payment(request).await?.into_inner())
}

pub(crate) async fn capture(client: &mut Client, id: &str) -> Result<Payment, Status> {
    let request = CapturePaymentRequest { name: format!("payments/{id}") };
    Ok(client.capture_payment(request).await?.into_inner())
}

pub(crate) async fn void(client: &mut Client, id: &str) -> Result<Payment, Status> {
    let request = VoidPaymentRequest { name: format!("payments/{id}") };
    Ok(client.void_payment(request).await?.into_inner())
}

pub(crate) async fn refund(client: &mut Client, id: &str) -> Result<Payment, Status> {
    let request = RefundPaymentRequest { name: format!("payments/{id}") };
    Ok(client.refund_payment(request).await?.into_inner())
}

/// What the provider has booked: kinds and minor units.
pub(crate) async fn booked(client: &mut Client, id: &str) -> Vec<(Kind, i64)> {
    let request = ListBookingsRequest { parent: format!("payments/{id}") };
    let bookings = client.list_bookings(request).await.unwrap().into_inner().bookings;
    let moved = |it: &Booking| (it.kind(), it.amount.as_ref().unwrap().minor_units);
    bookings.iter().map(moved).collect()
}

/// Repeats a call while its outcome is unknown, and counts how often it was.
pub(crate) async fn until_known<T>(
    mut call: impl AsyncFnMut() -> Result<T, Status>,
) -> (Result<T, Status>, usize) {
    for unknown in 0..10 {
        match call().await {
            Err(status) if status.code() == Code::Unavailable => {}
            known => return (known, unknown),
        }
    }
    panic!("never answered");
}
