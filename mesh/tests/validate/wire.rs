//! Encodings that no careful sender writes, and bytes that are no message.

use std::sync::LazyLock;

use mesh::validate::Rejection;
use proptest::prelude::*;

use crate::contract::{Contract, broken};

const CONTRACT: &str = "
    message Inner {
        string a = 1 [(buf.validate.field).string.min_len = 2];
        string b = 2 [(buf.validate.field).string.min_len = 2];
        Inner inner = 3;
    }
    message M {
        string text = 1 [(buf.validate.field).string.max_len = 3];
        Inner inner = 2;
        repeated int32 numbers = 3 [
            (buf.validate.field).repeated = {max_items: 4, unique: true, items: {int32: {gt: 0}}}
        ];
        map<string, string> map = 4 [
            (buf.validate.field).map = {max_pairs: 2, values: {string: {max_len: 2}}}
        ];
        map<int32, Inner> inners = 5;
        optional double number = 6 [(buf.validate.field).double.lt = 1];
        google.protobuf.Timestamp time = 7 [(buf.validate.field).timestamp.lt = {seconds: 1000}];
        oneof choice {
            Inner left = 8;
            Inner right = 9;
        }
        int32 far = 536870911 [(buf.validate.field).int32.lt = 5];
        bytes blob = 70 [(buf.validate.field).bytes.max_len = 2];
    }
";

static COMPILED: LazyLock<Contract> = LazyLock::new(|| Contract::proto3(CONTRACT));

fn check(bytes: &[u8]) -> Result<(), Rejection> {
    COMPILED.program("M").check(bytes)
}

#[test]
fn the_last_value_of_a_singular_field_wins() {
    assert_eq!(broken(check(b"\x0a\x04long\x0a\x02ok")), [""; 0]);
    assert_eq!(broken(check(b"\x0a\x02ok\x0a\x04long")), ["text: string.max_len"]);
    assert_eq!(broken(check(b"\xb2\x04\x03abc\xb2\x04\x01a")), [""; 0], "beyond the table");
}

#[test]
fn parts_of_a_message_are_merged_before_they_are_checked() {
    // inner {a: "aa"} and inner {b: "bb"}: either of them alone breaks a rule.
    assert_eq!(broken(check(b"\x12\x04\x0a\x02aa\x12\x04\x12\x02bb")), [""; 0]);
    assert_eq!(broken(check(b"\x12\x04\x0a\x02aa\x12\x04\x0a\x02bb")), ["inner.b: string.min_len"]);
    // Below as well: inner {a b inner {a}} and inner {inner {b}}.
    let first = b"\x12\x0e\x0a\x02aa\x12\x02bb\x1a\x04\x0a\x02aa";
    let second = b"\x12\x06\x1a\x04\x12\x02bb";
    assert_eq!(broken(check(&[&first[..], second].concat())), [""; 0]);
    assert_eq!(broken(check(first)), ["inner.inner.b: string.min_len"]);
    // A timestamp: seconds 2000, then seconds 5.
    assert_eq!(broken(check(b"\x3a\x03\x08\xd0\x0f\x3a\x02\x08\x05")), [""; 0]);
}

#[test]
fn another_member_of_a_oneof_discards_what_came_before() {
    let left = b"\x42\x04\x0a\x02aa";
    let left_rest = b"\x42\x04\x12\x02bb";
    let right = b"\x4a\x08\x0a\x02aa\x12\x02bb";
    assert_eq!(broken(check(&[&left[..], left_rest].concat())), [""; 0]);
    assert_eq!(broken(check(&[&left[..], right].concat())), [""; 0]);
    assert_eq!(
        broken(check(&[&left[..], left_rest, right, left_rest].concat())),
        ["left.a: string.min_len"]
    );
}

#[test]
fn lists_may_be_packed_unpacked_or_both() {
    assert_eq!(broken(check(b"\x1a\x02\x01\x02\x18\x03")), [""; 0]);
    assert_eq!(broken(check(b"\x1a\x02\x01\x02\x18\x00")), ["numbers[2]: int32.gt"]);
    assert_eq!(broken(check(b"\x1a\x02\x01\x02\x18\x02")), ["numbers: repeated.unique"]);
    assert_eq!(
        broken(check(b"\x1a\x00\x1a\x05\x01\x02\x03\x04\x05")),
        ["numbers: repeated.max_items"]
    );
}

