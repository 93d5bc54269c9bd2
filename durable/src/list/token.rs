//! Page tokens (AIP-158): where the next page begins, and which query it
//! belongs to. Not a secret and not a permission: a forged one only moves the
//! start of a page within what its bearer may list anyway.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use prost::Message;

use super::{Kind, Listing, Request};
use crate::{Value, digest};

/// As the contracts say for every `page_token`: 200 characters of four bytes, a
/// key and the binding fit in it.
const MAX_CHARACTERS: usize = 2048;
/// 128 bits tell queries apart.
const BINDING_BYTES: usize = 16;

#[derive(Clone, PartialEq, Message)]
struct Token {
    #[prost(bytes = "vec", tag = "1")]
    binding: Vec<u8>,
    /// Values of the last row, one for each part of the order.
    #[prost(message, repeated, tag = "2")]
    after: Vec<Cell>,
}

#[derive(Clone, PartialEq, Message)]
struct Cell {
    #[prost(oneof = "Content", tags = "1, 2, 3")]
    content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Content {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(sint64, tag = "2")]
    Int(i64),
    #[prost(bool, tag = "3")]
    Bool(bool),
}

/// A fingerprint of all that decides which rows there are, and in which order.
/// The size of a page may change from page to page.
pub(super) fn binding(request: &Request<'_>, listing: &Listing) -> Vec<u8> {
    let Request { filter, order_by, parent, .. } = request;
    let parts = [listing.key, listing.order, parent, filter.trim(), order_by.trim()];
    let mut digest = digest::sha256(&parts.map(str::as_bytes));
    digest.truncate(BINDING_BYTES);
    digest
}

pub(super) fn encode(binding: &[u8], after: &[Value]) -> String {
    let after = after.iter().map(Cell::of).collect();
    let token = Token { binding: binding.to_vec(), after };
    BASE64_URL_SAFE_NO_PAD.encode(token.encode_to_vec())
}

pub(super) fn decode(
    text: &str,
    binding: &[u8],
    kinds: &[Kind],
) -> Result<Vec<Value>, &'static str> {
    const NO_TOKEN: &str = "is not a token of this method";
    if text.len() > MAX_CHARACTERS {
        return Err(NO_TOKEN);
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NO_TOKEN)?;
    let token = Token::decode(bytes.as_slice()).map_err(|_| NO_TOKEN)?;
    if token.binding != binding {
        return Err("belongs to another filter, order or parent");
    }
    if token.after.len() != kinds.len() {
        return Err(NO_TOKEN);
    }
    token
        .after
        .into_iter()
        .zip(kinds)
        .map(|(cell, kind)| cell.value(*kind).ok_or(NO_TOKEN))
        .collect()
}

impl Cell {
    fn of(value: &Value) -> Self {
        let content = match value {
            Value::Text(text) => text.clone().map(Content::Text),
            Value::Int(int) => int.map(Content::Int),
            Value::Bool(bool) => bool.map(Content::Bool),
            Value::Blob(_) | Value::Real(_) => None,
        };
        Self { content }
    }

    fn value(self, kind: Kind) -> Option<Value> {
        match (self.content?, kind) {
            // PostgreSQL refuses the null character with an error of its own.
            (Content::Text(text), Kind::Text | Kind::Choice(_)) if !text.contains('\0') => {
                Some(text.into())
            }
            (Content::Int(int), Kind::Int | Kind::Time) => Some(int.into()),
            (Content::Bool(bool), Kind::Bool) => Some(bool.into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_is_read_back(text in "[^\0]{0,40}", int: i64, bool: bool, binding: [u8; 16]) {
            let after = [Value::from(&text), Value::from(int), Value::from(bool)];
            let token = encode(&binding, &after);
            let kinds = [Kind::Text, Kind::Time, Kind::Bool];
            prop_assert_eq!(decode(&token, &binding, &kinds).unwrap(), after);
            prop_assert!(decode(&token, b"another binding.", &kinds).is_err());
            prop_assert!(decode(&token, &binding, &kinds[..2]).is_err());
            prop_assert!(decode(&token, &binding, &[Kind::Int, Kind::Time, Kind::Bool]).is_err());
        }

        #[test]
        fn anything_else_is_refused(text in "\\PC{1,60}") {
            prop_assert!(decode(&text, &[0; 16], &[Kind::Text]).is_err());
        }

        #[test]
        fn a_damaged_token_never_panics(place in 0..40_usize, byte in "[A-Za-z0-9_-]") {
            let mut token = encode(&[7; 16], &["x".into(), 5_i64.into()]);
            if place < token.len() {
                token.replace_range(place..=place, &byte);
            }
            let _ = decode(&token, &[7; 16], &[Kind::Text, Kind::Int]);
        }
    }
}
