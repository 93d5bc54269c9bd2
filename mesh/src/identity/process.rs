//! How processes of the mesh prove their name to each other on one machine,
//! where there is no TLS between them: a header with the name, an end and an
//! HMAC-SHA256 under a key that all of them were started with.
//!
//! `titan-service: v1.<name>.<unix second of its end>.<base64url of the MAC>`
//!
//! Who can read the traffic can repeat a proof until its end, and who has the
//! key can be anyone: this tells the processes of one machine from its other
//! users and keeps an outside caller from naming himself a service. Between
//! machines it takes mTLS.

use std::{fmt, fs, io, path::Path, sync::Arc};

use arc_swap::ArcSwapOption;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue};
use ring::hmac;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::{cache::Cache, wall::Wall};
use crate::status;

/// The header that carries a proof. An edge removes it from what comes from
/// outside.
pub const HEADER: HeaderName = HeaderName::from_static("titan-service");

/// How long a proof is good. Minted anew at half of it, so that one is never
/// refused for having been under way.
pub const PROOF_LIFETIME_SECS: u64 = 120;

/// How far the prover's clock may be ahead of ours.
const CLOCK_SKEW_SECS: u64 = 60;

/// 256 bits, as long as the MAC; a shorter key would be its weakest part.
const MIN_KEY_BYTES: usize = 32;

/// Longest key file that is read; the key has 64 characters.
const MAX_FILE_BYTES: usize = 4096;

/// Longest proof that is looked at: version, name, end and MAC have at most 130.
const MAX_PROOF_BYTES: usize = 160;

/// Longest name of an application, that of a DNS label.
const MAX_NAME_BYTES: usize = 63;

/// Proofs that are remembered as verified: one for each process that calls us,
/// and its predecessor.
const REMEMBERED_PROOFS: usize = 256;

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MeshKeyError {
    /// It cannot be read.
    #[error("the mesh key cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It holds something else than hexadecimal digits.
    #[error("the mesh key is not written in hexadecimal digits")]
    NotHex,
    /// The key is too short.
    #[error("the mesh key has {0} bytes; it needs {MIN_KEY_BYTES}")]
    Short(usize),
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It is not of the form that this version reads.
    #[error("the proof of the calling service is malformed")]
    Malformed,
    /// It has ended, or claims to live longer than any proof does.
    #[error("the proof of the calling service is out of its time")]
    OutOfTime,
    /// It was made with another key, or changed under way.
    #[error("the proof of the calling service was made with another key")]
    Forged,
}

impl From<ProofError> for Status {
    fn from(error: ProofError) -> Self {
        status::refuse(Code::Unauthenticated, "SERVICE_PROOF_INVALID", error.to_string())
    }
}

/// The key that the processes of one mesh share.
pub struct MeshKey {
    key: hmac::Key,
    verified: Cache<Arc<str>>,
    wall: Wall,
}

impl MeshKey {
    /// Reads a key from a file that holds it in hexadecimal digits.
    ///
    /// # Errors
    /// See [`MeshKeyError`].
    pub fn load(path: &Path) -> Result<Self, MeshKeyError> {
        let text = fs::read_to_string(path)?;
        let text = text.trim();
        if text.len() > MAX_FILE_BYTES {
            return Err(MeshKeyError::NotHex);
        }
        Self::new(&unhex(text).ok_or(MeshKeyError::NotHex)?)
    }

