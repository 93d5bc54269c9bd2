//! Sagas: several services changed as one, without a transaction around them.
//! Each step has an action and a compensation; a saga ends with all of its
//! steps done, or with all that may have been done undone, or it asks a human.
//!
//! A definition reads as a list:
//!
//! ```
//! use durable::saga::{Definition, Failure, Step, StepContext};
//! # #[derive(Clone)] struct Shop;
//! # impl Shop {
//! #     async fn reserve(&self, _: tonic::Request<String>) -> Result<String, tonic::Status> { Ok(String::new()) }
//! # }
//!
//! /// What an order's saga knows.
//! #[derive(Clone, PartialEq, prost::Message)]
//! struct PlaceOrder {
//!     #[prost(string, tag = "1")]
//!     order: String,
//!     #[prost(string, tag = "2")]
//!     reservation: String,
//! }
//!
//! async fn reserve(shop: Shop, step: StepContext, order: PlaceOrder) -> Result<PlaceOrder, Failure> {
//!     let reservation = shop.reserve(step.request(order.order.clone())).await?;
//!     Ok(PlaceOrder { reservation, ..order })
//! }
//! # async fn release(_: Shop, _: StepContext, order: PlaceOrder) -> Result<PlaceOrder, Failure> { Ok(order) }
//! # async fn capture(_: Shop, _: StepContext, order: PlaceOrder) -> Result<PlaceOrder, Failure> { Ok(order) }
//! # async fn refund(_: Shop, _: StepContext, order: PlaceOrder) -> Result<PlaceOrder, Failure> { Ok(order) }
//! # async fn ship(_: Shop, _: StepContext, order: PlaceOrder) -> Result<PlaceOrder, Failure> { Ok(order) }
//!
//! fn place_order(shop: Shop) -> Definition<PlaceOrder, Shop> {
//!     Definition::new("place-order", 1, shop)
//!         .step("reserve", Step::run(reserve).undo(release))
//!         .step("pay", Step::run(capture).undo(refund))
//!         .pivot()
//!         .step("ship", Step::run(ship).without_undo("a parcel comes back as a return"))
//!         .completed(|tx, order| Box::pin(async move {
//!             let sql = "UPDATE shop_order SET state = 'shipped' WHERE id = $1";
//!             tx.execute(sql, durable::params![&order.data.order]).await?;
//!             Ok(())
//!         }))
//! }
//! ```
//!
//! A compensation that was forgotten does not compile:
//!
//! ```compile_fail,E0308
//! # use durable::saga::{Definition, Failure, Step, StepContext};
//! # #[derive(Clone, PartialEq, prost::Message)] struct PlaceOrder {}
//! async fn reserve(_: (), _: StepContext, order: PlaceOrder) -> Result<PlaceOrder, Failure> { Ok(order) }
//!
//! let definition: Definition<PlaceOrder, ()> = Definition::new("place-order", 1, ())
//!     .step("reserve", Step::run(reserve));
//! ```
//!
//! # How it keeps its word
//! The result of a step, the intent of the next and all effects are one commit:
//! n steps take n + 1. An action runs between two of them and outside of any
//! transaction, so it may be repeated after a crash: always under the same
//! [key](StepContext::key), by which its participant knows it. Silence is not a
//! failure: an [unknown](Failure::Unknown) outcome is repeated until it is known
//! or the limit is reached, and then undone with the rest. The compensation may
//! overtake the action, so participants leave a note that refuses latecomers.
//! A compensation that keeps failing, and a step after the pivot that does,
//! leave the saga in [`Status::NeedsAttention`] until somebody calls [`retry`]
//! or [`skip`].

mod change;
mod definition;
mod engine;
mod failure;
mod gauges;
mod grpc;
mod machine;
mod record;
mod registry;
mod retry;
mod script;
mod step;
mod verbs;

use std::{fmt, sync::Arc};

use prost::Message;

use self::{
    record::Note,
    registry::{Beginning, Registry},
    script::Typed,
};
use crate::{
    Error, Store, Tx, crash,
    task::{Kind, NewTask, Worker},
    time,
};

