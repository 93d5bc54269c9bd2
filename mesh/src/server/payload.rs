//! Bytes of the messages in a body without their prefixes, as gRFC A66 counts
//! them: compressed, and without framing.

/// Flag and length before each message.
const PREFIX: usize = 5;

/// What has gone by so far, in whatever pieces it came.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    bytes: u64,
    /// Of the message that is going by.
    left: usize,
    prefix: [u8; PREFIX],
    /// Bytes of the prefix that have come.
    filled: usize,
}

impl Payload {
    pub(crate) fn add(&mut self, mut data: &[u8]) {
        loop {
            let part = self.left.min(data.len());
            self.bytes += part as u64;
            self.left -= part;
            data = &data[part..];
            if data.is_empty() {
                return;
            }
            let taken = (PREFIX - self.filled).min(data.len());
            self.prefix[self.filled..self.filled + taken].copy_from_slice(&data[..taken]);
            self.filled += taken;
            data = &data[taken..];
            if self.filled == PREFIX {
                let [_, length @ ..] = self.prefix;
                self.left = u32::from_be_bytes(length) as usize;
                self.filled = 0;
            }
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_count_and_their_prefixes_do_not() {
        let body = b"\0\0\0\0\x03abc\0\0\0\0\0\x01\0\0\0\x02de";
        for size in 1..=body.len() {
            let mut payload = Payload::default();
            body.chunks(size).for_each(|piece| payload.add(piece));
            assert_eq!(payload.bytes(), 5, "in pieces of {size}");
        }
    }
}
