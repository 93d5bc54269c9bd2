//! What every test of this service needs: two replicas on one fresh database,
//! somebody who calls them, and what a refusal says.

use durable::{
    Store,
    testing::{backends, told_before},
};
use inventory::Config;
use mesh::{
    Channel, proto as wire,
    testing::{Mesh, Running},
};
use prost_types::Duration;
use titan::{
    inventory::v1::{
        CommitReservationRequest, ConfirmReservationRequest, CreateProductRequest,
        CreateReservationRequest, GetReservationRequest, GetStockRequest, Product,
        ReceiveStockRequest, ReleaseReservationRequest, Reservation, ReservationLine, Stock,
        products_service_client::ProductsServiceClient,
        reservations_service_client::ReservationsServiceClient,
        stock_service_client::StockServiceClient,
    },
    money::v1::Money,
};
use tonic::Status;

pub(crate) use durable::testing::{keyed, refusal, refused, violations};

pub(crate) type Products = ProductsServiceClient<Channel>;
pub(crate) type Stocks = StockServiceClient<Channel>;
pub(crate) type Reservations = ReservationsServiceClient<Channel>;

/// The service on one database.
pub(crate) struct Service {
    mesh: Mesh,
    pub(crate) store: Store,
    _running: Vec<Running>,
}

/// Runs a test on a fresh database of every kind, with two replicas.
pub(crate) async fn everywhere(test: impl AsyncFn(Service)) {
    for backend in backends().await {
        let mesh = Mesh::new().await;
        let store = backend.open(inventory::MIGRATIONS).await;
        let other = backend.open(inventory::MIGRATIONS).await;
        let mut running = Vec::new();
        for store in [store.clone(), other] {
            let routes = inventory::routes(store, &Config::default());
            running.push(mesh.serve("inventory", titan::DESCRIPTORS, routes).await);
        }
        test(Service { mesh, store, _running: running }).await;
    }
}

impl Service {
    pub(crate) fn as_user(&self, id: &str, roles: &[&str]) -> Channel {
        self.mesh.channel_as("inventory", id, roles)
    }

    pub(crate) fn nobody(&self) -> Channel {
        self.mesh.channel("inventory")
    }

    /// Another process of the mesh, without a user.
    pub(crate) fn process(&self, name: &'static str) -> Channel {
        self.mesh.app(name).channel("inventory")
    }

    /// The products, as a seller of them.
    pub(crate) fn seller(&self) -> Products {
        Products::new(self.as_user("ada", &[]))
    }

    pub(crate) fn orders(&self) -> Reservations {
        Reservations::new(self.process("orders"))
    }

    /// Offers a product of Ada's and receives some of it.
    pub(crate) async fn offer(&self, title: &str, quantity: i64) -> Product {
        let request = CreateProductRequest { product: Some(wanted(title, 1_250)) };
        let product = self.seller().create_product(request).await.unwrap().into_inner();
        if quantity > 0 {
            self.receive(&product, quantity).await.unwrap();
        }
        product
    }

    pub(crate) async fn receive(&self, product: &Product, quantity: i64) -> Result<Stock, Status> {
        let request = ReceiveStockRequest { name: stock_name(product), quantity };
        let mut stocks = Stocks::new(self.as_user("ada", &[]));
        Ok(stocks.receive_stock(request).await?.into_inner())
    }

    /// `available`, `reserved` and `sold` of a product; what was received is their sum.
    pub(crate) async fn pieces(&self, product: &Product) -> (i64, i64, i64) {
        let request = GetStockRequest { name: stock_name(product) };
        let stock = Stocks::new(self.nobody()).get_stock(request).await.unwrap().into_inner();
        assert_eq!(stock.received, stock.available + stock.reserved + stock.sold);
        assert_eq!(stock.on_hand, stock.available + stock.reserved);
        (stock.available, stock.reserved, stock.sold)
    }

    /// Everything that others were told so far, in order.
    pub(crate) async fn told(&self) -> Vec<wire::Event> {
        // What is told last is known, so nobody waits for what does not come.
        let last = self.offer("the last", 0).await.name;
        told_before(self.process("listener"), &last).await
    }
}

/// A product as its seller describes it; EUR.
pub(crate) fn wanted(title: &str, minor_units: i64) -> Product {
    let price = Money { currency_code: "EUR".into(), minor_units };
    Product { title: title.into(), price: Some(price), ..Product::default() }
}

pub(crate) fn stock_name(product: &Product) -> String {
    product.name.replace("products/", "stock/")
}

/// A reservation of some pieces.
pub(crate) fn pieces(lines: &[(&Product, i64)]) -> Reservation {
    let line = |(product, quantity): &(&Product, i64)| ReservationLine {
        product: product.name.clone(),
        quantity: *quantity,
    };
    Reservation { lines: lines.iter().map(line).collect(), ..Reservation::default() }
}

/// The same, for a time.
pub(crate) fn held_for(seconds: i64, reservation: Reservation) -> Reservation {
    Reservation { ttl: Some(Duration { seconds, nanos: 0 }), ..reservation }
}

pub(crate) async fn reserve(
    client: &mut Reservations,
    id: &str,
    reservation: Reservation,
) -> Result<Reservation, Status> {
    let reservation = Some(reservation);
    let request = CreateReservationRequest { reservation_id: id.into(), reservation };
    Ok(client.create_reservation(request).await?.into_inner())
}

pub(crate) async fn get(client: &mut Reservations, id: &str) -> Result<Reservation, Status> {
    let request = GetReservationRequest { name: format!("reservations/{id}") };
    Ok(client.get_reservation(request).await?.into_inner())
}

pub(crate) async fn confirm(client: &mut Reservations, id: &str) -> Result<Reservation, Status> {
    let request = ConfirmReservationRequest { name: format!("reservations/{id}") };
    Ok(client.confirm_reservation(request).await?.into_inner())
}

pub(crate) async fn commit(client: &mut Reservations, id: &str) -> Result<Reservation, Status> {
    let request = CommitReservationRequest { name: format!("reservations/{id}") };
    Ok(client.commit_reservation(request).await?.into_inner())
}

pub(crate) async fn release(client: &mut Reservations, id: &str) -> Result<Reservation, Status> {
    let request = ReleaseReservationRequest { name: format!("reservations/{id}") };
    Ok(client.release_reservation(request).await?.into_inner())
}
