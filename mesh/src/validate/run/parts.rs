//! Small messages of known form, whose encoding may come in parts.

use super::{
    super::{
        path::{Malformed, Path},
        plan::Kind,
        time,
        wire::{Found, Raw, Reader},
    },
    WRONG_WIRE,
};

pub(super) fn utf8<'a>(bytes: &'a [u8], at: &Path<'_>) -> Result<&'a str, Malformed> {
    str::from_utf8(bytes).map_err(|_| at.malformed("the text is not UTF-8"))
}

pub(super) fn each<'a>(
    parts: &[&'a [u8]],
    at: &Path<'_>,
    mut visit: impl FnMut(Found<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    for part in parts {
        let mut reader = Reader::new(part);
        while let Some(found) = reader.field().map_err(|fault| at.malformed(fault))? {
            visit(found)?;
        }
    }
    Ok(())
}

/// The last value of a field in a small message.
pub(super) fn last<'a>(
    parts: &[&'a [u8]],
    number: u32,
    kind: Kind,
    at: &Path<'_>,
) -> Result<Option<Raw<'a>>, Malformed> {
    let mut value = None;
    each(parts, at, |found| {
        if found.number == number {
            if found.wire != kind.wire() {
                return Err(at.malformed(WRONG_WIRE));
            }
            value = Some(found.raw);
        }
        Ok(())
    })?;
    Ok(value)
}

/// Of a `Duration` or a `Timestamp`.
pub(super) fn nanoseconds(parts: &[&[u8]], at: &Path<'_>) -> Result<i128, Malformed> {
    let seconds = last(parts, 1, Kind::Int64, at)?.map_or(0, |raw| raw.bits().cast_signed());
    let nanos = last(parts, 2, Kind::Int32, at)?.map_or(0, |raw| Kind::Int32.signed(raw.bits()));
    Ok(time::nanoseconds(seconds, nanos))
}
