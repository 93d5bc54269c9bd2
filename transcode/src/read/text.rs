//! A field's value from plain text, as paths and queries have it. They know no
//! types and pass through more hands than a body, so there is one notation for
//! each value and no other: no exponents, signs `+` or spaces in integers.

use super::{scalar::known, well_known::put_text};
use crate::{
    base64,
    error::Problem,
    number,
    program::{Field, Kind, Label, Programs, Shape},
    wire,
};

/// Whether a field, or an element of it, can be given as text.
pub(crate) fn takes_text(programs: &Programs, field: &Field) -> bool {
    match field.kind {
        Kind::Group(_) => false,
        Kind::Message(message) => {
            let shape = programs.messages[message as usize].shape;
            let has_text = matches!(
                shape,
                Shape::Timestamp | Shape::Duration | Shape::FieldMask | Shape::Wrapper
            );
            has_text && field.label != Label::Map
        }
        _ => true,
    }
}

/// Appends a field with a value, also where that is its default: what comes
/// last counts, and this may have to count against something before it.
pub(crate) fn append_text(
    programs: &Programs,
    field: &Field,
    text: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    if !takes_text(programs, field) {
        return Err(Problem::NoText);
    }
    out.extend_from_slice(field.tag.bytes());
    match field.kind {
        Kind::String => {
            wire::put_varint(out, text.len() as u64);
            out.extend_from_slice(text);
        }
        Kind::Bytes => {
            let start = wire::open(out);
            base64::decode(text, out)?;
            wire::close(out, start);
        }
        Kind::Message(message) => {
            let program = &programs.messages[message as usize];
            let start = wire::open(out);
            match program.shape {
                Shape::Wrapper => append_text(programs, &program.fields[0], text, out)?,
                _ => put_text(program, text, out)?,
            }
            wire::close(out, start);
        }
        kind => {
            let bits = bits(programs, kind, text)?;
            if matches!(field.label, Label::List { packed: true }) {
                let start = wire::open(out);
                wire::put_bits(out, kind, bits);
                wire::close(out, start);
            } else {
                wire::put_bits(out, kind, bits);
            }
        }
    }
    Ok(())
}

fn bits(programs: &Programs, kind: Kind, text: &[u8]) -> Result<u64, Problem> {
    match (kind, text) {
        (Kind::Bool, b"true") => Ok(1),
        (Kind::Bool, b"false") => Ok(0),
        (Kind::Bool, _) => Err(Problem::NotBool),
        (Kind::Double | Kind::Float, _) => number::float_text(kind, text),
        (Kind::Enum(table), _) => {
            let table = &programs.enums[table as usize];
            let value = match number::decimal(text) {
                Ok(number) => known(table, number.bits(Kind::Int32)?),
                Err(_) => table.number(text),
            };
            let value = value.ok_or(Problem::UnknownEnum)?;
            Ok(i64::from(value).cast_unsigned())
        }
        _ => number::decimal(text)?.bits(kind),
    }
}