    /// A key of at least 32 secret bytes.
    ///
    /// # Errors
    /// [`MeshKeyError::Short`].
    pub fn new(secret: &[u8]) -> Result<Self, MeshKeyError> {
        if secret.len() < MIN_KEY_BYTES {
            return Err(MeshKeyError::Short(secret.len()));
        }
        // A key of its own, so that nothing else made with the secret passes for a proof.
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = hmac::sign(&secret, HEADER.as_str().as_bytes());
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()),
            verified: Cache::new(REMEMBERED_PROOFS),
            wall: Wall::new(),
        })
    }

    /// A proof that this process is `name`, good for [`PROOF_LIFETIME_SECS`] from
    /// `now` (seconds since 1970). A [`Prover`] keeps one for many calls.
    ///
    /// # Panics
    /// When `name` is not of the form `[a-z0-9-]{1,63}`: an application's name is
    /// written in its source.
    #[must_use]
    pub fn prove(&self, name: &str, now: u64) -> HeaderValue {
        assert!(is_name(name), "an application's name is made of a-z, 0-9 and -");
        let mut proof = format!("v1.{name}.{}", now + PROOF_LIFETIME_SECS);
        let mac = hmac::sign(&self.key, proof.as_bytes());
        proof.push('.');
        URL_SAFE_NO_PAD.encode_string(mac, &mut proof);
        HeaderValue::try_from(proof).expect("letters, digits, dots, - and _")
    }

    /// The name that a proof proves at this moment.
    ///
    /// # Errors
    /// See [`ProofError`].
    pub(crate) fn verify_now(
        &self,
        proof: &HeaderValue,
        now: Instant,
    ) -> Result<Arc<str>, ProofError> {
        self.verify(proof, self.wall.second(now))
    }

    /// The name that a proof proves at `now` (seconds since 1970).
    ///
    /// # Errors
    /// See [`ProofError`].
    pub fn verify(&self, proof: &HeaderValue, now: u64) -> Result<Arc<str>, ProofError> {
        let bytes = proof.as_bytes();
        if let Some(name) = self.verified.get(bytes, now) {
            return Ok(name);
        }
        let (name, ends) = self.check(bytes)?;
        if ends <= now || ends > now.saturating_add(PROOF_LIFETIME_SECS + CLOCK_SKEW_SECS) {
            return Err(ProofError::OutOfTime);
        }
        let name: Arc<str> = name.into();
        self.verified.put(bytes, ends, name.clone());
        Ok(name)
    }

    /// The name and the end in a proof whose MAC is right.
    fn check<'a>(&self, proof: &'a [u8]) -> Result<(&'a str, u64), ProofError> {
        let text = std::str::from_utf8(proof).ok().filter(|text| text.len() <= MAX_PROOF_BYTES);
        let (message, mac) =
            text.and_then(|text| text.rsplit_once('.')).ok_or(ProofError::Malformed)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| ProofError::Malformed)?;
        hmac::verify(&self.key, message.as_bytes(), &mac).map_err(|_| ProofError::Forged)?;
        message
            .strip_prefix("v1.")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(name, ends)| Some((name, ends.parse().ok()?)))
            .filter(|(name, _)| is_name(name))
            .ok_or(ProofError::Malformed)
    }
}

impl fmt::Debug for MeshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeshKey(…)")
    }
}

/// Proves one process's name, call after call.
pub struct Prover {
    key: Arc<MeshKey>,
    name: &'static str,
    minted: ArcSwapOption<Minted>,
}

/// The proof in use.
struct Minted {
    at: u64,
    proof: HeaderValue,
}

impl Prover {
    /// Proves `name` with `key`.
    #[must_use]
    pub fn new(key: Arc<MeshKey>, name: &'static str) -> Self {
        Self { key, name, minted: ArcSwapOption::empty() }
    }

    /// A proof that is good for one to two minutes from this moment.
    #[must_use]
    pub fn proof(&self, now: Instant) -> HeaderValue {
        self.proof_at(self.key.wall.second(now))
    }

    fn proof_at(&self, now: u64) -> HeaderValue {
        // Also minted anew after the clock was set back, or the old one would look too long-lived.
        let fresh = |at: u64| at <= now && now - at < PROOF_LIFETIME_SECS / 2;
        match &*self.minted.load() {
            Some(minted) if fresh(minted.at) => minted.proof.clone(),
            _ => {
                let proof = self.key.prove(self.name, now);
                let minted = Minted { at: now, proof: proof.clone() };
                self.minted.store(Some(Arc::new(minted)));
                proof
            }
        }
    }
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prover({})", self.name)
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key(fill: u8) -> MeshKey {
        MeshKey::new(&[fill; 32]).unwrap()
    }

