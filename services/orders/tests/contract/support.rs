//! What every test of this service needs: the service on a fresh database, people
//! who call it, and what a refusal says.

use durable::{
    Store,
    testing::{Backend, backends},
};
use mesh::{
    Channel, proto as wire,
    testing::{Mesh, Running},
};
use orders::{Config, Orders};
use prost::Name;
use titan::{
    orders::v1::{
        CancelOrderRequest, ConfirmOrderRequest, CreateOrderRequest, GetOrderRequest, Item,
        ListOrderEventsRequest, ListOrdersRequest, Order, OrderCancelled, OrderCompleted,
        OrderEvent, orders_service_client::OrdersServiceClient,
    },
    shipping::v1::Address,
};
use tokio::task::JoinHandle;
use tonic::{Status, Streaming};

pub(crate) use durable::testing::{keyed, refusal, refused, violations};

use crate::shop::Shop;

/// The service on one database, beside a shop.
pub(crate) struct Service {
    pub(crate) shop: Shop,
    pub(crate) backend: Backend,
    pub(crate) mesh: Mesh,
    pub(crate) store: Store,
    replicas: Vec<(Running, Orders, JoinHandle<()>)>,
    _shop: [Running; 3],
}

/// Somebody who calls.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) orders: OrdersServiceClient<Channel>,
}

/// The feed of this service, read event by event.
pub(crate) struct Told {
    stream: Streaming<wire::SubscribeResponse>,
    batch: std::vec::IntoIter<wire::Event>,
}

/// Runs a test on a fresh database of every kind.
pub(crate) async fn everywhere(test: impl AsyncFn(Service)) {
    for backend in backends().await {
        test(Service::start(backend).await).await;
    }
}

impl Service {
    async fn start(backend: Backend) -> Self {
        let (shop, mesh) = (Shop::default(), Mesh::new().await);
        let contracts = titan::DESCRIPTORS;
        let running = [
            mesh.serve("inventory", contracts, shop.inventory()).await,
            mesh.serve("payments", contracts, shop.payments()).await,
            mesh.serve("shipping", contracts, shop.shipping()).await,
        ];
        let store = backend.open(orders::MIGRATIONS).await;
        let mut service =
            Service { shop, backend, mesh, store, replicas: Vec::new(), _shop: running };
        service.add_replica().await;
        service
    }

    /// Starts one more process of the service, with a store of its own.
    pub(crate) async fn add_replica(&mut self) {
        let store = match self.replicas.as_slice() {
            [] => self.store.clone(),
            _ => self.backend.open(orders::MIGRATIONS).await,
        };
        let app = self.mesh.app("orders");
        let orders = Orders::open(store, orders::Shop::of(&app), &Config::default()).await.unwrap();
        let running = self.mesh.serve_app(&app, titan::DESCRIPTORS, orders.routes()).await;
        let work = tokio::spawn(orders.clone().work());
        self.replicas.push((running, orders, work));
    }

    /// Cuts the oldest replica off, in the middle of whatever it does.
    pub(crate) async fn kill_replica(&mut self) {
        let (running, _, work) = self.replicas.remove(0);
        work.abort();
        running.kill().await;
    }

    /// The service itself, without the network.
    pub(crate) fn orders(&self) -> &Orders {
        &self.replicas[0].1
    }

    pub(crate) fn user(&self, id: &str) -> Person {
        Person::on(self.mesh.channel_as("orders", id, &[]))
    }

    pub(crate) fn admin(&self) -> Person {
        Person::on(self.mesh.channel_as("orders", "root", &["admin"]))
    }

    pub(crate) fn service(&self, name: &'static str) -> Person {
        Person::on(self.mesh.app(name).channel("orders"))
    }

    /// What others are told, from the beginning.
    pub(crate) async fn told(&self) -> Told {
        told(&self.mesh).await
    }

    /// Waits for an order's end, and returns it as it is then.
    pub(crate) async fn ended(&self, order: &Order) -> Order {
        let mut told = self.told().await;
        told.end_of(&order.name).await;
        self.admin().get(&order.name).await.unwrap()
    }
}

