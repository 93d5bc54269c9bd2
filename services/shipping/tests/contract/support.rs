//! What every test of this service needs: two replicas on one fresh database,
//! somebody who calls them, and what a refusal says.

use durable::testing::{backends, told_before};
use mesh::{
    Channel, proto as wire,
    testing::{Mesh, Running},
};
use titan::shipping::v1::{
    Address, CancelShipmentRequest, CreateShipmentRequest, GetShipmentRequest,
    HandOverShipmentRequest, Shipment, ShipmentLine,
    shipments_service_client::ShipmentsServiceClient,
};
use tonic::Status;

pub(crate) use durable::testing::{keyed, refusal, refused, violations};

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
        told_before(self.mesh.app("listener").channel("shipping"), &last).await
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
