//! Random messages, in every shape that the wire allows, are judged as by an
//! evaluation over decoded messages that is slow and plain.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use mesh::validate::{Program, Rejection};
use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed},
};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use crate::contract::Contract;

const CONTRACT: &str = r#"
    enum Color { NONE = 0; RED = 1; BLUE = 3; }
    message M {
        option (buf.validate.message).oneof = {fields: ["e1", "e2"]};
        string text = 1 [(buf.validate.field).string = {min_len: 1, max_len: 3}];
        optional string maybe = 2 [(buf.validate.field).string.min_len = 2];
        string relaxed = 3 [
            (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE,
            (buf.validate.field).string.len = 2
        ];
        int32 number = 4 [(buf.validate.field).int32 = {gte: -1, lt: 3}];
        sint64 zigzag = 5 [(buf.validate.field).sint64 = {gt: 2, lt: -2}];
        fixed32 fixed = 6 [(buf.validate.field).fixed32 = {not_in: [1, 2]}];
        optional sfixed64 wide = 7 [(buf.validate.field).sfixed64.lte = 1];
        bool flag = 8 [(buf.validate.field).required = true];
        Color color = 9 [(buf.validate.field).enum = {defined_only: true, not_in: [1]}];
        M nested = 10 [(buf.validate.field).required = true];
        repeated sint32 list = 11 [
            (buf.validate.field).repeated = {min_items: 1, max_items: 3, unique: true, items: {sint32: {gt: -2}}}
        ];
        repeated M children = 12 [(buf.validate.field).repeated.max_items = 2];
        map<int32, string> map = 13 [
            (buf.validate.field).map = {max_pairs: 2, keys: {int32: {gt: -1}}, values: {string: {min_len: 1}}}
        ];
        map<string, M> messages = 14 [(buf.validate.field).map.min_pairs = 1];
        oneof choice {
            option (buf.validate.oneof).required = true;
            string left = 15 [(buf.validate.field).string.min_len = 2];
            M right = 16;
            uint64 other = 17 [(buf.validate.field).uint64.gt = 1];
        }
        string e1 = 18 [(buf.validate.field).string.min_len = 2];
        repeated bool e2 = 19;
        string free = 20;
        M off = 21 [(buf.validate.field).ignore = IGNORE_ALWAYS];
        uint32 far = 1000 [(buf.validate.field).uint32.in = 0, (buf.validate.field).uint32.in = 2];
    }
"#;

proptest! {
    #![proptest_config(Config { cases: 2000, rng_seed: RngSeed::Fixed(2026), ..Config::default() })]

    #[test]
    fn a_check_of_bytes_agrees_with_one_of_the_message(entropy in prop::collection::vec(any::<u8>(), 0..400)) {
        static COMPILED: LazyLock<(Contract, Arc<Program>)> = LazyLock::new(|| {
            let contract = Contract::proto3(CONTRACT);
            let program = contract.program("M");
            (contract, program)
        });
        let (contract, program) = &*COMPILED;
            let descriptor = contract.message("M");
            let mut bytes = Vec::new();
            write_message(&mut Entropy(entropy.iter()), &descriptor, 3, &mut bytes);
            let message = DynamicMessage::decode(descriptor, bytes.as_slice()).unwrap();
            let mut expected = BTreeSet::new();
            evaluate(&message, "", &mut expected);
            let found = match program.check(&bytes) {
                Ok(()) => BTreeSet::new(),
                Err(Rejection::Invalid(violations)) => {
                    violations.into_iter().map(|it| format!("{}: {}", it.field, it.rule)).collect()
                }
                Err(malformed) => panic!("{malformed}"),
            };
            if found.len() < mesh::validate::MAX_VIOLATIONS {
                assert_eq!(found, expected, "{message}");
            } else {
                assert!(found.is_subset(&expected), "{message}");
            }
    }
}

/// Bytes that decide what is written; zeros when they have run out.
struct Entropy<'a>(std::slice::Iter<'a, u8>);

