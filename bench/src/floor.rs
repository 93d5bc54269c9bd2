//! The floor: the same generated stubs on the `h2` crate with nothing between,
//! on both ends. No balancing, no deadline, no limit, no metric; it carries unary
//! calls and nothing else. A mesh that costs as much would have all its features
//! for free.

mod client;
mod server;

pub(crate) use self::{client::connect, server::serve};

/// The windows of the mesh, so that the floor sends no more updates than it.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
