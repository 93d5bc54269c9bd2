//! From descriptors to programs: the only place that looks at a descriptor.

use std::collections::HashMap;

use prost_reflect::{
    DescriptorPool, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind as Described,
    MessageDescriptor, Syntax, prost_types::EnumValueDescriptorProto,
};

use super::{EnumTable, Field, Kind, Label, Names, Program, Programs, Shape, Tag, WireType};

/// Numbers below this are looked up in an array of two bytes each; messages
/// rarely have larger ones, and extensions and those are searched for.
const DENSE_NUMBERS: u32 = 1024;

const NULL_VALUE: &str = "google.protobuf.NullValue";

/// The message whose descriptor is not what its name promises.
pub(crate) struct Misshapen(pub(crate) String);

/// Compiles every message and enum of a pool.
pub(crate) fn compile(pool: &DescriptorPool) -> Result<Programs, Misshapen> {
    let compiler = Compiler {
        messages: numbered(pool.all_messages().map(|message| message.full_name().into())),
        enums: numbered(pool.all_enums().map(|table| table.full_name().into())),
    };
    let messages: Vec<Program> =
        pool.all_messages().map(|message| compiler.message(&message)).collect::<Result<_, _>>()?;
    let enums = pool.all_enums().map(|table| enum_table(&table)).collect();
    Ok(Programs { messages, enums, by_name: compiler.messages })
}

fn numbered(names: impl Iterator<Item = Box<str>>) -> HashMap<Box<str>, u32> {
    names.zip(0..).collect()
}

struct Compiler {
    messages: HashMap<Box<str>, u32>,
    enums: HashMap<Box<str>, u32>,
}

impl Compiler {
    fn message(&self, message: &MessageDescriptor) -> Result<Program, Misshapen> {
        let in_entry = message.is_map_entry();
        let own = message.fields().map(|field| self.field(&field, in_entry));
        let extensions = message.extensions().map(|field| self.extension(&field));
        let mut fields: Vec<Field> = own.chain(extensions).collect();
        fields.sort_by_key(|field| field.number);
        let fields: Box<[Field]> = fields.into();
        // Where one field's name is another's JSON name, the JSON name counts.
        let json_names = fields.iter().enumerate().map(|(at, field)| (field.json_name(), at));
        let proto_names = fields.iter().enumerate().map(|(at, field)| (field.proto_name(), at));
        let names = Names::new(json_names.chain(proto_names));
        Ok(Program {
            name: message.full_name().into(),
            shape: shape(message.full_name(), &fields)?,
            dense: dense(&fields),
            names,
            fields,
        })
    }

    fn field(&self, field: &FieldDescriptor, in_entry: bool) -> Field {
        let label = if field.is_map() {
            Label::Map
        } else if field.is_list() {
            Label::List { packed: field.is_packed() }
        } else if field.supports_presence() || in_entry {
            // Both fields of a map's entry are always written.
            Label::Explicit
        } else {
            Label::Implicit
        };
        // A oneof of one `optional` field excludes nothing.
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()).map(|oneof| {
            let at = oneof.path().last().copied().unwrap_or_default();
            u16::try_from(at).expect("a message has fewer oneofs than 2^16")
        });
        let kind = self.kind(field.kind(), field.is_group());
        let names = (field.json_name(), field.name());
        let takes_null = takes_null(&field.kind());
        Field { oneof, takes_null, ..plain(field.number(), kind, label, names) }
    }

    fn extension(&self, field: &ExtensionDescriptor) -> Field {
        let label = match field.is_list() {
            true => Label::List { packed: field.is_packed() },
            false => Label::Explicit,
        };
        let kind = self.kind(field.kind(), field.is_group());
        let names = (field.json_name(), field.json_name());
        let takes_null = takes_null(&field.kind());
        Field { takes_null, ..plain(field.number(), kind, label, names) }
    }

    fn kind(&self, kind: Described, is_group: bool) -> Kind {
        match kind {
            Described::Double => Kind::Double,
            Described::Float => Kind::Float,
            Described::Int32 => Kind::Int32,
            Described::Int64 => Kind::Int64,
            Described::Uint32 => Kind::Uint32,
            Described::Uint64 => Kind::Uint64,
            Described::Sint32 => Kind::Sint32,
            Described::Sint64 => Kind::Sint64,
            Described::Fixed32 => Kind::Fixed32,
            Described::Fixed64 => Kind::Fixed64,
            Described::Sfixed32 => Kind::Sfixed32,
            Described::Sfixed64 => Kind::Sfixed64,
            Described::Bool => Kind::Bool,
            Described::String => Kind::String,
            Described::Bytes => Kind::Bytes,
            Described::Enum(table) => Kind::Enum(self.enums[table.full_name()]),
            Described::Message(message) if is_group => {
                Kind::Group(self.messages[message.full_name()])
            }
            Described::Message(message) => Kind::Message(self.messages[message.full_name()]),
        }
    }
}

fn takes_null(kind: &Described) -> bool {
    match kind {
        Described::Enum(table) => table.full_name() == NULL_VALUE,
        Described::Message(message) => message.full_name() == "google.protobuf.Value",
        _ => false,
    }
}

