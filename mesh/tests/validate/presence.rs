//! Which fields are checked at all, and how violations name them.

use crate::contract::{Contract, broken};

const FORM: &str = r#"
    message Form {
        string plain = 1 [(buf.validate.field).string.min_len = 2];
        optional string maybe = 2 [(buf.validate.field).string.min_len = 2];
        string relaxed = 3 [
            (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE,
            (buf.validate.field).string.min_len = 2
        ];
        string off = 4 [
            (buf.validate.field).ignore = IGNORE_ALWAYS,
            (buf.validate.field).required = true,
            (buf.validate.field).string.min_len = 2
        ];
        optional int32 zero = 5 [
            (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE,
            (buf.validate.field).int32.gt = 0
        ];
    }
"#;

#[test]
fn a_field_without_presence_is_checked_even_when_unset() {
    let contract = Contract::proto3(FORM);
    assert_eq!(contract.check("Form", "{}"), ["plain: string.min_len"]);
    let short = r#"{"plain": "a", "maybe": "", "relaxed": "a", "off": "a", "zero": 0}"#;
    assert_eq!(
        contract.check("Form", short),
        [
            "maybe: string.min_len",
            "plain: string.min_len",
            "relaxed: string.min_len",
            "zero: int32.gt"
        ]
    );
}

#[test]
fn required_means_set_or_where_that_is_unknown_not_zero() {
    let contract = Contract::proto3(
        "message M {
            string text = 1 [(buf.validate.field).required = true];
            optional string maybe = 2 [(buf.validate.field).required = true];
            M nested = 3 [(buf.validate.field).required = true];
            repeated int32 list = 4 [(buf.validate.field).required = true];
            map<string, string> map = 5 [(buf.validate.field).required = true];
            double number = 6 [(buf.validate.field).required = true, (buf.validate.field).double.lt = 1];
        }",
    );
    let all = ["list", "map", "maybe", "nested", "number", "text"];
    assert_eq!(contract.check("M", "{}"), all.map(|field| format!("{field}: required")));
    let outer =
        r#"{"text": "a", "maybe": "", "list": [0], "map": {"": ""}, "number": 2, "nested": {}}"#;
    let mut expected = all.map(|field| format!("nested.{field}: required")).to_vec();
    expected.push("number: double.lt".to_owned());
    assert_eq!(contract.check("M", outer), expected);
}

#[test]
fn a_member_of_a_oneof_is_checked_when_it_is_the_one() {
    let contract = Contract::proto3(
        "message M {
            oneof choice {
                option (buf.validate.oneof).required = true;
                string text = 1 [(buf.validate.field).string.min_len = 2];
                int32 number = 2 [(buf.validate.field).int32.gt = 0];
                bool free = 3;
            }
        }",
    );
    assert_eq!(contract.check("M", "{}"), ["choice: required"]);
    assert_eq!(contract.check("M", r#"{"text": ""}"#), ["text: string.min_len"]);
    assert_eq!(contract.check("M", r#"{"number": 0}"#), ["number: int32.gt"]);
    assert_eq!(contract.check("M", r#"{"free": false}"#), [""; 0]);

    // The last member on the wire is set, however many came before.
    let mut message = contract.encode("M", r#"{"text": ""}"#);
    message.extend(contract.encode("M", r#"{"number": 7}"#));
    assert_eq!(broken(contract.program("M").check(&message)), [""; 0]);
}

#[test]
fn fields_of_a_message_can_exclude_each_other() {
    let contract = Contract::proto3(
        r#"message M {
            option (buf.validate.message).oneof = {fields: ["a", "b"]};
            option (buf.validate.message).oneof = {fields: ["c", "d"], required: true};
            string a = 1 [(buf.validate.field).string.min_len = 2];
            repeated int32 b = 2;
            int32 c = 3;
            map<string, string> d = 4;
            M nested = 5;
        }"#,
    );
    assert_eq!(contract.check("M", r#"{"c": 1}"#), [""; 0], "an unset member has no rules");
    assert_eq!(contract.check("M", r#"{"c": 1, "a": "x"}"#), ["a: string.min_len"]);
    assert_eq!(contract.check("M", "{}"), [": message.oneof"]);
    assert_eq!(
        contract.check("M", r#"{"a": "xx", "b": [1], "c": 1, "d": {"k": ""}}"#),
        [": message.oneof"; 2]
    );
    assert_eq!(contract.check("M", r#"{"c": 1, "nested": {}}"#), ["nested: message.oneof"]);
}

#[test]
fn violations_name_the_way_to_the_field() {
    let contract = Contract::proto3(
        r#"
        message Project { string title = 1 [(buf.validate.field).string.max_len = 3]; }
        message M {
            Project project = 1;
            repeated Project items = 2;
            map<string, Project> by_name = 3;
            map<int32, string> by_number = 4 [(buf.validate.field).map.values.string.min_len = 1];
            map<bool, string> by_flag = 5 [(buf.validate.field).map.keys.bool.const = true];
            map<string, string> preferences = 6 [(buf.validate.field).map.keys.string.max_len = 1];
            repeated int32 scores = 7 [(buf.validate.field).repeated.items.int32.gt = 0];
            M nested = 8;
        }
        "#,
    );
    let long = r#"{"title": "long"}"#;
    let cases = [
        (format!(r#"{{"project": {long}}}"#), "project.title: string.max_len"),
        (format!(r#"{{"items": [{{}}, {{}}, {long}]}}"#), "items[2].title: string.max_len"),
        (
            format!(r#"{{"byName": {{"a\"b": {long}}}}}"#),
            r#"by_name["a\"b"].title: string.max_len"#,
        ),
        (r#"{"byNumber": {"-5": ""}}"#.to_owned(), "by_number[-5]: string.min_len"),
        (r#"{"byFlag": {"false": ""}}"#.to_owned(), "by_flag[false]: bool.const"),
        (r#"{"preferences": {"kk": ""}}"#.to_owned(), r#"preferences["kk"]: string.max_len"#),
        (r#"{"scores": [1, 1, 0]}"#.to_owned(), "scores[2]: int32.gt"),
        (
            format!(r#"{{"nested": {{"nested": {{"items": [{long}]}}}}}}"#),
            "nested.nested.items[0].title: string.max_len",
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(contract.check("M", &json), [expected], "{json}");
    }
}

#[test]
fn violations_are_limited() {
    let contract = Contract::proto3(
        "message M { repeated int32 list = 1 [(buf.validate.field).repeated.items.int32.gt = 0]; }",
    );
    let json = format!("{{\"list\": {:?}}}", [0; 1000]);
    assert_eq!(contract.check("M", &json).len(), mesh::validate::MAX_VIOLATIONS);
}

#[test]
fn proto2_fields_are_checked_when_set() {
    let contract = Contract::proto2(
        "message M {
            optional string text = 1 [(buf.validate.field).string.min_len = 2, default = \"x\"];
            required int32 number = 2 [(buf.validate.field).int32.gt = 0];
            repeated Color colors = 3 [
                (buf.validate.field).repeated.items = {ignore: IGNORE_IF_ZERO_VALUE, enum: {in: [2]}}
            ];
            enum Color { RED = 1; BLUE = 2; GREEN = 3; }
        }",
    );
    assert_eq!(contract.check("M", "{}"), [""; 0]);
    assert_eq!(
        contract.check("M", r#"{"text": "", "number": 0}"#),
        ["number: int32.gt", "text: string.min_len"]
    );
    // The zero of an enum is its first value.
    assert_eq!(
        contract.check("M", r#"{"colors": ["RED", "BLUE", "GREEN"]}"#),
        ["colors[2]: enum.in"]
    );
}

#[test]
fn a_message_without_rules_needs_no_program() {
    let contract = Contract::proto3(
        "message Plain { string text = 1; Plain nested = 2; repeated Other others = 3; }
         message Other { Plain plain = 1; google.protobuf.Any any = 2; }
         message Ruled { Other other = 1; Ruled nested = 2; optional int32 n = 3 [(buf.validate.field).int32.gt = 0]; }
         message Outer { Other other = 1; map<string, Ruled> ruled = 2; }
         message Off { Ruled ruled = 1 [(buf.validate.field).ignore = IGNORE_ALWAYS]; }",
    );
    for name in ["Plain", "Other", "Off"] {
        assert!(contract.try_program(name).unwrap().is_none(), "{name}");
    }
    assert_eq!(
        contract.check("Outer", r#"{"ruled": {"a": {"nested": {"n": 0}}}}"#),
        [r#"ruled["a"].nested.n: int32.gt"#]
    );
}
