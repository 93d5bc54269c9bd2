//! The other services of the shop, as a test directs them: they keep what they
//! are asked to in memory, by their contracts, and lose answers, refuse or wait
//! where a test says so.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use mesh::{Routes, status};
use titan::{
    inventory::v1::{
        self as inventory, Product, Reservation, ReservationLine,
        products_service_server::{ProductsService, ProductsServiceServer},
        reservation::State as Stock,
        reservations_service_server::{ReservationsService, ReservationsServiceServer},
    },
    money::v1::Money,
    payments::v1::{
        self as payments, Payment,
        payment::State as Paid,
        payments_service_server::{PaymentsService, PaymentsServiceServer},
    },
    shipping::v1::{
        self as shipping, Shipment,
        shipment::State as Shipped,
        shipments_service_server::{ShipmentsService, ShipmentsServiceServer},
    },
};
use tokio::sync::oneshot;
use tonic::{Code, Request, Response, Status};

/// What the test directs; clones are the same shop.
#[derive(Clone, Default)]
pub(crate) struct Shop(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    products: BTreeMap<String, Product>,
    available: BTreeMap<String, i64>,
    sold: i64,
    reservations: BTreeMap<String, Reservation>,
    payments: BTreeMap<String, Payment>,
    shipments: BTreeMap<String, Shipment>,
    /// The keys under which each method was called.
    keys: HashMap<&'static str, BTreeSet<String>>,
    faults: HashMap<&'static str, Fault>,
    /// Methods of which every answer is lost.
    silent: BTreeSet<&'static str>,
    /// Faults that were injected.
    injected: u32,
}

enum Fault {
    /// It happens, and its caller never hears of it.
    Lose,
    /// It does not happen.
    Refuse(Status),
    /// It does not happen before the test lets it.
    Hold(oneshot::Sender<()>, oneshot::Receiver<()>),
}

/// A call that has arrived and does not go on.
pub(crate) struct Held {
    arrived: oneshot::Receiver<()>,
    leave: oneshot::Sender<()>,
}

impl Held {
    /// Waits until the call is there.
    pub(crate) async fn arrived(&mut self) {
        (&mut self.arrived).await.unwrap();
    }

    /// Lets it go on; it may have been given up meanwhile.
    pub(crate) fn leave(self) {
        let _ = self.leave.send(());
    }
}

impl Shop {
    /// Sells a product: its price in cents, and how many pieces there are.
    pub(crate) fn offer(&self, id: &str, cents: i64, pieces: i64) -> String {
        let name = format!("products/{id}");
        let mut world = self.0.lock().unwrap();
        let product = Product {
            name: name.clone(),
            title: id.to_uppercase(),
            price: Some(eur(cents)),
            ..Product::default()
        };
        world.products.insert(name.clone(), product);
        world.available.insert(name.clone(), pieces);
        name
    }

    /// No longer sells it.
    pub(crate) fn withdraw(&self, product: &str) {
        self.0.lock().unwrap().products.remove(product);
    }

    /// The next call of a method happens, and its answer is lost.
    pub(crate) fn lose(&self, method: &'static str) {
        self.0.lock().unwrap().faults.insert(method, Fault::Lose);
    }

    /// The next call of a method is refused.
    pub(crate) fn refuse(&self, method: &'static str, status: Status) {
        self.0.lock().unwrap().faults.insert(method, Fault::Refuse(status));
    }

    /// The next call of a method waits for the test.
    pub(crate) fn hold(&self, method: &'static str) -> Held {
        let (arrive, arrived) = oneshot::channel();
        let (leave, left) = oneshot::channel();
        self.0.lock().unwrap().faults.insert(method, Fault::Hold(arrive, left));
        Held { arrived, leave }
    }

    /// From here on a method does what it is asked to, and nobody hears of it.
    pub(crate) fn silence(&self, method: &'static str) {
        self.0.lock().unwrap().silent.insert(method);
    }

    /// How many faults have been injected.
    pub(crate) fn injected(&self) -> u32 {
        self.0.lock().unwrap().injected
    }

    /// How many different keys a method was called under.
    pub(crate) fn keys(&self, method: &str) -> usize {
        self.0.lock().unwrap().keys.get(method).map_or(0, BTreeSet::len)
    }

    /// Pieces that can be ordered.
    pub(crate) fn available(&self, product: &str) -> i64 {
        self.0.lock().unwrap().available[product]
    }

