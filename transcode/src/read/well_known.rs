//! The types that have a notation of their own in JSON.

use super::Reader;
use crate::{
    cursor::Read,
    error::Problem,
    field_mask,
    program::{Field, Kind, Program, Shape},
    time::{self, Time},
    wire,
};

/// The fields of `google.protobuf.Value`, by their place.
const NULL: usize = 0;
const NUMBER: usize = 1;
const STRING: usize = 2;
const BOOL: usize = 3;
const STRUCT: usize = 4;
const LIST: usize = 5;

impl<'a> Reader<'a> {
    pub(super) fn well_known(&mut self, program: &'a Program, shape: Shape) -> Read<()> {
        match shape {
            Shape::Object => self.object(program, false),
            Shape::Any => self.any(program),
            Shape::Wrapper => {
                if self.json.peek() == b'n' {
                    return Err(self.json.wants(Problem::Null));
                }
                self.value(&program.fields[0], false).map(drop)
            }
            Shape::Struct => self.map(&program.fields[0]),
            Shape::ListValue => self.list(&program.fields[0]),
            Shape::Value => {
                let at = match self.json.peek() {
                    b'n' => NULL,
                    b't' | b'f' => BOOL,
                    b'"' => STRING,
                    b'{' => STRUCT,
                    b'[' => LIST,
                    _ => NUMBER,
                };
                // On the wire a value is a message around what it holds, and so is
                // each entry of a struct. Who decodes it counts those.
                let hidden = match at {
                    STRUCT => 2,
                    LIST => 1,
                    _ => 0,
                };
                let left = self.depth.checked_sub(hidden);
                self.depth = left.ok_or_else(|| self.json.fault(Problem::DepthLimit))?;
                self.value(&program.fields[at], true)?;
                self.depth += hidden;
                Ok(())
            }
            Shape::Timestamp | Shape::Duration | Shape::FieldMask => {
                let at = self.json.at;
                let text = self.json.string()?;
                let put = put_text(program, &text.content(), self.out);
                put.map_err(|problem| self.fault_at(at, problem))
            }
        }
    }
}

/// Appends the content of a message whose JSON is a string.
pub(super) fn put_text(program: &Program, text: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
    match program.shape {
        Shape::Timestamp => {
            let time = time::parse_timestamp(text).ok_or(Problem::Timestamp)?;
            put_time(&program.fields, time, out);
        }
        Shape::Duration => {
            let time = time::parse_duration(text).ok_or(Problem::Duration)?;
            put_time(&program.fields, time, out);
        }
        Shape::FieldMask => {
            let paths = text.split(|byte| *byte == b',');
            for path in paths.filter(|_| !text.is_empty()) {
                out.extend_from_slice(program.fields[0].tag.bytes());
                let start = wire::open(out);
                if !field_mask::put_snake(path, out) {
                    return Err(Problem::FieldMask);
                }
                wire::close(out, start);
            }
        }
        _ => return Err(Problem::NoText),
    }
    Ok(())
}

fn put_time(fields: &[Field], time: Time, out: &mut Vec<u8>) {
    for (field, number) in fields.iter().zip([time.seconds, time.nanos.into()]) {
        if number != 0 {
            out.extend_from_slice(field.tag.bytes());
            wire::put_bits(out, Kind::Int64, number.cast_unsigned());
        }
    }
}
