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
        let mut ring = self.read().await?;
        if self.advance(&ring.terms, now).await? {
            // Read back: another replica may have been first.
            ring = self.read().await?;
        }
        self.ring.store(Arc::new(ring));
        Ok(())
    }

    /// Returns whether it changed the stored keys.
    async fn advance(&self, terms: &[Term], now: Micros) -> Result<bool, Error> {
        let next = self.rotation.next(terms, now);
        if let Some(term) = next {
            let key = SigningKey::generate()?;
            self.store.add_key(term, key.to_pkcs8()).await?;
            tracing::info!(number = term.number, "made a signing key");
        }
        let dead = self.rotation.first_needed(terms, now);
        let dead = dead.filter(|first| terms.first().is_some_and(|term| term.number < *first));
        if let Some(first) = dead {
            self.store.delete_keys_before(first).await?;
        }
        Ok(next.is_some() || dead.is_some())
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
