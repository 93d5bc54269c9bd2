//! The fields of a message in the order in which encoders write them: by number,
//! all values of a field together, a singular field once. What is set twice
//! counts as protobuf's decoders have it: the last number or string, messages
//! merged, of a oneof the last field.

use std::collections::HashMap;

use super::{message::accepts, scalar::has_closed_unknown};
use crate::{
    error::{Fault, WireProblem},
    program::{Field, Kind, Label, Program, Programs, WireType},
    wire::{self, Key, Wire},
};

type Read<T> = Result<T, Fault<WireProblem>>;

/// One occurrence of a field.
struct Part<'w> {
    index: usize,
    /// Where it begins in the message.
    start: usize,
    /// With its key.
    whole: &'w [u8],
    /// Of a message, what is in it; of numbers nothing.
    content: &'w [u8],
}

/// The message in order; nothing where it is so already.
pub(super) fn rearranged(
    programs: &Programs,
    program: &Program,
    wire: Wire<'_>,
) -> Read<Option<Vec<u8>>> {
    let mut parts = parts(programs, program, wire)?;
    let in_order = parts.windows(2).all(|pair| {
        let [earlier, later] = pair else { return true };
        let repeats = matches!(program.fields[later.index].label, Label::List { .. } | Label::Map);
        // An unknown field between two values parts them.
        let together = later.start == earlier.start + earlier.whole.len();
        earlier.index < later.index || earlier.index == later.index && repeats && together
    });
    if !drop_replaced(program, &mut parts) && in_order {
        return Ok(None);
    }
    parts.sort_by_key(|part| part.index);
    let mut out = Vec::with_capacity(wire.bytes.len());
    for same in parts.chunk_by(|a, b| a.index == b.index) {
        put(&program.fields[same[0].index], same, &mut out);
    }
    Ok(Some(out))
}

/// All occurrences of known fields, as they come.
fn parts<'w>(programs: &Programs, program: &Program, mut wire: Wire<'w>) -> Read<Vec<Part<'w>>> {
    let mut parts = Vec::new();
    while !wire.is_done() {
        let start = wire.at;
        let key = wire.key()?;
        let index = program.by_number(key.number);
        let index = index.filter(|index| accepts(&program.fields[*index], key.wire_type));
        let Some(index) = index else {
            wire.skip(key)?;
            continue;
        };
        let content = value(programs, &program.fields[index], key, &mut wire)?;
        if let Some(content) = content {
            let whole = &wire.bytes[start..wire.at];
            parts.push(Part { index, start, whole, content });
        }
    }
    Ok(parts)
}

/// Steps over a value; its content, or nothing where it is no value of a closed
/// enum and therefore unknown.
fn value<'w>(
    programs: &Programs,
    field: &Field,
    key: Key,
    wire: &mut Wire<'w>,
) -> Read<Option<&'w [u8]>> {
    if matches!(key.wire_type, WireType::Length | WireType::Start) {
        return Ok(Some(wire.content(key)?.bytes));
    }
    let bits = wire.bits(key.wire_type)?;
    Ok((!has_closed_unknown(programs, field.kind, bits)).then_some(&[]))
}

/// Drops what later fields of the same oneof replaced; whether there was any.
fn drop_replaced(program: &Program, parts: &mut Vec<Part<'_>>) -> bool {
    // Per oneof: the field that is set, and where its first value stands.
    let mut set: HashMap<u16, (usize, usize)> = HashMap::new();
    for (at, part) in parts.iter().enumerate() {
        if let Some(oneof) = program.fields[part.index].oneof {
            let current = set.entry(oneof).or_insert((part.index, at));
            if current.0 != part.index {
                *current = (part.index, at);
            }
        }
    }
    let before = parts.len();
    let mut at = 0;
    parts.retain(|part| {
        at += 1;
        let oneof = program.fields[part.index].oneof;
        oneof.is_none_or(|oneof| set.get(&oneof).is_some_and(|(_, first)| at > *first))
    });
    parts.len() < before
}

/// Appends what all occurrences of a field come to.
fn put(field: &Field, same: &[Part<'_>], out: &mut Vec<u8>) {
    match (field.label, field.kind) {
        (Label::List { .. } | Label::Map, _) => {
            same.iter().for_each(|part| out.extend_from_slice(part.whole));
        }
        (_, kind @ (Kind::Message(_) | Kind::Group(_))) if same.len() > 1 => {
            out.extend_from_slice(field.tag.bytes());
            let contents = same.iter().map(|part| part.content);
            let len: usize = contents.clone().map(<[u8]>::len).sum();
            if matches!(kind, Kind::Message(_)) {
                wire::put_varint(out, len as u64);
            }
            contents.for_each(|content| out.extend_from_slice(content));
            if matches!(kind, Kind::Group(_)) {
                out.extend_from_slice(field.end.bytes());
            }
        }
        _ => out.extend_from_slice(same.last().map_or(&[], |part| part.whole)),
    }
}
