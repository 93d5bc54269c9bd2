//! Event sourcing: the state of an aggregate is the fold of the events of its
//! stream, and a decision is written as more events, at the version that it was
//! made on.
//!
//! ```
//! use durable::{Error, Event, NewEvent, aggregate::{Aggregate, Failure, Repository}};
//!
//! /// The domain: pure. `decide` looks at the state and answers events.
//! #[derive(Clone, Debug)]
//! struct Door { open: bool }
//!
//! #[derive(Debug, thiserror::Error)]
//! #[error("it is open already")]
//! struct Refusal;
//!
//! enum Happened { Built, Opened }
//!
//! impl Door {
//!     fn open(&self) -> Result<Vec<Happened>, Refusal> {
//!         if self.open { Err(Refusal) } else { Ok(vec![Happened::Opened]) }
//!     }
//! }
//!
//! # #[derive(Clone, PartialEq, prost::Message)] struct DoorBuilt {}
//! # impl prost::Name for DoorBuilt { const NAME: &'static str = "DoorBuilt"; const PACKAGE: &'static str = "doors"; }
//! # #[derive(Clone, PartialEq, prost::Message)] struct DoorOpened {}
//! # impl prost::Name for DoorOpened { const NAME: &'static str = "DoorOpened"; const PACKAGE: &'static str = "doors"; }
//! /// The store: how the domain's events stand in the log.
//! impl Aggregate for Door {
//!     type Event = Happened;
//!
//!     fn begin(first: &Happened) -> Option<Self> {
//!         matches!(first, Happened::Built).then_some(Door { open: false })
//!     }
//!
//!     fn evolve(&mut self, event: &Happened) {
//!         match event {
//!             Happened::Built => {}
//!             Happened::Opened => self.open = true,
//!         }
//!     }
//!
//!     fn encode(event: &Happened) -> NewEvent {
//!         match event {
//!             Happened::Built => NewEvent::of(&DoorBuilt {}),
//!             Happened::Opened => NewEvent::of(&DoorOpened {}),
//!         }
//!     }
//!
//!     fn decode(event: &Event) -> Result<Option<Happened>, Error> {
//!         if event.decode::<DoorBuilt>()?.is_some() {
//!             return Ok(Some(Happened::Built));
//!         }
//!         Ok(event.decode::<DoorOpened>()?.map(|_| Happened::Opened))
//!     }
//! }
//!
//! async fn open(doors: &Repository<Door>) -> Result<(), Failure<Refusal>> {
//!     let door = doors.update("doors/front", |door| door.state.open()).await?;
//!     assert!(door.state.open);
//!     Ok(())
//! }
//! ```

mod history;
mod repository;
mod snapshot;

use crate::{Error, Event, NewEvent};

pub(crate) use history::of_stream;
pub use repository::Repository;
pub(crate) use snapshot::TABLE as SNAPSHOTS;

/// A domain type whose state is the fold of its events. Implemented where a
/// service keeps its data, so that the domain itself knows nothing of logs.
pub trait Aggregate: Clone + Send + Sync + 'static {
    /// What can happen to it.
    type Event: Send + Sync + 'static;

    /// When and how its state is kept, so that long streams need not be folded
    /// from their beginning. `None` unless stated, which suits streams that end
    /// after some hundred events.
    const SNAPSHOTS: Option<Snapshots<Self>> = None;

    /// The state after the first event of a stream; `None` when no stream can
    /// begin with it.
    fn begin(first: &Self::Event) -> Option<Self>;

    /// Takes in one more event. Refuses nothing: the event has happened.
    fn evolve(&mut self, event: &Self::Event);

    /// The event as it is written. Always in its newest form.
    fn encode(event: &Self::Event) -> NewEvent;

    /// The event as it was written, in any form that ever was: the place where
    /// old events become today's. `None` for a type that never was one of them.
    ///
    /// # Errors
    /// When it cannot be decoded.
    fn decode(event: &Event) -> Result<Option<Self::Event>, Error>;
}

/// How the state of an aggregate is kept beside its events. A snapshot is a
/// cache: with another `form`, or when it cannot be read, the events are folded.
#[derive(Clone, Copy, Debug)]
pub struct Snapshots<A> {
    /// Written with the append that passes a multiple of this many events.
    pub every: i64,
    /// Changed whenever the bytes, or what `evolve` makes of events, change.
    pub form: i64,
    /// The state as bytes.
    pub write: fn(&A) -> Vec<u8>,
    /// The state of bytes that `write` made; `None` when they are of no use.
    pub read: fn(&[u8]) -> Option<A>,
}

/// The state of an aggregate and where its stream was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded<A> {
    /// The fold of its events.
    pub state: A,
    /// The version of the last of them. Changes with every change, so it makes
    /// a good etag; with the name of the stream, it is what a query waits for.
    pub version: i64,
}

/// Why an aggregate did not change.
#[derive(Debug, thiserror::Error)]
pub enum Failure<R> {
    /// There is no such aggregate.
    #[error("there is no such aggregate")]
    Missing,
    /// It said no.
    #[error(transparent)]
    Refused(R),
    /// The store failed, or others kept changing it first.
    #[error(transparent)]
    Store(#[from] Error),
}
