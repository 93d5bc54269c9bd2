//! HTTP and JSON to RPC, clause by clause: what google/api/http.proto and AIP-127
//! say, and what this transcoder decides where they are silent. The clauses stand
//! beside their tests in quotes; docs/transcoding.md compares with others.

#![allow(clippy::unwrap_used, missing_docs)]

mod contracts;
mod fuzz;
mod request;
mod response;
mod route;
mod rule;
mod template;
