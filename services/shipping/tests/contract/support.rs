//! What every test of this service needs: two replicas on one fresh database,
//! somebody who calls them, and what a refusal says.

use std::fmt::Debug;

use durable::testing::backends;
use mesh::{
    Channel, proto as wire, status,
    testing::{Mesh, Running},
};
use titan::shipping::v1::{
    Address, CancelShipmentRequest, CreateShipmentRequest, GetShipmentRequest,
    HandOverShipmentRequest, Shipment, ShipmentLine,
    shipments_service_client::ShipmentsServiceClient,
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

pub(crate) type Client = ShipmentsServiceClient<Channel>;

/// The service on one database.
pub(crate) struct Service {
    mesh: Mesh,
    _running: [Running; 2],
}

/// Runs a test on a fresh database of every kind.
pub(crate) async fn everywhere(test: impl AsyncFn(Service)) {
    for backend in backends().await {
        let store = backend.open(shipping::MIGRATIONS).await;
        let other = backend.open(shipping::MIGRATIONS).await;
        let mesh = Mesh::new().await;
        let config = shipping::Config::default();
        let first = shipping::routes(store, &config);
        let first = mesh.serve("shipping", titan::DESCRIPTORS, first).await;
        let second = shipping::routes(other, &config);
        let second = mesh.serve("shipping", titan::DESCRIPTORS, second).await;
        test(Service { mesh, _running: [first, second] }).await;
    }
}

impl Service {
    /// A client of another process of the mesh, without a user.
    pub(crate) fn process(&self, name: &'static str) -> Client {
        Client::new(self.mesh.app(name).channel("shipping"))
    }

    pub(crate) fn orders(&self) -> Client {
        self.process("orders")
    }

    pub(crate) fn user(&self, id: &str) -> Client {
        Client::new(self.mesh.channel_as("shipping", id, &[]))
    }

    pub(crate) fn admin(&self) -> Client {
        Client::new(self.mesh.channel_as("shipping", "root", &["admin"]))
    }

    pub(crate) fn nobody(&self) -> Client {
        Client::new(self.mesh.channel("shipping"))
    }

    /// Everything that others were told so far, in order.
    pub(crate) async fn told(&self) -> Vec<wire::Event> {
        // What is told last is known, so nobody waits for what does not come.
        let last = cancel(&mut self.orders(), "the-last").await.unwrap().name;
        let channel = self.mesh.app("listener").channel("shipping");
        let mut feed = wire::feed_service_client::FeedServiceClient::new(channel);
        let request = wire::SubscribeRequest { consumer: "test".into(), ..Default::default() };
        let mut stream = feed.subscribe(request).await.unwrap().into_inner();
        let mut events = Vec::new();
        while let Some(batch) = stream.message().await.unwrap() {
            for event in batch.events {
                if event.stream == last {
                    return events;
                }
                events.push(event);
            }
        }
        panic!("the feed ended");
    }
}

/// A parcel of Ada's to a country.
pub(crate) fn parcel(region: &str) -> Shipment {
    Shipment {
        customer: "users/ada".into(),
        address: Some(Address {
            recipient: "Ada".into(),
            address_lines: vec!["Main Street 1".into()],
            postal_code: "10115".into(),
            locality: "Berlin".into(),
            region_code: region.into(),
        }),
        lines: vec![ShipmentLine { product: "products/tea".into(), quantity: 2 }],
        ..Shipment::default()
    }
}

pub(crate) async fn create(
    client: &mut Client,
    id: &str,
    shipment: Shipment,
) -> Result<Shipment, Status> {
    let request = CreateShipmentRequest { shipment_id: id.into(), shipment: Some(shipment) };
    Ok(client.create_shipment(request).await?.into_inner())
}

pub(crate) async fn get(client: &mut Client, id: &str) -> Result<Shipment, Status> {
    let request = GetShipmentRequest { name: format!("shipments/{id}") };
    Ok(client.get_shipment(request).await?.into_inner())
}

pub(crate) async fn hand_over(client: &mut Client, id: &str) -> Result<Shipment, Status> {
    let request = HandOverShipmentRequest { name: format!("shipments/{id}") };
    Ok(client.hand_over_shipment(request).await?.into_inner())
}

pub(crate) async fn cancel(client: &mut Client, id: &str) -> Result<Shipment, Status> {
    let request = CancelShipmentRequest { name: format!("shipments/{id}") };
    Ok(client.cancel_shipment(request).await?.into_inner())
}

/// A request under an idempotency key.
pub(crate) fn keyed<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("idempotency-key", key.parse().unwrap());
    request
}

/// The code of a refusal, and its reason.
#[track_caller]
pub(crate) fn refused<T: Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    (status.code(), status::reason(&status).unwrap_or_default())
}

/// A refusal as [`refused`] tells it.
pub(crate) fn refusal(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

/// The paths of the fields at fault.
#[track_caller]
pub(crate) fn violations<T: Debug>(answer: Result<T, Status>) -> Vec<String> {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let details = status.get_details_bad_request().expect("a BadRequest");
    details.field_violations.into_iter().map(|violation| violation.field).collect()
}
