//! Access tokens: compact JWS (RFC 7515) of the profile RFC 9068, signed with
//! Ed25519 and with nothing else (RFC 8037). One algorithm, taken from the key
//! and not from the token, is what closes the door on `none` and on the
//! confusion of public keys with HMAC secrets (RFC 8725 §2.1). Why this is
//! written here: `docs/decisions/0003-access-tokens.md`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use tonic::{Code, Status};

use super::key::{KeySet, SigningKey};
use crate::{call::User, status};

/// Longest token that is looked at. Ours have about 400 bytes; a longer one than
/// this would not fit the header limits of most HTTP servers on its way.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How far the issuer's clock may be ahead of ours, in seconds. Without it, a
/// verifier whose clock is slow would refuse every fresh token. `exp` has no
/// leeway: a caller renews a token before it ends, and a leeway there would only
/// prolong the life of a stolen one.
pub const CLOCK_SKEW_SECS: u64 = 60;

/// `aud` of the tokens that services of this mesh accept.
pub const AUDIENCE: &str = "titan";

/// `iss` where no other is set: the edge of a mesh on the own machine.
pub const DEFAULT_ISSUER: &str = "http://127.0.0.1:8080";

/// RFC 9068 §2.1: keeps other JWTs of the same issuer from being used as access
/// tokens.
const TYPE: &str = "at+jwt";

/// What an access token says (RFC 9068 §2.2). Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued the token.
    pub iss: String,
    /// The user's id.
    pub sub: String,
    /// Whom the token is for. A list of audiences (RFC 7519 §4.1.3) is refused:
    /// a token for several systems can be replayed by one against another.
    pub aud: String,
    /// When the token ends.
    pub exp: u64,
    /// When it was issued.
    pub iat: u64,
    /// Before when it must not be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// Unique id of the token.
    pub jti: String,
    /// The session that the token belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Roles of the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// OAuth scopes, separated by spaces (RFC 8693 §4.2).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
}

impl Claims {
    /// Whether the token is for us and in time.
    ///
    /// # Errors
    /// [`TokenError::Expired`], or [`TokenError::Invalid`] for the rest.
    pub fn check(&self, issuer: &str, audience: &str, now: u64) -> Result<(), TokenError> {
        let starts = self.nbf.unwrap_or(0).max(self.iat);
        if self.iss != issuer {
            Err(TokenError::Invalid("it has another issuer"))
        } else if self.aud != audience {
            Err(TokenError::Invalid("it is for another audience"))
        } else if self.sub.is_empty() {
            Err(TokenError::Invalid("it names no subject"))
        } else if starts > now.saturating_add(CLOCK_SKEW_SECS) {
            Err(TokenError::Invalid("it is not valid yet"))
        } else if self.exp <= now {
            Err(TokenError::Expired)
        } else {
            Ok(())
        }
    }
}

impl From<Claims> for User {
    fn from(claims: Claims) -> Self {
        Self {
            scopes: claims.scope.split_ascii_whitespace().map(str::to_owned).collect(),
            id: claims.sub,
            roles: claims.roles,
            session: claims.sid,
        }
    }
}

/// Why a token does not admit its bearer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// There is none.
    #[error("an access token is needed")]
    Missing,
    /// It was good once.
    #[error("the access token has expired")]
    Expired,
    /// It is not one of ours, for this reason.
    #[error("the access token is not valid: {0}")]
    Invalid(&'static str),
    /// The keys to verify it with cannot be had now. The cause is in the log of
    /// the one who asked for them.
    #[error("the keys of access tokens are not available")]
    Unavailable,
}

impl From<TokenError> for Status {
    fn from(error: TokenError) -> Self {
        let (code, reason) = match error {
            TokenError::Missing => (Code::Unauthenticated, "TOKEN_MISSING"),
            TokenError::Expired => (Code::Unauthenticated, "TOKEN_EXPIRED"),
            TokenError::Invalid(_) => (Code::Unauthenticated, "TOKEN_INVALID"),
            TokenError::Unavailable => (Code::Unavailable, "TOKEN_KEYS_UNAVAILABLE"),
        };
        status::refuse(code, reason, error.to_string())
    }
}

impl SigningKey {
    /// Signs the claims: a compact JWS.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> String {
        let header = serde_json::json!({ "alg": "EdDSA", "typ": TYPE, "kid": self.kid() });
        let payload = serde_json::to_vec(claims).expect("claims are strings and numbers");
        self.sign_parts(header.to_string().as_bytes(), &payload)
    }

    fn sign_parts(&self, header: &[u8], payload: &[u8]) -> String {
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.signature(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }
}

