//! Ed25519 keys of access tokens: the private one that signs, and the set of
//! public ones that verify. Key ids are thumbprints (RFC 7638), so that a key has
//! the same id wherever it is read.

use std::{collections::HashMap, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ED25519, ED25519_PUBLIC_KEY_LEN, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};

use crate::proto::JsonWebKey;

/// Most keys that are read from a key set. An issuer publishes three: the one
/// before, the current and the next.
const MAX_KEYS: usize = 64;

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The bytes are no PKCS#8 document of an Ed25519 key pair (RFC 5958).
    #[error("not an Ed25519 key in PKCS#8: {0}")]
    Pkcs8(ring::error::KeyRejected),
    /// The operating system has no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
}

/// A private key that signs access tokens.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
    kid: String,
}

impl SigningKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        Self::from_pkcs8(pkcs8.map_err(|_| KeyError::Random)?.as_ref())
    }

    /// Reads a key that [`SigningKey::to_pkcs8`] wrote.
    ///
    /// # Errors
    /// [`KeyError::Pkcs8`].
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(KeyError::Pkcs8)?;
        let kid = thumbprint(&encode(pair.public_key()));
        Ok(Self { pair, pkcs8: pkcs8.to_vec(), kid })
    }

    /// The key as a PKCS#8 document: a secret.
    #[must_use]
    pub fn to_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The id that tokens name the key by.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half (RFC 8037 §2).
    #[must_use]
    pub fn public(&self) -> JsonWebKey {
        JsonWebKey {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            kid: self.kid.clone(),
            x: encode(self.pair.public_key()),
            alg: "EdDSA".to_owned(),
            r#use: "sig".to_owned(),
        }
    }

    pub(super) fn signature(&self, message: &[u8]) -> impl AsRef<[u8]> + use<> {
        self.pair.sign(message)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Public keys by their id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: HashMap<String, [u8; ED25519_PUBLIC_KEY_LEN]>,
}

impl KeySet {
    /// Reads a key set. Keys of another kind are passed over (RFC 7517 §5).
    #[must_use]
    pub fn new(keys: &[JsonWebKey]) -> Self {
        let keys =
            keys.iter().take(MAX_KEYS).filter_map(|key| Some((key.kid.clone(), usable(key)?)));
        Self { keys: keys.collect() }
    }

    /// Whether the set has a key of this id.
    #[must_use]
    pub fn contains(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// Whether the set has no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether the key `kid`, if there is one, made this signature.
    pub(super) fn verifies(&self, kid: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        let key = UnparsedPublicKey::new(&ED25519, self.keys.get(kid)?);
        Some(key.verify(message, signature).is_ok())
    }
}

/// The bytes of a key that may verify access tokens.
fn usable(key: &JsonWebKey) -> Option<[u8; ED25519_PUBLIC_KEY_LEN]> {
    let ours = key.kty == "OKP"
        && key.crv == "Ed25519"
        && matches!(key.alg.as_str(), "" | "EdDSA")
        && matches!(key.r#use.as_str(), "" | "sig")
        && !key.kid.is_empty();
    let bytes = ours.then(|| URL_SAFE_NO_PAD.decode(&key.x).ok())??;
    bytes.try_into().ok()
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// RFC 7638 §3 with the members that RFC 8037 §2 names for an OKP key. `x` is
/// base64url and needs no escapes.
fn thumbprint(x: &str) -> String {
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    encode(digest(&SHA256, canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037() {
        assert_eq!(
            thumbprint("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn the_signature_is_that_of_rfc_8037() {
        let set = KeySet::new(&[JsonWebKey {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            kid: "rfc".to_owned(),
            x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned(),
            ..JsonWebKey::default()
        }]);
        let signature = URL_SAFE_NO_PAD
            .decode(concat!(
                "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt",
                "9g7sVvpAr_MuM0KAg"
            ))
            .unwrap();
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        assert_eq!(set.verifies("rfc", message, &signature), Some(true));
        assert_eq!(set.verifies("rfc", b"another", &signature), Some(false));
        assert_eq!(set.verifies("other", message, &signature), None);
    }

    #[test]
    fn a_key_survives_being_written_down() {
        let key = SigningKey::generate().unwrap();
        let read = SigningKey::from_pkcs8(key.to_pkcs8()).unwrap();
        assert_eq!(read.public(), key.public());
        assert!(SigningKey::from_pkcs8(&key.to_pkcs8()[1..]).is_err());
    }

    #[test]
    fn a_private_key_is_not_printed() {
        let key = SigningKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey {{ kid: {:?}, .. }}", key.kid()));
    }

    #[test]
    fn keys_of_another_kind_are_passed_over() {
        let good = SigningKey::generate().unwrap().public();
        for other in [
            JsonWebKey { kty: "RSA".to_owned(), ..good.clone() },
            JsonWebKey { crv: "X25519".to_owned(), ..good.clone() },
            JsonWebKey { alg: "HS256".to_owned(), ..good.clone() },
            JsonWebKey { r#use: "enc".to_owned(), ..good.clone() },
            JsonWebKey { kid: String::new(), ..good.clone() },
            JsonWebKey { x: "AAAA".to_owned(), ..good.clone() },
            JsonWebKey { x: "not base64!".to_owned(), ..good.clone() },
        ] {
            assert!(KeySet::new(&[other]).is_empty());
        }
        assert!(KeySet::new(std::slice::from_ref(&good)).contains(&good.kid));
    }
}
