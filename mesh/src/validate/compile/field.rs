//! The rules of a field: read from its options, matched with its type, and
//! turned into tests.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind as Type, MessageDescriptor};

use super::{
    super::{
        bytes, number,
        plan::{Check, Field, Kind, List, Map, Rule, Rules, Shape, Size, Value},
        rules::{Problem, settings, show, unsupported, wrong_type},
        text, time,
    },
    CompileError, Compiler, DraftField, error, rules,
};

/// `Ignore` of `buf/validate/validate.proto`.
const IF_ZERO_VALUE: i32 = 1;
const ALWAYS: i32 = 3;

/// `FieldRules` of `buf/validate/validate.proto`, taken apart.
#[derive(Default)]
struct FieldRules {
    required: bool,
    ignore: Option<i32>,
    /// The member of its oneof: which type the rules are for, and the rules.
    typed: Option<(String, DynamicMessage)>,
}

impl FieldRules {
    fn read(rules: &DynamicMessage) -> Result<Self, Problem> {
        let mut read = Self::default();
        for (name, value) in settings(rules)? {
            match (name.as_str(), value.as_message()) {
                ("required", _) => read.required = value.as_bool() == Some(true),
                ("ignore", _) => read.ignore = value.as_enum_number(),
                (_, Some(rules)) => read.typed = Some((name, rules.clone())),
                (_, None) => return Err(unsupported(&name)),
            }
        }
        Ok(read)
    }

    /// The rules for a collection, which must be of its type.
    fn collection(&self, expected: &str) -> Result<Option<&DynamicMessage>, Problem> {
        match &self.typed {
            Some((name, rules)) if name == expected => Ok(Some(rules)),
            Some((name, _)) => Err(mismatch(name, expected)),
            None => Ok(None),
        }
    }
}

fn mismatch(rules: &str, field: &str) -> Problem {
    format!("the rules are for `{rules}`, the field is `{field}`")
}

impl Compiler {
    /// `grouped`: the field stands in a oneof rule of its message.
    pub(super) fn field(
        &mut self,
        descriptor: &FieldDescriptor,
        grouped: bool,
    ) -> Result<DraftField, CompileError> {
        let wrong = |problem| error(descriptor.full_name(), problem);
        let found = rules(&descriptor.options(), &self.options.field);
        let has_rules = found.is_some();
        if descriptor.is_group() && has_rules {
            return Err(wrong(unsupported("a rule on a group")));
        }
        let read =
            found.as_ref().map(FieldRules::read).transpose().map_err(wrong)?.unwrap_or_default();
        let ignored = read.ignore == Some(ALWAYS);
        let shape = if ignored || descriptor.is_group() {
            unchecked(descriptor)
        } else {
            self.shape(descriptor, &read)?
        };
        let field = Field {
            number: descriptor.number(),
            name: descriptor.name().into(),
            explicit: descriptor.supports_presence(),
            required: read.required && !ignored,
            ignore_zero: match read.ignore {
                Some(ignore) => ignore == IF_ZERO_VALUE,
                // Of fields that exclude each other the unset ones are not checked.
                None => grouped,
            },
            oneof: None,
            shape,
        };
        let oneof = descriptor.containing_oneof();
        let oneof = oneof.and_then(|oneof| {
            descriptor.parent_message().oneofs().position(|other| other == oneof)
        });
        Ok(DraftField { field, oneof, has_rules: (has_rules && !ignored) || grouped })
    }

