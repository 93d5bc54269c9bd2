//! The edge.
pub mod error;
pub mod route;
pub mod schema;
pub mod transcode;
