//! The key of a call: taken from its headers when it begins, or from its message,
//! once that is there, as it is sent.

use bytes::Bytes;
use http::HeaderMap;

use crate::{
    compression::{self, Encoding, Unpacker},
    contract::{FieldKey, HashKey, Method},
};

/// Bytes before a message: a flag and its length.
const PREFIX: usize = 5;

/// Where the key of a call is to be read.
#[derive(Debug)]
pub(super) struct Keyed {
    field: FieldKey,
    encoding: Option<Encoding>,
    /// Largest message that is unpacked.
    max: usize,
}

/// The key that stands in the headers, and where else to look for one; neither
/// for most methods.
pub(super) fn of(
    method: Option<&Method>,
    headers: &HeaderMap,
    max: usize,
) -> (Option<u64>, Option<Keyed>) {
    match method.and_then(|method| method.hash_key.as_ref()) {
        None => (None, None),
        Some(key @ HashKey::Header(_)) => (key.of_headers(headers), None),
        Some(HashKey::Field(field)) => {
            let encoding = compression::encoding(headers).ok().flatten();
            (None, Some(Keyed { field: field.clone(), encoding, max }))
        }
    }
}

impl Keyed {
    /// The key of a message with its prefix. One that is packed is unpacked for
    /// that: a caller who packs his requests gets the same instance.
    pub(super) fn read(&self, message: &Bytes) -> Option<u64> {
        if message.first() == Some(&0) {
            return self.field.of_message(message.get(PREFIX..)?);
        }
        let mut unpacker = Unpacker::of_request(self.encoding, self.max);
        let unpacked = unpacker.push(message.clone(), |_| Ok(())).ok()??;
        self.field.of_message(unpacked.get(PREFIX..)?)
    }
}
