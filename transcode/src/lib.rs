//! Between HTTP with JSON and protobuf: a descriptor pool is compiled, once, into
//! programs that turn JSON into protobuf bytes and back in one pass over bytes,
//! without a tree in between. Pure: no I/O, no async, no clock, and descriptors
//! are looked at only while compiling.

mod base64;
pub mod bind;
mod cursor;
mod error;
mod field_mask;
mod number;
mod options;
mod path;
pub mod percent;
mod place;
mod program;
mod query;
mod read;
pub mod route;
pub mod routes;
mod schema;
pub mod template;
mod time;
mod violation;
mod wire;
mod write;

pub use error::{JsonError, Problem, Reason, WireError, WireProblem};
pub use options::{Limits, ReadOptions, WriteOptions};
pub use path::FieldPath;
pub use query::QueryLimits;
pub use schema::{CompileError, MessageId, Schema};
pub use violation::{MAX_VIOLATIONS, Violation};
