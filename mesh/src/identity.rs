//! Who calls: users by their access tokens, processes of the mesh by a proof of
//! their name. Nothing here does I/O; keys arrive through [`KeySource`].
//!
//! A token is verified in every service that handles a call, not only at the
//! edge, so that no service has to believe the one before it.

mod cache;
pub mod key;
pub mod process;
pub mod token;
pub mod verifier;
mod wall;

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, header::AUTHORIZATION};

pub use key::{KeySet, SigningKey};
pub use process::MeshKey;
pub use token::{AUDIENCE, Claims, DEFAULT_ISSUER, TokenError};
pub use verifier::{KeySource, Verifier};

/// The token in an `authorization: Bearer …` header (RFC 6750 §2.1).
///
/// # Errors
/// [`TokenError::Missing`] without the header, [`TokenError::Invalid`] when it is
/// given twice or holds something else than a bearer token.
pub fn bearer(headers: &HeaderMap) -> Result<&str, TokenError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(TokenError::Missing)?;
    if values.next().is_some() {
        // Which of the two would count is a question that two readers answer differently.
        return Err(TokenError::Invalid("the authorization header is given twice"));
    }
    let not_bearer = TokenError::Invalid("the authorization header holds no bearer token");
    let Some((scheme, token)) = value.to_str().ok().and_then(|text| text.split_once(' ')) else {
        return Err(not_bearer);
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim_matches(' '))
    } else {
        Err(not_bearer)
    }
}

/// Seconds since 1970 by this machine's clock, as tokens and proofs count time.
#[must_use]
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(bearer(&headers(&[value])).unwrap(), "a.b.c", "{value}");
        }
    }

    #[test]
    fn what_is_no_bearer_token_is_told_from_no_token() {
        assert!(matches!(bearer(&HeaderMap::new()), Err(TokenError::Missing)));
        for values in [&["Basic YTpi"][..], &["Bearer"], &[""], &["Bearer a", "Bearer a"]] {
            let headers = headers(values);
            assert!(matches!(bearer(&headers), Err(TokenError::Invalid(_))), "{values:?}");
        }
    }
}
