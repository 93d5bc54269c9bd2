//! What each command does in its transaction.

use durable::{Tx, command::Handler};
use titan::inventory::v1 as proto;

use super::{
    Error,
    commands::{ChangeReservation, OfferProduct, ReceiveStock, ReviseProduct},
    events, expiry,
};
use crate::{
    domain::{
        Micros, Reservation, ReservationId, Stock, product,
        reservation::{self, Line, Move, Shortage, State, Wish},
    },
    store,
};

/// Handles all commands of this service.
#[derive(Clone, Debug)]
pub(crate) struct Decide;

impl Handler<OfferProduct> for Decide {
    type Answer = proto::Product;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: OfferProduct) -> Result<proto::Product, Error> {
        let OfferProduct(product) = it;
        store::save_product(tx, &product).await?;
        let stock = Stock::none(product.id.clone(), product.seller.clone());
        store::insert_stock(tx, &stock).await?;
        events::offered(tx, &product).await?;
        Ok(product.into())
    }
}

impl Handler<ReviseProduct> for Decide {
    type Answer = proto::Product;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: ReviseProduct) -> Result<proto::Product, Error> {
        let unknown = product::Refusal::Unknown(it.product.clone());
        let mut product = store::lock_product(tx, &it.product).await?.ok_or(unknown)?;
        if product.revise(it.to, &it.by, &it.seen, it.at)? {
            store::save_product(tx, &product).await?;
            events::revised(tx, &product).await?;
        }
        Ok(product.into())
    }
}

impl Handler<ReceiveStock> for Decide {
    type Answer = proto::Stock;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: ReceiveStock) -> Result<proto::Stock, Error> {
        let unknown = product::Refusal::Unknown(it.product.clone());
        let mut stock = store::lock_stock(tx, &it.product).await?.ok_or(unknown)?;
        if stock.seller != it.by {
            return Err(product::Refusal::NotSeller.into());
        }
        stock.receive(it.quantity, it.at)?;
        store::save_stock(tx, &stock).await?;
        events::received(tx, &stock, it.quantity).await?;
        Ok(stock.into())
    }
}

impl Handler<ChangeReservation> for Decide {
    type Answer = proto::Reservation;
    type Error = Error;

    async fn handle(
        &self,
        tx: &mut Tx,
        it: ChangeReservation,
    ) -> Result<proto::Reservation, Error> {
        Ok(change(tx, it.reservation, it.wish, it.at).await?.into())
    }
}

/// Follows a wish, and moves the pieces.
pub(super) async fn change(
    tx: &mut Tx,
    id: ReservationId,
    wish: Wish,
    at: Micros,
) -> Result<Reservation, Error> {
    let known = store::lock_reservation(tx, &id).await?;
    let (reservation, does) = Reservation::follow(known, id, wish, at)?;
    let Some(does) = does else { return Ok(reservation) };
    move_pieces(tx, &reservation.lines, does, at).await?;
    store::save_reservation(tx, &reservation).await?;
    if let State::Held { until } = reservation.state {
        expiry::promise(tx, &reservation.id, until).await?;
    }
    events::changed(tx, &reservation).await?;
    Ok(reservation)
}

/// Moves the pieces of all lines, or of none when a product lacks some.
async fn move_pieces(tx: &mut Tx, lines: &[Line], does: Move, at: Micros) -> Result<(), Error> {
    if does == Move::None {
        return Ok(());
    }
    let mut lines: Vec<_> = lines.iter().collect();
    // Everybody locks in this order, so that two orders cannot wait for each other.
    lines.sort_by(|a, b| a.product.cmp(&b.product));
    let mut short = Vec::new();
    for Line { product, quantity } in lines {
        let unknown = product::Refusal::Unknown(product.clone());
        let mut stock = store::lock_stock(tx, product).await?.ok_or(unknown)?;
        match does {
            Move::SetAside => {
                if let Err(too_few) = stock.reserve(*quantity, at) {
                    let (product, wanted) = (product.clone(), *quantity);
                    short.push(Shortage { product, wanted, available: too_few.available });
                }
            }
            Move::PutBack => stock.put_back(*quantity, at),
            Move::Sell => stock.sell(*quantity, at),
            Move::None => {}
        }
        store::save_stock(tx, &stock).await?;
    }
    if short.is_empty() { Ok(()) } else { Err(reservation::Refusal::OutOfStock(short).into()) }
}
