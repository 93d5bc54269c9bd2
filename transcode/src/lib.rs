//! Between HTTP with JSON and protobuf: a descriptor pool is compiled, once, into
//! programs that turn JSON into protobuf bytes and back in one pass over bytes,
//! without a tree in between. Pure: no I/O, no async, no clock, and descriptors
//! are looked at only while compiling.

mod options;
pub mod percent;
pub mod route;
pub mod template;

pub use options::{Limits, ReadOptions, WriteOptions};
