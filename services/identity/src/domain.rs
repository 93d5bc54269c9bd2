//! People who may sign in, their sessions, and when keys and patience change.
//! Pure: time, ids and random bytes come in as arguments.

pub mod attempts;
pub mod rotation;
pub mod secret;
pub mod session;
pub mod user;

/// A time in microseconds since 1970, UTC: what both databases keep.
pub type Micros = i64;

/// A span of time in the same unit.
pub(crate) fn micros(duration: std::time::Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}
