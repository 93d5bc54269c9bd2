//! Objects into messages, field by field, and arrays into lists.

use super::Reader;
use crate::{
    cursor::Read,
    error::Problem,
    program::{Field, Kind, Label, Program, Shape},
    wire,
};

/// Fields and oneofs of a message that were seen: most have few.
pub(super) struct Seen {
    few: u64,
    more: Vec<u64>,
}

impl Seen {
    pub(super) fn new() -> Seen {
        Seen { few: 0, more: Vec::new() }
    }

    /// Whether it is the first time.
    #[inline]
    pub(super) fn insert(&mut self, at: usize) -> bool {
        if at < 64 {
            let bit = 1 << at;
            let is_new = self.few & bit == 0;
            self.few |= bit;
            return is_new;
        }
        self.insert_more(at - 64)
    }

    fn insert_more(&mut self, at: usize) -> bool {
        let (word, bit) = (at / 64, 1 << (at % 64));
        if self.more.len() <= word {
            self.more.resize(word + 1, 0);
        }
        let is_new = self.more[word] & bit == 0;
        self.more[word] |= bit;
        is_new
    }
}

/// What a member's name says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// The field at an index.
    Field(usize),
    /// `@type`, within an `Any`.
    Type,
    /// Nothing that is known.
    Ignored,
}

impl<'a> Reader<'a> {
    /// Reads the content of a message, in the notation of its type.
    pub(super) fn message(&mut self, message: u32) -> Read<()> {
        let programs = self.programs;
        let program = &programs.messages[message as usize];
        match program.shape {
            Shape::Object => self.object(program, false),
            shape => self.well_known(program, shape),
        }
    }

    /// Reads an object's members into fields. The content of an `Any` has its
    /// type among them.
    pub(super) fn object(&mut self, program: &'a Program, in_any: bool) -> Read<()> {
        self.enter(b'{', Problem::WantsObject)?;
        let (mut seen, mut oneofs) = (Seen::new(), Seen::new());
        let mut next = 0;
        let mut more = !self.json.is_empty(b'}');
        while more {
            self.json.space();
            let at = self.json.at;
            let name = self.name(program, next, in_any)?;
            self.json.expect(b':')?;
            if let Name::Field(index) = name {
                next = index + 1;
                if !seen.insert(index) {
                    return Err(self.fault_at(at, Problem::Duplicate));
                }
                let field = &program.fields[index];
                let is_set = self.member(field)?;
                if let Some(oneof) = field.oneof
                    && is_set
                    && !oneofs.insert(oneof.into())
                {
                    return Err(self.fault_at(at, Problem::Oneof));
                }
            } else {
                // The type of an `Any` stands behind its fields.
                if name == Name::Type && !seen.insert(program.fields.len()) {
                    return Err(self.fault_at(at, Problem::Duplicate));
                }
                self.json.skip(self.depth)?;
            }
            more = self.json.more(b'}')?;
        }
        self.leave();
        Ok(())
    }

    #[inline]
    fn name(&mut self, program: &Program, next: usize, in_any: bool) -> Read<Name> {
        // Members mostly come in the order of the contract.
        if let Some(field) = program.fields.get(next) {
            let quoted = field.quoted_json_name();
            if self.json.text[self.json.at..].starts_with(quoted) {
                self.json.at += quoted.len();
                return Ok(Name::Field(next));
            }
        }
        let at = self.json.at;
        let name = self.json.string()?;
        let index = match name.is_escaped {
            false => program.names.get(name.raw),
            true => program.names.get(&name.content()),
        };
        match index {
            Some(index) => Ok(Name::Field(index)),
            None if in_any && &*name.content() == b"@type" => Ok(Name::Type),
            None if self.ignore_unknown => Ok(Name::Ignored),
            None => Err(self.fault_at(at, Problem::UnknownField)),
        }
    }

    /// Reads the value of a member; whether that sets the field.
    #[inline]
    pub(super) fn member(&mut self, field: &'a Field) -> Read<bool> {
        self.count()?;
        let is_single = matches!(field.label, Label::Implicit | Label::Explicit);
        if self.json.space() == b'n' && !(field.takes_null && is_single) {
            self.json.literal(b"null")?;
            return Ok(false);
        }
        match field.label {
            Label::List { packed: true } => self.packed(field).map(|()| true),
            Label::List { packed: false } => self.list(field).map(|()| true),
            Label::Map => self.map(field).map(|()| true),
            label => self.value(field, label == Label::Explicit),
        }
    }

    /// Reads one value and puts its tag before it; whether anything was written.
    /// Without presence, a default is not.
    #[inline]
    pub(super) fn value(&mut self, field: &Field, presence: bool) -> Read<bool> {
        let start = self.out.len();
        match field.kind {
            Kind::String | Kind::Bytes => {
                self.out.extend_from_slice(field.tag.bytes());
                let content = self.out.len();
                match field.kind {
                    Kind::String => self.string()?,
                    _ => self.bytes()?,
                }
                // An empty one is nothing but its length.
                if !presence && self.out.len() == content + 1 {
                    self.out.truncate(start);
                    return Ok(false);
                }
            }
            Kind::Message(message) => {
                self.out.extend_from_slice(field.tag.bytes());
                let content = wire::open(self.out);
                self.message(message)?;
                wire::close(self.out, content);
            }
            Kind::Group(message) => {
                self.out.extend_from_slice(field.tag.bytes());
                self.message(message)?;
                self.out.extend_from_slice(field.end.bytes());
            }
            kind => match self.bits(kind)? {
                Some(bits) if presence || bits != 0 => {
                    self.out.extend_from_slice(field.tag.bytes());
                    wire::put_bits(self.out, kind, bits);
                }
                _ => return Ok(false),
            },
        }
        Ok(true)
    }

    pub(super) fn list(&mut self, field: &'a Field) -> Read<()> {
        self.enter(b'[', Problem::WantsArray)?;
        let mut more = !self.json.is_empty(b']');
        while more {
            self.count()?;
            self.json.space();
            self.value(field, true)?;
            more = self.json.more(b']')?;
        }
        self.leave();
        Ok(())
    }

    fn packed(&mut self, field: &Field) -> Read<()> {
        self.enter(b'[', Problem::WantsArray)?;
        let start = self.out.len();
        self.out.extend_from_slice(field.tag.bytes());
        let content = wire::open(self.out);
        let mut more = !self.json.is_empty(b']');
        while more {
            self.count()?;
            self.json.space();
            if let Some(bits) = self.bits(field.kind)? {
                wire::put_bits(self.out, field.kind, bits);
            }
            more = self.json.more(b']')?;
        }
        self.leave();
        if self.out.len() == content {
            self.out.truncate(start);
        } else {
            wire::close(self.out, content);
        }
        Ok(())
    }
}
