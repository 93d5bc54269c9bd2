//! Messages, enums and fields as JSON Schema (2020-12), as ProtoJSON writes them.

use std::collections::BTreeMap;

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
};
use serde_json::{Map, Value, json};

use super::{comments::Comments, example::Names, rules};

/// `google.api.FieldBehavior`.
const REQUIRED: i32 = 2;
const OUTPUT_ONLY: i32 = 3;
const INPUT_ONLY: i32 = 4;
const IDENTIFIER: i32 = 8;

/// Where a document has its schemas.
const SCHEMAS: &str = "#/components/schemas/";

/// Schemas by the full name of their type.
pub(super) struct Types {
    pub(super) comments: Comments,
    names: Names,
    schemas: BTreeMap<String, Value>,
}

impl Types {
    pub(super) fn new(pool: &DescriptorPool) -> Types {
        let comments = Comments::new(pool);
        Types { names: Names::new(pool, &comments), comments, schemas: BTreeMap::new() }
    }

    pub(super) fn into_schemas(self) -> Value {
        self.schemas.into_iter().collect::<Map<_, _>>().into()
    }

    /// The schema of a message: its own notation, or a reference to its schema.
    pub(super) fn message(&mut self, kind: &MessageDescriptor) -> Value {
        if let Some(known) = self.well_known(kind) {
            return known;
        }
        let name = kind.full_name().to_owned();
        if !self.schemas.contains_key(&name) {
            // Taken before its fields are looked at, since they may be of it.
            self.schemas.insert(name.clone(), Value::Null);
            let schema = self.object(kind);
            self.schemas.insert(name.clone(), schema);
        }
        reference(&name)
    }

    /// The fields of a message that a request must have, but for those that it
    /// has elsewhere. Responses leave out default values, so the schema of the
    /// message itself cannot require anything.
    pub(super) fn required(kind: &MessageDescriptor, elsewhere: &[FieldDescriptor]) -> Vec<String> {
        let fields = kind.fields().filter(|field| !elsewhere.contains(field));
        fields.filter(is_required).map(|field| field.json_name().to_owned()).collect()
    }

    /// The schema of a field with its rules and comment.
    pub(super) fn field(&mut self, field: &FieldDescriptor) -> Value {
        let rules = rules::of(field);
        let schema = if field.is_map() {
            self.map(field, rules.as_ref())
        } else if field.is_list() {
            self.list(field, rules.as_ref())
        } else {
            self.value(&field.kind(), rules.as_ref())
        };
        self.describe(field, schema)
    }

    /// The comment of a field.
    pub(super) fn comment(&self, field: &FieldDescriptor) -> Option<String> {
        self.comments.of(&field.parent_file(), field.path())
    }

    /// The example of a field, as its contract writes it.
    pub(super) fn example(&self, field: &FieldDescriptor) -> Option<&str> {
        self.names.of(field, &self.comments)
    }

    /// The example as JSON of its schema: text is written as it is, everything else
    /// as JSON. `None` when it is neither.
    fn example_of(&self, field: &FieldDescriptor, schema: &Value) -> Option<Value> {
        let text = self.example(field)?;
        let named =
            schema["$ref"].as_str().and_then(|name| self.schemas.get(name.strip_prefix(SCHEMAS)?));
        match named.unwrap_or(schema)["type"].as_str() {
            Some("string") => Some(text.into()),
            _ => serde_json::from_str(text).ok(),
        }
    }

    fn object(&mut self, kind: &MessageDescriptor) -> Value {
        self.object_without(kind, &[])
    }

    /// The schema of a message whose other fields stand elsewhere.
    pub(super) fn object_without(
        &mut self,
        kind: &MessageDescriptor,
        elsewhere: &[FieldDescriptor],
    ) -> Value {
        let mut properties = Map::new();
        for field in kind.fields().filter(|field| !elsewhere.contains(field)) {
            properties.insert(field.json_name().to_owned(), self.field(&field));
        }
        let mut schema =
            json!({"type": "object", "properties": properties, "additionalProperties": false});
        if let Some(text) = self.comments.of(&kind.parent_file(), kind.path()) {
            schema["description"] = text.into();
        }
        schema
    }

    fn describe(&self, field: &FieldDescriptor, mut schema: Value) -> Value {
        if let Some(text) = self.comment(field) {
            schema["description"] = text.into();
        }
        if let Some(example) = self.example_of(field, &schema) {
            schema["examples"] = json!([example]);
        }
        let behaviors = behaviors(field);
        if behaviors.contains(&OUTPUT_ONLY) || behaviors.contains(&IDENTIFIER) {
            schema["readOnly"] = true.into();
        }
        if behaviors.contains(&INPUT_ONLY) {
            schema["writeOnly"] = true.into();
        }
        let options = field.field_descriptor_proto().options.as_ref();
        if options.is_some_and(|options| options.deprecated()) {
            schema["deprecated"] = true.into();
        }
        schema
    }

    fn list(&mut self, field: &FieldDescriptor, rules: Option<&DynamicMessage>) -> Value {
        let mut schema = Map::from_iter([("type".to_owned(), "array".into())]);
        let of_items = rules.and_then(|rules| rules::list(rules, &mut schema));
        schema.insert("items".to_owned(), self.value(&field.kind(), of_items.as_ref()));
        schema.into()
    }

