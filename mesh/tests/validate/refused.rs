//! Rules that cannot be carried out stop the compilation.

use crate::contract::Contract;

#[test]
fn a_rule_that_cannot_be_enforced_does_not_compile() {
    let cases = [
        ("string f = 1 [(buf.validate.field).cel_expression = \"true\"];", "test.M.f"),
        (
            "string f = 1 [(buf.validate.field).cel = {id: \"a\", expression: \"true\"}];",
            "test.M.f",
        ),
        ("google.protobuf.Any f = 1 [(buf.validate.field).any.in = \"a\"];", "test.M.f"),
        ("string f = 1 [(buf.validate.field).int32.gt = 1];", "test.M.f"),
        ("int32 f = 1 [(buf.validate.field).int64.gt = 1];", "test.M.f"),
        ("repeated int32 f = 1 [(buf.validate.field).int32.gt = 1];", "test.M.f"),
        ("int32 f = 1 [(buf.validate.field).repeated.min_items = 1];", "test.M.f"),
        ("map<string, int32> f = 1 [(buf.validate.field).repeated.min_items = 1];", "test.M.f"),
        ("map<string, int32> f = 1 [(buf.validate.field).map.values.string.len = 1];", "test.M.f"),
        ("M f = 1 [(buf.validate.field).string.len = 1];", "test.M.f"),
        ("M f = 1 [(buf.validate.field).duration.gt = {}];", "test.M.f"),
        ("google.protobuf.StringValue f = 1 [(buf.validate.field).bytes.len = 1];", "test.M.f"),
        ("repeated M f = 1 [(buf.validate.field).repeated.unique = true];", "test.M.f"),
        (
            "repeated string f = 1 [(buf.validate.field).repeated.items.cel_expression = \"true\"];",
            "test.M.f",
        ),
        ("string f = 1 [(buf.validate.field).string.pattern = \"(\"];", "test.M.f"),
        ("int32 f = 1 [(buf.validate.field).int32.(odd) = true];", "test.M.f"),
        ("option (buf.validate.message).cel_expression = \"true\";", "test.M"),
        ("option (buf.validate.message).oneof = {fields: [\"nope\"]};", "test.M"),
        ("option (buf.validate.message).oneof = {fields: []};", "test.M"),
        ("string f = 1; option (buf.validate.message).oneof = {fields: [\"f\", \"f\"]};", "test.M"),
        (
            "message Inner { M m = 1; string f = 2 [(buf.validate.field).cel_expression = \"true\"]; } Inner i = 1;",
            "test.M.Inner.f",
        ),
    ];
    for (body, field) in cases {
        let odd = "extend buf.validate.Int32Rules { optional bool odd = 1161; }";
        let contract = Contract::proto2(&format!("{odd} message M {{ {} }}", proto2(body)));
        let error = contract.try_program("M").expect_err(body);
        assert_eq!(error.field, field, "{body}: {error}");
    }
}

/// Proto2 wants a label on singular fields.
fn proto2(body: &str) -> String {
    let labelled = |part: &str| match part.trim_start().split(' ').next() {
        Some(
            "string"
            | "int32"
            | "M"
            | "Inner"
            | "google.protobuf.Any"
            | "google.protobuf.StringValue",
        ) => {
            format!("optional {}", part.trim_start())
        }
        _ => part.to_owned(),
    };
    let lines = body.replace("{ M m", "{ optional M m").replace("} Inner", "}; Inner");
    lines.split(';').map(labelled).collect::<Vec<_>>().join(";")
}

#[test]
fn rules_on_groups_and_extensions_are_refused() {
    let group = "message M { optional group G = 1 [(buf.validate.field).required = true] { optional int32 a = 1; } }";
    assert_eq!(Contract::proto2(group).try_program("M").unwrap_err().field, "test.M.g");
    let extension = "message M { extensions 100 to 200; }
        extend M { optional string e = 100 [(buf.validate.field).string.len = 1]; }";
    assert_eq!(Contract::proto2(extension).try_program("M").unwrap_err().field, "test.e");
}