fn plain(number: u32, kind: Kind, label: Label, (json, proto): (&str, &str)) -> Field {
    let wire_type = match label {
        Label::List { packed: true } => WireType::Length,
        _ => kind.wire_type(),
    };
    Field {
        number,
        kind,
        label,
        tag: Tag::new(number, wire_type),
        end: Tag::new(number, WireType::End),
        oneof: None,
        takes_null: false,
        json_key: format!(",\"{json}\":").into_bytes().into(),
        proto_key: format!(",\"{proto}\":").into_bytes().into(),
    }
}

fn dense(fields: &[Field]) -> Box<[u16]> {
    let small = fields.iter().take_while(|field| field.number < DENSE_NUMBERS);
    let size = small.clone().last().map_or(0, |field| field.number as usize + 1);
    let mut dense = vec![0; size];
    for (field, slot) in small.zip(1..) {
        dense[field.number as usize] = slot;
    }
    dense.into()
}

/// A number, and what its field must be.
type Expected<'e> = (u32, &'e dyn Fn(&Field) -> bool);

/// The code for well-known types relies on their numbers and kinds.
fn shape(name: &str, fields: &[Field]) -> Result<Shape, Misshapen> {
    const SINGLE: [Label; 2] = [Label::Implicit, Label::Explicit];
    let Some(local) = name.strip_prefix("google.protobuf.") else { return Ok(Shape::Object) };
    let has = |expected: &[Expected<'_>]| {
        fields.len() == expected.len()
            && fields
                .iter()
                .zip(expected)
                .all(|(field, (number, is))| field.number == *number && is(field))
    };
    let single =
        |kind: Kind| move |field: &Field| field.kind == kind && SINGLE.contains(&field.label);
    let message = |field: &Field| matches!(field.kind, Kind::Message(_));
    let list = |field: &Field| matches!(field.label, Label::List { .. });
    let (shape, fits) = match local {
        "Any" => (Shape::Any, has(&[(1, &single(Kind::String)), (2, &single(Kind::Bytes))])),
        "Timestamp" | "Duration" => {
            let shape = if local == "Duration" { Shape::Duration } else { Shape::Timestamp };
            (shape, has(&[(1, &single(Kind::Int64)), (2, &single(Kind::Int32))]))
        }
        "FieldMask" => {
            (Shape::FieldMask, has(&[(1, &|field| field.kind == Kind::String && list(field))]))
        }
        "Struct" => (Shape::Struct, has(&[(1, &|field| field.label == Label::Map)])),
        "ListValue" => (Shape::ListValue, has(&[(1, &|field| message(field) && list(field))])),
        "Value" => {
            let null = |field: &Field| matches!(field.kind, Kind::Enum(_));
            let (number, text, bool) =
                (single(Kind::Double), single(Kind::String), single(Kind::Bool));
            let fits = has(&[
                (1, &null),
                (2, &number),
                (3, &text),
                (4, &bool),
                (5, &message),
                (6, &message),
            ]);
            (Shape::Value, fits)
        }
        "DoubleValue" => (Shape::Wrapper, has(&[(1, &single(Kind::Double))])),
        "FloatValue" => (Shape::Wrapper, has(&[(1, &single(Kind::Float))])),
        "Int64Value" => (Shape::Wrapper, has(&[(1, &single(Kind::Int64))])),
        "UInt64Value" => (Shape::Wrapper, has(&[(1, &single(Kind::Uint64))])),
        "Int32Value" => (Shape::Wrapper, has(&[(1, &single(Kind::Int32))])),
        "UInt32Value" => (Shape::Wrapper, has(&[(1, &single(Kind::Uint32))])),
        "BoolValue" => (Shape::Wrapper, has(&[(1, &single(Kind::Bool))])),
        "StringValue" => (Shape::Wrapper, has(&[(1, &single(Kind::String))])),
        "BytesValue" => (Shape::Wrapper, has(&[(1, &single(Kind::Bytes))])),
        _ => (Shape::Object, true),
    };
    if fits { Ok(shape) } else { Err(Misshapen(name.to_owned())) }
}

fn enum_table(table: &EnumDescriptor) -> EnumTable {
    // prost-reflect sorts values by number; which of two names comes first is lost there.
    let values = &table.enum_descriptor_proto().value;
    let quoted = |name: &str| format!("\"{name}\"").into_bytes().into();
    let mut by_number: Vec<(i32, Box<[u8]>)> =
        values.iter().map(|value| (value.number(), quoted(value.name()))).collect();
    // Of several names for one number the first is printed.
    by_number.sort_by_key(|(number, _)| *number);
    by_number.dedup_by_key(|(number, _)| *number);
    EnumTable {
        names: Names::new(values.iter().enumerate().map(|(at, value)| (value.name(), at))),
        numbers: values.iter().map(EnumValueDescriptorProto::number).collect(),
        is_dense: by_number.iter().zip(0..).all(|((number, _), at)| *number == at),
        by_number: by_number.into(),
        is_closed: table.parent_file().syntax() == Syntax::Proto2,
        is_null: table.full_name() == NULL_VALUE,
        default: table.default_value().number(),
    }
}
