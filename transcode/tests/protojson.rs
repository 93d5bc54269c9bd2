//! ProtoJSON as it is written down, in both directions: what is taken, what is
//! refused and where, what is printed.
#![allow(clippy::unwrap_used)]

use prost_reflect::DescriptorPool;
use transcode::{JsonError, ReadOptions, Schema, WireError, WriteOptions};

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