impl Entropy<'_> {
    fn below(&mut self, limit: u8) -> u8 {
        self.0.next().copied().unwrap_or(0) % limit
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes some occurrences of some fields in any order.
fn write_message(entropy: &mut Entropy<'_>, of: &MessageDescriptor, depth: u8, out: &mut Vec<u8>) {
    let fields: Vec<_> = of.fields().collect();
    for _ in 0..entropy.below(24) {
        let field = &fields[usize::from(entropy.below(fields.len() as u8))];
        if matches!(field.kind(), Kind::Message(_)) && depth == 0 {
            continue;
        }
        let mut value = Vec::new();
        let packed = field.is_list() && is_packable(&field.kind()) && entropy.below(2) == 0;
        let count = if packed { entropy.below(4) } else { 1 };
        for _ in 0..count {
            write_value(entropy, &field.kind(), depth, &mut value);
        }
        let wire = if packed { 2 } else { wire_type(&field.kind()) };
        varint(u64::from(field.number() << 3 | wire), out);
        if wire == 2 {
            varint(value.len() as u64, out);
        }
        out.extend(value);
    }
}

fn write_value(entropy: &mut Entropy<'_>, kind: &Kind, depth: u8, out: &mut Vec<u8>) {
    let small = i64::from(entropy.below(6)) - 2;
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Enum(_) => varint(small as u64, out),
        Kind::Sint32 | Kind::Sint64 => varint(((small << 1) ^ (small >> 63)) as u64, out),
        Kind::Uint32 | Kind::Uint64 => varint(small.unsigned_abs(), out),
        Kind::Bool => varint(small.unsigned_abs(), out),
        Kind::Fixed32 => out.extend((small.unsigned_abs() as u32).to_le_bytes()),
        Kind::Sfixed64 => out.extend(small.to_le_bytes()),
        Kind::String => {
            out.extend("añb😀".chars().take(small.max(0) as usize).collect::<String>().bytes())
        }
        Kind::Message(message) => write_message(entropy, message, depth - 1, out),
        other => panic!("{other:?} is not in the contract"),
    }
}

fn is_packable(kind: &Kind) -> bool {
    wire_type(kind) != 2
}

fn wire_type(kind: &Kind) -> u32 {
    match kind {
        Kind::String | Kind::Message(_) => 2,
        Kind::Fixed32 => 5,
        Kind::Sfixed64 => 1,
        _ => 0,
    }
}

/// The options of a field, oneof or message by the name of their extension.
fn rules(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let found = options.extensions().find(|(extension, _)| extension.full_name() == name);
    found.and_then(|(_, value)| value.as_message().cloned())
}

fn get(rules: &DynamicMessage, name: &str) -> Option<Value> {
    rules.has_field_by_name(name).then(|| rules.get_field_by_name(name).unwrap().into_owned())
}

fn evaluate(message: &DynamicMessage, path: &str, out: &mut BTreeSet<String>) {
    use prost_reflect::ReflectMessage as _;
    let descriptor = message.descriptor();
    let join =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let mut grouped = BTreeSet::new();
    if let Some(rules) = rules(&descriptor.options(), "buf.validate.message") {
        for group in get(&rules, "oneof").unwrap().as_list().unwrap() {
            let names = get(group.as_message().unwrap(), "fields").unwrap();
            let names: Vec<_> =
                names.as_list().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
            if names.iter().filter(|name| message.has_field_by_name(name)).count() > 1 {
                out.insert(format!("{path}: message.oneof"));
            }
            grouped.extend(names);
        }
    }
    for oneof in descriptor.oneofs() {
        let required = rules(&oneof.options(), "buf.validate.oneof").is_some();
        if required && !oneof.fields().any(|field| message.has_field(&field)) {
            out.insert(format!("{}: required", join(oneof.name())));
        }
    }
    for field in descriptor.fields() {
        field_rules(message, &field, grouped.contains(field.name()), &join(field.name()), out);
    }
}

fn field_rules(
    message: &DynamicMessage,
    field: &FieldDescriptor,
    grouped: bool,
    path: &str,
    out: &mut BTreeSet<String>,
) {
    let rules = rules(&field.options(), "buf.validate.field");
    let rule = |name: &str| rules.as_ref().and_then(|rules| get(rules, name));
    let ignore =
        rule("ignore").and_then(|value| value.as_enum_number()).unwrap_or(i32::from(grouped));
    if ignore == 3 {
        return;
    }
    if !message.has_field(field) {
        if rule("required").is_some() {
            out.insert(format!("{path}: required"));
            return;
        }
        if field.supports_presence() || ignore == 1 {
            return;
        }
    }
    match message.get_field(field).as_ref() {
        Value::List(items) => list(items, rule("repeated").as_ref(), path, out),
        Value::Map(entries) => {
            let rules = rule("map");
            let rules = rules.as_ref().and_then(Value::as_message);
            let sub = |name| {
                rules.and_then(|rules| get(rules, name)).and_then(|it| it.as_message().cloned())
            };
            sizes(entries.len(), rules, "map", "pairs", path, out);
            for (key, item) in entries {
                let path = match key {
                    MapKey::String(key) => format!("{path}[{key:?}]"),
                    MapKey::I32(key) => format!("{path}[{key}]"),
                    other => panic!("{other:?} is not in the contract"),
                };
                value(&Value::from(key.clone()), sub("keys").as_ref(), &path, out);
                value(item, sub("values").as_ref(), &path, out);
            }
        }
        single => value(single, rules.as_ref(), path, out),
    }
}

