//! gRPC's interoperability tests on the mesh: the [`server`] that every
//! implementation's client can test itself against, and the [`client`] that runs
//! the cases against every implementation's server.
//!
//! The cases are those of "Interoperability Test Case Descriptions" in gRPC's own
//! documentation, without the ones that need a cloud or TLS.

pub mod client;
mod packing;
pub mod proto;
pub mod server;

/// The contracts as an encoded `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
