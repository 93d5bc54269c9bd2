//! Pieces that are set aside for an order, from the wish to their leaving or
//! their return.
//!
//! Whoever asks for them may ask again, and may give them back before the asking
//! has arrived. So every decision starts from what is known of the id, which may
//! be nothing, and releasing what is not there leaves a released reservation that
//! refuses to be made.

use super::{Micros, ProductId, ReservationId};

/// Most products in a reservation; the contract says the same of a request.
pub const MAX_LINES: usize = 100;

/// Pieces of one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The product.
    pub product: ProductId,
    /// Pieces; more than zero.
    pub quantity: i64,
}

/// Where a reservation is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Set aside for a time.
    Held {
        /// When that is over.
        until: Micros,
    },
    /// Set aside until it is committed or released.
    Confirmed,
    /// Sold.
    Committed,
    /// Put back by request, or refused before it was made.
    Released,
    /// Put back since its time was over.
    Expired,
}

/// Pieces of several products, set aside together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its name.
    pub id: ReservationId,
    /// What is set aside; empty for one that was released before it was made.
    pub lines: Vec<Line>,
    /// Where it is in its life.
    pub state: State,
    /// When it was first heard of.
    pub created: Micros,
    /// When it last changed.
    pub updated: Micros,
    /// Counts its states; the first is 1.
    pub version: i64,
}

/// What is to happen to a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Set these pieces aside.
    Hold {
        /// What.
        lines: Vec<Line>,
        /// Until when.
        until: Micros,
    },
    /// Keep them beyond their time.
    Confirm,
    /// Let them leave the house.
    Commit,
    /// Put them back.
    Release,
    /// Put them back if their time is over and nobody has confirmed.
    Expire,
}

/// What a change does to the stock of each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// From available to reserved.
    SetAside,
    /// From reserved to available.
    PutBack,
    /// From reserved to sold.
    Sell,
    /// Nothing.
    None,
}

/// Why a wish was not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such reservation.
    #[error("there is no such reservation")]
    Unknown,
    /// The id stands for other pieces.
    #[error("other pieces were reserved under this id")]
    Different,
    /// It was released, maybe before it was made.
    #[error("the reservation was released")]
    Released,
    /// Its time is over.
    #[error("the reservation has expired")]
    Expired,
    /// The pieces have left the house.
    #[error("the pieces of the reservation have left the house")]
    Committed,
    /// There are too few of some products.
    #[error("there are too few pieces")]
    OutOfStock(Vec<Shortage>),
}

/// A product that there is too little of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The product.
    pub product: ProductId,
    /// Pieces that were asked for.
    pub wanted: i64,
    /// Pieces that there are.
    pub available: i64,
}

impl Reservation {
    /// Follows a wish: what the reservation is afterwards, and what that does to
    /// the stock; `None` when it is as wished for already.
    ///
    /// # Errors
    /// Why it is not followed; nothing has changed.
    pub fn follow(
        known: Option<Reservation>,
        id: ReservationId,
        wish: Wish,
        at: Micros,
    ) -> Result<(Reservation, Option<Move>), Refusal> {
        match (known, wish) {
            (None, Wish::Hold { lines, until }) => {
                let held = Self::begin(id, lines, State::Held { until }, at);
                Ok((held, Some(Move::SetAside)))
            }
            // The tombstone: whoever still wants to make it comes too late.
            (None, Wish::Release) => {
                Ok((Self::begin(id, Vec::new(), State::Released, at), Some(Move::None)))
            }
            (None, Wish::Confirm | Wish::Commit | Wish::Expire) => Err(Refusal::Unknown),
            (Some(reservation), wish) => reservation.change(&wish, at),
        }
    }

    fn begin(id: ReservationId, lines: Vec<Line>, state: State, at: Micros) -> Self {
        Reservation { id, lines, state, created: at, updated: at, version: 1 }
    }

    fn change(self, wish: &Wish, at: Micros) -> Result<(Reservation, Option<Move>), Refusal> {
        let (state, does) = match (self.state, wish) {
            (State::Released, Wish::Hold { .. } | Wish::Confirm | Wish::Commit) => {
                return Err(Refusal::Released);
            }
            (State::Expired, Wish::Hold { .. } | Wish::Confirm | Wish::Commit) => {
                return Err(Refusal::Expired);
            }
            (_, Wish::Hold { lines, .. }) if *lines != self.lines => {
                return Err(Refusal::Different);
            }
            (State::Committed, Wish::Release) => return Err(Refusal::Committed),
            // Its time may be over and nobody has noticed: the pieces are still
            // there, so confirming wins.
            (State::Held { .. }, Wish::Confirm) => (State::Confirmed, Move::None),
            (State::Held { .. } | State::Confirmed, Wish::Commit) => (State::Committed, Move::Sell),
            (State::Held { .. } | State::Confirmed, Wish::Release) => {
                (State::Released, Move::PutBack)
            }
            (State::Held { until }, Wish::Expire) if until <= at => (State::Expired, Move::PutBack),
            _ => return Ok((self, None)),
        };
        let (version, updated) = (self.version + 1, at.max(self.updated + 1));
        Ok((Reservation { state, version, updated, ..self }, Some(does)))
    }
}

#[cfg(test)]
mod tests;
