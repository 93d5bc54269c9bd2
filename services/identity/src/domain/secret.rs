//! What must not be printed. The types say so: their `Debug` is empty, they have
//! no `Display`, and whoever needs the text has to ask for it by name.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};

macro_rules! secret {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

/// A password as its owner typed it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes a password; the contract has checked its length.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The bytes to hash.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

secret!(Password);

/// A password hash in PHC form, salt and parameters included. It is kept from
/// the log as well, since a weak password can be guessed from it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// A hash as it was made or stored.
    #[must_use]
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

secret!(PasswordHash);

/// Random bytes in a refresh token; more than anybody guesses, so that its
/// digest needs no salt and no slow hash.
pub const REFRESH_TOKEN_BYTES: usize = 32;

/// A refresh token, as only its bearer has it.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// A new token of random bytes.
    #[must_use]
    pub fn new(random: [u8; REFRESH_TOKEN_BYTES]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random))
    }

    /// A token as somebody presents it.
    #[must_use]
    pub fn presented(text: String) -> Self {
        Self(text)
    }

    /// What is stored of it.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        digest(&SHA256, self.0.as_bytes()).as_ref().to_vec()
    }

    /// The text, for its bearer alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

secret!(RefreshToken);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let password = Password::new("correct horse".to_owned());
        let hash = PasswordHash::new("$argon2id$…".to_owned());
        let token = RefreshToken::new([7; REFRESH_TOKEN_BYTES]);
        let printed = format!("{password:?} {hash:?} {token:?}");
        assert_eq!(printed, "Password(…) PasswordHash(…) RefreshToken(…)");
    }

    #[test]
    fn a_presented_token_has_the_digest_of_the_one_that_was_issued() {
        let issued = RefreshToken::new([7; REFRESH_TOKEN_BYTES]);
        let presented = RefreshToken::presented(issued.expose().to_owned());
        assert_eq!(presented.digest(), issued.digest());
        assert_ne!(RefreshToken::new([8; REFRESH_TOKEN_BYTES]).digest(), issued.digest());
    }
}
