//! A jar that never holds less than nothing: the aggregate of these tests.

use durable::{
    Error, Event, NewEvent,
    aggregate::{Aggregate, Snapshots},
};
use prost::{Message, Name};

/// Holds a number of things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Jar {
    held: i64,
}

/// What happens to jars.
#[derive(Clone, Debug)]
pub(crate) enum Happened {
    Opened,
    Added(i64),
    Taken(i64),
}

/// There are not that many in it.
#[derive(Debug, thiserror::Error)]
#[error("there are not that many in it")]
pub(crate) struct Empty;

impl Jar {
    pub(crate) fn holding(held: i64) -> Self {
        Jar { held }
    }

    pub(crate) fn add(&self, amount: i64) -> Result<Vec<Happened>, Empty> {
        Ok(vec![Happened::Added(amount)])
    }

    /// Taking nothing is no event.
    pub(crate) fn take(&self, amount: i64) -> Result<Vec<Happened>, Empty> {
        match amount {
            0 => Ok(vec![]),
            _ if amount > self.held => Err(Empty),
            _ => Ok(vec![Happened::Taken(amount)]),
        }
    }
}

macro_rules! message {
    ($name:ident $($field:ident)?) => {
        #[derive(Clone, PartialEq, Message)]
        pub(crate) struct $name {
            $(#[prost(int64, tag = "1")] pub(crate) $field: i64,)?
        }

        impl Name for $name {
            const NAME: &'static str = stringify!($name);
            const PACKAGE: &'static str = "jars";
        }
    };
}

message!(Opened);
message!(Added amount);
message!(Taken amount);
// How adding was written once.
message!(AddedDozens dozens);

impl Aggregate for Jar {
    type Event = Happened;

    fn begin(first: &Happened) -> Option<Self> {
        matches!(first, Happened::Opened).then_some(Jar { held: 0 })
    }

    fn evolve(&mut self, event: &Happened) {
        match event {
            Happened::Opened => {}
            Happened::Added(amount) => self.held += amount,
            Happened::Taken(amount) => self.held -= amount,
        }
    }

    fn encode(event: &Happened) -> NewEvent {
        match event {
            Happened::Opened => NewEvent::of(&Opened {}),
            Happened::Added(amount) => NewEvent::of(&Added { amount: *amount }),
            Happened::Taken(amount) => NewEvent::of(&Taken { amount: *amount }),
        }
    }

    fn decode(event: &Event) -> Result<Option<Happened>, Error> {
        if event.is::<Opened>() {
            return Ok(Some(Happened::Opened));
        }
        if let Some(added) = event.decode::<Added>()? {
            return Ok(Some(Happened::Added(added.amount)));
        }
        if let Some(added) = event.decode::<AddedDozens>()? {
            return Ok(Some(Happened::Added(12 * added.dozens)));
        }
        Ok(event.decode::<Taken>()?.map(|taken| Happened::Taken(taken.amount)))
    }
}

/// A jar of which a snapshot is kept every four events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptJar(pub(crate) Jar);

impl Aggregate for KeptJar {
    type Event = Happened;

    const SNAPSHOTS: Option<Snapshots<Self>> = Some(Snapshots {
        every: 4,
        form: 1,
        write: |jar| jar.0.held.to_be_bytes().to_vec(),
        read: |bytes| {
            let held = i64::from_be_bytes(bytes.try_into().ok()?);
            Some(KeptJar(Jar { held }))
        },
    });

    fn begin(first: &Happened) -> Option<Self> {
        Jar::begin(first).map(KeptJar)
    }

    fn evolve(&mut self, event: &Happened) {
        self.0.evolve(event);
    }

    fn encode(event: &Happened) -> NewEvent {
        Jar::encode(event)
    }

    fn decode(event: &Event) -> Result<Option<Happened>, Error> {
        Jar::decode(event)
    }
}
