//! Command handlers as tower services: what every command needs stands around
//! the handler as layers, and the handler is left with the decision.
//!
//! ```
//! use durable::{Error, Store, Tx, command};
//! use tower::{Service, ServiceBuilder};
//!
//! #[derive(Clone)]
//! struct Rename { name: String, title: String }
//!
//! #[derive(Clone)]
//! struct RenameHandler;
//!
//! impl command::Validate for Rename {
//!     type Error = Error;
//!     fn validate(&self) -> Result<(), Error> { Ok(()) }
//! }
//!
//! /// Whoever owns a project may rename it.
//! #[derive(Clone)]
//! struct OwnerOf(Store);
//!
//! impl command::Authorize<Rename> for OwnerOf {
//!     type Error = Error;
//!     async fn authorize(&self, caller: &mesh::Caller, rename: &Rename) -> Result<(), Error> {
//!         let sql = "SELECT owner FROM project WHERE name = $1";
//!         let _row = self.0.query_one(sql, durable::params![&rename.name]).await?;
//!         // Compares with the caller, and refuses with the service's own error.
//!         Ok(())
//!     }
//! }
//!
//! impl command::Handler<Rename> for RenameHandler {
//!     type Answer = ();
//!     type Error = Error;
//!     async fn handle(&self, tx: &mut Tx, command: Rename) -> Result<(), Error> {
//!         let sql = "UPDATE project SET title = $2 WHERE name = $1";
//!         tx.execute(sql, durable::params![command.name, command.title]).await?;
//!         Ok(())
//!     }
//! }
//!
//! fn handler(store: Store) -> impl Service<command::Command<Rename>, Response = (), Error = Error> {
//!     ServiceBuilder::new()
//!         .layer(command::trace())
//!         .layer(command::validate())
//!         .layer(command::authorize(OwnerOf(store.clone())))
//!         .layer(command::transaction(store))
//!         .layer(command::idempotent())
//!         .service(command::handler(RenameHandler))
//! }
//! ```
//!
//! The transaction is handed inward and comes back with the answer, so the
//! answer of an idempotent command commits with its effect. A handler does not
//! call other services: it would hold the transaction, on SQLite the only one,
//! for as long as they take. What it needs of them is asked for before and is a
//! part of the command.

mod authorize;
mod handler;
mod idempotent;
mod trace;
mod transaction;
mod validate;

use mesh::Caller;
use prost::{Message, Name};

use crate::{Tx, digest};

pub use authorize::{Authorize, AuthorizeLayer, Authorized, authorize};
pub use handler::{Handler, HandlerService, handler};
pub use idempotent::{Idempotent, IdempotentLayer, idempotent};
pub use trace::{Trace, TraceLayer, trace};
pub use transaction::{Transaction, TransactionLayer, transaction};
pub use validate::{Validate, ValidateLayer, Validated, validate};

/// Metadata in which a caller names a call that it may repeat.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A command on its way to its handler.
#[derive(Clone, Debug)]
pub struct Command<C> {
    /// What is wanted: plain data.
    pub body: C,
    /// Who wants it.
    pub caller: Caller,
    /// How the caller names it.
    pub key: Option<Key>,
}

/// A name for a call, chosen by the caller, and what was asked under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Full name of the request's message: the same key for another method is
    /// another key.
    pub(crate) command: String,
    pub(crate) text: String,
    /// Fingerprint of the request.
    pub(crate) request: Vec<u8>,
}

/// A command within its transaction.
#[derive(Debug)]
pub struct Work<C> {
    /// What is wanted.
    pub body: C,
    /// Who wants it.
    pub caller: Caller,
    /// How the caller names it.
    pub key: Option<Key>,
    /// Where its effect goes.
    pub tx: Tx,
}

/// An answer with the transaction that it is true in.
#[derive(Debug)]
pub struct Done<R> {
    /// The answer.
    pub answer: R,
    /// The transaction, still to be committed.
    pub tx: Tx,
}

impl<C> Command<C> {
    /// A command of the call that is being handled, which nobody repeats.
    #[must_use]
    pub fn new(body: C) -> Self {
        Self { body, caller: mesh::call::caller(), key: None }
    }

    /// The command that a request asks for, under the request's
    /// `idempotency-key` when it has one.
    #[must_use]
    pub fn of<M: Message + Name>(request: &tonic::Request<M>, body: C) -> Self {
        let text = request.metadata().get(IDEMPOTENCY_KEY);
        let key = text.map(|text| Key {
            command: M::full_name(),
            text: String::from_utf8_lossy(text.as_bytes()).into_owned(),
            request: digest::sha256(&[&request.get_ref().encode_to_vec()]),
        });
        Self { key, ..Self::new(body) }
    }
}
