//! Protobuf to JSON: one pass over the message. What encoders write, fields in
//! the order of their numbers and each together, is printed as it is read.
//! Anything else that protobuf allows (a field set twice, a message in parts) is
//! put in that order first, so that equal messages are equal texts.

mod any;
mod map;
mod message;
mod order;
mod scalar;
mod text;
mod well_known;

use crate::{
    error::{Fault, WireProblem},
    options::WriteOptions,
    program::{Field, Label, Program, Programs},
    wire::Wire,
};

/// Why printing stopped.
pub(crate) enum Stop {
    /// The message cannot be printed.
    Fault(Fault<WireProblem>),
    /// Fields are not in order, and it was hoped that they are.
    Disorder,
}

impl From<Fault<WireProblem>> for Stop {
    fn from(fault: Fault<WireProblem>) -> Stop {
        Stop::Fault(fault)
    }
}

type Written = Result<(), Stop>;

/// Prints one message.
pub(crate) struct Printer<'a> {
    programs: &'a Programs,
    out: &'a mut Vec<u8>,
    options: WriteOptions,
    /// Levels that may still be opened.
    depth: usize,
    /// Values that may still come.
    elements: usize,
    /// Where `out` has to end.
    out_end: usize,
    /// Whether messages are put in order before they are printed. That is not
    /// done at first, since it is hardly ever needed; and not message by message,
    /// since each level could then print all that is below it once more.
    is_careful: bool,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(
        programs: &'a Programs,
        options: &WriteOptions,
        out: &'a mut Vec<u8>,
    ) -> Printer<'a> {
        let limits = options.limits;
        Printer {
            programs,
            options: *options,
            depth: limits.depth,
            elements: limits.elements,
            out_end: out.len().saturating_add(limits.output),
            is_careful: false,
            out,
        }
    }

    /// Prints a whole message.
    pub(crate) fn whole_message(
        &mut self,
        message: u32,
        wire: Wire<'_>,
    ) -> Result<(), Fault<WireProblem>> {
        self.twice(|printer| printer.message(message, wire))
    }

    /// Prints the value of one field of a message.
    pub(crate) fn whole_field(
        &mut self,
        program: &Program,
        index: usize,
        wire: Wire<'_>,
    ) -> Result<(), Fault<WireProblem>> {
        self.twice(|printer| {
            printer.in_order(program, wire, |printer, wire| printer.only(program, index, wire))
        })
    }

    /// Runs in hope first, and then with care.
    fn twice(&mut self, print: impl Fn(&mut Self) -> Written) -> Result<(), Fault<WireProblem>> {
        let (before, elements, depth) = (self.out.len(), self.elements, self.depth);
        for is_careful in [false, true] {
            self.is_careful = is_careful;
            (self.elements, self.depth) = (elements, depth);
            match print(self) {
                Ok(()) => return Ok(()),
                Err(Stop::Fault(fault)) => return Err(fault),
                Err(Stop::Disorder) => self.out.truncate(before),
            }
        }
        unreachable!("what was put in order is in order")
    }

    /// Runs with the fields of a message in order: as they are in hope, or with
    /// care rearranged where they must be.
    fn in_order(
        &mut self,
        program: &Program,
        wire: Wire<'_>,
        print: impl FnOnce(&mut Self, Wire<'_>) -> Written,
    ) -> Written {
        if !self.is_careful {
            return print(self, wire);
        }
        match order::rearranged(self.programs, program, wire)? {
            Some(bytes) => print(self, wire.copy(&bytes)),
            None => print(self, wire),
        }
    }

    /// One more value.
    #[inline]
    fn count(&mut self, wire: &Wire<'_>) -> Written {
        if self.elements == 0 {
            return Err(wire.fault(WireProblem::ElementLimit).into());
        }
        self.elements -= 1;
        if self.out.len() > self.out_end {
            return Err(wire.fault(WireProblem::OutputLimit).into());
        }
        Ok(())
    }

    /// Opens a message; [`Printer::leave`] when it was closed.
    #[inline]
    fn enter(&mut self, wire: &Wire<'_>) -> Written {
        if self.depth == 0 {
            return Err(wire.fault(WireProblem::DepthLimit).into());
        }
        self.depth -= 1;
        Ok(())
    }

    #[inline]
    fn leave(&mut self) {
        self.depth += 1;
    }

    #[inline]
    fn put_key(&mut self, field: &Field, is_first: bool) {
        let key = if self.options.proto_names { &field.proto_key } else { &field.json_key };
        // The comma in front is a part of the key.
        self.out.extend_from_slice(&key[usize::from(is_first)..]);
    }

    /// Prints what a field holds that does not occur.
    fn put_default(&mut self, field: &Field) {
        match field.label {
            Label::List { .. } => self.out.extend_from_slice(b"[]"),
            Label::Map => self.out.extend_from_slice(b"{}"),
            _ => self.put_scalar_default(field.kind),
        }
    }
}
