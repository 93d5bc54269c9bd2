//! Passwords are hashed with Argon2id, beside the calls and a few at a time: one
//! hash takes 19 MiB and some 20 ms of a core, so without a limit a flood of
//! logins would take the memory of the machine and starve everything else.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{self, Output, Salt},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    domain::secret::{Password, PasswordHash},
    error::Error,
};

/// Why a password cannot be hashed: the memory, or a stored hash that is none.
type HashError = argon2::password_hash::Error;

/// OWASP's first recommendation for Argon2id (Password Storage Cheat Sheet):
/// 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The allocator of glibc keeps what is freed for later, unless it was larger
/// than this, its `DEFAULT_MMAP_THRESHOLD_MAX`; and a process that keeps 19 MiB
/// for each thread that ever hashed a password is what nobody expects of it.
/// Reserved beyond what is used: address space alone, never touched.
const GIVEN_BACK_BYTES: usize = 33 * 1024 * 1024;

/// Most passwords that wait for their turn. On two cores the last of them waits
/// some three seconds; a longer queue would outlive the deadline of its callers.
const MAX_WAITING: usize = 256;

/// In which time half of a full queue is gone.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Hashes and checks passwords.
pub(crate) struct Passwords {
    /// Those who wait or have their turn.
    queue: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    /// What a password is checked against when nobody has the address.
    nobody: PasswordHash,
}

/// The right to hash one password now. Held by the hash itself, not by the call:
/// a caller who leaves does not make room before the work has ended.
pub(crate) struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
    nobody: PasswordHash,
}

impl Passwords {
    /// As many turns as cores: more would only wait for each other.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            queue: Arc::new(Semaphore::new(cores + MAX_WAITING)),
            turns: Arc::new(Semaphore::new(cores)),
            nobody: nobody(),
        }
    }

    /// Waits for a turn.
    pub(crate) async fn turn(&self) -> Result<Turn, Error> {
        let place = self.queue.clone().try_acquire_owned();
        let place = place.map_err(|_| Error::Busy { retry_after: RETRY_AFTER })?;
        let turn = self.turns.clone().acquire_owned().await.expect("it is never closed");
        Ok(Turn { _turn: turn, _place: place, nobody: self.nobody.clone() })
    }
}

impl Turn {
    /// Hashes a password with a new salt.
    pub(crate) async fn hash(self, password: Password) -> Result<PasswordHash, Error> {
        let salt = Salt::generate();
        let output = self.run(move |_| hash(&password, &salt, &params())).await?;
        let output = output.map_err(Error::Hash)?;
        Ok(phc(salt, output))
    }

    /// Whether a password belongs to a hash. Without a hash the same work is
    /// done, so that the time of the answer does not tell.
    pub(crate) async fn verify(
        self,
        password: Password,
        stored: Option<PasswordHash>,
    ) -> Result<bool, Error> {
        let somebody = stored.is_some();
        let verified = self.run(move |nobody| verify(&password, stored.as_ref().unwrap_or(nobody)));
        Ok(verified.await?.map_err(Error::Hash)? && somebody)
    }

    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&PasswordHash) -> T + Send + 'static,
    ) -> Result<T, Error> {
        Ok(tokio::task::spawn_blocking(move || work(&self.nobody)).await?)
    }
}

fn params() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, None).expect("within Argon2's limits")
}

fn hash(password: &Password, salt: &Salt, params: &Params) -> Result<Output, HashError> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let mut memory = Vec::with_capacity((GIVEN_BACK_BYTES / Block::SIZE).max(params.block_count()));
    memory.resize(params.block_count(), Block::new());
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    argon2.hash_password_into_with_memory(password.expose(), salt, &mut output, &mut memory)?;
    Ok(Output::new(&output)?)
}

/// With the parameters of the stored hash, which may be of another time.
fn verify(password: &Password, stored: &PasswordHash) -> Result<bool, HashError> {
    let stored = phc::PasswordHash::new(stored.expose())?;
    if stored.algorithm != Algorithm::Argon2id.ident() {
        return Err(HashError::Algorithm);
    }
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
        return Ok(false);
    };
    let found = hash(password, salt, &Params::try_from(&stored)?)?;
    // `Output` compares in constant time.
    Ok(found == *expected)
}

fn phc(salt: Salt, output: Output) -> PasswordHash {
    let hash = phc::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: params().try_into().expect("within the limits of the format"),
        salt: Some(salt),
        hash: Some(output),
    };
    PasswordHash::new(hash.to_string())
}

/// A hash of the same cost that no password has: its output is made up.
fn nobody() -> PasswordHash {
    let salt = Salt::new(&[0; 16]).expect("16 bytes are a salt");
    let output = Output::new(&[0; Params::DEFAULT_OUTPUT_LEN]).expect("32 bytes are an output");
    phc(salt, output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_belongs_to_its_own_hash_alone() {
        let passwords = Passwords::new();
        let hash = passwords.turn().await.unwrap().hash(password("correct horse")).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        for (text, right) in [("correct horse", true), ("Correct horse", false), ("", false)] {
            let turn = passwords.turn().await.unwrap();
            let verified = turn.verify(password(text), Some(hash.clone())).await.unwrap();
            assert_eq!(verified, right, "{text:?}");
        }
    }

    #[tokio::test]
    async fn nobody_has_a_password_and_checking_it_costs_the_same() {
        let nobody = nobody();
        let parsed = phc::PasswordHash::new(nobody.expose()).unwrap();
        let params = Params::try_from(&parsed).unwrap();
        let costs = (params.m_cost(), params.t_cost(), params.p_cost());
        assert_eq!(costs, (MEMORY_KIB, PASSES, LANES));
        let turn = Passwords::new().turn().await.unwrap();
        assert!(!turn.verify(password(""), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_is_told_at_once() {
        let passwords = Passwords::new();
        let mut waiting = Vec::new();
        while let Ok(place) = passwords.queue.clone().try_acquire_owned() {
            waiting.push(place);
        }
        assert!(matches!(passwords.turn().await, Err(Error::Busy { .. })));
        waiting.pop();
        assert!(passwords.turn().await.is_ok());
    }
}
