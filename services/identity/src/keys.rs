//! The signing keys in use, read from the database from time to time so that
//! all replicas sign with the same and publish the same.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mesh::{
    identity::{Claims, SigningKey},
    proto::JsonWebKey,
};

use crate::{
    domain::{
        Micros,
        rotation::{Rotation, Term},
    },
    error::Error,
    store::Store,
};

/// The keys and their rule.
pub(crate) struct Keys {
    store: Store,
    rotation: Rotation,
    ring: ArcSwap<Ring>,
}

/// Keys in the order of their terms, one for each.
#[derive(Default)]
struct Ring {
    terms: Vec<Term>,
    keys: Vec<Arc<SigningKey>>,
}

impl Keys {
    pub(crate) fn new(store: Store, rotation: Rotation) -> Self {
        Self { store, rotation, ring: ArcSwap::default() }
    }

    /// Makes the next key and forgets dead ones when it is time, and reads what
    /// other replicas made. To be called far more often than a key's lead.
    pub(crate) async fn rotate(&self, now: Micros) -> Result<(), Error> {
        let ring = self.read().await?;
        if let Some(term) = self.rotation.next(&ring.terms, now) {
            let key = SigningKey::generate()?;
            self.store.add_key(term, key.to_pkcs8()).await?;
            tracing::info!(number = term.number, "made a signing key");
        }
        if let Some(first) = self.rotation.first_needed(&ring.terms, now) {
            self.store.delete_keys_before(first).await?;
        }
        // Read back: another replica may have been first.
        self.ring.store(Arc::new(self.read().await?));
        Ok(())
    }

    async fn read(&self) -> Result<Ring, Error> {
        let mut ring = Ring::default();
        for stored in self.store.keys().await? {
            ring.terms.push(stored.term);
            ring.keys.push(Arc::new(SigningKey::from_pkcs8(&stored.pkcs8)?));
        }
        Ok(ring)
    }

    /// Signs with the current key.
    pub(crate) fn sign(&self, claims: &Claims, now: Micros) -> Result<String, Error> {
        let ring = self.ring.load();
        let current = Rotation::current(&ring.terms, now).ok_or(Error::NoKey)?;
        Ok(ring.keys[current].sign(claims))
    }

    /// The public keys: current, next, and those whose tokens still live.
    pub(crate) fn public(&self) -> Vec<JsonWebKey> {
        self.ring.load().keys.iter().map(|key| key.public()).collect()
    }
}
