//! The runtime of a call: everything between a handler and the socket, on both
//! sides, decided from the contract. Knows no business name.
//!
//! A process is an [`App`]; it serves [`Routes`] through a [`Server`] and calls
//! others through [`Channel`]s. What a handler needs to know of its call is in
//! [`call`]; how it refuses is in [`status`].

mod access;
mod admin;
mod app;
mod atomic;
mod backoff;
pub mod call;
mod channel;
pub mod compression;
mod compute;
pub mod contract;
mod criticality;
pub mod deadline;
pub mod drain;
pub mod fallback;
mod gather;
pub mod identity;
mod keepalive;
mod listen;
pub mod mask;
mod member;
pub mod metrics;
pub mod net;
pub mod proto;
pub mod reflection;
mod registrar;
mod resolver;
mod server;
pub mod settings;
pub mod signal;
pub mod status;
mod telemetry;
pub mod testing;
mod trace;
pub mod validate;
pub mod workers;

pub use app::App;
pub use backoff::Backoff;
pub use call::{Caller, User};
pub use channel::{Channel, Forwarded, LastGoodChannel, Outgoing, ResponseBody};
pub use compute::compute;
pub use criticality::Criticality;
pub use listen::listen;
pub use member::Member;
pub use resolver::registry::{Instances, Registry};
pub use server::{RequestBody, Routes, ServeError, Server};
pub use settings::{Settings, SettingsError};
pub use telemetry::{metrics::resident_bytes, request::RequestSpan};
pub use workers::Workers;

/// The mesh's own contracts and what they import, as an encoded
/// `google.protobuf.FileDescriptorSet` with options and comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