    /// Pieces that were sold.
    pub(crate) fn sold(&self) -> i64 {
        self.0.lock().unwrap().sold
    }

    /// What the shop has earned, in cents.
    pub(crate) fn earned(&self) -> i64 {
        let cents = |money: &Option<Money>| money.as_ref().map_or(0, |it| it.minor_units);
        let world = self.0.lock().unwrap();
        world.payments.values().map(|it| cents(&it.captured) - cents(&it.refunded)).sum()
    }

    /// Parcels that are with the carrier.
    pub(crate) fn handed_over(&self) -> i64 {
        let world = self.0.lock().unwrap();
        let over = |it: &&Shipment| it.state() == Shipped::HandedOver;
        i64::try_from(world.shipments.values().filter(over).count()).unwrap()
    }

    /// Parcels that are made up and wait for the carrier.
    pub(crate) fn prepared(&self) -> usize {
        let world = self.0.lock().unwrap();
        world.shipments.values().filter(|it| it.state() == Shipped::Prepared).count()
    }

    pub(crate) fn inventory(&self) -> Routes {
        Routes::new()
            .add(ProductsServiceServer::new(self.clone()))
            .add(ReservationsServiceServer::new(self.clone()))
    }

    pub(crate) fn payments(&self) -> Routes {
        Routes::new().add(PaymentsServiceServer::new(self.clone()))
    }

    pub(crate) fn shipping(&self) -> Routes {
        Routes::new().add(ShipmentsServiceServer::new(self.clone()))
    }

    async fn call<T, R>(
        &self,
        method: &'static str,
        request: Request<T>,
        act: impl FnOnce(&mut World, T) -> Result<R, Status>,
    ) -> Result<Response<R>, Status> {
        let (fault, silent) = {
            let mut world = self.0.lock().unwrap();
            if let Some(key) = request.metadata().get("idempotency-key") {
                let key = key.to_str().unwrap().to_owned();
                world.keys.entry(method).or_default().insert(key);
            }
            let fault = world.faults.remove(method);
            let silent = world.silent.contains(method);
            world.injected += u32::from(fault.is_some()) + u32::from(silent);
            (fault, silent)
        };
        let lost = silent || matches!(fault, Some(Fault::Lose));
        match fault {
            Some(Fault::Refuse(status)) => return Err(status),
            Some(Fault::Hold(arrive, left)) => {
                arrive.send(()).unwrap();
                let _ = left.await;
            }
            Some(Fault::Lose) | None => {}
        }
        let answer = act(&mut self.0.lock().unwrap(), request.into_inner());
        if lost { Err(Status::unavailable("lost")) } else { answer.map(Response::new) }
    }
}

pub(crate) fn eur(cents: i64) -> Money {
    Money { currency_code: "EUR".into(), minor_units: cents }
}

fn precondition(reason: &'static str) -> Status {
    status::refuse(Code::FailedPrecondition, reason, reason)
}

impl World {
    fn reserve(
        &mut self,
        name: String,
        lines: Vec<ReservationLine>,
    ) -> Result<Reservation, Status> {
        if let Some(known) = self.reservations.get(&name) {
            return match known.state() {
                Stock::Released => Err(precondition("RESERVATION_RELEASED")),
                _ => Ok(known.clone()),
            };
        }
        for line in &lines {
            if self.available[&line.product] < line.quantity {
                return Err(precondition("OUT_OF_STOCK"));
            }
        }
        for line in &lines {
            *self.available.get_mut(&line.product).unwrap() -= line.quantity;
        }
        let state = Stock::Held.into();
        let made = Reservation { name: name.clone(), lines, state, ..Reservation::default() };
        Ok(self.reservations.entry(name).or_insert(made).clone())
    }

    fn release(&mut self, name: String) -> Result<Reservation, Status> {
        let it = self.reservations.entry(name.clone()).or_insert(Reservation {
            name,
            state: Stock::Released.into(),
            ..Reservation::default()
        });
        match it.state() {
            Stock::Committed => return Err(precondition("RESERVATION_COMMITTED")),
            Stock::Released => {}
            _ => {
                for line in &it.lines {
                    *self.available.get_mut(&line.product).unwrap() += line.quantity;
                }
            }
        }
        it.set_state(Stock::Released);
        Ok(it.clone())
    }