pub(crate) use record::{FINISHED, TABLES, prune, waiting};

pub use definition::Definition;
pub use failure::{Failure, Refusal};
pub use grpc::{Operator, server};
pub use machine::Direction;
pub use record::{Entry, Happening, Record, Status};
pub use retry::Retry;
pub use step::{Action, Instance, Step, StepContext};
pub use verbs::{Refused, cancel, cancel_in, get, history, list, retry, skip, unfinished};

/// Kind of the tasks under sagas; their keys are the sagas' ids.
pub const KIND: &str = "saga";

/// Sagas taken on at once in a process. Most of their time they wait for other
/// services; the commits of so many share their disk writes well.
const CONCURRENCY: usize = 64;

/// The sagas of a service: what they are, and how they are started. One for each
/// store and process; cheap to clone.
#[derive(Clone)]
pub struct Sagas {
    registry: Arc<Registry>,
    worker: Worker,
}

impl Sagas {
    /// Sagas in `store`, taken on by `worker`, which is one of that store. Define
    /// all of them before the worker runs: a saga that nobody defined needs
    /// attention.
    ///
    /// # Panics
    /// When the worker has sagas already.
    #[must_use]
    pub fn new(store: Store, worker: &Worker) -> Self {
        let registry = Arc::new(Registry::default());
        // The engine counts attempts by itself, for each step; it is never buried.
        let kind = Kind::new(KIND).concurrency(CONCURRENCY).attempts(u32::MAX);
        let known = registry.clone();
        let drive = move |lease| engine::drive(store.clone(), known.clone(), lease);
        Self { registry, worker: worker.clone().kind(kind, drive) }
    }

    /// Adds a definition. Several versions of one may be there: new sagas begin
    /// with the newest, the others finish with their own.
    ///
    /// # Panics
    /// When the definition has no steps or two of one name, when it is there
    /// already in this version, or when another one has the same type of data.
    #[must_use]
    pub fn define<D, S>(self, definition: Definition<D, S>) -> Self
    where
        D: Message + Default + Clone + 'static,
        S: Clone + Send + Sync + 'static,
    {
        let (name, version) = (definition.name, definition.version);
        self.registry.add::<D>(name, version, Arc::new(Typed::new(definition)));
        self
    }

    /// Starts a saga with the transaction, of the newest definition over `D`: its
    /// first step begins when that commits, and never when it does not. `false`
    /// when a saga with this id is there, which stays as it is. The id is also
    /// the correlation of all events that the saga appends.
    ///
    /// # Errors
    /// Those of [`Tx::execute`].
    ///
    /// # Panics
    /// When no definition has this type of data.
    pub async fn start<D>(&self, tx: &mut Tx, id: &str, data: &D) -> Result<bool, Error>
    where
        D: Message + 'static,
    {
        let saga = begin(&self.registry.beginning::<D>(), id, data.encode_to_vec(), tx.actor());
        if !record::insert(tx, &saga).await? {
            return Ok(false);
        }
        let started = Note {
            step: String::new(),
            direction: Direction::Do,
            happening: Happening::Started,
            detail: format!("{} version {}", saga.definition, saga.version),
        };
        record::note(tx, id, 0, &[started]).await?;
        self.worker.adopt(tx, NewTask::new(KIND, id)).await?;
        gauges::started(&saga.definition);
        crash::point("saga.started");
        Ok(true)
    }
}

fn begin(beginning: &Beginning, id: &str, data: Vec<u8>, actor: String) -> Record {
    let now = time::now();
    Record {
        id: id.into(),
        definition: beginning.name.to_owned(),
        version: beginning.version,
        status: Status::Running,
        step: beginning.step.to_owned(),
        direction: Direction::Do,
        attempts: 0,
        data,
        refusal: None,
        error: String::new(),
        traceparent: mesh::call::traceparent().unwrap_or_default(),
        actor,
        created: now,
        updated: now,
        skipped: false,
        wish: None,
        revision: 1,
        pivoted: beginning.pivoted,
    }
}

impl fmt::Debug for Sagas {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sagas").finish_non_exhaustive()
    }
}
