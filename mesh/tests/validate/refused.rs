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
        let contract = Contract::proto3(&format!("message M {{ {body} }}"));
        let error = contract.try_program("M").expect_err(body);
        assert_eq!(error.field, field, "{body}: {error}");
    }
}

#[test]
fn a_predefined_rule_does_not_compile() {
    let contract = Contract::proto2(
        "extend buf.validate.Int32Rules {
            optional bool odd = 1161 [(buf.validate.predefined).cel = {id: \"odd\", expression: \"this % 2 == 1\"}];
        }
        message M { optional int32 f = 1 [(buf.validate.field).int32.(odd) = true]; }",
    );
    let error = contract.try_program("M").unwrap_err();
    assert_eq!((error.field.as_str(), error.problem.contains("test.odd")), ("test.M.f", true));
}

#[test]
fn rules_on_groups_and_extensions_are_refused() {
    let group = "message M { optional group G = 1 [(buf.validate.field).required = true] { optional int32 a = 1; } }";
    assert_eq!(Contract::proto2(group).try_program("M").unwrap_err().field, "test.M.g");
    let extension = "message M { extensions 100 to 200; }
        extend M { optional string e = 100 [(buf.validate.field).string.len = 1]; }";
    assert_eq!(Contract::proto2(extension).try_program("M").unwrap_err().field, "test.e");
}
