//! The simulated provider's ledger: a row for each charge, which is its lock, and
//! a row for each movement of money, which never changes.

use durable::{Row, Tx, params, time};

use crate::{
    domain::{Money, Terms},
    provider::{Booking, Kind},
};

/// The movements of one charge.
pub(super) const BOOKINGS: &str =
    "SELECT * FROM simulated_booking WHERE charge = $1 ORDER BY number";

const KINDS: [(Kind, &str); 4] = [
    (Kind::Authorize, "authorize"),
    (Kind::Capture, "capture"),
    (Kind::Refund, "refund"),
    (Kind::Release, "release"),
];

/// A charge, locked until its transaction ends.
pub(super) struct Charge {
    name: String,
    /// Undone: nothing is booked any more.
    pub(super) closed: bool,
    /// Those that are stored, and then those that are not yet.
    bookings: Vec<Booking>,
    stored: usize,
}

impl Charge {
    /// Reads a charge, or begins it; others who want it wait.
    pub(super) async fn lock(tx: &mut Tx, name: &str) -> Result<Self, durable::Error> {
        let sql = "INSERT INTO simulated_charge (charge, closed) VALUES ($1, $2)
            ON CONFLICT (charge) DO UPDATE SET closed = simulated_charge.closed
            RETURNING closed";
        let row = tx.query_one(sql, params![name, false]).await?;
        let closed = row.map_or(Ok(false), |row| row.get("closed"))?;
        let rows = tx.query(BOOKINGS, params![name]).await?;
        let bookings = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { name: name.to_owned(), closed, stored: bookings.len(), bookings })
    }

    /// Whether something was booked under a key.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.bookings.iter().any(|booking| booking.key == key)
    }

    /// Minor units that were moved one way.
    pub(super) fn total(&self, kind: Kind) -> i64 {
        let moved = self.bookings.iter().filter(|booking| booking.kind == kind);
        moved.map(|booking| booking.amount.minor).sum()
    }

    /// Books a movement.
    pub(super) fn book(&mut self, key: &str, kind: Kind, minor: i64, terms: &Terms) {
        let amount = Money { currency: terms.amount.currency.clone(), minor };
        self.bookings.push(Booking { key: key.to_owned(), kind, amount, at: time::now() });
    }

    /// Writes what has changed.
    pub(super) async fn save(&self, tx: &mut Tx) -> Result<(), durable::Error> {
        let sql = "UPDATE simulated_charge SET closed = $2 WHERE charge = $1";
        tx.execute(sql, params![self.name.as_str(), self.closed]).await?;
        for (n, booking) in self.bookings.iter().enumerate().skip(self.stored) {
            let Booking { key, kind, amount, at } = booking;
            let kind = KINDS.iter().find(|(known, _)| known == kind).map_or("", |(_, text)| text);
            tx.execute(
                "INSERT INTO simulated_booking
                 (key, charge, number, kind, amount, currency, booked)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                params![
                    key.as_str(),
                    self.name.as_str(),
                    i64::try_from(n).unwrap_or(i64::MAX),
                    kind,
                    amount.minor,
                    amount.currency.as_str(),
                    *at
                ],
            )
            .await?;
        }
        Ok(())
    }
}

/// A movement.
pub(super) fn read(row: &Row) -> Result<Booking, durable::Error> {
    let kind: String = row.get("kind")?;
    let kind = KINDS.iter().find(|(_, text)| *text == kind);
    Ok(Booking {
        key: row.get("key")?,
        // Nobody else writes these rows, so the text is one of the four.
        kind: kind.map_or(Kind::Release, |(kind, _)| *kind),
        amount: Money { currency: row.get("currency")?, minor: row.get("amount")? },
        at: row.get("booked")?,
    })
}
