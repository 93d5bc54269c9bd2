//! What a server bears from those who connect to it, and what it does not.
#![allow(clippy::unwrap_used)]

mod consumers;
mod floods;
mod lifetime;
mod peer;