    fn map(&mut self, field: &FieldDescriptor, rules: Option<&DynamicMessage>) -> Value {
        let mut schema = Map::from_iter([("type".to_owned(), "object".into())]);
        let (of_keys, of_values) =
            rules.map(|rules| rules::map(rules, &mut schema)).unwrap_or_default();
        let Kind::Message(entry) = field.kind() else { return schema.into() };
        let values = self.value(&entry.map_entry_value_field().kind(), of_values.as_ref());
        schema.insert("additionalProperties".to_owned(), values);
        // A key is written as text, whatever its type.
        let keys = match entry.map_entry_key_field().kind() {
            Kind::String => {
                let mut keys = Map::new();
                of_keys.iter().for_each(|rules| rules::value(rules, &mut keys));
                Value::Object(keys)
            }
            Kind::Bool => json!({"enum": ["true", "false"]}),
            _ => json!({"pattern": "^-?[0-9]+$"}),
        };
        if keys.as_object().is_some_and(|keys| !keys.is_empty()) {
            schema.insert("propertyNames".to_owned(), keys);
        }
        schema.into()
    }

    fn value(&mut self, kind: &Kind, rules: Option<&DynamicMessage>) -> Value {
        let mut schema = match kind {
            Kind::Message(kind) => return self.message(kind),
            Kind::Enum(kind) => return self.enumeration(kind),
            scalar => scalar_schema(scalar),
        };
        if let (Some(rules), Some(schema)) = (rules, schema.as_object_mut()) {
            rules::value(rules, schema);
        }
        schema
    }

    fn enumeration(&mut self, kind: &EnumDescriptor) -> Value {
        if kind.full_name() == "google.protobuf.NullValue" {
            return json!({"type": "null"});
        }
        let name = kind.full_name();
        if !self.schemas.contains_key(name) {
            let names: Vec<String> = kind.values().map(|value| value.name().to_owned()).collect();
            let mut schema = json!({"type": "string", "enum": names});
            if let Some(text) = self.enum_comment(kind) {
                schema["description"] = text.into();
            }
            self.schemas.insert(name.to_owned(), schema);
        }
        reference(name)
    }

    /// The enum's comment and its values', since a schema has one place for all.
    fn enum_comment(&self, kind: &EnumDescriptor) -> Option<String> {
        let file = kind.parent_file();
        let own = self.comments.of(&file, kind.path());
        let values = kind.values().filter_map(|value| {
            let text = self.comments.of(&file, value.path())?;
            Some(format!("- `{}`: {}", value.name(), text.replace('\n', " ")))
        });
        let values: Vec<String> = values.collect();
        let parts: Vec<String> =
            own.into_iter().chain((!values.is_empty()).then(|| values.join("\n"))).collect();
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }

    fn well_known(&mut self, kind: &MessageDescriptor) -> Option<Value> {
        let name = kind.full_name().strip_prefix("google.protobuf.")?;
        Some(match name {
            "Timestamp" => json!({"type": "string", "format": "date-time"}),
            "Duration" => json!({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"}),
            "FieldMask" => json!({"type": "string"}),
            "Empty" => json!({"type": "object", "additionalProperties": false}),
            "Struct" => json!({"type": "object", "additionalProperties": true}),
            "ListValue" => json!({"type": "array", "items": {}}),
            "Value" => json!({}),
            "Any" => json!({
                "type": "object",
                "properties": {"@type": {"type": "string"}},
                "additionalProperties": true,
            }),
            name if name.ends_with("Value") => self.value(&kind.get_field(1)?.kind(), None),
            _ => return None,
        })
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("{SCHEMAS}{name}")})
}

/// The numbers of a field's `google.api.field_behavior`.
fn behaviors(field: &FieldDescriptor) -> Vec<i32> {
    let options = field.options();
    let pool = field.parent_pool();
    let Some(extension) = pool.get_extension_by_name("google.api.field_behavior") else {
        return Vec::new();
    };
    let value = options.get_extension(&extension);
    let values = value.as_list().unwrap_or_default();
    values.iter().filter_map(prost_reflect::Value::as_enum_number).collect()
}

fn is_required(field: &FieldDescriptor) -> bool {
    behaviors(field).contains(&REQUIRED)
        || rules::of(field).is_some_and(|rules| rules::is_required(&rules))
}

fn scalar_schema(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        Kind::Float => json!({"type": "number", "format": "float"}),
        Kind::Double => json!({"type": "number", "format": "double"}),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            json!({"type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX})
        }
        Kind::Uint32 | Kind::Fixed32 => {
            json!({"type": "integer", "minimum": 0, "maximum": u32::MAX})
        }
        // JavaScript's numbers lose the digits of a 64-bit integer.
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            json!({"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"})
        }
        Kind::Uint64 | Kind::Fixed64 => {
            json!({"type": "string", "format": "uint64", "pattern": "^[0-9]+$"})
        }
        _ => json!({"type": "string"}),
    }
}
