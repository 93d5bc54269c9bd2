//! Where a byte of a text or message belongs, as a path of JSON names. Found out when
//! something is wrong, so that nothing is noted while all is well.

use std::collections::HashMap;

use crate::{
    cursor::Cursor,
    program::{Field, Kind, Label, Programs, Shape},
    wire::Wire,
};

/// Longest path that is reported; keys and unknown names are the client's own
/// text.
const MAX_PATH: usize = 256;

/// What a text, or a part of it, is to become.
#[derive(Clone, Copy)]
pub(crate) enum Place<'p> {
    /// A message.
    Message(u32),
    /// All values of a field.
    Field(&'p Field),
    /// One value of a field that may have many.
    Element(&'p Field),
    /// Nothing that the schema knows.
    Unknown,
}

/// An object or array that is open.
enum Open<'t> {
    Object { name: &'t [u8], before_name: bool },
    Array { index: usize },
}

/// The path of the value at a position. Everything before it is JSON.
pub(crate) fn path(
    programs: &Programs,
    root: Place<'_>,
    text: &[u8],
    position: usize,
    prefix: &str,
) -> String {
    let mut path = prefix.to_owned();
    let mut place = root;
    for open in opened(text, position.min(text.len())) {
        match open {
            Open::Object { before_name: true, .. } => break,
            Open::Object { name, .. } => {
                let name = String::from_utf8_lossy(name);
                place = member(programs, place, &name, &mut path);
            }
            Open::Array { index } => {
                path.push_str(&format!("[{index}]"));
                place = element(place);
            }
        }
    }
    match path.char_indices().nth(MAX_PATH) {
        Some((end, _)) => format!("{}…", &path[..end]),
        None => path,
    }
}

/// The path of the field around a position in an encoded message. It ends at
/// maps and well-known types, whose parts are no fields in JSON.
pub(crate) fn wire_path(programs: &Programs, message: u32, wire: &[u8], position: usize) -> String {
    let mut path = String::new();
    let (mut message, mut wire) = (message, Wire::new(wire));
    let mut counts: HashMap<u32, usize> = HashMap::new();
    while !wire.is_done() {
        let Ok(key) = wire.key() else { break };
        let program = &programs.messages[message as usize];
        let field = program.by_number(key.number).map(|index| &program.fields[index]);
        let field = field.filter(|_| program.shape == Shape::Object);
        let mut content = wire;
        let is_before = wire.skip(key).is_ok() && wire.position() <= position;
        let count = counts.entry(key.number).or_default();
        if is_before {
            *count += 1;
            continue;
        }
        let Some(field) = field else { break };
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(field.json_name());
        match (field.label, field.kind) {
            (Label::Map, _) => break,
            (Label::List { .. }, _) => path.push_str(&format!("[{count}]")),
            _ => {}
        }
        let (Kind::Message(inner) | Kind::Group(inner)) = field.kind else { break };
        let Ok(inside) = content.content(key) else { break };
        (message, wire) = (inner, inside);
        counts.clear();
    }
    path
}

/// The objects and arrays around a position, outermost first.
fn opened(text: &[u8], position: usize) -> Vec<Open<'_>> {
    let mut cursor = Cursor::new(&text[..position]);
    let mut stack = Vec::new();
    while cursor.space() != 0 {
        let byte = cursor.peek();
        cursor.at += 1;
        match (byte, stack.last_mut()) {
            (b'{', _) => stack.push(Open::Object { name: b"", before_name: true }),
            (b'[', _) => stack.push(Open::Array { index: 0 }),
            (b'}' | b']', _) => drop(stack.pop()),
            (b',', Some(Open::Array { index })) => *index += 1,
            (b',', Some(Open::Object { before_name, .. })) => *before_name = true,
            (b'"', top) => {
                cursor.at -= 1;
                let Ok(string) = cursor.string() else { break };
                if let Some(Open::Object { name, before_name: before @ true }) = top {
                    (*name, *before) = (string.raw, false);
                }
            }
            _ => {}
        }
    }
    // A name that is wrong itself is part of its path.
    if let Some(Open::Object { name, before_name: before @ true }) = stack.last_mut()
        && let Ok(string) = (Cursor { text, at: position }).string()
    {
        (*name, *before) = (string.raw, false);
    }
    stack
}

fn member<'p>(
    programs: &'p Programs,
    place: Place<'p>,
    name: &str,
    path: &mut String,
) -> Place<'p> {
    let message = match place {
        Place::Field(field) if field.label == Label::Map => {
            path.push_str(&format!("[{name:?}]"));
            return value_of_entry(programs, field);
        }
        Place::Message(message) => Some(message),
        Place::Field(field) | Place::Element(field) => match field.kind {
            Kind::Message(message) | Kind::Group(message) => Some(message),
            _ => None,
        },
        Place::Unknown => None,
    };
    let program = message.map(|message| &programs.messages[message as usize]);
    if let Some(program) = program.filter(|program| program.shape == Shape::Struct) {
        path.push_str(&format!("[{name:?}]"));
        return value_of_entry(programs, &program.fields[0]);
    }
    let field = program
        .and_then(|program| program.names.get(name.as_bytes()).map(|index| &program.fields[index]));
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(field.map_or(name, Field::json_name));
    field.map_or(Place::Unknown, Place::Field)
}

fn value_of_entry<'p>(programs: &'p Programs, field: &Field) -> Place<'p> {
    match field.kind {
        Kind::Message(entry) => Place::Element(&programs.messages[entry as usize].fields[1]),
        _ => Place::Unknown,
    }
}

fn element(place: Place<'_>) -> Place<'_> {
    match place {
        Place::Field(field) if matches!(field.label, Label::List { .. }) => Place::Element(field),
        _ => Place::Unknown,
    }
}
