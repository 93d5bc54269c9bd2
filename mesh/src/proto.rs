//! Package `titan.mesh.v1`, generated: options, registry, feed, keys, sagas, supervisor, tasks.
#![allow(unreachable_pub, clippy::large_futures, reason = "generated")]

tonic::include_proto!("titan.mesh.v1");
