//! Messages into objects, and runs of a repeated field into arrays.

use super::{
    Printer, Stop, Written,
    scalar::{has_closed_unknown, kept},
};
use crate::{
    program::{Field, Kind, Label, Program, Shape, Tag, WireType},
    wire::{Key, Wire},
};

/// Oneofs of a message of which a field was seen; later ones are not looked at in
/// hope, but with care.
const FEW_ONEOFS: u16 = 64;

/// Whether a value of that wire type is one of the field's; protobuf takes others
/// for unknown fields. Repeated numbers come packed or not, whatever the contract
/// says.
#[inline]
pub(super) fn accepts(field: &Field, wire_type: WireType) -> bool {
    field.kind.wire_type() == wire_type
        || wire_type == WireType::Length
            && matches!(field.label, Label::List { .. })
            && field.kind.is_packable()
}

impl Printer<'_> {
    /// Prints a message in the notation of its type.
    pub(super) fn message(&mut self, message: u32, wire: Wire<'_>) -> Written {
        let programs = self.programs;
        let program = &programs.messages[message as usize];
        // As deep as the text: a `Value` is no level beside what it holds.
        let is_level =
            matches!(program.shape, Shape::Object | Shape::Any | Shape::Struct | Shape::ListValue);
        if is_level {
            self.enter(&wire)?;
        }
        match program.shape {
            Shape::Object => self.in_order(program, wire, |printer, wire| {
                printer.out.push(b'{');
                printer.fields(program, wire, true)?;
                printer.out.push(b'}');
                Ok(())
            })?,
            shape => self.well_known(program, shape, wire)?,
        }
        if is_level {
            self.leave();
        }
        Ok(())
    }

    /// Prints the members of an object.
    pub(super) fn fields(
        &mut self,
        program: &Program,
        mut wire: Wire<'_>,
        mut is_first: bool,
    ) -> Written {
        let mut next = 0;
        let mut oneofs = 0_u64;
        while !wire.is_done() {
            let key = wire.key()?;
            let Some(index) = program.by_number(key.number) else {
                wire.skip(key)?;
                continue;
            };
            let field = &program.fields[index];
            if !accepts(field, key.wire_type) {
                wire.skip(key)?;
                continue;
            }
            if index < next {
                return Err(Stop::Disorder);
            }
            if let Some(oneof) = field.oneof {
                let bit = 1 << (oneof % FEW_ONEOFS);
                if !self.is_careful && (oneofs & bit != 0 || oneof >= FEW_ONEOFS) {
                    return Err(Stop::Disorder);
                }
                oneofs |= bit;
            }
            if self.options.defaults {
                self.defaults(&program.fields[next..index], &mut is_first);
            }
            next = index + 1;
            self.member(field, key, &mut wire, &mut is_first)?;
        }
        if self.options.defaults {
            self.defaults(&program.fields[next..], &mut is_first);
        }
        Ok(())
    }

    /// Prints a field with its name, from its first key on.
    #[inline]
    fn member(
        &mut self,
        field: &Field,
        key: Key,
        wire: &mut Wire<'_>,
        is_first: &mut bool,
    ) -> Written {
        let before = self.out.len();
        self.put_key(field, *is_first);
        if self.values(field, key, wire)? {
            *is_first = false;
        } else {
            self.out.truncate(before);
        }
        Ok(())
    }

    /// Prints all values of a field that follow its first key; false where they
    /// are the same as none, and nothing of use was printed.
    #[inline]
    pub(super) fn values(
        &mut self,
        field: &Field,
        key: Key,
        wire: &mut Wire<'_>,
    ) -> Result<bool, Stop> {
        match field.label {
            Label::List { .. } => Ok(self.list(field, key, wire)? || self.options.defaults),
            Label::Map => Ok(self.map(field, wire)? || self.options.defaults),
            Label::Explicit => self.single(field, key, wire, true),
            Label::Implicit => self.single(field, key, wire, self.options.defaults),
        }
    }

    fn defaults(&mut self, fields: &[Field], is_first: &mut bool) {
        for field in fields.iter().filter(|field| field.label != Label::Explicit) {
            self.put_key(field, std::mem::take(is_first));
            self.put_default(field);
        }
    }

    /// Prints one value; false where it is nothing to print. Inlined, since handing
    /// its result over takes a tenth of what a message costs.
    #[inline(always)]
    fn single(
        &mut self,
        field: &Field,
        key: Key,
        wire: &mut Wire<'_>,
        keeps_defaults: bool,
    ) -> Result<bool, Stop> {
        self.count(wire)?;
        match field.kind {
            Kind::String | Kind::Bytes => {
                let content = wire.length()?;
                if content.bytes.is_empty() && !keeps_defaults {
                    return Ok(false);
                }
                self.put_text(field.kind, content)?;
            }
            Kind::Message(message) | Kind::Group(message) => {
                let content = wire.content(key)?;
                self.message(message, content)?;
            }
            kind => {
                let bits = wire.bits(key.wire_type)?;
                if !keeps_defaults && kept(kind, bits) == 0
                    || has_closed_unknown(self.programs, kind, bits)
                {
                    return Ok(false);
                }
                self.put_bits(kind, bits);
            }
        }
        Ok(true)
    }

    /// Prints all values of a list that follow each other; false where there are
    /// none.
    pub(super) fn list(
        &mut self,
        field: &Field,
        mut key: Key,
        wire: &mut Wire<'_>,
    ) -> Result<bool, Stop> {
        self.out.push(b'[');
        let start = self.out.len();
        // Mostly the same tag comes again.
        let first = key;
        let tag = Tag::new(first.number, first.wire_type);
        loop {
            self.elements(field, key, wire)?;
            if wire.skip_tag(&tag) {
                key = first;
                continue;
            }
            let here = wire.at;
            if wire.is_done() {
                break;
            }
            key = wire.key()?;
            if key.number != field.number || !accepts(field, key.wire_type) {
                wire.at = here;
                break;
            }
        }
        let is_empty = self.out.len() == start;
        if !is_empty {
            // Each element ends with a comma.
            self.out.pop();
        }
        self.out.push(b']');
        Ok(!is_empty)
    }

    /// Prints what stands behind one key of a list: an element, or a packed run.
    #[inline]
    fn elements(&mut self, field: &Field, key: Key, wire: &mut Wire<'_>) -> Written {
        if key.wire_type != WireType::Length || !field.kind.is_packable() {
            return self.element(field, key, wire);
        }
        let mut content = wire.length()?;
        while !content.is_done() {
            let key = Key { wire_type: field.kind.wire_type(), ..key };
            self.element(field, key, &mut content)?;
        }
        Ok(())
    }

    fn element(&mut self, field: &Field, key: Key, wire: &mut Wire<'_>) -> Written {
        if self.single(field, key, wire, true)? {
            self.out.push(b',');
        }
        Ok(())
    }

    /// Prints the value of one field, and none of the others.
    pub(super) fn only(&mut self, program: &Program, index: usize, mut wire: Wire<'_>) -> Written {
        let field = &program.fields[index];
        let before = self.out.len();
        let mut is_found = false;
        while !wire.is_done() {
            let key = wire.key()?;
            if key.number != field.number || !accepts(field, key.wire_type) {
                wire.skip(key)?;
                continue;
            }
            if std::mem::replace(&mut is_found, true) && !self.is_careful {
                return Err(Stop::Disorder);
            }
            self.out.truncate(before);
            is_found = self.values(field, key, &mut wire)?;
        }
        if !is_found {
            self.out.truncate(before);
            self.put_default(field);
        }
        Ok(())
    }
}