    fn reserved(&mut self, name: &str, next: Stock) -> Result<Reservation, Status> {
        let it = self.reservations.get_mut(name).ok_or_else(|| Status::not_found("none"))?;
        if it.state() == Stock::Released {
            return Err(precondition("RESERVATION_RELEASED"));
        }
        if next == Stock::Committed && it.state() != next {
            self.sold += it.lines.iter().map(|line| line.quantity).sum::<i64>();
        }
        if it.state() != Stock::Committed {
            it.set_state(next);
        }
        Ok(it.clone())
    }

    fn pay(&mut self, name: String, wanted: Payment) -> Result<Payment, Status> {
        if let Some(known) = self.payments.get(&name) {
            return match known.state() {
                Paid::Voided | Paid::Refunded => Err(precondition("PAYMENT_UNDONE")),
                _ => Ok(known.clone()),
            };
        }
        if wanted.card == "card-declined" {
            return Err(precondition("CARD_DECLINED"));
        }
        let made = Payment { name: name.clone(), state: Paid::Authorized.into(), ..wanted };
        Ok(self.payments.entry(name).or_insert(made).clone())
    }

    fn capture(&mut self, name: &str) -> Result<Payment, Status> {
        let it = self.payments.get_mut(name).ok_or_else(|| Status::not_found("none"))?;
        match it.state() {
            Paid::Authorized => {
                it.captured = it.amount.clone();
                it.set_state(Paid::Captured);
            }
            Paid::Captured => {}
            _ => return Err(precondition("PAYMENT_UNDONE")),
        }
        Ok(it.clone())
    }

    fn refund(&mut self, name: String) -> Result<Payment, Status> {
        let it = self.payments.entry(name).or_default();
        it.refunded = it.captured.clone();
        it.set_state(if it.captured.is_some() { Paid::Refunded } else { Paid::Voided });
        Ok(it.clone())
    }

    fn ship(&mut self, name: String, wanted: Shipment) -> Result<Shipment, Status> {
        if let Some(known) = self.shipments.get(&name) {
            return match known.state() {
                Shipped::Cancelled => Err(precondition("SHIPMENT_CANCELLED")),
                _ => Ok(known.clone()),
            };
        }
        if wanted.address.as_ref().is_some_and(|it| it.region_code == "AQ") {
            return Err(precondition("DESTINATION_NOT_SERVED"));
        }
        let made = Shipment { name: name.clone(), state: Shipped::Prepared.into(), ..wanted };
        Ok(self.shipments.entry(name).or_insert(made).clone())
    }