    fn changed(proof: &HeaderValue, from: &str, to: &str) -> HeaderValue {
        HeaderValue::try_from(proof.to_str().unwrap().replace(from, to)).unwrap()
    }

    #[test]
    fn a_proof_names_the_process_until_it_ends() {
        let proof = key(1).prove("projects", NOW);
        let verifier = key(1);
        for now in [NOW - CLOCK_SKEW_SECS, NOW, NOW, NOW + PROOF_LIFETIME_SECS - 1] {
            assert_eq!(verifier.verify(&proof, now).as_deref(), Ok("projects"));
        }
        for now in [NOW + PROOF_LIFETIME_SECS, u64::MAX] {
            assert_eq!(verifier.verify(&proof, now), Err(ProofError::OutOfTime));
        }
        assert_eq!(key(1).verify(&proof, 0), Err(ProofError::OutOfTime));
    }

    #[test]
    fn a_proof_is_kept_for_half_its_life_and_made_anew_when_the_clock_is_set_back() {
        let prover = Prover::new(Arc::new(key(1)), "projects");
        let first = prover.proof_at(NOW);
        assert_eq!(prover.proof_at(NOW + PROOF_LIFETIME_SECS / 2 - 1), first);
        assert_ne!(prover.proof_at(NOW + PROOF_LIFETIME_SECS / 2), first);
        assert_eq!(prover.proof_at(NOW), first);
    }

    #[test]
    fn another_key_or_another_name_proves_nothing() {
        let proof = key(1).prove("projects", NOW);
        assert_eq!(key(2).verify(&proof, NOW), Err(ProofError::Forged));
        let key = key(1);
        key.verify(&proof, NOW).unwrap();
        for (from, to) in
            [("projects", "identity"), ("v1.", "v2."), (".18", ".19"), (".18", ".018")]
        {
            let refused = key.verify(&changed(&proof, from, to), NOW);
            assert_eq!(refused, Err(ProofError::Forged), "{from} → {to}");
        }
    }

    #[test]
    fn no_changed_character_goes_unnoticed() {
        let key = key(1);
        let proof = key.prove("projects", NOW).to_str().unwrap().to_owned();
        for at in 0..proof.len() {
            let mut bytes = proof.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = HeaderValue::from_bytes(&bytes).unwrap();
            assert!(key.verify(&changed, NOW).is_err(), "character {at}");
        }
    }

    #[test]
    fn a_key_file_must_hold_a_long_key_in_hex() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let load = |text: &str| {
            fs::write(file.path(), text).unwrap();
            MeshKey::load(file.path())
        };
        let loaded = load(&format!("{}\n", "01".repeat(32))).unwrap();
        let proof = loaded.prove("projects", NOW);
        assert_eq!(key(1).verify(&proof, NOW).as_deref(), Ok("projects"));
        assert!(matches!(load(&"01".repeat(31)), Err(MeshKeyError::Short(31))));
        assert!(matches!(load(""), Err(MeshKeyError::Short(0))));
        assert!(matches!(load(&"0g".repeat(32)), Err(MeshKeyError::NotHex)));
        assert!(matches!(load(&"0".repeat(65)), Err(MeshKeyError::NotHex)));
        assert!(matches!(load(&"+1".repeat(32)), Err(MeshKeyError::NotHex)));
        assert!(matches!(MeshKey::load(Path::new("/nowhere")), Err(MeshKeyError::Read(_))));
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", key(1)), "MeshKey(…)");
    }

    proptest::proptest! {
        #[test]
        fn garbage_is_refused_without_a_panic(bytes in "[\\x20-\\x7e]{0,200}", dots in "(v1\\.)?[a-z.]{0,80}") {
            for text in [bytes, dots] {
                let value = HeaderValue::try_from(text).unwrap();
                assert!(key(1).verify(&value, NOW).is_err());
            }
        }
    }
}
