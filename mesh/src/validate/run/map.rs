//! Maps: entries are messages of a key and a value, and the last entry of a key
//! is the one that counts.

use super::{
    super::{
        few::Few,
        path::Path,
        plan::{Check, Field, Kind, Map, Value},
        wire::Raw,
    },
    Outcome, Run,
    parts::{each, last},
};

const KEY: u32 = 1;
const VALUE: u32 = 2;

#[derive(Clone, Copy)]
struct Entry<'a> {
    /// Equal for equal keys.
    identity: Raw<'a>,
    /// Place on the wire.
    position: usize,
    key: Raw<'a>,
    bytes: &'a [u8],
}

impl<'p> Run<'p> {
    pub(super) fn map(
        &mut self,
        field: &'p Field,
        map: &'p Map,
        parts: &[&[u8]],
        at: &Path<'_>,
    ) -> Outcome {
        let here = at.field(&field.name);
        let zero = Raw::Bits(0);
        let mut entries = Few::new(Entry { identity: zero, position: 0, key: zero, bytes: &[] });
        each(parts, &here, |found| {
            if found.number == field.number {
                let bytes = found.raw.bytes();
                let kind = map.key.kind;
                let key = last(&[bytes], KEY, kind, &here)?.unwrap_or(kind.zero());
                let identity = kind.canonical(key).unwrap_or(key);
                let position = entries.as_slice().len();
                entries.push(Entry { identity, position, key, bytes });
            }
            Ok(())
        })?;
        let entries = entries.as_mut_slice();
        entries.sort_unstable_by_key(|entry| (entry.identity, entry.position));
        let mut count = 0;
        for (index, entry) in entries.iter().enumerate() {
            if entries.get(index + 1).is_some_and(|next| next.identity == entry.identity) {
                continue;
            }
            count += 1;
            let here = at.entry(&field.name, map.key.kind, entry.key);
            self.element(&map.key, entry.key, &here)?;
            self.entry_value(&map.value, entry.bytes, &here)?;
        }
        self.test(&map.size, count, &here)
    }

    fn entry_value(&mut self, value: &'p Value, entry: &[u8], here: &Path<'_>) -> Outcome {
        if matches!(value.check, Check::Nothing) {
            return Ok(());
        }
        if value.kind != Kind::Message {
            let raw = last(&[entry], VALUE, value.kind, here)?;
            return self.element(value, raw.unwrap_or(value.kind.zero()), here);
        }
        // Within an entry a message may come in parts, like anywhere.
        let mut parts = Few::new(&[][..]);
        each(&[entry], here, |found| {
            if found.number == VALUE {
                parts.push(found.raw.bytes());
            }
            Ok(())
        })?;
        if value.ignore_zero && parts.as_slice().iter().all(|part| part.is_empty()) {
            return Ok(());
        }
        self.body(value, parts.as_slice(), here)
    }
}
