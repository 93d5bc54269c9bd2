//! ProtoJSON as it is written down, in both directions: what is taken, what is
//! refused and where, what is printed.
#![allow(clippy::unwrap_used)]

use prost_reflect::DescriptorPool;
use transcode::{
    JsonError, Limits, Problem, ReadOptions, Reason, Schema, WireError, WireProblem, WriteOptions,
};

fn schema() -> Schema {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto");
    let files = protox::compile(["everything.proto", "old.proto"], [folder]).unwrap();
    Schema::compile(&DescriptorPool::from_file_descriptor_set(files).unwrap()).unwrap()
}

fn read_as(schema: &Schema, name: &str, json: &str) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::new();
    let message = schema.message(name).unwrap();
    schema.to_wire(message, json.as_bytes(), &ReadOptions::default(), &mut out).map(|()| out)
}

fn print_as(schema: &Schema, name: &str, wire: &[u8]) -> Result<String, WireError> {
    let mut out = Vec::new();
    let message = schema.message(name).unwrap();
    let printed = schema.to_json(message, wire, &WriteOptions::default(), &mut out);
    printed.map(|()| String::from_utf8(out).unwrap())
}

const EVERYTHING: &str = "everything.v1.Everything";

#[test]
fn what_is_printed_can_be_read_and_is_printed_again() {
    let schema = schema();
    for json in [
        "{}",
        r#"{"double":1.5,"float":0.1,"int32":-1,"int64":"-9223372036854775808","uint32":4294967295,"uint64":"18446744073709551615"}"#,
        r#"{"sint32":-2147483648,"sint64":"-1","fixed32":1,"fixed64":"2","sfixed32":-3,"sfixed64":"-4","bool":true}"#,
        r#"{"string":"é\"\\\n\u0001😀","bytes":"+/8=","color":"COLOR_RED"}"#,
        r#"{"color":7,"inner":{"inner":{"string":"x"}}}"#,
        r#"{"color":"COLOR_NEGATIVE","colors":["COLOR_UNSPECIFIED","COLOR_NEGATIVE",9]}"#,
        r#"{"doubles":["NaN","Infinity","-Infinity",-0,1e+300],"floats":[3.4028235e+38],"int32s":[0,-1],"int64s":["0","1"]}"#,
        r#"{"sint64s":["-1","1"],"bools":[true,false],"strings":["","a"],"manyBytes":["","AA=="],"inners":[{},{"bool":true}]}"#,
        r#"{"byString":{"":"","a":"b"},"byInt32":{"-1":"0","2":"3"},"bySint64":{"-5":0.5,"5":1},"byUint64":{"1":"AA=="}}"#,
        r#"{"byBool":{"false":"COLOR_UNSPECIFIED","true":"COLOR_RED"},"messages":{"k":{"int32":1}},"byFixed32":{"1":"1970-01-01T00:00:01Z"}}"#,
        r#"{"chosenInt32":0}"#,
        r#"{"chosenNull":null}"#,
        r#"{"chosenValue":null}"#,
        r#"{"chosenInner":{}}"#,
        r#"{"maybeInt32":0,"maybeString":"","maybeColor":"COLOR_UNSPECIFIED","other-name":"x"}"#,
        r#"{"time":"2026-11-22T17:00:00.123Z","duration":"-1.500s","mask":"string,inner.manyBytes","empty":{}}"#,
        r#"{"struct":{"a":1,"b":[null,true,"x",{"c":-0.5}]},"value":{"x":[]},"list":[1,[2],{}]}"#,
        r#"{"any":{"@type":"type.googleapis.com/everything.v1.Everything","int32":1,"any":{"@type":"x/google.protobuf.Duration","value":"1s"}}}"#,
        r#"{"any":{"@type":"x/google.protobuf.Empty"}}"#,
        r#"{"any":{"@type":"x/google.protobuf.Any","value":{"@type":"x/google.protobuf.Int64Value","value":"5"}}}"#,
        r#"{"boolValue":false,"int32Value":0,"int64Value":"1","uint32Value":2,"uint64Value":"3","floatValue":"NaN","doubleValue":1.5,"stringValue":"","bytesValue":"AA=="}"#,
        r#"{"times":["1970-01-01T00:00:00Z"],"int64Values":["0","1"],"values":[null,1,"x"],"byName":{"n":null}}"#,
    ] {
        let wire = read_as(&schema, EVERYTHING, json).unwrap();
        assert_eq!(print_as(&schema, EVERYTHING, &wire).unwrap(), json);
    }
}

