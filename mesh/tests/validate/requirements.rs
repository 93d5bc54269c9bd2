//! Rules in words.

use mesh::validate;

use crate::contract::Contract;

/// What is asked, as `field: text`.
fn asked(contract: &Contract, name: &str) -> Vec<String> {
    let requirements = validate::requirements(&contract.message(name)).unwrap();
    requirements.into_iter().map(|it| format!("{}: {}", it.field, it.text)).collect()
}

#[test]
fn every_rule_is_told_at_the_path_that_a_violation_would_name() {
    let contract = Contract::proto3(
        r#"
        message Order {
            option (buf.validate.message).oneof = {fields: ["note", "draft"]};
            Item first = 1 [(buf.validate.field).required = true];
            repeated Item more = 2 [(buf.validate.field).repeated.max_items = 3];
            map<string, int32> counts = 3 [
                (buf.validate.field).map.keys.string.min_len = 1,
                (buf.validate.field).map.values.int32.gt = 0
            ];
            string note = 4 [(buf.validate.field).string.max_len = 9];
            bool draft = 5;
            google.protobuf.Timestamp until = 6 [(buf.validate.field).timestamp.gt_now = true];
            google.protobuf.StringValue code = 7 [(buf.validate.field).string.len = 4];
            oneof payment {
                option (buf.validate.oneof).required = true;
                string card = 8;
                string bill = 9;
            }
        }
        message Item {
            string name = 1 [(buf.validate.field).string = {prefix: "items/", not_contains: " "}];
            string free = 2;
        }
        "#,
    );
    assert_eq!(
        asked(&contract, "Order"),
        [
            ": only one of note, draft can be set",
            "payment: exactly one of it must be set",
            "first: must be set",
            "first.name: must have prefix `items/`",
            "first.name: must not contain substring ` `",
            "more: must contain no more than 3 items",
            "more[*].name: must have prefix `items/`",
            "more[*].name: must not contain substring ` `",
            "counts[*]: key must be at least 1 characters",
            "counts[*]: must be greater than 0",
            "note: must be at most 9 characters, unless it is empty or zero",
            "until: must be greater than now",
            "code: must be 4 characters",
        ]
    );
}

#[test]
fn a_rule_is_known_by_what_it_is_written_on() {
    let contract = Contract::proto3(
        "message Outer { Inner inner = 1; }
         message Inner { string id = 1 [(buf.validate.field).string.uuid = true]; }",
    );
    let requirements = validate::requirements(&contract.message("Outer")).unwrap();
    let told: Vec<_> = requirements
        .iter()
        .map(|it| (it.field.as_str(), it.stated_on.as_str(), it.rule.as_str(), it.text.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("inner.id", "test.Inner.id", "string.uuid_empty", "must not be empty"),
            ("inner.id", "test.Inner.id", "string.uuid", "must be a valid UUID"),
        ]
    );
}

#[test]
fn a_message_that_contains_itself_is_told_once() {
    let contract = Contract::proto3(
        "message Tree {
            string label = 1 [(buf.validate.field).string.min_len = 1];
            repeated Tree branches = 2;
        }",
    );
    assert_eq!(
        asked(&contract, "Tree"),
        ["label: must be at least 1 characters", "branches[*]: is checked as any test.Tree"]
    );
}

#[test]
fn types_that_contain_each_other_in_many_ways_are_told_in_bounds() {
    let all: String =
        (0..8).map(|number| format!("M{number} m{number} = {};", number + 2)).collect();
    let rule = "string s = 1 [(buf.validate.field).string.min_len = 1];";
    let messages: String =
        (0..8).map(|number| format!("message M{number} {{ {rule} {all} }}")).collect();
    let asked = asked(&Contract::proto3(&messages), "M0");
    assert_eq!(asked.len(), 501);
    assert_eq!(asked[500], ": and more than can be told here");
}

#[test]
fn a_message_without_rules_asks_for_nothing() {
    let contract = Contract::proto3("message Free { string text = 1; }");
    assert_eq!(asked(&contract, "Free"), [""; 0]);
}