fn list(items: &[Value], rules: Option<&Value>, path: &str, out: &mut BTreeSet<String>) {
    let rules = rules.and_then(Value::as_message);
    sizes(items.len(), rules, "repeated", "items", path, out);
    if rules.is_some_and(|rules| get(rules, "unique").is_some()) {
        let distinct: BTreeSet<_> = items.iter().map(|item| format!("{item:?}")).collect();
        if distinct.len() < items.len() {
            out.insert(format!("{path}: repeated.unique"));
        }
    }
    let item_rules =
        rules.and_then(|rules| get(rules, "items")).and_then(|it| it.as_message().cloned());
    for (index, item) in items.iter().enumerate() {
        value(item, item_rules.as_ref(), &format!("{path}[{index}]"), out);
    }
}

fn sizes(
    len: usize,
    rules: Option<&DynamicMessage>,
    kind: &str,
    what: &str,
    path: &str,
    out: &mut BTreeSet<String>,
) {
    let limit = |name: &str| rules.and_then(|rules| get(rules, name)).and_then(|it| it.as_u64());
    if limit(&format!("min_{what}")).is_some_and(|min| (len as u64) < min) {
        out.insert(format!("{path}: {kind}.min_{what}"));
    }
    if limit(&format!("max_{what}")).is_some_and(|max| len as u64 > max) {
        out.insert(format!("{path}: {kind}.max_{what}"));
    }
}

fn value(value: &Value, rules: Option<&DynamicMessage>, path: &str, out: &mut BTreeSet<String>) {
    if let Value::Message(message) = value {
        return evaluate(message, path, out);
    }
    for (kind, typed) in rules.into_iter().flat_map(|rules| rules.fields()) {
        let Some(typed) = typed.as_message() else { continue };
        let kind = kind.name().to_owned();
        if let Some(text) = value.as_str() {
            string(text, typed, path, out);
        } else {
            number(value, &kind, typed, path, out);
        }
    }
}

fn string(text: &str, rules: &DynamicMessage, path: &str, out: &mut BTreeSet<String>) {
    let chars = text.chars().count() as u64;
    for (rule, limit) in rules.fields() {
        let limit = limit.as_u64().unwrap();
        let holds = match rule.name() {
            "len" => chars == limit,
            "min_len" => chars >= limit,
            "max_len" => chars <= limit,
            other => panic!("{other} is not in the contract"),
        };
        if !holds {
            out.insert(format!("{path}: string.{}", rule.name()));
        }
    }
}

fn number(
    value: &Value,
    kind: &str,
    rules: &DynamicMessage,
    path: &str,
    out: &mut BTreeSet<String>,
) {
    let read = |value: &Value| match *value {
        Value::I32(value) | Value::EnumNumber(value) => i128::from(value),
        Value::I64(value) => value.into(),
        Value::U32(value) => value.into(),
        Value::U64(value) => value.into(),
        Value::Bool(value) => value.into(),
        ref other => panic!("{other:?} is not in the contract"),
    };
    let this = read(value);
    let limit = |name: &str| get(rules, name).map(|value| read(&value));
    let list = |name: &str| {
        get(rules, name)
            .map(|values| values.as_list().unwrap().iter().map(read).collect::<Vec<_>>())
    };
    let mut broken = |rule: &str| out.insert(format!("{path}: {kind}.{rule}"));
    match (limit("gt"), limit("gte"), limit("lt"), limit("lte")) {
        (Some(gt), _, Some(lt), _) if lt < gt && lt <= this && this <= gt => {
            _ = broken("gt_lt_exclusive")
        }
        (Some(gt), None, None, None) if this <= gt => _ = broken("gt"),
        (None, Some(gte), Some(lt), _) if this < gte || this >= lt => _ = broken("gte_lt"),
        (None, None, None, Some(lte)) if this > lte => _ = broken("lte"),
        _ => {}
    }
    if list("in").is_some_and(|values| !values.contains(&this)) {
        broken("in");
    }
    if list("not_in").is_some_and(|values| values.contains(&this)) {
        broken("not_in");
    }
    if get(rules, "defined_only").is_some() && ![0, 1, 3].contains(&this) {
        broken("defined_only");
    }
}
