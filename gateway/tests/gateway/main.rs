//! The edge through its public boundary: contracts in, requests in, answers out.

mod contracts;
mod errors;
mod schema;
mod transcode_request;
mod transcode_response;