    fn shipped(&mut self, name: String, from: Shipped, to: Shipped) -> Result<Shipment, Status> {
        let it = self.shipments.entry(name).or_default();
        if it.state() == from {
            return Err(precondition("SHIPMENT_ENDED"));
        }
        it.set_state(to);
        Ok(it.clone())
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ProductsService for Shop {
    async fn batch_get_products(
        &self,
        request: Request<inventory::BatchGetProductsRequest>,
    ) -> Answer<inventory::BatchGetProductsResponse> {
        let find = |world: &mut World, request: inventory::BatchGetProductsRequest| {
            let products = request.names.iter().map(|name| {
                world.products.get(name).cloned().ok_or_else(|| {
                    let (reason, kind) = ("PRODUCT_NOT_FOUND", "inventory.titan/Product");
                    status::refuse_resource(Code::NotFound, reason, kind, name, "no such product")
                })
            });
            let products = products.collect::<Result<_, Status>>()?;
            Ok(inventory::BatchGetProductsResponse { products })
        };
        self.call("products", request, find).await
    }

    async fn create_product(&self, _: Request<inventory::CreateProductRequest>) -> Answer<Product> {
        unreachable!("orders only reads products")
    }

    async fn get_product(&self, _: Request<inventory::GetProductRequest>) -> Answer<Product> {
        unreachable!("orders reads products in batches")
    }

    async fn list_products(
        &self,
        _: Request<inventory::ListProductsRequest>,
    ) -> Answer<inventory::ListProductsResponse> {
        unreachable!("orders reads products in batches")
    }

    async fn update_product(&self, _: Request<inventory::UpdateProductRequest>) -> Answer<Product> {
        unreachable!("orders only reads products")
    }
}

#[tonic::async_trait]
impl ReservationsService for Shop {
    async fn create_reservation(
        &self,
        request: Request<inventory::CreateReservationRequest>,
    ) -> Answer<Reservation> {
        let reserve = |world: &mut World, it: inventory::CreateReservationRequest| {
            let name = format!("reservations/{}", it.reservation_id);
            world.reserve(name, it.reservation.unwrap().lines)
        };
        self.call("reserve", request, reserve).await
    }

    async fn release_reservation(
        &self,
        request: Request<inventory::ReleaseReservationRequest>,
    ) -> Answer<Reservation> {
        self.call("release", request, |world, it| world.release(it.name)).await
    }

    async fn confirm_reservation(
        &self,
        request: Request<inventory::ConfirmReservationRequest>,
    ) -> Answer<Reservation> {
        self.call("keep", request, |world, it| world.reserved(&it.name, Stock::Confirmed)).await
    }

    async fn commit_reservation(
        &self,
        request: Request<inventory::CommitReservationRequest>,
    ) -> Answer<Reservation> {
        self.call("sell", request, |world, it| world.reserved(&it.name, Stock::Committed)).await
    }

    async fn get_reservation(
        &self,
        _: Request<inventory::GetReservationRequest>,
    ) -> Answer<Reservation> {
        unreachable!("orders does not look at reservations")
    }

    async fn list_reservations(
        &self,
        _: Request<inventory::ListReservationsRequest>,
    ) -> Answer<inventory::ListReservationsResponse> {
        unreachable!("orders does not look at reservations")
    }
}

#[tonic::async_trait]
impl PaymentsService for Shop {
    async fn create_payment(
        &self,
        request: Request<payments::CreatePaymentRequest>,
    ) -> Answer<Payment> {
        let pay = |world: &mut World, it: payments::CreatePaymentRequest| {
            world.pay(format!("payments/{}", it.payment_id), it.payment.unwrap())
        };
        self.call("authorize", request, pay).await
    }

    async fn capture_payment(
        &self,
        request: Request<payments::CapturePaymentRequest>,
    ) -> Answer<Payment> {
        self.call("capture", request, |world, it| world.capture(&it.name)).await
    }

    async fn refund_payment(
        &self,
        request: Request<payments::RefundPaymentRequest>,
    ) -> Answer<Payment> {
        self.call("refund", request, |world, it| world.refund(it.name)).await
    }

    async fn void_payment(&self, _: Request<payments::VoidPaymentRequest>) -> Answer<Payment> {
        unreachable!("orders refunds, however far a payment got")
    }

    async fn get_payment(&self, _: Request<payments::GetPaymentRequest>) -> Answer<Payment> {
        unreachable!("orders does not look at payments")
    }

    async fn list_bookings(
        &self,
        _: Request<payments::ListBookingsRequest>,
    ) -> Answer<payments::ListBookingsResponse> {
        unreachable!("orders does not look at the provider's books")
    }

    async fn list_payments(
        &self,
        _: Request<payments::ListPaymentsRequest>,
    ) -> Answer<payments::ListPaymentsResponse> {
        unreachable!("orders does not look at payments")
    }
}

#[tonic::async_trait]
impl ShipmentsService for Shop {
    async fn create_shipment(
        &self,
        request: Request<shipping::CreateShipmentRequest>,
    ) -> Answer<Shipment> {
        let ship = |world: &mut World, it: shipping::CreateShipmentRequest| {
            world.ship(format!("shipments/{}", it.shipment_id), it.shipment.unwrap())
        };
        self.call("ship", request, ship).await
    }

    async fn cancel_shipment(
        &self,
        request: Request<shipping::CancelShipmentRequest>,
    ) -> Answer<Shipment> {
        let (from, to) = (Shipped::HandedOver, Shipped::Cancelled);
        self.call("unship", request, move |world, it| world.shipped(it.name, from, to)).await
    }

    async fn hand_over_shipment(
        &self,
        request: Request<shipping::HandOverShipmentRequest>,
    ) -> Answer<Shipment> {
        let (from, to) = (Shipped::Cancelled, Shipped::HandedOver);
        self.call("hand over", request, move |world, it| world.shipped(it.name, from, to)).await
    }

    async fn get_shipment(&self, _: Request<shipping::GetShipmentRequest>) -> Answer<Shipment> {
        unreachable!("orders does not look at shipments")
    }

    async fn list_shipments(
        &self,
        _: Request<shipping::ListShipmentsRequest>,
    ) -> Answer<shipping::ListShipmentsResponse> {
        unreachable!("orders does not look at shipments")
    }
}
