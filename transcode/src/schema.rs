//! A descriptor pool, compiled: what every conversion starts from.

use prost_reflect::DescriptorPool;
use thiserror::Error;

use crate::{
    FieldPath, JsonError, Problem, ReadOptions, WireError, WireProblem, WriteOptions,
    error::Fault,
    place::{self, Place},
    program::{self, Programs},
    read::Reader,
    wire::Wire,
    write::Printer,
};

/// Why a pool cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompileError {
    /// A type has the name of a well-known type but not its fields.
    #[error("google.protobuf.{name} does not have the fields of the well-known type")]
    WellKnownType {
        /// Its name within `google.protobuf`.
        name: String,
    },
}

/// A message type of the schema that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(pub(crate) u32);

/// Every message type of a descriptor pool as a program. Compiling takes time in
/// proportion to the descriptors; everything else never looks at them again.
#[derive(Debug)]
pub struct Schema {
    programs: Programs,
}

impl Schema {
    /// Compiles all messages and enums of a pool.
    ///
    /// # Errors
    /// When a type contradicts its well-known name.
    pub fn compile(pool: &DescriptorPool) -> Result<Schema, CompileError> {
        match program::compile(pool) {
            Ok(programs) => Ok(Schema { programs }),
            Err(program::Misshapen(name)) => Err(CompileError::WellKnownType { name }),
        }
    }

    /// A message type by its full name, as `titan.projects.v1.Project`.
    #[must_use]
    pub fn message(&self, name: &str) -> Option<MessageId> {
        self.programs.by_name.get(name).copied().map(MessageId)
    }

    /// The full name of a message type.
    #[must_use]
    pub fn name(&self, message: MessageId) -> &str {
        &self.programs.messages[message.0 as usize].name
    }

    /// A field by its name, or by names divided by `.` through messages that hold
    /// one message each: `project.display_name`, `project.displayName`. Where one
    /// field's JSON name is another's name, the JSON name counts.
    #[must_use]
    pub fn field_path(&self, message: MessageId, names: &str) -> Option<FieldPath> {
        FieldPath::resolve(&self.programs, message.0, names)
    }

    /// Fields whose name in the contract is the JSON name of another field of
    /// their message, as `titan.a.v1.B.c`: by that name JSON reaches the other one
    /// only, so a client that writes names as the contract has them is misread.
    pub fn hidden_names(&self) -> impl Iterator<Item = String> {
        self.programs.messages.iter().flat_map(|message| {
            let fields = message.fields.iter().enumerate();
            let hidden = fields.filter(|(at, field)| {
                message.names.get(field.proto_name().as_bytes()) != Some(*at)
            });
            hidden.map(|(_, field)| format!("{}.{}", message.name, field.proto_name()))
        })
    }

    /// Reads JSON as a message and appends its encoding.
    ///
    /// # Errors
    /// The first mistake in the text; nothing is appended then.
    pub fn to_wire(
        &self,
        message: MessageId,
        json: &[u8],
        options: &ReadOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        let before = out.len();
        self.read(json, options, out, |reader| reader.whole_message(message.0)).map_err(|fault| {
            out.truncate(before);
            self.json_error(fault, Place::Message(message.0), json, "")
        })
    }

    /// Reads JSON as the value of one field, as when it is a request's body, and
    /// appends the encoding of a message with that field alone. Protobuf merges
    /// it with what stands before. `null` is refused, but for a single field whose
    /// type has it as a value (`Value`, `NullValue`).
    ///
    /// # Errors
    /// The first mistake in the text; nothing is appended then.
    pub fn field_to_wire(
        &self,
        field: &FieldPath,
        json: &[u8],
        options: &ReadOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        let target = field.field(&self.programs);
        let read = field.within(&self.programs, out, |out| {
            self.read(json, options, out, |reader| reader.whole_field(target))
        });
        read.map_err(|fault| self.json_error(fault, Place::Field(target), json, field.json()))
    }

