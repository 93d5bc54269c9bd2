//! The pieces of one product. None of the counts is ever negative, and what was
//! received is available, reserved or sold.

use super::{Micros, ProductId};

/// Most pieces that may ever be received: sums of a million such products fit
/// into 64 bits.
pub const MAX_RECEIVED: i64 = 1_000_000_000_000;

/// How many pieces there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    /// The product.
    pub product: ProductId,
    /// Resource name of the user who sells it.
    pub seller: String,
    /// Pieces that can be reserved.
    pub available: i64,
    /// Pieces that are set aside.
    pub reserved: i64,
    /// Pieces that have left the house.
    pub sold: i64,
    /// Pieces that ever came in.
    pub received: i64,
    /// When any of it last changed; zero before.
    pub updated: Micros,
}

/// More than [`MAX_RECEIVED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at most {MAX_RECEIVED} pieces of a product can be received")]
pub struct TooMany;

/// So many are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFew {
    /// How many are.
    pub available: i64,
}

impl Stock {
    /// The stock of a new product: nothing.
    #[must_use]
    pub fn none(product: ProductId, seller: String) -> Self {
        let (available, reserved, sold, received, updated) = (0, 0, 0, 0, 0);
        Stock { product, seller, available, reserved, sold, received, updated }
    }

    /// Adds pieces that have arrived.
    ///
    /// # Errors
    /// Nothing is added when it would be too many.
    pub fn receive(&mut self, quantity: i64, at: Micros) -> Result<(), TooMany> {
        let received = self.received.checked_add(quantity).ok_or(TooMany)?;
        if received > MAX_RECEIVED {
            return Err(TooMany);
        }
        self.received = received;
        self.available += quantity;
        self.touch(at);
        Ok(())
    }

    /// Sets pieces aside.
    ///
    /// # Errors
    /// Nothing is set aside when there are too few.
    pub fn reserve(&mut self, quantity: i64, at: Micros) -> Result<(), TooFew> {
        if quantity > self.available {
            return Err(TooFew { available: self.available });
        }
        self.available -= quantity;
        self.reserved += quantity;
        self.touch(at);
        Ok(())
    }

    /// Puts reserved pieces back.
    pub fn put_back(&mut self, quantity: i64, at: Micros) {
        self.reserved -= quantity;
        self.available += quantity;
        self.touch(at);
    }

    /// Lets reserved pieces leave the house.
    pub fn sell(&mut self, quantity: i64, at: Micros) {
        self.reserved -= quantity;
        self.sold += quantity;
        self.touch(at);
    }

    fn touch(&mut self, at: Micros) {
        self.updated = at.max(self.updated + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_moved_and_never_lost() {
        let mut stock = Stock::none(ProductId::named("products/tea"), "users/ada".into());
        stock.receive(10, 1).unwrap();
        stock.reserve(7, 2).unwrap();
        assert_eq!(stock.reserve(4, 3), Err(TooFew { available: 3 }));
        stock.put_back(2, 4);
        stock.sell(5, 5);
        assert_eq!((stock.available, stock.reserved, stock.sold), (5, 0, 5));
        assert_eq!(stock.received, stock.available + stock.reserved + stock.sold);
    }

    #[test]
    fn too_much_is_not_received() {
        let mut stock = Stock::none(ProductId::named("products/tea"), "users/ada".into());
        stock.receive(MAX_RECEIVED, 1).unwrap();
        let before = stock.clone();
        for quantity in [1, i64::MAX] {
            assert_eq!(stock.receive(quantity, 2), Err(TooMany));
        }
        assert_eq!(stock, before);
    }
}
