//! What this process works on, or is about to: the other half of each row that
//! has its name as owner.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, task::AbortHandle};

/// Kind, key and epoch of a claim.
pub(super) type Claim = (String, String, i64);

/// The claims of this process.
#[derive(Default)]
pub(super) struct Held {
    claims: Mutex<HashMap<Claim, Option<AbortHandle>>>,
    /// Rung by the first claim: without one there is nothing to prove.
    taken: Notify,
    /// Rung by the end of the last one.
    emptied: Notify,
}

impl Held {
    /// Holds a claim from before its commit until whoever got it is done with it.
    pub(super) fn hold(self: &Arc<Self>, claim: Claim) -> Hold {
        self.lock().insert(claim.clone(), None);
        self.taken.notify_one();
        Hold { held: self.clone(), claim }
    }

    /// Notes how the work on a claim is stopped, unless it is done already.
    pub(super) fn working(&self, claim: &Claim, abort: AbortHandle) {
        if let Some(entry) = self.lock().get_mut(claim) {
            *entry = Some(abort);
        }
    }

    pub(super) fn contains(&self, claim: &Claim) -> bool {
        self.lock().contains_key(claim)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(super) async fn until_taken(&self) {
        while self.is_empty() {
            self.taken.notified().await;
        }
    }

    pub(super) async fn until_empty(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Stops all work, wherever it waits next.
    pub(super) fn abort_all(&self) {
        // Outside of the lock: what is dropped may want it.
        let aborts: Vec<AbortHandle> = self.lock().values().flatten().cloned().collect();
        for abort in aborts {
            abort.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Claim, Option<AbortHandle>>> {
        // Nothing that holds it can panic halfway through a change.
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A claim, for as long as it lives.
pub(super) struct Hold {
    held: Arc<Held>,
    pub(super) claim: Claim,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut claims = self.held.lock();
        claims.remove(&self.claim);
        if claims.is_empty() {
            self.held.emptied.notify_waiters();
        }
    }
}