/// The header of a token. `jwk`, `jku`, `x5u` and the like, by which a token
/// would bring its own key, are not read.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: String,
    kid: String,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

/// True for a member that is there, even if it is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// A token that is well-formed; nothing in it is believed yet.
pub(super) struct Unverified<'a> {
    /// The key that is said to have signed it.
    pub(super) kid: String,
    message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Unverified<'a> {
    /// Splits a token and checks its header.
    pub(super) fn parse(token: &'a str) -> Result<Self, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid("it is too long"));
        }
        let parts = token.rsplit_once('.').and_then(|(message, signature)| {
            let (header, payload) = message.split_once('.')?;
            Some((message, header, payload, signature))
        });
        let Some((message, header, payload, signature)) = parts else {
            return Err(TokenError::Invalid("it is no compact JWS"));
        };
        let header: Header = json(header)?;
        if header.alg != "EdDSA" {
            return Err(TokenError::Invalid("its algorithm is not EdDSA"));
        }
        if header.crit {
            // RFC 7515 §4.1.11: an extension that is not understood must not be ignored.
            return Err(TokenError::Invalid("it needs extensions"));
        }
        if !header.typ.eq_ignore_ascii_case(TYPE) {
            return Err(TokenError::Invalid("it is no access token"));
        }
        Ok(Self { kid: header.kid, message, payload, signature })
    }

    /// The claims, if the signature is that of a key in the set.
    pub(super) fn verify(&self, keys: &KeySet) -> Result<Claims, TokenError> {
        let signature = decode(self.signature)?;
        match keys.verifies(&self.kid, self.message.as_bytes(), &signature) {
            None => Err(TokenError::Invalid("it is signed with an unknown key")),
            Some(false) => Err(TokenError::Invalid("its signature is wrong")),
            Some(true) => json(self.payload),
        }
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Invalid("it is not base64url"))
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    serde_json::from_slice(&decode(part)?)
        .map_err(|_| TokenError::Invalid("its JSON is not that of an access token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn claims() -> Claims {
        Claims {
            iss: "https://id.example".to_owned(),
            sub: "ada".to_owned(),
            aud: "titan".to_owned(),
            exp: NOW + 600,
            iat: NOW,
            jti: "1".to_owned(),
            sid: Some("s".to_owned()),
            roles: vec!["admin".to_owned()],
            scope: "read write".to_owned(),
            ..Claims::default()
        }
    }

    fn read(token: &str, keys: &KeySet) -> Result<Claims, TokenError> {
        Unverified::parse(token)?.verify(keys)
    }

    /// A signed token with any header and payload.
    fn forged(key: &SigningKey, header: &str) -> String {
        let payload = serde_json::to_vec(&claims()).unwrap();
        key.sign_parts(header.replace("KID", key.kid()).as_bytes(), &payload)
    }

    #[test]
    fn what_was_signed_is_what_is_read() {
        let key = SigningKey::generate().unwrap();
        let token = key.sign(&claims());
        assert_eq!(read(&token, &KeySet::new(&[key.public()])).unwrap(), claims());
        let user = User::from(claims());
        assert_eq!(user.scopes, ["read", "write"]);
        assert_eq!(user.name(), "users/ada");
    }

    #[test]
    fn no_changed_character_goes_unnoticed() {
        let key = SigningKey::generate().unwrap();
        let keys = KeySet::new(&[key.public()]);
        let token = key.sign(&claims());
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(read(&changed, &keys).is_err(), "character {at}");
        }
        for cut in 0..token.len() {
            assert!(read(&token[..cut], &keys).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn the_signature_of_another_key_is_refused() {
        let (ours, theirs) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let token =
            forged(&theirs, &format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{}"}}"#, ours.kid()));
        assert!(read(&token, &KeySet::new(&[ours.public()])).is_err());
        assert!(read(&theirs.sign(&claims()), &KeySet::new(&[ours.public()])).is_err());
    }

    #[test]
    fn a_header_of_another_kind_is_refused_though_the_signature_is_right() {
        let key = SigningKey::generate().unwrap();
        let keys = KeySet::new(&[key.public()]);
        for (header, accepted) in [
            (r#"{"alg":"EdDSA","typ":"at+jwt","kid":"KID"}"#, true),
            (r#"{"alg":"EdDSA","typ":"AT+JWT","kid":"KID","jku":"https://evil.example"}"#, true),
            (r#"{"alg":"none","typ":"at+jwt","kid":"KID"}"#, false),
            (r#"{"alg":"None","typ":"at+jwt","kid":"KID"}"#, false),
            (r#"{"alg":"HS256","typ":"at+jwt","kid":"KID"}"#, false),
            (r#"{"alg":"eddsa","typ":"at+jwt","kid":"KID"}"#, false),
            (r#"{"alg":"EdDSA","alg":"none","typ":"at+jwt","kid":"KID"}"#, false),
            (r#"{"alg":["EdDSA"],"typ":"at+jwt","kid":"KID"}"#, false),
            (r#"{"typ":"at+jwt","kid":"KID"}"#, false),
            (r#"{"alg":"EdDSA","typ":"at+jwt"}"#, false),
            (r#"{"alg":"EdDSA","typ":"at+jwt","kid":"other"}"#, false),
            (r#"{"alg":"EdDSA","typ":"JWT","kid":"KID"}"#, false),
            (r#"{"alg":"EdDSA","kid":"KID"}"#, false),
            (r#"{"alg":"EdDSA","typ":"at+jwt","kid":"KID","crit":["exp"]}"#, false),
            (r#"{"alg":"EdDSA","typ":"at+jwt","kid":"KID","crit":null}"#, false),
        ] {
            assert_eq!(read(&forged(&key, header), &keys).is_ok(), accepted, "{header}");
        }
    }

    #[test]
    fn a_token_without_signature_or_under_a_public_key_as_secret_is_refused() {
        let key = SigningKey::generate().unwrap();
        let keys = KeySet::new(&[key.public()]);
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims()).unwrap());
        let header = |alg: &str| {
            URL_SAFE_NO_PAD
                .encode(format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{}"}}"#, key.kid()))
        };
        let unsigned = format!("{}.{payload}.", header("none"));
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.public().x.as_bytes());
        let message = format!("{}.{payload}", header("HS256"));
        let mac = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&secret, message.as_bytes()));
        for token in
            [unsigned, format!("{message}.{mac}"), format!("{}.{payload}.", header("EdDSA"))]
        {
            assert!(matches!(read(&token, &keys), Err(TokenError::Invalid(_))));
        }
    }

    #[test]
    fn a_token_must_be_for_us_and_in_time() {
        let says = |change: fn(&mut Claims)| {
            let mut claims = claims();
            change(&mut claims);
            claims.check("https://id.example", "titan", NOW)
        };
        assert!(says(|_| {}).is_ok());
        assert!(says(|claims| claims.iat = NOW + CLOCK_SKEW_SECS).is_ok());
        assert!(matches!(says(|claims| claims.exp = NOW), Err(TokenError::Expired)));
        assert!(matches!(says(|claims| claims.exp = 0), Err(TokenError::Expired)));
        for change in [
            (|claims| claims.iss = "https://evil.example".to_owned()) as fn(&mut Claims),
            |claims| claims.aud = "another".to_owned(),
            |claims| claims.sub = String::new(),
            |claims| claims.iat = NOW + CLOCK_SKEW_SECS + 1,
            |claims| claims.nbf = Some(NOW + CLOCK_SKEW_SECS + 1),
            |claims| claims.nbf = Some(u64::MAX),
        ] {
            assert!(matches!(says(change), Err(TokenError::Invalid(_))));
        }
    }

    #[test]
    fn an_oversized_token_is_not_read() {
        let key = SigningKey::generate().unwrap();
        let big = Claims { scope: "x".repeat(MAX_TOKEN_BYTES), ..claims() };
        let refused = read(&key.sign(&big), &KeySet::new(&[key.public()]));
        assert!(matches!(refused, Err(TokenError::Invalid("it is too long"))));
    }

    #[test]
    fn every_refusal_has_its_reason() {
        for (error, code, reason) in [
            (TokenError::Missing, Code::Unauthenticated, "TOKEN_MISSING"),
            (TokenError::Expired, Code::Unauthenticated, "TOKEN_EXPIRED"),
            (TokenError::Invalid("x"), Code::Unauthenticated, "TOKEN_INVALID"),
            (TokenError::Unavailable, Code::Unavailable, "TOKEN_KEYS_UNAVAILABLE"),
        ] {
            let status = Status::from(error);
            assert_eq!(status.code(), code);
            assert_eq!(status::reason(&status).as_deref(), Some(reason));
        }
    }

    proptest::proptest! {
        #[test]
        fn garbage_is_refused_without_a_panic(text in ".{0,200}", parts in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
            let keys = KeySet::default();
            assert!(read(&text, &keys).is_err());
            assert!(read(&parts, &keys).is_err());
        }

        #[test]
        fn a_signed_payload_of_any_shape_is_read_without_a_panic(payload in ".{0,100}") {
            let key = SigningKey::generate().unwrap();
            let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{}"}}"#, key.kid());
            let token = key.sign_parts(header.as_bytes(), payload.as_bytes());
            assert!(read(&token, &KeySet::new(&[key.public()])).is_err());
        }
    }
}