#[test]
fn what_is_refused_is_named_and_placed() {
    use Problem as P;
    let schema = schema();
    for (json, problem, path, position) in [
        ("", P::End, "", 0),
        ("null", P::Null, "", 0),
        ("[]", P::WantsObject, "", 0),
        ("{} x", P::Trailing, "", 3),
        (r#"{"nope":1}"#, P::UnknownField, "nope", 1),
        (r#"{"inner":{"nope":1}}"#, P::UnknownField, "inner.nope", 10),
        (r#"{"int32":1,"int32":1}"#, P::Duplicate, "int32", 11),
        (r#"{"maybeInt32":1,"maybe_int32":1}"#, P::Duplicate, "maybeInt32", 16),
        (r#"{"maybeInt32":null,"maybeInt32":1}"#, P::Duplicate, "maybeInt32", 19),
        (r#"{"\u0069nt32":1,"int32":1}"#, P::Duplicate, "int32", 16),
        (r#"{"chosenString":"","chosenInt32":1}"#, P::Oneof, "chosenInt32", 19),
        (r#"{"chosenNull":null,"chosenValue":null}"#, P::Oneof, "chosenValue", 19),
        (r#"{"byString":{"a":"","\u0061":""}}"#, P::DuplicateKey, "byString[\"\\\\u0061\"]", 20),
        (r#"{"byInt32":{"1":0,"01":0}}"#, P::DuplicateKey, "byInt32[\"01\"]", 18),
        (r#"{"byInt32":{"1.0":0}}"#, P::NotInteger, "byInt32[\"1.0\"]", 12),
        (r#"{"byBool":{"1":0}}"#, P::NotBool, "byBool[\"1\"]", 11),
        (r#"{"struct":{"a":{"b":1,"b":2}}}"#, P::DuplicateKey, "struct[\"a\"].b", 22),
        (r#"{"inners":[{},{"int32":"x"}]}"#, P::NotInteger, "inners[1].int32", 23),
        (r#"{"inners":[{},null]}"#, P::Null, "inners[1]", 14),
        (r#"{"messages":{"k":{"bool":1}}}"#, P::WantsBool, "messages[\"k\"].bool", 25),
        (r#"{"int32":2147483648}"#, P::Range, "int32", 9),
        (r#"{"uint32":-1}"#, P::Range, "uint32", 10),
        (r#"{"int64":1.5}"#, P::NotInteger, "int64", 9),
        (r#"{"int32":" 1"}"#, P::NotInteger, "int32", 9),
        (r#"{"int32":true}"#, P::WantsNumber, "int32", 9),
        (r#"{"float":1e39}"#, P::Range, "float", 9),
        (r#"{"double":"inf"}"#, P::NotNumber, "double", 10),
        (r#"{"string":1}"#, P::WantsString, "string", 10),
        (r#"{"string":"\ud800"}"#, P::Surrogate, "string", 11),
        (r#"{"bytes":"?"}"#, P::Base64, "bytes", 9),
        (r#"{"color":"COLOR_BLUE"}"#, P::UnknownEnum, "color", 9),
        (r#"{"color":true}"#, P::WantsEnum, "color", 9),
        (r#"{"time":"yesterday"}"#, P::Timestamp, "time", 8),
        (r#"{"duration":"1h"}"#, P::Duration, "duration", 12),
        (r#"{"mask":"foo_bar"}"#, P::FieldMask, "mask", 8),
        (r#"{"int64Value":{}}"#, P::WantsNumber, "int64Value", 14),
        (r#"{"any":{"int32":1}}"#, P::AnyWithoutType, "any", 7),
        (r#"{"any":{"@type":"x/no.Such"}}"#, P::UnknownType, "any", 7),
        (r#"{"any":{"@type":"everything.v1.Plain"}}"#, P::UnknownType, "any", 7),
        (r#"{"any":{"@type":"x/google.protobuf.Duration"}}"#, P::AnyWithoutValue, "any", 7),
        (r#"{"any":{"@type":"x/everything.v1.Plain","@type":""}}"#, P::Duplicate, "any.@type", 40),
    ] {
        let error = read_as(&schema, EVERYTHING, json).unwrap_err();
        let expected = JsonError { problem, path: path.to_owned(), position };
        assert_eq!(error, expected, "{json}");
    }
}

#[test]
fn reasons_are_for_programs() {
    for (problem, reason, name) in [
        (Problem::Trailing, Reason::InvalidJson, "INVALID_JSON"),
        (Problem::DepthLimit, Reason::LimitExceeded, "LIMIT_EXCEEDED"),
        (Problem::UnknownField, Reason::UnknownField, "UNKNOWN_FIELD"),
        (Problem::DuplicateKey, Reason::DuplicateField, "DUPLICATE_FIELD"),
        (Problem::WantsObject, Reason::InvalidType, "INVALID_TYPE"),
        (Problem::Range, Reason::InvalidValue, "INVALID_VALUE"),
        (Problem::Oneof, Reason::Conflict, "CONFLICT"),
    ] {
        assert_eq!((problem.reason(), reason.name()), (reason, name));
    }
}

#[test]
fn limits_hold_in_both_directions() {
    let schema = schema();
    let message = schema.message(EVERYTHING).unwrap();
    let limits = Limits { input: 200, output: 60, depth: 4, elements: 8 };
    let refused = |json: &str| {
        let options = ReadOptions { limits, ..ReadOptions::default() };
        let mut out = b"before".to_vec();
        let error = schema.to_wire(message, json.as_bytes(), &options, &mut out).unwrap_err();
        assert_eq!(out, b"before", "nothing is appended");
        error.problem
    };
    assert_eq!(refused(&" ".repeat(201)), Problem::InputLimit);
    assert_eq!(refused(r#"{"value":[[[[1]]]]}"#), Problem::DepthLimit);
    assert_eq!(refused(r#"{"inners":[{},{},{},{},{},{},{}]}"#), Problem::ElementLimit);
    let long = format!(r#"{{"strings":["{}",""]}}"#, "x".repeat(70));
    assert_eq!(refused(&long), Problem::OutputLimit);

    let refused = |json: &str| {
        let wire = read_as(&schema, EVERYTHING, json).unwrap();
        let options = WriteOptions { limits, ..WriteOptions::default() };
        let mut out = b"before".to_vec();
        let error = schema.to_json(message, &wire, &options, &mut out).unwrap_err();
        assert_eq!(out, b"before", "nothing is appended");
        error.problem
    };
    assert_eq!(refused(&format!(r#"{{"string":"{}"}}"#, "x".repeat(201))), WireProblem::InputLimit);
    let deep = r#"{"inner":{"inner":{"inner":{"inner":{}}}}}"#;
    assert_eq!(refused(deep), WireProblem::DepthLimit);
    assert_eq!(
        refused(r#"{"bools":[true,true,true,true,true,true,true,true,true]}"#),
        WireProblem::ElementLimit
    );
    assert_eq!(refused(&long), WireProblem::OutputLimit);
}

#[test]
fn an_any_in_an_any_is_not_searched_again_and_again() {
    let schema = schema();
    let message = schema.message(EVERYTHING).unwrap();
    let padding = "x".repeat(1000);
    let nested = (0..40)
        .fold(r#"{"@type":"x/google.protobuf.Any","value":{}}"#.to_owned(), |inner, _| {
            format!(r#"{{"value":{inner},"@type":"x/google.protobuf.Any"}}"#)
        });
    let json = format!(r#"{{"string":"","strings":["{padding}"],"any":{nested}}}"#);
    let mut out = Vec::new();
    let read = schema.to_wire(message, json.as_bytes(), &ReadOptions::default(), &mut out);
    assert_eq!(read.unwrap_err().problem, Problem::AnyLimit);
}

#[test]
fn options_change_what_is_taken_and_printed() {
    let schema = schema();
    let message = schema.message(EVERYTHING).unwrap();
    let lenient = ReadOptions { ignore_unknown: true, ..ReadOptions::default() };
    let json = r#"{"nope":{"a":[1,{}]},"color":"COLOR_BLUE","colors":["COLOR_RED","x"],"byBool":{"true":"x"}}"#;
    let mut wire = Vec::new();
    schema.to_wire(message, json.as_bytes(), &lenient, &mut wire).unwrap();
    assert_eq!(print_as(&schema, EVERYTHING, &wire).unwrap(), r#"{"colors":["COLOR_RED"]}"#);

    let print = |options: &WriteOptions, name: &str, wire: &[u8]| {
        let mut out = Vec::new();
        schema.to_json(schema.message(name).unwrap(), wire, options, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let names = WriteOptions { proto_names: true, enum_numbers: true, ..WriteOptions::default() };
    assert_eq!(print(&names, EVERYTHING, &wire), r#"{"colors":[1]}"#);
    let wire = read_as(&schema, EVERYTHING, r#"{"maybeInt32":1,"other-name":"x"}"#).unwrap();
    assert_eq!(print(&names, EVERYTHING, &wire), r#"{"maybe_int32":1,"renamed":"x"}"#);
    let defaults = WriteOptions { defaults: true, ..WriteOptions::default() };
    let plain = "everything.v1.Plain";
    assert_eq!(print(&defaults, plain, b""), r#"{"number":0,"text":"","many":[]}"#);
    assert_eq!(print(&defaults, plain, b"\x1a\x00"), r#"{"number":0,"text":"","many":[]}"#);
}

#[test]
fn the_order_of_fields_in_a_message_does_not_show() {
    let schema = schema();
    let wire = |json: &str| read_as(&schema, EVERYTHING, json).unwrap();
    let cases: [(&[&str], &str); 7] = [
        (
            &[r#"{"string":"a"}"#, r#"{"int32":1}"#, r#"{"string":"b"}"#],
            r#"{"int32":1,"string":"b"}"#,
        ),
        (
            &[r#"{"inner":{"int32s":[1],"int32":1}}"#, r#"{"inner":{"int32s":[2],"int32":2}}"#],
            r#"{"inner":{"int32":2,"int32s":[1,2]}}"#,
        ),
        (
            &[r#"{"strings":["a"]}"#, r#"{"bool":true}"#, r#"{"strings":["b"]}"#],
            r#"{"bool":true,"strings":["a","b"]}"#,
        ),
        (
            &[r#"{"byString":{"b":"1","a":"2"}}"#, r#"{"byString":{"b":"3"}}"#],
            r#"{"byString":{"a":"2","b":"3"}}"#,
        ),
        (&[r#"{"chosenInt32":1}"#, r#"{"chosenString":"x"}"#], r#"{"chosenString":"x"}"#),
        (
            &[
                r#"{"chosenInner":{"bool":true}}"#,
                r#"{"chosenInt32":1}"#,
                r#"{"chosenInner":{"int32":1}}"#,
            ],
            r#"{"chosenInner":{"int32":1}}"#,
        ),
        (
            &[r#"{"value":1}"#, r#"{"value":{"b":1}}"#, r#"{"value":{"a":1}}"#],
            r#"{"value":{"a":1,"b":1}}"#,
        ),
    ];
    for (parts, expected) in cases {
        let whole: Vec<u8> = parts.iter().flat_map(|json| wire(json)).collect();
        assert_eq!(print_as(&schema, EVERYTHING, &whole).unwrap(), expected, "{parts:?}");
    }
}

#[test]
fn an_unknown_field_between_two_values_does_not_show() {
    let schema = schema();
    let wire = |json: &str| read_as(&schema, EVERYTHING, json).unwrap();
    // Number 9999, which no version of the message has.
    let unknown = b"\xf8\xf0\x04\x01";
    for (first, second, both) in [
        (r#"{"strings":["a"]}"#, r#"{"strings":["b"]}"#, r#"{"strings":["a","b"]}"#),
        (r#"{"int32s":[1]}"#, r#"{"int32s":[2]}"#, r#"{"int32s":[1,2]}"#),
        (r#"{"sint64s":["1"]}"#, r#"{"sint64s":["2"]}"#, r#"{"sint64s":["1","2"]}"#),
        (
            r#"{"byString":{"a":"1"}}"#,
            r#"{"byString":{"b":"2"}}"#,
            r#"{"byString":{"a":"1","b":"2"}}"#,
        ),
        (
            r#"{"inner":{"int32":1}}"#,
            r#"{"inner":{"bool":true}}"#,
            r#"{"inner":{"int32":1,"bool":true}}"#,
        ),
    ] {
        let whole = [&wire(first), &unknown[..], &wire(second)].concat();
        assert_eq!(print_as(&schema, EVERYTHING, &whole).unwrap(), both);
    }
}

#[test]
fn numbers_of_a_list_come_packed_and_not_by_turns() {
    let schema = schema();
    // Field 25: a one, a run of two and three, a run of none, a four, and a run of five.
    let wire = b"\xc8\x01\x02\xca\x01\x02\x04\x06\xca\x01\x00\xc8\x01\x08\xca\x01\x01\x0a";
    let printed = print_as(&schema, EVERYTHING, wire).unwrap();
    assert_eq!(printed, r#"{"sint64s":["1","2","3","4","5"]}"#);
    let turned = b"\xca\x01\x02\x02\x04\xc8\x01\x06\xca\x01\x01\x08";
    let printed = print_as(&schema, EVERYTHING, turned).unwrap();
    assert_eq!(printed, r#"{"sint64s":["1","2","3","4"]}"#);
}

#[test]
fn numbers_with_more_bits_than_their_kind_are_cut_as_decoders_cut_them() {
    let schema = schema();
    let plain = "everything.v1.Plain";
    // 2^32, of which 32 bits are zero, which nobody prints; and 2^32 + 1.
    assert_eq!(print_as(&schema, plain, b"\x08\x80\x80\x80\x80\x10").unwrap(), "{}");
    let one = print_as(&schema, plain, b"\x08\x81\x80\x80\x80\x10").unwrap();
    assert_eq!(one, r#"{"number":1}"#);
}

#[test]
fn what_cannot_be_printed_is_named_and_placed() {
    use WireProblem as W;
    let schema = schema();
    let cases: [(&[u8], WireProblem, &str, usize); 6] = [
        (b"\x09", W::Malformed, "double", 1),
        (b"\x72\x01\xff", W::Utf8, "string", 2),
        (b"\x18\x01\x8a\x01\x03\x72\x01\xff", W::Utf8, "inner.string", 7),
        (b"\xba\x04\x02\x10\xff", W::Malformed, "time", 4),
        (b"\xfa\x04\x05\x0a\x03x/y", W::UnknownType, "any", 3),
        (b"\xda\x04\x09\x11\x00\x00\x00\x00\x00\x00\xf0\x7f", W::NotFinite, "value", 4),
    ];
    for (wire, problem, path, position) in cases {
        let error = print_as(&schema, EVERYTHING, wire).unwrap_err();
        let found = (error.problem, error.path.as_str(), error.position);
        assert_eq!(found, (problem, path, position), "{wire:x?}");
    }
}

#[test]
fn proto2_has_its_own() {
    let schema = schema();
    let old = "old.v1.Old";
    for json in [
        r#"{"number":0,"text":"","closed":"CLOSED_ONE","many":["CLOSED_TWO"],"unpacked":[1,2],"packed":[3]}"#,
        r#"{"group":{"inside":1,"old":{"number":2}},"groups":[{"name":"a"},{}]}"#,
        r#"{"byName":{"a":"CLOSED_ONE"},"[old.v1.extra]":5,"[old.v1.extras]":[{}]}"#,
    ] {
        let wire = read_as(&schema, old, json).unwrap();
        assert_eq!(print_as(&schema, old, &wire).unwrap(), json);
    }
    let wire = read_as(&schema, old, r#"{"closed":"CLOSED_ALIAS"}"#).unwrap();
    assert_eq!(print_as(&schema, old, &wire).unwrap(), r#"{"closed":"CLOSED_TWO"}"#);
    assert_eq!(read_as(&schema, old, r#"{"closed":3}"#).unwrap_err().problem, Problem::UnknownEnum);
    // A number that a closed enum does not have is an unknown field.
    assert_eq!(
        print_as(&schema, old, b"\x18\x05\x20\x01\x20\x07").unwrap(),
        r#"{"many":["CLOSED_ONE"]}"#
    );
}

#[test]
fn one_field_comes_from_text_or_json_and_goes_to_json() {
    let schema = schema();
    let message = schema.message(EVERYTHING).unwrap();
    let path = |names: &str| schema.field_path(message, names).unwrap();
    let mut wire = read_as(&schema, EVERYTHING, r#"{"inner":{"string":"a"}}"#).unwrap();
    for (names, text) in [
        ("inner.maybe_int32", "0"),
        ("inner.inner.color", "COLOR_RED"),
        ("time", "1970-01-01T00:00:01Z"),
        ("int64Value", "7"),
        ("mask", "a,bC"),
        ("int32s", "1"),
        ("int32s", "2"),
        ("renamed", "x"),
    ] {
        schema.text_to_wire(&path(names), text, &mut wire).unwrap();
    }
    let body = path("inner.by_string");
    schema.field_to_wire(&body, br#"{"k":"v"}"#, &ReadOptions::default(), &mut wire).unwrap();
    let json = r#"{"inner":{"string":"a","inner":{"color":"COLOR_RED"},"byString":{"k":"v"},"maybeInt32":0},"int32s":[1,2],"other-name":"x","time":"1970-01-01T00:00:01Z","mask":"a,bC","int64Value":"7"}"#;
    assert_eq!(print_as(&schema, EVERYTHING, &wire).unwrap(), json);

    let print = |names: &str| {
        let mut out = Vec::new();
        schema
            .field_to_json(message, &path(names), &wire, &WriteOptions::default(), &mut out)
            .unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(print("int32s"), "[1,2]");
    assert_eq!(print("inner.byString"), r#"{"k":"v"}"#);
    assert_eq!(print("inner.inner"), r#"{"color":"COLOR_RED"}"#);
    assert_eq!(
        (print("strings"), print("byInt32"), print("int64")),
        ("[]".into(), "{}".into(), "\"0\"".into())
    );
    assert_eq!((print("inner.inner.inner"), print("duration")), ("{}".into(), "null".into()));

    assert_eq!(schema.find(&path("inner.maybe_int32"), &wire), Some(&[0][..]));
    assert_eq!(schema.find(&path("renamed"), &wire), Some(&b"x"[..]));
    assert_eq!(schema.find(&path("string"), &wire), None);
    let error = schema.field_to_wire(&body, br#"{"k":1}"#, &ReadOptions::default(), &mut wire);
    assert_eq!(error.unwrap_err().path, "inner.byString[\"k\"]");
}

/// In a message it means that a field is absent; alone it would mean nothing.
#[test]
fn null_is_a_value_of_those_types_alone_that_have_it() {
    let schema = schema();
    let message = schema.message(EVERYTHING).unwrap();
    let read = |names: &str, json: &str| {
        let path = schema.field_path(message, names).unwrap();
        let mut out = Vec::new();
        schema.field_to_wire(&path, json.as_bytes(), &ReadOptions::default(), &mut out)?;
        assert!(!out.is_empty(), "{names}");
        Ok(())
    };
    for names in ["inner", "string", "int32s", "byString", "int64Value", "time", "struct"] {
        for json in ["null", " null\n"] {
            let error: transcode::JsonError = read(names, json).unwrap_err();
            assert_eq!((error.problem, error.path), (Problem::Null, names.to_owned()));
        }
    }
    assert_eq!(read("value", "null"), Ok(()));
    assert_eq!(read("string", "nul").unwrap_err().problem, Problem::Syntax);
}

/// A service decodes a hundred levels; it must not be the first to count them.
#[test]
fn a_struct_counts_as_deep_as_it_is_on_the_wire() {
    let schema = schema();
    let deep = |objects: usize| {
        let text = format!("{}null{}", "{\"a\":".repeat(objects), "}".repeat(objects));
        let json = format!("{{\"struct\":{text}}}");
        let wire = read_as(&schema, EVERYTHING, &json)?;
        // It is printed by the same limit, which counts messages.
        print_as(&schema, EVERYTHING, &wire).unwrap();
        Ok::<_, transcode::JsonError>(())
    };
    assert_eq!(deep(33), Ok(()));
    assert_eq!(deep(34).unwrap_err().problem, Problem::DepthLimit);
}

#[test]
fn text_has_one_notation() {
    let schema = schema();
    let message = schema.message(EVERYTHING).unwrap();
    for (names, text, problem) in [
        ("int32", "1e2", Problem::NotInteger),
        ("int32", "+1", Problem::NotInteger),
        ("int32", "", Problem::NotInteger),
        ("int32", "2147483648", Problem::Range),
        ("bool", "1", Problem::NotBool),
        ("double", "nan", Problem::NotNumber),
        ("color", "RED", Problem::UnknownEnum),
        ("bytes", "?", Problem::Base64),
        ("boolValue", "True", Problem::NotBool),
        ("duration", "1h", Problem::Duration),
        ("inner", "{}", Problem::NoText),
        ("struct", "{}", Problem::NoText),
        ("byString", "a", Problem::NoText),
    ] {
        let path = schema.field_path(message, names).unwrap();
        let mut out = b"before".to_vec();
        assert_eq!(schema.text_to_wire(&path, text, &mut out), Err(problem), "{names}={text}");
        assert_eq!(out, b"before");
        assert_eq!(path.takes_text(), problem != Problem::NoText);
    }
    for names in ["nope", "", "inner.", "int32.x", "inners.int32", "time.seconds", "byString.a"] {
        assert_eq!(schema.field_path(message, names), None, "{names}");
    }
}