/// What the orders service of a mesh tells others, from the beginning.
pub(crate) async fn told(mesh: &Mesh) -> Told {
    let channel = mesh.app("listener").channel("orders");
    let mut feed = wire::feed_service_client::FeedServiceClient::new(channel);
    let request = wire::SubscribeRequest { consumer: "test".into(), ..Default::default() };
    let stream = feed.subscribe(request).await.unwrap().into_inner();
    Told { stream, batch: Vec::new().into_iter() }
}

impl Drop for Service {
    /// Nobody works on a database that is about to be removed.
    fn drop(&mut self) {
        self.replicas.iter().for_each(|(_, _, work)| work.abort());
    }
}

impl Told {
    /// The next event, whenever it comes.
    pub(crate) async fn next(&mut self) -> wire::Event {
        loop {
            if let Some(event) = self.batch.next() {
                return event;
            }
            let response = self.stream.message().await.unwrap().expect("a feed does not end");
            self.batch = response.events.into_iter();
        }
    }

    /// Waits for the end of an order.
    pub(crate) async fn end_of(&mut self, order: &str) {
        let end = async {
            let ends = [OrderCompleted::full_name(), OrderCancelled::full_name()];
            loop {
                let event = self.next().await;
                if event.stream == order && ends.contains(&event.r#type) {
                    return;
                }
            }
        };
        // Fails a test that would hang.
        let minute = std::time::Duration::from_secs(60);
        tokio::time::timeout(minute, end).await.expect("an order ends within a minute");
    }
}

impl Person {
    pub(crate) fn on(channel: Channel) -> Self {
        Person { orders: OrdersServiceClient::new(channel) }
    }

    /// Places an order of one product, paid with a card that is good.
    pub(crate) async fn place(&self, product: &str, quantity: i64) -> Order {
        self.create(wanted(&[(product, quantity)], "card-ok")).await.unwrap()
    }

    pub(crate) async fn create(
        &self,
        request: impl tonic::IntoRequest<CreateOrderRequest>,
    ) -> Result<Order, Status> {
        Ok(self.orders.clone().create_order(request).await?.into_inner())
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Order, Status> {
        let request = GetOrderRequest { name: name.into() };
        Ok(self.orders.clone().get_order(request).await?.into_inner())
    }

    pub(crate) async fn confirm(&self, order: &Order, etag: &str) -> Result<Order, Status> {
        let request = ConfirmOrderRequest { name: order.name.clone(), etag: etag.into() };
        Ok(self.orders.clone().confirm_order(request).await?.into_inner())
    }

    pub(crate) async fn cancel(&self, order: &Order, etag: &str) -> Result<Order, Status> {
        let (name, reason) = (order.name.clone(), "changed my mind".to_owned());
        let request = CancelOrderRequest { name, etag: etag.into(), reason };
        Ok(self.orders.clone().cancel_order(request).await?.into_inner())
    }

    /// The ids of listed orders' products, which tell the orders apart.
    pub(crate) async fn list(&self, request: ListOrdersRequest) -> Result<Vec<String>, Status> {
        let orders = self.orders.clone().list_orders(request).await?.into_inner().orders;
        Ok(orders.into_iter().map(|order| order.items[0].product[9..].to_owned()).collect())
    }

    pub(crate) async fn events(&self, order: &Order) -> Result<Vec<OrderEvent>, Status> {
        let parent = order.name.clone();
        let request = ListOrderEventsRequest { parent, ..Default::default() };
        Ok(self.orders.clone().list_order_events(request).await?.into_inner().events)
    }
}

/// An order of products and how many of each.
pub(crate) fn wanted(items: &[(&str, i64)], card: &str) -> CreateOrderRequest {
    let item = |(product, quantity): &(&str, i64)| Item {
        product: (*product).into(),
        quantity: *quantity,
        ..Item::default()
    };
    let order = Order {
        items: items.iter().map(item).collect(),
        card: card.into(),
        shipping_address: Some(address("DE")),
        ..Order::default()
    };
    CreateOrderRequest { order: Some(order) }
}

pub(crate) fn address(region: &str) -> Address {
    Address {
        recipient: "Ada".into(),
        address_lines: vec!["Street 1".into()],
        postal_code: "10115".into(),
        locality: "Berlin".into(),
        region_code: region.into(),
    }
}
