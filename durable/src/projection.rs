//! Projections: tables that are a fold of the log. They can be thrown away and
//! made again, and while they are made again the old ones answer.
//!
//! ```no_run
//! use durable::{Error, Event, Store, params, projection::{Projection, Projector, Table, Writer}};
//!
//! /// How often each stream was written to.
//! struct Counts;
//!
//! impl Projection for Counts {
//!     const NAME: &'static str = "counts";
//!     const VERSION: i64 = 1;
//!     const TABLES: &'static [Table] = &[Table {
//!         name: "counts",
//!         columns: "stream {text} PRIMARY KEY, events {bigint} NOT NULL",
//!         indexes: &["events"],
//!     }];
//!
//!     async fn apply(&self, into: &mut Writer<'_>, events: &[Event]) -> Result<(), Error> {
//!         for event in events {
//!             let sql = "INSERT INTO {counts} (stream, events) VALUES ($1, 1)
//!                 ON CONFLICT (stream) DO UPDATE SET events = {counts}.events + 1";
//!             into.execute(sql, params![&event.stream]).await?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # async fn example(store: Store) -> Result<(), Error> {
//! let counts = Projector::open(&store, Counts).await?;
//! tokio::spawn(counts.clone().run());
//! // A query names the table as if there were only one of it.
//! store.query("SELECT stream FROM counts WHERE events > $1", params![10]).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Each version of a projection has tables of its own, `counts_1`, `counts_2`, …,
//! and a view `counts` that leads to those that are live. A new version is
//! projected beside the live one; when it has caught up, one transaction turns
//! the view and drops the old tables. Queries name their columns, so that a
//! version that adds some does not disturb them.

mod follow;
mod generation;
mod immediate;
mod wait;
mod writer;

use std::{fmt, future::Future, sync::Arc};

use tokio::sync::Notify;

use crate::{Error, Event, Store};

pub use generation::Progress;
pub(crate) use generation::TABLES as GENERATIONS;
pub(crate) use immediate::Immediate;
pub use writer::Writer;

/// A read model: what its tables hold is a function of the events of the log and
/// their order, and of nothing else. No clock, no randomness, no other tables.
pub trait Projection: Send + Sync + 'static {
    /// Its name, unique in the store.
    const NAME: &'static str;

    /// Raised whenever the tables or what `apply` makes of events change; the
    /// tables are then made anew from the first event.
    const VERSION: i64;

    /// Its tables.
    const TABLES: &'static [Table];

    /// Whether it is also applied in the transaction of the append, through
    /// [`Repository::project`](crate::aggregate::Repository::project), so that
    /// who has seen the answer of a command finds its effect. It then sees the
    /// events of one stream in their order, and those of different streams in
    /// any, so what it holds of one stream must not depend on another's. What a
    /// program appends that does not know of it, or knows another version of it,
    /// is found in the log a moment later.
    const IMMEDIATE: bool = false;

    /// The events that it wants, by the full names of their messages; all of
    /// them unless stated.
    fn types(&self) -> Vec<String> {
        Vec::new()
    }

    /// Takes events into the tables. Everything written goes through `into`, and
    /// commits with the note that it was done. Never called twice for an event
    /// on the same tables.
    ///
    /// # Errors
    /// Nothing of the batch is applied then, and it is tried again: an event is
    /// never skipped.
    fn apply(
        &self,
        into: &mut Writer<'_>,
        events: &[Event],
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// A table of a projection.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// How queries name it, and how `apply` does in braces: `{entries}`.
    pub name: &'static str,
    /// Its columns and constraints, with the types of
    /// [`Sql`](crate::Sql): `account {text} NOT NULL, …`.
    pub columns: &'static str,
    /// The columns of each of its indexes: `account, time`.
    pub indexes: &'static [&'static str],
}

/// A projection in a store: keeps its tables up to date, makes them anew, and
/// lets queries wait for what they must see. Clones share one place.
pub struct Projector<P> {
    shared: Arc<Shared<P>>,
}

struct Shared<P> {
    store: Store,
    projection: P,
    /// Rung when this process has projected something.
    moved: Notify,
    /// Rung when there is a generation to build.
    asked: Notify,
}

impl<P: Projection> Projector<P> {
    /// Makes the tables when this version has none yet: live ones if there are
    /// no others, or else ones that [`Projector::run`] fills beside them.
    ///
    /// # Errors
    /// When the database cannot be reached or refuses the tables.
    pub async fn open(store: &Store, projection: P) -> Result<Self, Error> {
        generation::prepare::<P>(store).await?;
        let (moved, asked) = (Notify::new(), Notify::new());
        Ok(Self { shared: Arc::new(Shared { store: store.clone(), projection, moved, asked }) })
    }

    /// Makes the tables anew beside the live ones, from the first event on; done
    /// by whichever process runs this projection. Asked for again before that,
    /// it goes on. The live tables answer meanwhile, and stay up to date.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn rebuild(&self) -> Result<(), Error> {
        generation::rebuild::<P>(&self.shared.store).await?;
        self.shared.asked.notify_one();
        Ok(())
    }

    /// How far the tables are.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn progress(&self) -> Result<Progress, Error> {
        generation::progress::<P>(&self.shared.store).await
    }
}

impl<P> Clone for Projector<P> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<P: Projection> fmt::Debug for Projector<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Projector");
        debug.field("name", &P::NAME).field("version", &P::VERSION).finish_non_exhaustive()
    }
}
