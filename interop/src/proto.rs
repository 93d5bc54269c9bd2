//! Package `grpc.testing`, generated.
#![allow(
    unreachable_pub,
    missing_docs,
    clippy::large_futures,
    reason = "generated from contracts that others wrote"
)]

tonic::include_proto!("grpc.testing");
