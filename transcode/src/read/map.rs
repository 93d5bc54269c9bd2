//! Objects into maps: entries with a key and a value, no key twice.

use super::Reader;
use crate::{
    cursor::Read,
    error::{Fault, Problem},
    number,
    program::{Field, Kind},
    wire,
};

/// Maps up to this size are searched for a key that comes again; larger ones are
/// sorted once, so that many keys do not cost the square of their number.
const FEW_KEYS: usize = 8;

/// Where a key stands: encoded in the output, and in the text.
#[derive(Clone, Copy, Default)]
struct Key {
    start: usize,
    end: usize,
    position: usize,
}

/// The keys of one map.
struct Keys {
    few: [Key; FEW_KEYS],
    len: usize,
    many: Vec<Key>,
}

impl Keys {
    /// Remembers a key; where it stands in the text if it is known already to be
    /// there twice.
    fn insert(&mut self, key: Key, out: &[u8]) -> Result<(), Fault<Problem>> {
        let bytes = |key: &Key| &out[key.start..key.end];
        if self.len < FEW_KEYS {
            if self.few[..self.len].iter().any(|known| bytes(known) == bytes(&key)) {
                return Err(Fault { problem: Problem::DuplicateKey, at: key.position });
            }
            self.few[self.len] = key;
            self.len += 1;
        } else {
            self.many.push(key);
        }
        Ok(())
    }

    /// Looks through all of them when they are many.
    fn check(mut self, out: &[u8]) -> Result<(), Fault<Problem>> {
        if self.many.is_empty() {
            return Ok(());
        }
        self.many.extend_from_slice(&self.few);
        self.many.sort_unstable_by_key(|key| (&out[key.start..key.end], key.position));
        let mut pairs = self.many.windows(2);
        let twice =
            pairs.find(|pair| out[pair[0].start..pair[0].end] == out[pair[1].start..pair[1].end]);
        match twice {
            Some(pair) => Err(Fault { problem: Problem::DuplicateKey, at: pair[1].position }),
            None => Ok(()),
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn map(&mut self, field: &'a Field) -> Read<()> {
        let Kind::Message(entry) = field.kind else { return Ok(()) };
        let programs = self.programs;
        let [key, value] = &*programs.messages[entry as usize].fields else { return Ok(()) };
        self.enter(b'{', Problem::WantsObject)?;
        let mut keys = Keys { few: Default::default(), len: 0, many: Vec::new() };
        let mut more = !self.json.is_empty(b'}');
        while more {
            self.count()?;
            self.json.space();
            let position = self.json.at;
            let before = self.out.len();
            self.out.extend_from_slice(field.tag.bytes());
            let start = wire::open(self.out);
            self.out.extend_from_slice(key.tag.bytes());
            self.key(key.kind)?;
            let key_len = self.out.len() - start;
            self.json.expect(b':')?;
            self.json.space();
            if self.value(value, true)? {
                // A long entry is moved to make room for its length.
                let room = wire::varint_len((self.out.len() - start) as u64) - 1;
                wire::close(self.out, start);
                let start = start + room;
                keys.insert(Key { start, end: start + key_len, position }, self.out)?;
            } else {
                self.out.truncate(before);
            }
            more = self.json.more(b'}')?;
        }
        self.leave();
        keys.check(self.out)
    }

    /// Appends a key, which JSON has as a string.
    fn key(&mut self, kind: Kind) -> Read<()> {
        if kind == Kind::String {
            return self.string();
        }
        let at = self.json.at;
        let text = self.json.string()?.content();
        let bits = match (kind, &*text) {
            (Kind::Bool, b"true") => Ok(1),
            (Kind::Bool, b"false") => Ok(0),
            (Kind::Bool, _) => Err(Problem::NotBool),
            _ => number::decimal(&text).and_then(|number| number.bits(kind)),
        };
        let bits = bits.map_err(|problem| self.fault_at(at, problem))?;
        wire::put_bits(self.out, kind, bits);
        Ok(())
    }
}
