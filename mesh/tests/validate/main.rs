//! `mesh::validate` against contracts that are written here.
#![allow(clippy::unwrap_used, reason = "tests")]

mod contract;
mod differential;
mod presence;
mod refused;
mod requirements;
mod rules;
mod wire;
