//! Events and shortcuts of these tests.

use std::{future::Future, time::Duration};

use durable::{Appended, Error, Expected, NewEvent, Store};
use prost::{Message, Name};

/// An event with a number.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ticked {
    #[prost(int64, tag = "1")]
    pub(crate) id: i64,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) padding: Vec<u8>,
}

impl Name for Ticked {
    const NAME: &'static str = "Ticked";
    const PACKAGE: &'static str = "test";
}

/// An event of another type.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Other {}

impl Name for Other {
    const NAME: &'static str = "Other";
    const PACKAGE: &'static str = "test";
}

/// Either of them.
#[derive(Clone)]
pub(crate) enum Sample {
    Ticked(Ticked),
    Other,
}

pub(crate) fn tick(id: i64) -> Sample {
    Sample::Ticked(Ticked { id, padding: vec![] })
}

pub(crate) fn large(bytes: usize) -> Sample {
    Sample::Ticked(Ticked { id: 0, padding: vec![0; bytes] })
}

pub(crate) fn other() -> Sample {
    Sample::Other
}

pub(crate) fn new_event(sample: &Sample) -> NewEvent {
    match sample {
        Sample::Ticked(ticked) => NewEvent::of(ticked),
        Sample::Other => NewEvent::of(&Other {}),
    }
}

pub(crate) fn decode(data: &[u8]) -> i64 {
    Ticked::decode(data).unwrap().id
}

/// Appends in a transaction of its own.
pub(crate) async fn append(
    store: &Store,
    stream: &str,
    expected: Expected,
    samples: &[Sample],
) -> Result<Appended, Error> {
    let mut tx = store.begin().await?;
    let appended = tx.append(stream, expected, samples.iter().map(new_event).collect()).await?;
    tx.commit().await?;
    Ok(appended)
}

/// Fails a test that would hang.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it happens within a minute")
}
