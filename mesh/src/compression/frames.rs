//! Messages with their prefix, put together from whatever pieces they come in
//! (gRPC over HTTP/2, "Length-Prefixed-Message").

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tonic::{Code, Status};

use crate::status;

/// Flag and length before each message.
pub(super) const PREFIX: usize = 5;

/// What has come of a message that is not complete.
#[derive(Debug, Default)]
pub(super) struct Frames {
    partial: BytesMut,
}

impl Frames {
    /// The messages that a chunk completes, each as `change` makes it; `None` when
    /// more must come.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED for a message over `max` bytes, before it has come.
    pub(super) fn map(
        &mut self,
        chunk: Bytes,
        max: usize,
        mut change: impl FnMut(Bytes) -> Result<Bytes, Status>,
    ) -> Result<Option<Bytes>, Status> {
        // The usual case: a message is one frame of HTTP/2, and stays as it is.
        if self.partial.is_empty() && length(&chunk, max)? == Some(chunk.len()) {
            return change(chunk).map(Some);
        }
        self.partial.extend_from_slice(&chunk);
        let mut whole = BytesMut::new();
        while let Some(length) = length(&self.partial, max)? {
            if self.partial.len() < length {
                break;
            }
            let message = self.partial.split_to(length).freeze();
            whole.extend_from_slice(&change(message)?);
        }
        Ok((!whole.is_empty()).then(|| whole.freeze()))
    }

    /// Whether no message is waiting for its end.
    pub(super) fn complete(&self) -> bool {
        self.partial.is_empty()
    }
}

/// Length of the first message with its prefix, when the prefix is there.
fn length(bytes: &[u8], max: usize) -> Result<Option<usize>, Status> {
    let Some(mut prefix) = bytes.get(..PREFIX) else {
        return Ok(None);
    };
    prefix.advance(1);
    let length = prefix.get_u32() as usize;
    if length > max {
        return Err(too_large(max));
    }
    Ok(Some(PREFIX + length))
}

/// A message behind its prefix.
pub(super) fn framed(packed: bool, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(packed.into());
    frame.put_u32(u32::try_from(message.len()).expect("messages are bounded far below"));
    frame.extend_from_slice(message);
    frame.freeze()
}

pub(super) fn too_large(max: usize) -> Status {
    let message = format!("a message is larger than {max} bytes");
    status::refuse(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", message)
}
