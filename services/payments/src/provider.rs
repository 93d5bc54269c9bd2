//! Who holds the cards. A provider is asked over a network that loses answers, so
//! everything here is shaped by what may be asked twice.

mod simulated;

use tonic::async_trait;

use crate::domain::{Micros, Money, Outcome, Terms};

pub use simulated::Simulated;

/// A payment provider. Implementations promise of every method:
///
/// - **Once per key.** A call that comes again under its key does nothing, and is
///   answered as the first was, also when nobody heard that answer, and for longer
///   than any caller repeats: a day at least.
/// - **Durable.** What was answered is remembered through crashes.
/// - **Undoing is final.** Once a charge is undone, calls for it that arrive later
///   are declined, also when the undoing came first. An adapter to a provider that
///   does not do so by itself repeats the earlier calls under their keys first.
/// - **Cancellation.** A future that is dropped leaves unknown what was done.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Sets the amount aside on the card.
    ///
    /// # Errors
    /// Whether it was done is unknown.
    async fn authorize(&self, call: Call<'_>, terms: &Terms) -> Result<Outcome, Unavailable>;

    /// Takes the whole amount that was set aside.
    ///
    /// # Errors
    /// Whether it was done is unknown.
    async fn capture(&self, call: Call<'_>, terms: &Terms) -> Result<Outcome, Unavailable>;

    /// Gives back what was taken, lets go of what was set aside, and closes the
    /// charge.
    ///
    /// # Errors
    /// Whether it was done is unknown.
    async fn undo(&self, call: Call<'_>, terms: &Terms) -> Result<Outcome, Unavailable>;

    /// What the provider has booked for a charge, in the order of the bookings.
    ///
    /// # Errors
    /// It cannot be told now.
    async fn bookings(&self, charge: &str) -> Result<Vec<Booking>, Unavailable>;
}

/// What every call says.
#[derive(Clone, Copy, Debug)]
pub struct Call<'c> {
    /// Names the call; the same for all its repetitions and for no other call.
    pub key: &'c str,
    /// Names the charge.
    pub charge: &'c str,
}

/// The provider did not answer: what it has done is unknown.
#[derive(Debug, thiserror::Error)]
#[error("the payment provider did not answer")]
pub struct Unavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Money that the provider has moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The call that it was moved for.
    pub key: String,
    /// Which way.
    pub kind: Kind,
    /// How much.
    pub amount: Money,
    /// When.
    pub at: Micros,
}

/// Which way money was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Set aside on the card.
    Authorize,
    /// From the card to the shop.
    Capture,
    /// From the shop to the card.
    Refund,
    /// Let go of what was set aside.
    Release,
}
