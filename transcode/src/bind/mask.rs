//! The update mask of a PATCH that has none: the fields that its body holds, as
//! clients expect who know JSON Merge Patch (AIP-134).

use std::collections::HashSet;

use prost_reflect::{FieldDescriptor, MessageDescriptor, Value};

use super::Step;
use crate::{
    cursor::{Cursor, Read},
    program::{Kind, Label, Programs, Shape},
    wire::{close, open},
};

/// `google.api.FieldBehavior` values that a client may send back as it got them
/// but never changes (AIP-203): OUTPUT_ONLY and IDENTIFIER.
const NOT_UPDATABLE: [i32; 2] = [3, 8];

/// `paths` of `google.protobuf.FieldMask`, length-delimited.
const PATHS: u8 = 1 << 3 | 2;

/// How to make the mask.
#[derive(Debug)]
pub(super) struct Mask {
    /// The field of the request that it becomes.
    pub(super) field: Step,
    /// The message that the body is.
    body: u32,
    /// Fields that are never named.
    fixed: HashSet<(u32, u32)>,
}

/// The one field of a request that is a mask; none when it has none or several.
pub(super) fn field_of(input: &MessageDescriptor) -> Option<FieldDescriptor> {
    let mut masks = input.fields().filter(|field| {
        let kind = field.kind();
        let mask = kind.as_message().map(MessageDescriptor::full_name);
        mask == Some("google.protobuf.FieldMask") && !field.is_list()
    });
    let mask = masks.next()?;
    masks.next().is_none().then_some(mask)
}

impl Mask {
    pub(super) fn new(programs: &Programs, field: Step, body: &MessageDescriptor) -> Option<Mask> {
        let at = *programs.by_name.get(body.full_name())?;
        let mut fixed = HashSet::new();
        let mut known = HashSet::new();
        collect_fixed(programs, body, &mut known, &mut fixed);
        // An etag says which version is meant, it is not a value to write (AIP-154).
        let etag = body.get_field_by_name("etag");
        if let Some(etag) = etag.filter(|etag| etag.kind() == prost_reflect::Kind::String) {
            fixed.insert((at, etag.number()));
        }
        Some(Mask { field, body: at, fixed })
    }

    /// Appends the mask's field for a body that was read without a fault.
    pub(super) fn append(&self, programs: &Programs, body: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.field.of(programs).tag.bytes());
        let start = open(out);
        let mut walk = Walk { programs, fixed: &self.fixed, out, path: String::new() };
        // What is no object has no fields.
        _ = walk.message(self.body, &mut Cursor::new(body));
        close(out, start);
    }
}

struct Walk<'a> {
    programs: &'a Programs,
    fixed: &'a HashSet<(u32, u32)>,
    out: &'a mut Vec<u8>,
    path: String,
}

impl Walk<'_> {
    /// Lists, maps and well-known types are replaced as a whole; messages field
    /// by field. `null` is named too: it clears the field.
    fn message(&mut self, message: u32, cursor: &mut Cursor<'_>) -> Read<()> {
        cursor.expect(b'{')?;
        let mut more = !cursor.is_empty(b'}');
        while more {
            cursor.space();
            let name = cursor.string()?;
            cursor.expect(b':')?;
            self.member(message, &name.content(), cursor)?;
            more = cursor.more(b'}')?;
        }
        Ok(())
    }

    fn member(&mut self, message: u32, name: &[u8], cursor: &mut Cursor<'_>) -> Read<()> {
        let program = &self.programs.messages[message as usize];
        let field = program.names.get(name).map(|at| &program.fields[at]);
        let Some(field) = field.filter(|f| !self.fixed.contains(&(message, f.number))) else {
            return cursor.skip(usize::MAX);
        };
        let before = self.path.len();
        if before > 0 {
            self.path.push('.');
        }
        self.path.push_str(field.proto_name());
        let inner = match field.kind {
            Kind::Message(at) | Kind::Group(at) if field.label == Label::Explicit => {
                (self.programs.messages[at as usize].shape == Shape::Object).then_some(at)
            }
            _ => None,
        };
        match inner {
            Some(at) if has_members(cursor) => self.message(at, cursor)?,
            _ => {
                self.name();
                cursor.skip(usize::MAX)?;
            }
        }
        self.path.truncate(before);
        Ok(())
    }

    fn name(&mut self) {
        self.out.push(PATHS);
        let start = open(self.out);
        self.out.extend_from_slice(self.path.as_bytes());
        close(self.out, start);
    }
}

/// Whether an object with something in it follows.
fn has_members(cursor: &mut Cursor<'_>) -> bool {
    if cursor.space() != b'{' {
        return false;
    }
    let mut ahead = cursor.clone();
    ahead.at += 1;
    !ahead.is_empty(b'}')
}

/// Notes the fields of a message, and of those within it, that no client changes.
fn collect_fixed(
    programs: &Programs,
    message: &MessageDescriptor,
    known: &mut HashSet<String>,
    fixed: &mut HashSet<(u32, u32)>,
) {
    let Some(&at) = programs.by_name.get(message.full_name()) else { return };
    if programs.messages[at as usize].shape != Shape::Object
        || !known.insert(message.full_name().to_owned())
    {
        return;
    }
    for field in message.fields() {
        if behaviors(&field).iter().any(|behavior| NOT_UPDATABLE.contains(behavior)) {
            fixed.insert((at, field.number()));
        } else if let prost_reflect::Kind::Message(inner) = field.kind()
            && !field.is_list()
            && !field.is_map()
        {
            collect_fixed(programs, &inner, known, fixed);
        }
    }
}

/// The numbers of a field's `google.api.field_behavior`.
fn behaviors(field: &FieldDescriptor) -> Vec<i32> {
    let Some(extension) = field.parent_pool().get_extension_by_name("google.api.field_behavior")
    else {
        return Vec::new();
    };
    let options = field.options();
    if !options.has_extension(&extension) {
        return Vec::new();
    }
    let value = options.get_extension(&extension);
    value.as_list().unwrap_or_default().iter().filter_map(Value::as_enum_number).collect()
}
