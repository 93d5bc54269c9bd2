//! The log of a service: events in the order in which their transactions
//! committed. It is event store, outbox and feed at once.
//!
//! An event is appended through the transaction of the state that it tells of;
//! there is no way to publish one outside of a transaction.

mod append;
mod event;
mod history;
mod read;
mod retention;
mod sequencer;
mod signal;
mod tail;
mod watch;

use tokio::task::AbortHandle;

pub use append::{Appended, Expected, NewEvent};
pub(crate) use append::{Appends, BATCHES, FUNCTION as APPEND};
pub use event::Event;
pub(crate) use event::{METADATA, reference};
pub use history::history;
pub(crate) use read::{Limit, Matching, end, read};
pub(crate) use retention::{PIECE, had, reach, remove, rest};
pub(crate) use sequencer::FUNCTION as NUMBER;
pub(crate) use signal::Signal;
pub(crate) use tail::{Shared, Tail};

use crate::store::{Engine, Inner};

/// Largest event, in bytes. A batch of a feed holds one at least, and gRPC
/// clients refuse messages of more than 4 MiB unless told otherwise.
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// Starts what keeps the feed of a store awake.
pub(crate) fn tasks(store: &Inner) -> Vec<AbortHandle> {
    let signal = store.signal.clone();
    let task = match &store.engine {
        Engine::Sqlite(sqlite) => {
            tokio::spawn(watch::run(sqlite.readers.clone(), signal)).abort_handle()
        }
        Engine::Postgres(postgres) => {
            tokio::spawn(sequencer::run(postgres.background().clone(), signal)).abort_handle()
        }
    };
    vec![task]
}