    /// Prints a message as JSON and appends the text. Fields come in the order of
    /// their numbers and maps in the order of their keys, whatever the order in
    /// the bytes: equal messages are equal texts.
    ///
    /// # Errors
    /// When the bytes are no such message, or it has no JSON; nothing is appended
    /// then.
    pub fn to_json(
        &self,
        message: MessageId,
        wire: &[u8],
        options: &WriteOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        self.write(wire, options, out, |printer| printer.whole_message(message.0, Wire::new(wire)))
            .map_err(|fault| self.wire_error(fault, message.0, wire))
    }

    /// Prints the value of one field of a message, as when it is a response's
    /// body: its default where it is not set, `{}` for a message and `null` for
    /// a well-known type.
    ///
    /// # Errors
    /// As [`Schema::to_json`].
    pub fn field_to_json(
        &self,
        message: MessageId,
        field: &FieldPath,
        wire: &[u8],
        options: &WriteOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let merged = field.innermost(&self.programs, wire);
        let content = merged.as_deref().unwrap_or(wire);
        let (within, index) = field.last();
        let program = &self.programs.messages[within as usize];
        self.write(content, options, out, |printer| {
            printer.whole_field(program, index, Wire::new(content))
        })
        .map_err(|fault| self.wire_error(fault, message.0, wire))
    }

    /// Reads plain text as the value of a field, or as one more element of a
    /// list, and appends the encoding of a message with that field alone, even
    /// where the value is the field's default: it counts against whatever stands
    /// before it.
    ///
    /// # Errors
    /// When the text is not the one notation of a value of the field's type;
    /// nothing is appended then.
    pub fn text_to_wire(
        &self,
        field: &FieldPath,
        text: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        field.append_text(&self.programs, text, out)
    }

    /// The encoded value of the last occurrence of a field in a message, without
    /// tag and length; of a list or map, its last element or entry. What
    /// [`Schema::to_wire`] and [`Schema::text_to_wire`] append is equal exactly
    /// when the values are, so two sources can be compared by it. Nothing when
    /// the field does not occur.
    #[must_use]
    pub fn find<'w>(&self, field: &FieldPath, wire: &'w [u8]) -> Option<&'w [u8]> {
        field.last_in(&self.programs, wire)
    }

    pub(crate) fn programs(&self) -> &Programs {
        &self.programs
    }

    fn read<'a>(
        &'a self,
        json: &'a [u8],
        options: &ReadOptions,
        out: &'a mut Vec<u8>,
        read: impl FnOnce(&mut Reader<'a>) -> Result<(), Fault<Problem>>,
    ) -> Result<(), Fault<Problem>> {
        if json.len() > options.limits.input {
            return Err(Fault { problem: Problem::InputLimit, at: options.limits.input });
        }
        // An encoded message is hardly ever longer than its text.
        out.reserve(json.len().min(options.limits.output));
        read(&mut Reader::new(&self.programs, json, options, out))
    }

    fn write(
        &self,
        wire: &[u8],
        options: &WriteOptions,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Printer<'_>) -> Result<(), Fault<WireProblem>>,
    ) -> Result<(), Fault<WireProblem>> {
        if wire.len() > options.limits.input {
            return Err(Fault { problem: WireProblem::InputLimit, at: options.limits.input });
        }
        let before = out.len();
        // Enough for most texts: names and quotes double what a message takes.
        out.reserve(wire.len().saturating_mul(2).min(options.limits.output));
        let written = write(&mut Printer::new(&self.programs, options, out));
        if written.is_err() {
            out.truncate(before);
        }
        written
    }

    fn wire_error(
        &self,
        Fault { problem, at }: Fault<WireProblem>,
        message: u32,
        wire: &[u8],
    ) -> WireError {
        let path = place::wire_path(&self.programs, message, wire, at);
        WireError { problem, path, position: at }
    }

    fn json_error(
        &self,
        Fault { problem, at }: Fault<Problem>,
        root: Place<'_>,
        json: &[u8],
        prefix: &str,
    ) -> JsonError {
        let path = match problem {
            Problem::InputLimit => prefix.to_owned(),
            _ => place::path(&self.programs, root, json, at, prefix),
        };
        JsonError { problem, path, position: at }
    }
}
