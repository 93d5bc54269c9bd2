//! `google.api.HttpBody`: content that goes over HTTP as it is. Only what stands
//! around its data is written or read here; the data itself is never copied.

use std::ops::Range;

use super::{Binding, BodyRule, ResponseRule};
use crate::{
    error::WireProblem,
    program::Tag,
    wire::{Wire, put_varint},
};

/// `content_type`, `data` of `google.api.HttpBody`, both length-delimited.
const CONTENT_TYPE: u32 = 1;
const DATA: u32 = 2;

/// What a `google.api.HttpBody` is where it says nothing (RFC 9110 §8.3).
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// The content of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download<'a> {
    /// Its `content-type`, as the service says it.
    pub content_type: &'a str,
    /// Where in the message the content lies.
    pub data: Range<usize>,
}

/// Writes what stands before the data of each further message of a streamed body.
/// It is not tied to its binding, so that a body may outlive the request's look at
/// the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces(Option<Tag>);

impl Pieces {
    /// Appends what comes before `len` bytes of data, so that with these bytes
    /// behind it it is an encoded request message with nothing but data.
    pub fn head(self, len: usize, out: &mut Vec<u8>) {
        head(self.0, "", len, out);
    }
}

/// Finds the content in the messages of an answer. It is not tied to its binding,
/// so that a response may outlive the look at the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opener(Option<u32>);

impl Opener {
    /// Opens one message.
    ///
    /// # Errors
    /// When the bytes are not such a message.
    pub fn open(self, message: &[u8]) -> Result<Download<'_>, WireProblem> {
        match self.0 {
            None => content(message, 0..message.len()),
            Some(number) => {
                let inner = last(message, 0..message.len(), number)?;
                content(message, inner.unwrap_or(0..0))
            }
        }
    }
}

impl Binding {
    /// What stands before the pieces of a `google.api.HttpBody` that follow the
    /// one of [`Binding::upload`].
    ///
    /// # Panics
    /// When the binding takes none; see [`Binding::takes_http_body`].
    #[must_use]
    pub fn pieces(&self) -> Pieces {
        assert!(self.takes_http_body(), "the binding takes JSON");
        Pieces(self.body_tag())
    }

    /// Opens the `google.api.HttpBody` in an encoded answer.
    ///
    /// # Errors
    /// When the bytes are not such a message.
    ///
    /// # Panics
    /// When the binding does not give one; see [`Binding::gives_http_body`].
    pub fn download<'a>(&self, message: &'a [u8]) -> Result<Download<'a>, WireProblem> {
        self.opener().open(message)
    }

    /// Opens the messages of an answer without the binding. Of a stream, the first
    /// message has the content type.
    ///
    /// # Panics
    /// When the binding gives none; see [`Binding::gives_http_body`].
    #[must_use]
    pub fn opener(&self) -> Opener {
        assert!(self.gives_http_body(), "the binding answers with JSON");
        Opener(match &self.response {
            ResponseRule::Whole => None,
            ResponseRule::Field(top) => Some(top.step.of(self.programs()).number),
        })
    }

    /// Appends what stands before the data of a `google.api.HttpBody`, when that
    /// is all that follows: its own tags and lengths, and its content type.
    pub(super) fn http_body_head(&self, content_type: &str, len: usize, out: &mut Vec<u8>) {
        head(self.body_tag(), content_type, len, out);
    }

    /// The tag of the field that the body is, if it is not the whole message.
    fn body_tag(&self) -> Option<Tag> {
        match &self.body {
            BodyRule::Field(top) => Some(top.step.of(self.programs()).tag),
            BodyRule::None | BodyRule::Whole => None,
        }
    }
}

fn head(field: Option<Tag>, content_type: &str, len: usize, out: &mut Vec<u8>) {
    let mut head = Vec::with_capacity(content_type.len() + 16);
    if !content_type.is_empty() {
        put_key(&mut head, CONTENT_TYPE);
        put_varint(&mut head, content_type.len() as u64);
        head.extend_from_slice(content_type.as_bytes());
    }
    if len > 0 {
        put_key(&mut head, DATA);
        put_varint(&mut head, len as u64);
    }
    if let Some(tag) = field {
        out.extend_from_slice(tag.bytes());
        put_varint(out, (head.len() + len) as u64);
    }
    out.extend_from_slice(&head);
}

/// A length-delimited field's tag; its number is below 16.
fn put_key(out: &mut Vec<u8>, number: u32) {
    put_varint(out, u64::from(number << 3 | 2));
}

fn content(message: &[u8], within: Range<usize>) -> Result<Download<'_>, WireProblem> {
    let text = last(message, within.clone(), CONTENT_TYPE)?.map(|range| &message[range]);
    let text = std::str::from_utf8(text.unwrap_or_default()).map_err(|_| WireProblem::Utf8)?;
    Ok(Download {
        content_type: if text.is_empty() { UNKNOWN_TYPE } else { text },
        data: last(message, within, DATA)?.unwrap_or(0..0),
    })
}

/// Where the last occurrence of a length-delimited field lies.
fn last(
    message: &[u8],
    within: Range<usize>,
    number: u32,
) -> Result<Option<Range<usize>>, WireProblem> {
    let mut wire = Wire::new(&message[within.clone()]);
    let mut found = None;
    while !wire.is_done() {
        let key = wire.key().map_err(|fault| fault.problem)?;
        if key.number == number {
            let part = wire.content(key).map_err(|fault| fault.problem)?;
            let end = within.start + wire.at;
            found = Some(end - part.bytes.len()..end);
        } else {
            wire.skip(key).map_err(|fault| fault.problem)?;
        }
    }
    Ok(found)
}