    fn shape(
        &mut self,
        descriptor: &FieldDescriptor,
        read: &FieldRules,
    ) -> Result<Shape, CompileError> {
        let wrong = |problem| error(descriptor.full_name(), problem);
        if let (true, Type::Message(entry)) = (descriptor.is_map(), descriptor.kind()) {
            let found = read.collection("map").map_err(wrong)?;
            let [key, value] = ["keys", "values"].map(|name| nested(found, name));
            let (key, value) = (key.map_err(wrong)?, value.map_err(wrong)?);
            return Ok(Shape::Map(Box::new(Map {
                key: self.value(descriptor, &entry.map_entry_key_field().kind(), &key)?,
                value: self.value(descriptor, &entry.map_entry_value_field().kind(), &value)?,
                size: sizes(found, "map", "pairs").map_err(wrong)?,
            })));
        }
        if descriptor.is_list() {
            let found = read.collection("repeated").map_err(wrong)?;
            let item = nested(found, "items").map_err(wrong)?;
            let unique = is_true(found, "unique");
            if unique && matches!(descriptor.kind(), Type::Message(_)) {
                return Err(wrong(unsupported("repeated.unique of messages")));
            }
            return Ok(Shape::List(List {
                item: self.value(descriptor, &descriptor.kind(), &item)?,
                size: sizes(found, "repeated", "items").map_err(wrong)?,
                unique,
            }));
        }
        self.value(descriptor, &descriptor.kind(), read).map(Shape::One)
    }

    fn value(
        &mut self,
        descriptor: &FieldDescriptor,
        of: &Type,
        read: &FieldRules,
    ) -> Result<Value, CompileError> {
        let wrong = |problem| error(descriptor.full_name(), problem);
        let check = match (&read.typed, of) {
            _ if read.ignore == Some(ALWAYS) => Check::Nothing,
            (None, Type::Message(message)) => Check::Message(self.message(message)?),
            (None, _) => Check::Nothing,
            (Some((name, rules)), Type::Message(message)) => {
                well_known(name, rules, message).map_err(wrong)?
            }
            (Some((name, rules)), scalar) => scalar_check(name, rules, scalar).map_err(wrong)?,
        };
        Ok(Value { kind: kind(of), ignore_zero: read.ignore == Some(IF_ZERO_VALUE), check })
    }
}

/// A field of which only presence may matter.
fn unchecked(descriptor: &FieldDescriptor) -> Shape {
    let nothing = |kind| Value { kind, ignore_zero: false, check: Check::Nothing };
    let of = kind(&descriptor.kind());
    if descriptor.is_map() || descriptor.is_list() {
        return Shape::List(List { item: nothing(of), size: Rules::default(), unique: false });
    }
    Shape::One(nothing(of))
}

/// Rules for items, keys or values within the rules of a collection.
fn nested(rules: Option<&DynamicMessage>, name: &str) -> Result<FieldRules, Problem> {
    let found = rules.filter(|rules| rules.has_field_by_name(name));
    let found = found.and_then(|rules| rules.get_field_by_name(name));
    match found.as_deref().and_then(|value| value.as_message()) {
        Some(rules) => FieldRules::read(rules),
        None => Ok(FieldRules::default()),
    }
}

fn is_true(rules: Option<&DynamicMessage>, name: &str) -> bool {
    rules
        .and_then(|rules| rules.get_field_by_name(name))
        .is_some_and(|value| value.as_bool() == Some(true))
}

/// The rules on how much a collection holds; the others are read elsewhere.
fn sizes(rules: Option<&DynamicMessage>, kind: &str, what: &str) -> Result<Rules<Size>, Problem> {
    let mut sizes = Vec::new();
    for (name, value) in rules.map(settings).transpose()?.unwrap_or_default() {
        let shown = show(value);
        let limit = || value.as_u64().ok_or_else(|| wrong_type(&name));
        let (text, test) = match name.as_str() {
            "min_items" | "min_pairs" => {
                (format!("must contain at least {shown} {what}"), Size::Min(limit()?))
            }
            "max_items" | "max_pairs" => {
                (format!("must contain no more than {shown} {what}"), Size::Max(limit()?))
            }
            "items" | "keys" | "values" | "unique" => continue,
            _ => return Err(unsupported(&format!("{kind}.{name}"))),
        };
        sizes.push(Rule::new(format!("{kind}.{name}"), text, test));
    }
    Ok(sizes.into())
}

