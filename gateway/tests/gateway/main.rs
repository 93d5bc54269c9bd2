//! The edge through its public boundary: contracts in, requests in, answers out.
#![allow(clippy::unwrap_used)]

mod contracts;
mod document;
mod edge_discovery;
mod edge_grpc;
mod edge_http;
mod edge_rest;
mod edge_streams;
mod errors;
mod films;
mod http1;
mod library;
mod schema;
mod transcode_request;