#[test]
fn the_last_entry_of_a_key_counts() {
    let entry = |key: &str, value: &str| {
        let mut bytes = vec![0x22, (4 + key.len() + value.len()) as u8, 0x0a, key.len() as u8];
        bytes.extend(key.bytes());
        bytes.extend([0x12, value.len() as u8]);
        bytes.extend(value.bytes());
        bytes
    };
    let same = [entry("a", "long"), entry("a", "ok"), entry("b", "ok"), entry("a", "ok")].concat();
    assert_eq!(broken(check(&same)), [""; 0]);
    let bad = [entry("a", "ok"), entry("a", "long")].concat();
    assert_eq!(broken(check(&bad)), [r#"map["a"]: string.max_len"#]);
    let many = [entry("a", ""), entry("b", ""), entry("c", "")].concat();
    assert_eq!(broken(check(&many)), ["map: map.max_pairs"]);
    // An entry without a key or value has zeros, and a value may come in parts.
    assert_eq!(broken(check(b"\x22\x00")), [""; 0]);
    assert_eq!(
        broken(check(b"\x2a\x00")),
        ["inners[0].a: string.min_len", "inners[0].b: string.min_len"]
    );
    assert_eq!(broken(check(b"\x2a\x0c\x12\x04\x0a\x02aa\x12\x04\x12\x02bb")), [""; 0]);
}

#[test]
fn unknown_fields_and_groups_are_passed_over() {
    assert_eq!(broken(check(b"\xa3\x06\x0a\x04long\xa4\x06\xf8\x06\x01")), [""; 0]);
    assert_eq!(broken(check(b"\xf8\xff\xff\xff\x0f\x05")), ["far: int32.lt"]);
}

#[test]
fn bytes_that_are_no_message_are_told_apart_from_broken_rules() {
    let cases: &[(&[u8], &str)] = &[
        (b"\x0a", ""),
        (b"\x0a\x05ab", ""),
        (b"\x07", ""),
        (b"\x08\x01", "text"),
        (b"\x0a\x01\xff", "text"),
        (b"\x12\x02\x0a\x05", "inner"),
        (b"\x12\x02\x08\x01", "inner.a"),
        (b"\x1a\x01\x80", "numbers"),
        (b"\x1d\x00\x00\x00\x00", "numbers"),
        (b"\x20\x01", "map"),
        (b"\x22\x02\x08\x01", "map"),
        (b"\x22\x03\x12\x01\xff", "map[\"\"]"),
        (b"\x3a\x02\x0a\x00", "time"),
    ];
    for (bytes, at) in cases {
        match check(bytes) {
            Err(Rejection::Malformed { field, .. }) => assert_eq!(field, *at, "{bytes:x?}"),
            other => panic!("{bytes:x?} is {other:?}"),
        }
    }
}

#[test]
fn nesting_is_limited() {
    let nest = |levels| {
        (0..levels).fold(b"\x0a\x02aa\x12\x02bb".to_vec(), |inner: Vec<u8>, _| {
            let mut outer = b"\x0a\x02aa\x12\x02bb\x1a".to_vec();
            let len = inner.len();
            outer.extend([(len & 0x7f) as u8 | 0x80, (len >> 7) as u8]);
            outer.extend(inner);
            outer
        })
    };
    let program = COMPILED.program("Inner");
    assert_eq!(program.check(&nest(100)), Ok(()));
    assert!(matches!(program.check(&nest(101)), Err(Rejection::Malformed { .. })));
}

/// A check that starts over when a later occurrence merges would take 2^100 steps here.
#[test]
fn split_messages_cost_no_more_at_any_depth() {
    let mut message: Vec<u8> = b"\x0a\x02aa\x12\x02bb".to_vec();
    for _ in 0..95 {
        let mut outer = b"\x0a\x02aa\x12\x02bb\x1a".to_vec();
        outer.extend([(message.len() & 0x7f) as u8 | 0x80, (message.len() >> 7) as u8]);
        outer.extend(&message);
        outer.extend(b"\x1a\x00");
        message = outer;
    }
    assert_eq!(COMPILED.program("Inner").check(&message), Ok(()));
}

proptest! {
    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = check(&bytes);
    }
}
