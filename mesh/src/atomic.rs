//! The atomics of the lock-free parts of a call. Under the feature `loom` they are
//! loom's, which tries every order of every access (`make loom`).

#[cfg(not(feature = "loom"))]
pub(crate) use std::sync::atomic::*;

#[cfg(feature = "loom")]
pub(crate) use loom::sync::atomic::*;
