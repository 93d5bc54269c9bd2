//! The shop as it is: orders beside the services of inventory, payments and
//! shipping themselves, each with a database of its own.

use std::{sync::Arc, time::Duration};

use durable::testing::{Backend, backends};
use mesh::{
    Channel,
    testing::{Mesh, Running},
};
use orders::{Config, Orders, Shop};
use payments::provider::Simulated;
use titan::{
    inventory::v1::{
        CreateProductRequest, GetStockRequest, Product, ReceiveStockRequest,
        products_service_client::ProductsServiceClient, stock_service_client::StockServiceClient,
    },
    orders::v1::{CancelReason, Order, order::State},
    payments::v1::{GetPaymentRequest, Payment, payments_service_client::PaymentsServiceClient},
    shipping::v1::{
        GetShipmentRequest, shipment, shipments_service_client::ShipmentsServiceClient,
    },
};
use tokio::task::JoinHandle;

use crate::{
    shop::eur,
    support::{Person, Told, told, wanted},
};

/// All services of the shop on databases of one kind.
struct House {
    mesh: Mesh,
    work: JoinHandle<()>,
    _running: [Running; 4],
    _databases: [Backend; 4],
}

impl Drop for House {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Runs a test on every kind of database.
async fn everywhere(test: impl AsyncFn(House)) {
    let all = [backends().await, backends().await, backends().await, backends().await];
    let [mut first, mut second, mut third, mut fourth] = all;
    while let (Some(a), Some(b), Some(c), Some(d)) =
        (first.pop(), second.pop(), third.pop(), fourth.pop())
    {
        test(House::open([a, b, c, d]).await).await;
    }
}

impl House {
    async fn open(databases: [Backend; 4]) -> Self {
        let [stock, money, parcels, own] = &databases;
        let (mesh, contracts) = (Mesh::new().await, titan::DESCRIPTORS);
        let store = stock.open(inventory::MIGRATIONS).await;
        let routes = inventory::routes(store, &inventory::Config::default());
        let inventory = mesh.serve("inventory", contracts, routes).await;
        let store = money.open(payments::MIGRATIONS).await;
        let provider = Arc::new(Simulated::new(store.clone(), Duration::ZERO));
        let routes = payments::routes(store, provider, &payments::Config::default());
        let payments = mesh.serve("payments", contracts, routes).await;
        let store = parcels.open(shipping::MIGRATIONS).await;
        let routes = shipping::routes(store, &shipping::Config::default());
        let shipping = mesh.serve("shipping", contracts, routes).await;

        let app = mesh.app("orders");
        let store = own.open(orders::MIGRATIONS).await;
        let orders = Orders::open(store, Shop::of(&app), &Config::default()).await.unwrap();
        let running = mesh.serve_app(&app, contracts, orders.routes()).await;
        let work = tokio::spawn(orders.work());
        let running = [inventory, payments, shipping, running];
        House { mesh, work, _running: running, _databases: databases }
    }

    fn channel(&self, app: &str, user: &str) -> Channel {
        self.mesh.channel_as(app, user, &[])
    }

    fn customer(&self) -> Person {
        Person::on(self.channel("orders", "ada"))
    }

    /// Sells something at 3.50, and says how many pieces there are.
    async fn offer(&self, pieces: i64) -> String {
        let channel = self.channel("inventory", "sam");
        let (title, price) = ("Tea".to_owned(), Some(eur(350)));
        let product = Some(Product { title, price, ..Product::default() });
        let mut products = ProductsServiceClient::new(channel.clone());
        let request = CreateProductRequest { product };
        let product = products.create_product(request).await.unwrap().into_inner().name;
        let name = product.replace("products/", "stock/");
        let received = ReceiveStockRequest { name, quantity: pieces };
        StockServiceClient::new(channel).receive_stock(received).await.unwrap();
        product
    }

    /// Pieces that are available, reserved and sold.
    async fn stock(&self, product: &str) -> [i64; 3] {
        let mut stock = StockServiceClient::new(self.channel("inventory", "sam"));
        let name = product.replace("products/", "stock/");
        let it = stock.get_stock(GetStockRequest { name }).await.unwrap().into_inner();
        [it.available, it.reserved, it.sold]
    }

    async fn payment(&self, order: &Order) -> Payment {
        let mut payments = PaymentsServiceClient::new(self.channel("payments", "ada"));
        let request = GetPaymentRequest { name: order.payment.clone() };
        payments.get_payment(request).await.unwrap().into_inner()
    }

    async fn place(&self, product: &str, card: &str) -> Order {
        let ada = self.customer();
        let order = ada.create(wanted(&[(product, 3)], card)).await.unwrap();
        ada.confirm(&order, "").await.unwrap();
        let mut told: Told = told(&self.mesh).await;
        told.end_of(&order.name).await;
        ada.get(&order.name).await.unwrap()
    }
}

/// What was taken from a card and not given back, in cents.
fn earned(payment: &Payment) -> i64 {
    let cents = |it: &Option<titan::money::v1::Money>| it.as_ref().map_or(0, |it| it.minor_units);
    cents(&payment.captured) - cents(&payment.refunded)
}

#[tokio::test]
async fn an_order_goes_through_the_whole_shop() {
    everywhere(async |house| {
        let tea = house.offer(10).await;
        let order = house.place(&tea, "card-ok").await;
        assert_eq!(order.state(), State::Completed);
        assert_eq!(house.stock(&tea).await, [7, 0, 3]);
        assert_eq!(earned(&house.payment(&order).await), 1050);
        let mut shipments = ShipmentsServiceClient::new(house.channel("shipping", "ada"));
        let request = GetShipmentRequest { name: order.shipment.clone() };
        let shipment = shipments.get_shipment(request).await.unwrap().into_inner();
        assert_eq!(shipment.state(), shipment::State::HandedOver);
    })
    .await;
}

#[tokio::test]
async fn whatever_a_card_does_stock_and_money_are_where_they_belong() {
    everywhere(async |house| {
        let tea = house.offer(10).await;
        for card in ["card-declined", "card-capture-declined"] {
            let order = house.place(&tea, card).await;
            let end = (order.state(), order.cancel_reason());
            assert_eq!(end, (State::Cancelled, CancelReason::PaymentDeclined), "{card}");
            assert_eq!(house.stock(&tea).await, [10, 0, 0], "{card}");
            assert_eq!(earned(&house.payment(&order).await), 0, "{card}");
        }
        let order = house.place(&tea, "card-flaky").await;
        assert_eq!(order.state(), State::Completed);
        assert_eq!(house.stock(&tea).await, [7, 0, 3]);
        assert_eq!(earned(&house.payment(&order).await), 1050);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_not_paid_for() {
    everywhere(async |house| {
        let tea = house.offer(2).await;
        let order = house.place(&tea, "card-ok").await;
        assert_eq!(order.cancel_reason(), CancelReason::OutOfStock);
        assert_eq!(house.stock(&tea).await, [2, 0, 0]);
        let mut payments = PaymentsServiceClient::new(house.channel("payments", "ada"));
        let request = GetPaymentRequest { name: order.payment.clone() };
        assert!(payments.get_payment(request).await.is_err(), "no card was asked");
    })
    .await;
}
