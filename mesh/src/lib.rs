//! The runtime of a call: everything between a handler and the socket, on both
//! sides, decided from the contract. Knows no business name.

pub mod proto;

/// The mesh's own contracts and what they import, as an encoded
/// `google.protobuf.FileDescriptorSet` with options and comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
