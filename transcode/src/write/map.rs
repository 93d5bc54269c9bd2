//! Maps into objects, by the order of their keys and each key once, so that the
//! order in which some program kept them does not show.

use super::{
    Printer, Stop, Written, order,
    scalar::{has_closed_unknown, kept},
};
use crate::{
    error::{Fault, WireProblem},
    program::{Field, Kind, Program, WireType},
    wire::Wire,
};

type Read<T> = Result<T, Fault<WireProblem>>;

/// A key, ordered as its kind is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum MapKey<'w> {
    Number(i128),
    Text(&'w [u8]),
}

/// What an entry holds; what it does not hold is a default.
#[derive(Clone, Copy)]
struct Entry<'w> {
    key_bits: u64,
    key_text: Wire<'w>,
    value_bits: u64,
    value: Wire<'w>,
}

impl<'w> Entry<'w> {
    /// Reads an entry that has its key and its value at most once, in this order;
    /// nothing where it is another one.
    fn read(program: &Program, content: Wire<'w>) -> Read<Option<Entry<'w>>> {
        let none = Wire::new(&[]);
        let mut entry = Entry { key_bits: 0, key_text: none, value_bits: 0, value: none };
        let mut wire = content;
        let mut next = 0;
        while !wire.is_done() {
            let key = wire.key()?;
            let index = program.by_number(key.number);
            let index = index.filter(|at| program.fields[*at].kind.wire_type() == key.wire_type);
            let Some(index) = index else {
                wire.skip(key)?;
                continue;
            };
            if index < next {
                return Ok(None);
            }
            next = index + 1;
            let (bits, text) = match index {
                0 => (&mut entry.key_bits, &mut entry.key_text),
                _ => (&mut entry.value_bits, &mut entry.value),
            };
            match key.wire_type {
                WireType::Length => *text = wire.length()?,
                wire_type => *bits = wire.bits(wire_type)?,
            }
        }
        Ok(Some(entry))
    }

    fn key(&self, kind: Kind) -> MapKey<'w> {
        let bits = kept(kind, self.key_bits);
        match kind {
            Kind::String => MapKey::Text(self.key_text.bytes),
            Kind::Uint32 | Kind::Fixed32 | Kind::Uint64 | Kind::Fixed64 | Kind::Bool => {
                MapKey::Number(bits.into())
            }
            Kind::Sint32 | Kind::Sint64 => {
                let half = i128::from(bits >> 1);
                MapKey::Number(if bits & 1 == 0 { half } else { -half - 1 })
            }
            #[allow(clippy::cast_possible_truncation, reason = "a kind of 32 bits has no more")]
            Kind::Int32 | Kind::Sfixed32 => MapKey::Number((bits as u32).cast_signed().into()),
            _ => MapKey::Number(bits.cast_signed().into()),
        }
    }
}

/// Entries of a map that follow each other.
#[derive(Clone, Copy)]
struct Run<'f, 'w> {
    field: &'f Field,
    wire: Wire<'w>,
    first: Option<Wire<'w>>,
}

impl<'w> Run<'_, 'w> {
    fn next(&mut self) -> Read<Option<Wire<'w>>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let here = self.wire.at;
        if !self.wire.is_done() {
            let key = self.wire.key()?;
            if key.number == self.field.number && key.wire_type == WireType::Length {
                return self.wire.length().map(Some);
            }
        }
        self.wire.at = here;
        Ok(None)
    }

    /// Whether every entry is plain and every key larger than the one before.
    fn is_ascending(mut self, program: &Program) -> Read<bool> {
        let kind = program.fields[0].kind;
        let mut last = None;
        while let Some(content) = self.next()? {
            let Some(entry) = Entry::read(program, content)? else { return Ok(false) };
            let key = Some(entry.key(kind));
            if last >= key {
                return Ok(false);
            }
            last = key;
        }
        Ok(true)
    }
}

impl Printer<'_> {
    /// Prints all entries that follow each other, behind the first key; false
    /// where there are none.
    pub(super) fn map(&mut self, field: &Field, wire: &mut Wire<'_>) -> Result<bool, Stop> {
        let Kind::Message(entry) = field.kind else { return Ok(false) };
        let programs = self.programs;
        let program = &programs.messages[entry as usize];
        let first = Some(wire.length()?);
        let mut run = Run { field, wire: *wire, first };
        self.out.push(b'{');
        let start = self.out.len();
        if run.is_ascending(program)? {
            while let Some(content) = run.next()? {
                if let Some(entry) = Entry::read(program, content)? {
                    self.put_entry(program, &entry, &content)?;
                }
            }
        } else {
            self.sorted(program, &mut run)?;
        }
        wire.at = run.wire.at;
        let is_empty = self.out.len() == start;
        if !is_empty {
            // Each entry ends with a comma.
            self.out.pop();
        }
        self.out.push(b'}');
        Ok(!is_empty)
    }

    /// Prints entries in the order of their keys; of equal ones the last.
    fn sorted(&mut self, program: &Program, run: &mut Run<'_, '_>) -> Written {
        let mut contents: Vec<(Wire<'_>, Option<Vec<u8>>)> = Vec::new();
        while let Some(content) = run.next()? {
            let rearranged = match self.is_careful {
                true => order::rearranged(self.programs, program, content)?,
                false => None,
            };
            contents.push((content, rearranged));
        }
        let [key, value] = &*program.fields else { return Ok(()) };
        let mut entries = Vec::with_capacity(contents.len());
        for (content, rearranged) in &contents {
            let content = rearranged.as_ref().map_or(*content, |bytes| content.copy(bytes));
            let Some(entry) = Entry::read(program, content)? else { return Err(Stop::Disorder) };
            if !has_closed_unknown(self.programs, value.kind, entry.value_bits) {
                entries.push((entry.key(key.kind), entry, content));
            }
        }
        entries.sort_by_key(|(key, ..)| *key);
        for same in entries.chunk_by(|(a, ..), (b, ..)| a == b) {
            if let Some((_, entry, content)) = same.last() {
                self.put_entry(program, entry, content)?;
            }
        }
        Ok(())
    }

    fn put_entry(&mut self, program: &Program, entry: &Entry<'_>, content: &Wire<'_>) -> Written {
        self.count(content)?;
        let [key, value] = &*program.fields else { return Ok(()) };
        if has_closed_unknown(self.programs, value.kind, entry.value_bits) {
            return Ok(());
        }
        match key.kind {
            Kind::String => self.put_string(entry.key_text)?,
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => {
                self.put_bits(key.kind, entry.key_bits);
            }
            kind => {
                self.out.push(b'"');
                self.put_bits(kind, entry.key_bits);
                self.out.push(b'"');
            }
        }
        self.out.push(b':');
        match value.kind {
            Kind::String | Kind::Bytes => self.put_text(value.kind, entry.value)?,
            Kind::Message(message) | Kind::Group(message) => self.message(message, entry.value)?,
            kind => self.put_bits(kind, entry.value_bits),
        }
        self.out.push(b',');
        Ok(())
    }
}