/// Rules on a scalar, which must be for its very type.
fn scalar_check(name: &str, rules: &DynamicMessage, of: &Type) -> Result<Check, Problem> {
    let expected = type_name(of);
    if name != expected {
        return Err(mismatch(name, expected));
    }
    Ok(match of {
        Type::Float | Type::Double => Check::Float(number::compile(name, rules, &[])?),
        Type::Uint32 | Type::Uint64 | Type::Fixed32 | Type::Fixed64 | Type::Bool => {
            Check::Unsigned(number::compile(name, rules, &[])?)
        }
        Type::String => Check::Text(text::compile(rules)?),
        Type::Bytes => Check::Blob(bytes::compile(rules)?),
        Type::Enum(values) => {
            let mut compiled = number::compile(name, rules, &["defined_only"])?.into_vec();
            if is_true(Some(rules), "defined_only") {
                let defined = values.values().map(|value| value.number().into()).collect();
                let text = "must be one of the defined enum values";
                compiled.push(Rule::new("enum.defined_only", text, number::Number::In(defined)));
            }
            Check::Signed(compiled.into())
        }
        _ => Check::Signed(number::compile(name, rules, &[])?),
    })
}

/// Rules on messages exist for some well-known ones only.
fn well_known(
    name: &str,
    rules: &DynamicMessage,
    message: &MessageDescriptor,
) -> Result<Check, Problem> {
    match (name, message.full_name()) {
        ("duration", "google.protobuf.Duration") => {
            Ok(Check::Duration(number::compile(name, rules, &[])?))
        }
        ("timestamp", "google.protobuf.Timestamp") => Ok(Check::Timestamp(time::compile(rules)?)),
        ("field_mask", "google.protobuf.FieldMask") => Ok(Check::Mask(time::compile_mask(rules)?)),
        ("any", "google.protobuf.Any") => Err(unsupported("any")),
        (
            _,
            "google.protobuf.DoubleValue"
            | "google.protobuf.FloatValue"
            | "google.protobuf.Int64Value"
            | "google.protobuf.UInt64Value"
            | "google.protobuf.Int32Value"
            | "google.protobuf.UInt32Value"
            | "google.protobuf.BoolValue"
            | "google.protobuf.StringValue"
            | "google.protobuf.BytesValue",
        ) => {
            let inner = message.get_field(1).ok_or_else(|| wrong_type(name))?.kind();
            let check = scalar_check(name, rules, &inner)?;
            Ok(Check::Wrapped(Box::new(Value { kind: kind(&inner), ignore_zero: false, check })))
        }
        (_, other) => Err(mismatch(name, other)),
    }
}

fn kind(of: &Type) -> Kind {
    match of {
        Type::Double => Kind::Double,
        Type::Float => Kind::Float,
        Type::Int32 => Kind::Int32,
        Type::Int64 => Kind::Int64,
        Type::Uint32 => Kind::Uint32,
        Type::Uint64 => Kind::Uint64,
        Type::Sint32 => Kind::Sint32,
        Type::Sint64 => Kind::Sint64,
        Type::Fixed32 => Kind::Fixed32,
        Type::Fixed64 => Kind::Fixed64,
        Type::Sfixed32 => Kind::Sfixed32,
        Type::Sfixed64 => Kind::Sfixed64,
        Type::Bool => Kind::Bool,
        Type::String => Kind::String,
        Type::Bytes => Kind::Bytes,
        Type::Message(_) => Kind::Message,
        Type::Enum(values) => Kind::Enum(values.default_value().number()),
    }
}

/// As `FieldRules` names the type.
fn type_name(of: &Type) -> &'static str {
    match of {
        Type::Double => "double",
        Type::Float => "float",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Uint32 => "uint32",
        Type::Uint64 => "uint64",
        Type::Sint32 => "sint32",
        Type::Sint64 => "sint64",
        Type::Fixed32 => "fixed32",
        Type::Fixed64 => "fixed64",
        Type::Sfixed32 => "sfixed32",
        Type::Sfixed64 => "sfixed64",
        Type::Bool => "bool",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Message(_) => "message",
        Type::Enum(_) => "enum",
    }
}
