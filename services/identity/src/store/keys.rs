//! Signing keys as rows. They stand in the database as PKCS#8, readable by
//! whoever reads the database: it is as secret as the keys.

use durable::params;

use super::Store;
use crate::{domain::rotation::Term, error::Error};

/// A signing key and its term.
pub(crate) struct StoredKey {
    pub(crate) term: Term,
    pub(crate) pkcs8: Vec<u8>,
}

impl Store {
    /// All keys in the order of their terms.
    pub(crate) async fn keys(&self) -> Result<Vec<StoredKey>, Error> {
        let sql = "SELECT number, begins, pkcs8 FROM signing_keys ORDER BY number";
        let rows = self.db.query(sql, params![]).await?;
        let keys = rows.iter().map(|row| {
            let term = Term { number: row.get("number")?, begins: row.get("begins")? };
            Ok(StoredKey { term, pkcs8: row.get("pkcs8")? })
        });
        keys.collect()
    }

    /// Adds a key unless another replica has added one of this number.
    pub(crate) async fn add_key(&self, term: Term, pkcs8: &[u8]) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        tx.execute(
            "INSERT INTO signing_keys (number, begins, pkcs8) VALUES ($1, $2, $3)
             ON CONFLICT (number) DO NOTHING",
            params![term.number, term.begins, pkcs8],
        )
        .await?;
        Ok(tx.commit().await?)
    }

    /// Forgets the keys before a number.
    pub(crate) async fn delete_keys_before(&self, number: i64) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        tx.execute("DELETE FROM signing_keys WHERE number < $1", params![number]).await?;
        Ok(tx.commit().await?)
    }
}
