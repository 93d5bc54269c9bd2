//! The types that have a notation of their own in JSON.

use super::{Printer, Stop, Written};
use crate::{
    error::WireProblem,
    field_mask,
    program::{Kind, Program, Shape, WireType},
    time::{self, Time},
    wire::Wire,
};

impl Printer<'_> {
    pub(super) fn well_known(
        &mut self,
        program: &Program,
        shape: Shape,
        wire: Wire<'_>,
    ) -> Written {
        match shape {
            Shape::Any => self.any(wire),
            Shape::Timestamp => self.timestamp(wire),
            Shape::Duration => self.duration(wire),
            Shape::FieldMask => self.field_mask(wire),
            Shape::Wrapper => self.wrapper(program.fields[0].kind, wire),
            Shape::Value => {
                self.in_order(program, wire, |printer, wire| printer.value(program, wire))
            }
            Shape::Object | Shape::Struct | Shape::ListValue => {
                self.in_order(program, wire, |printer, wire| printer.only(program, 0, wire))
            }
        }
    }

    fn timestamp(&mut self, wire: Wire<'_>) -> Written {
        let time = time(wire)?;
        if !time::put_timestamp(time, self.out) {
            return Err(wire.fault(WireProblem::Timestamp).into());
        }
        Ok(())
    }

    fn duration(&mut self, wire: Wire<'_>) -> Written {
        let time = time(wire)?;
        self.out.push(b'"');
        if !time::put_duration(time, self.out) {
            return Err(wire.fault(WireProblem::Duration).into());
        }
        self.out.push(b'"');
        Ok(())
    }

    fn field_mask(&mut self, mut wire: Wire<'_>) -> Written {
        let mut paths = Vec::new();
        while !wire.is_done() {
            let key = wire.key()?;
            if key.number != 1 || key.wire_type != WireType::Length {
                wire.skip(key)?;
                continue;
            }
            let path = wire.length()?;
            self.count(&path)?;
            if !paths.is_empty() {
                paths.push(b',');
            }
            if !field_mask::put_camel(path.bytes, &mut paths) {
                return Err(path.fault(WireProblem::FieldMask).into());
            }
        }
        self.put_string(wire.copy(&paths))
    }

    /// Prints a `google.protobuf.Value`; one that holds nothing as `null`.
    fn value(&mut self, program: &Program, mut wire: Wire<'_>) -> Written {
        let mut is_found = false;
        while !wire.is_done() {
            let key = wire.key()?;
            let index = program.by_number(key.number);
            let index = index.filter(|at| program.fields[*at].kind.wire_type() == key.wire_type);
            let Some(index) = index else {
                wire.skip(key)?;
                continue;
            };
            if std::mem::replace(&mut is_found, true) {
                return Err(Stop::Disorder);
            }
            match program.fields[index].kind {
                Kind::Message(message) => {
                    let content = wire.length()?;
                    self.message(message, content)?;
                }
                Kind::String => {
                    let content = wire.length()?;
                    self.put_string(content)?;
                }
                Kind::Double => {
                    let here = wire;
                    let bits = wire.bits(key.wire_type)?;
                    self.plain_number(bits, &here)?;
                }
                kind => {
                    let bits = wire.bits(key.wire_type)?;
                    self.put_bits(kind, bits);
                }
            }
        }
        if !is_found {
            self.out.extend_from_slice(b"null");
        }
        Ok(())
    }
}

/// The two fields of a timestamp or duration; what comes last counts.
#[allow(clippy::cast_possible_truncation, reason = "as decoders of 32 bits do")]
fn time(mut wire: Wire<'_>) -> Result<Time, Stop> {
    let mut time = Time::default();
    while !wire.is_done() {
        let key = wire.key()?;
        match (key.number, key.wire_type) {
            (1, WireType::Varint) => time.seconds = wire.varint()?.cast_signed(),
            (2, WireType::Varint) => time.nanos = (wire.varint()? as u32).cast_signed(),
            _ => wire.skip(key)?,
        }
    }
    Ok(time)
}
