//! Which messages came packed: the compressed flags that the mesh has seen, in
//! the order of the messages.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// Flags of messages that nobody has asked about yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags(Arc<Mutex<VecDeque<bool>>>);

impl Flags {
    pub(crate) fn note(&self, packed: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(packed);
    }

    /// Whether the next message came packed; `None` when there was none.
    pub(crate) fn next(&self) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
