//! Every rule, with values that keep it and values that break it.

use std::{fmt::Write as _, time::Duration, time::SystemTime};

use crate::contract::{Contract, broken};

/// Type, rules, values that pass, values that break the rule named beside them.
/// Values are JSON.
type Case =
    (&'static str, &'static str, &'static [&'static str], &'static [(&'static str, &'static str)]);

fn assert_all(cases: &[Case]) {
    let mut body = String::from("enum Color { NONE = 0; RED = 1; BLUE = 3; }\n");
    for (index, (of, rules, ..)) in cases.iter().enumerate() {
        let rules = rules.split(';').map(|rule| format!("(buf.validate.field).{}", rule.trim()));
        let rules = rules.collect::<Vec<_>>().join(", ");
        writeln!(body, "message M{index} {{ {of} value = 1 [{rules}]; }}").unwrap();
    }
    let contract = Contract::proto3(&body);
    for (index, (of, rules, good, bad)) in cases.iter().enumerate() {
        let name = format!("M{index}");
        let check = |value: &str| contract.check(&name, &format!("{{\"value\": {value}}}"));
        for value in *good {
            assert_eq!(check(value), [""; 0], "{of} {rules}: {value} is good");
        }
        for (value, rule) in *bad {
            let rules_broken = check(value);
            let found = rules_broken.iter().any(|it| it.ends_with(&format!(": {rule}")));
            assert!(found, "{of} {rules}: {value} breaks {rule}, not {rules_broken:?}");
        }
    }
}

#[test]
fn numbers_are_compared_by_their_kind() {
    assert_all(&[
        ("int32", "int32.const = -7", &["-7"], &[("7", "int32.const"), ("0", "int32.const")]),
        ("int32", "int32.lt = 5", &["4", "-9"], &[("5", "int32.lt")]),
        ("int64", "int64.lte = 5", &["5"], &[("6", "int64.lte")]),
        (
            "uint32",
            "uint32.gt = 5",
            &["6", "4294967295"],
            &[("5", "uint32.gt"), ("0", "uint32.gt")],
        ),
        ("uint64", "uint64.gte = 5", &["5", "\"18446744073709551615\""], &[("4", "uint64.gte")]),
        ("sint32", "sint32.in = -1; sint32.in = 1", &["-1", "1"], &[("0", "sint32.in")]),
        ("sint64", "sint64.not_in = -1", &["1"], &[("-1", "sint64.not_in")]),
        (
            "fixed32",
            "fixed32.gt = 1; fixed32.lt = 4",
            &["2", "3"],
            &[("1", "fixed32.gt_lt"), ("4", "fixed32.gt_lt")],
        ),
        ("fixed64", "fixed64.gte = 1; fixed64.lt = 4", &["1", "3"], &[("0", "fixed64.gte_lt")]),
        (
            "sfixed32",
            "sfixed32.gt = -4; sfixed32.lte = 4",
            &["4", "-3"],
            &[("-4", "sfixed32.gt_lte")],
        ),
        (
            "sfixed64",
            "sfixed64.gte = -4; sfixed64.lte = 4",
            &["-4", "4"],
            &[("5", "sfixed64.gte_lte")],
        ),
        // Crossed bounds exclude what lies between them.
        (
            "int32",
            "int32.gt = 4; int32.lt = 1",
            &["0", "5"],
            &[("1", "int32.gt_lt_exclusive"), ("4", "int32.gt_lt_exclusive")],
        ),
        ("int32", "int32.gte = 4; int32.lt = 1", &["0", "4"], &[("1", "int32.gte_lt_exclusive")]),
        ("int32", "int32.gt = 4; int32.lte = 1", &["1", "5"], &[("4", "int32.gt_lte_exclusive")]),
        ("int32", "int32.gte = 4; int32.lte = 1", &["1", "4"], &[("2", "int32.gte_lte_exclusive")]),
        ("int32", "int32.gt = 4; int32.lt = 4", &[], &[("4", "int32.gt_lt"), ("5", "int32.gt_lt")]),
        ("int32", "int32.gt = 4; int32.example = 1", &["5"], &[]),
        (
            "float",
            "float.const = 0.1",
            &["0.1"],
            &[("0.2", "float.const"), ("\"NaN\"", "float.const")],
        ),
        (
            "float",
            "float.lt = 1",
            &["0.5", "\"-Infinity\""],
            &[("1", "float.lt"), ("\"NaN\"", "float.lt")],
        ),
        (
            "double",
            "double.gte = 4; double.lt = 1",
            &["0", "4"],
            &[("2", "double.gte_lt_exclusive"), ("\"NaN\"", "double.gte_lt_exclusive")],
        ),
        (
            "double",
            "double.finite = true",
            &["1e300"],
            &[("\"NaN\"", "double.finite"), ("\"Infinity\"", "double.finite")],
        ),
        ("double", "double.finite = false", &["\"NaN\""], &[]),
        (
            "double",
            "double.in = 1.5; double.in = 2.5",
            &["2.5"],
            &[("2", "double.in"), ("\"NaN\"", "double.in")],
        ),
        ("float", "float.not_in = 0.1", &["0.2", "\"NaN\""], &[("0.1", "float.not_in")]),
        ("bool", "bool.const = true", &["true"], &[("false", "bool.const")]),
    ]);
}

#[test]
fn enum_values_are_compared_by_number() {
    assert_all(&[
        (
            "Color",
            "enum.defined_only = true",
            &["0", "3"],
            &[("2", "enum.defined_only"), ("-1", "enum.defined_only")],
        ),
        ("Color", "enum.defined_only = false", &["2"], &[]),
        ("Color", "enum.const = 1", &["1"], &[("0", "enum.const")]),
        ("Color", "enum.in = 1; enum.in = 3", &["1", "3"], &[("0", "enum.in")]),
        ("Color", "enum.not_in = 0", &["1", "7"], &[("0", "enum.not_in")]),
    ]);
}

#[test]
fn strings_are_measured_and_compared() {
    assert_all(&[
        (
            "string",
            "string.const = \"a\"",
            &["\"a\""],
            &[("\"b\"", "string.const"), ("\"\"", "string.const")],
        ),
        (
            "string",
            "string.len = 3",
            &["\"abc\"", "\"añ😀\""],
            &[("\"ab\"", "string.len"), ("\"abcd\"", "string.len")],
        ),
        (
            "string",
            "string.min_len = 2",
            &["\"ab\"", "\"😀😀\""],
            &[
                ("\"a\"", "string.min_len"),
                ("\"😀\"", "string.min_len"),
                ("\"\"", "string.min_len"),
            ],
        ),
        (
            "string",
            "string.max_len = 2",
            &["\"\"", "\"😀😀\""],
            &[("\"abc\"", "string.max_len"), ("\"😀😀a\"", "string.max_len")],
        ),
        (
            "string",
            "string.len_bytes = 4",
            &["\"abcd\"", "\"😀\""],
            &[("\"abc\"", "string.len_bytes")],
        ),
        ("string", "string.min_bytes = 3", &["\"ñx\""], &[("\"ñ\"", "string.min_bytes")]),
        ("string", "string.max_bytes = 3", &["\"ñx\""], &[("\"ññ\"", "string.max_bytes")]),
        (
            "string",
            "string.pattern = \"^[a-z]{2}$\"",
            &["\"ab\""],
            &[("\"abc\"", "string.pattern"), ("\"\"", "string.pattern")],
        ),
        ("string", "string.pattern = \"b\"", &["\"abc\""], &[("\"ac\"", "string.pattern")]),
        ("string", "string.prefix = \"ab\"", &["\"abc\""], &[("\"bab\"", "string.prefix")]),
        ("string", "string.suffix = \"bc\"", &["\"abc\""], &[("\"bcd\"", "string.suffix")]),
        ("string", "string.contains = \"b\"", &["\"abc\""], &[("\"ac\"", "string.contains")]),
        (
            "string",
            "string.not_contains = \"b\"",
            &["\"ac\"", "\"\""],
            &[("\"abc\"", "string.not_contains")],
        ),
        (
            "string",
            "string.in = \"a\"; string.in = \"b\"",
            &["\"b\""],
            &[("\"c\"", "string.in"), ("\"\"", "string.in")],
        ),
        ("string", "string.not_in = \"a\"", &["\"b\""], &[("\"a\"", "string.not_in")]),
        ("string", "string.example = \"a\"", &["\"b\""], &[]),
        ("string", "string.strict = false", &["\"b\""], &[]),
    ]);
}

#[test]
fn names_and_identifiers_have_their_formats() {
    assert_all(&[
        (
            "string",
            "string.email = true",
            &["\"foo@example.com\"", "\"a+b@localhost\"", "\"a.@x.1\""],
            &[
                ("\"foo\"", "string.email"),
                ("\"@a\"", "string.email"),
                ("\"a@\"", "string.email"),
                ("\"a@-b\"", "string.email"),
                ("\"a@b@c\"", "string.email"),
                ("\"a b@c\"", "string.email"),
                ("\"ñ@b\"", "string.email"),
                ("\"a@b.\"", "string.email"),
                ("\"\"", "string.email_empty"),
            ],
        ),
        ("string", "string.email = false", &["\"foo\"", "\"\""], &[]),
        (
            "string",
            "string.hostname = true",
            &["\"a\"", "\"foo.example.com.\"", "\"1.a\"", "\"a-b\""],
            &[
                ("\"a..b\"", "string.hostname"),
                ("\"-a\"", "string.hostname"),
                ("\"a-\"", "string.hostname"),
                ("\"a_b\"", "string.hostname"),
                ("\"1.2.3.4\"", "string.hostname"),
                ("\".\"", "string.hostname"),
                (
                    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
                    "string.hostname",
                ),
                ("\"\"", "string.hostname_empty"),
            ],
        ),
        (
            "string",
            "string.address = true",
            &["\"a.b\"", "\"1.2.3.4\"", "\"::1\""],
            &[
                ("\"1.2.3\"", "string.address"),
                ("\"[::1]\"", "string.address"),
                ("\"\"", "string.address_empty"),
            ],
        ),
        (
            "string",
            "string.uuid = true",
            &["\"8f3b0bd6-8F3B-4c8b-9d51-0123456789ab\""],
            &[
                ("\"8f3b0bd68f3b4c8b9d510123456789ab\"", "string.uuid"),
                ("\"8f3b0bd6-8f3b-4c8b-9d51-0123456789ag\"", "string.uuid"),
                ("\"\"", "string.uuid_empty"),
            ],
        ),
        (
            "string",
            "string.tuuid = true",
            &["\"8f3b0bd68f3b4c8b9d510123456789ab\""],
            &[
                ("\"8f3b0bd6-8f3b-4c8b-9d51-0123456789ab\"", "string.tuuid"),
                ("\"\"", "string.tuuid_empty"),
            ],
        ),
        (
            "string",
            "string.ulid = true",
            &["\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"", "\"7zzzzzzzzzzzzzzzzzzzzzzzzz\""],
            &[
                ("\"81ARZ3NDEKTSV4RRFFQ69G5FAV\"", "string.ulid"),
                ("\"01ARZ3NDEKTSV4RRFFQ69G5FAI\"", "string.ulid"),
                ("\"\"", "string.ulid_empty"),
            ],
        ),
        (
            "string",
            "string.protobuf_fqn = true",
            &["\"buf.validate\"", "\"_a.B1\""],
            &[
                ("\".buf\"", "string.protobuf_fqn"),
                ("\"a..b\"", "string.protobuf_fqn"),
                ("\"1a\"", "string.protobuf_fqn"),
            ],
        ),
        (
            "string",
            "string.protobuf_dot_fqn = true",
            &["\".buf.validate\""],
            &[("\"buf\"", "string.protobuf_dot_fqn"), ("\".\"", "string.protobuf_dot_fqn")],
        ),
        (
            "string",
            "string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_NAME",
            &["\"content-type\"", "\":path\"", "\"a`b\""],
            &[
                ("\":\"", "string.well_known_regex.header_name"),
                ("\"a:\"", "string.well_known_regex.header_name"),
                ("\"a b\"", "string.well_known_regex.header_name"),
                ("\"\"", "string.well_known_regex.header_name_empty"),
            ],
        ),
        (
            "string",
            "string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_NAME; string.strict = false",
            &["\"a b\""],
            &[("\"a\\r\"", "string.well_known_regex.header_name")],
        ),
        (
            "string",
            "string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_VALUE",
            &["\"\"", "\"a\\tb ñ\""],
            &[
                ("\"a\\nb\"", "string.well_known_regex.header_value"),
                ("\"\\u007f\"", "string.well_known_regex.header_value"),
            ],
        ),
        (
            "string",
            "string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_VALUE; string.strict = false",
            &["\"\\u007f\""],
            &[("\"a\\nb\"", "string.well_known_regex.header_value")],
        ),
    ]);
}

#[test]
fn addresses_have_their_formats() {
    assert_all(&[
        (
            "string",
            "string.ip = true",
            &["\"192.168.5.21\"", "\"::1\"", "\"fe80::a%en1\"", "\"::ffff:1.2.3.4\""],
            &[
                ("\"1.2.3\"", "string.ip"),
                ("\"1.2.3.256\"", "string.ip"),
                ("\"01.2.3.4\"", "string.ip"),
                ("\"::1%\"", "string.ip"),
                ("\":::1\"", "string.ip"),
                ("\" ::1\"", "string.ip"),
                ("\"\"", "string.ip_empty"),
            ],
        ),
        (
            "string",
            "string.ipv4 = true",
            &["\"0.0.0.0\""],
            &[("\"::1\"", "string.ipv4"), ("\"\"", "string.ipv4_empty")],
        ),
        (
            "string",
            "string.ipv6 = true",
            &["\"1:2:3:4:5:6:7:8\"", "\"1:2:3:4:5:6:7::\""],
            &[
                ("\"1.2.3.4\"", "string.ipv6"),
                ("\"1:2:3:4:5:6:7\"", "string.ipv6"),
                ("\"1::2::3\"", "string.ipv6"),
                ("\"12345::\"", "string.ipv6"),
                ("\"1:2:3:4:5:6:7::8\"", "string.ipv6"),
            ],
        ),
        (
            "string",
            "string.ip_with_prefixlen = true",
            &["\"1.2.3.4/16\"", "\"::1/64\""],
            &[
                ("\"1.2.3.4\"", "string.ip_with_prefixlen"),
                ("\"1.2.3.4/33\"", "string.ip_with_prefixlen"),
                ("\"1.2.3.4/016\"", "string.ip_with_prefixlen"),
                ("\"fe80::1%a/64\"", "string.ip_with_prefixlen"),
                ("\"1.2.3.4/+1\"", "string.ip_with_prefixlen"),
            ],
        ),
        (
            "string",
            "string.ipv4_with_prefixlen = true",
            &["\"1.2.3.4/0\""],
            &[("\"::1/64\"", "string.ipv4_with_prefixlen")],
        ),
        (
            "string",
            "string.ipv6_with_prefixlen = true",
            &["\"::1/128\""],
            &[("\"::1/129\"", "string.ipv6_with_prefixlen")],
        ),
        (
            "string",
            "string.ip_prefix = true",
            &["\"10.0.0.0/8\"", "\"1.2.3.4/32\"", "\"0.0.0.0/0\"", "\"2001:db8::/32\""],
            &[("\"10.0.0.1/8\"", "string.ip_prefix"), ("\"2001:db8::1/32\"", "string.ip_prefix")],
        ),
        (
            "string",
            "string.ipv4_prefix = true",
            &["\"10.0.0.0/8\""],
            &[("\"::/0\"", "string.ipv4_prefix")],
        ),
        (
            "string",
            "string.ipv6_prefix = true",
            &["\"::/0\""],
            &[("\"10.0.0.0/8\"", "string.ipv6_prefix")],
        ),
        (
            "string",
            "string.host_and_port = true",
            &["\"example.com:8080\"", "\"1.2.3.4:0\"", "\"[::1]:65535\""],
            &[
                ("\"example.com\"", "string.host_and_port"),
                ("\"a:65536\"", "string.host_and_port"),
                ("\"a:\"", "string.host_and_port"),
                ("\"::1:80\"", "string.host_and_port"),
                ("\"[::1]\"", "string.host_and_port"),
                ("\"[1.2.3.4]:1\"", "string.host_and_port"),
                ("\"a:080\"", "string.host_and_port"),
                ("\"\"", "string.host_and_port_empty"),
            ],
        ),
        (
            "string",
            "string.uri = true",
            &[
                "\"https://example.com/foo/bar?baz=quux#frag\"",
                "\"urn:isbn:1\"",
                "\"file:///x\"",
                "\"a:\"",
                "\"http://u:p@[::1%25en0]:80/%41;a=b\"",
                "\"http://[v1.a:b]/\"",
                "\"http://a%C3%B1/\"",
                "\"mailto:a@b\"",
            ],
            &[
                ("\"./foo\"", "string.uri"),
                ("\"1a:b\"", "string.uri"),
                ("\"http://a b\"", "string.uri"),
                ("\"http://a/%4\"", "string.uri"),
                ("\"http://a:x/\"", "string.uri"),
                ("\"http://[::1\"", "string.uri"),
                ("\"http://[::1%en0]/\"", "string.uri"),
                ("\"http://a%FF/\"", "string.uri"),
                ("\"http://a@b@c/\"", "string.uri"),
                ("\"http://a/#b#c\"", "string.uri"),
                ("\"http://a/[x]\"", "string.uri"),
                ("\"http://ñ/\"", "string.uri"),
                ("\"http://[v.a]/\"", "string.uri"),
                ("\"\"", "string.uri_empty"),
            ],
        ),
        (
            "string",
            "string.uri_ref = true",
            &["\"\"", "\"./foo/bar?query\"", "\"//a/b\"", "\"/a:b\"", "\"#f\"", "\"http://a\""],
            &[
                ("\"1a:b\"", "string.uri_ref"),
                ("\"//a b\"", "string.uri_ref"),
                ("\"a?b^\"", "string.uri_ref"),
            ],
        ),
    ]);
}

#[test]
fn byte_strings_are_measured_and_compared() {
    // JSON shows bytes in base 64: "AQI=" is 01 02.
    assert_all(&[
        ("bytes", "bytes.const = \"\\x01\\x02\"", &["\"AQI=\""], &[("\"AQ==\"", "bytes.const")]),
        (
            "bytes",
            "bytes.len = 2",
            &["\"AQI=\""],
            &[("\"AQ==\"", "bytes.len"), ("\"\"", "bytes.len")],
        ),
        ("bytes", "bytes.min_len = 2", &["\"AQI=\""], &[("\"AQ==\"", "bytes.min_len")]),
        ("bytes", "bytes.max_len = 1", &["\"AQ==\""], &[("\"AQI=\"", "bytes.max_len")]),
        (
            "bytes",
            "bytes.pattern = \"^a+$\"",
            &["\"YWE=\""],
            &[("\"YmI=\"", "bytes.pattern"), ("\"/w==\"", "bytes.pattern")],
        ),
        ("bytes", "bytes.prefix = \"\\x01\"", &["\"AQI=\""], &[("\"AgE=\"", "bytes.prefix")]),
        ("bytes", "bytes.suffix = \"\\x02\"", &["\"AQI=\""], &[("\"AgE=\"", "bytes.suffix")]),
        (
            "bytes",
            "bytes.contains = \"\\x02\"",
            &["\"AQID\""],
            &[("\"AQM=\"", "bytes.contains"), ("\"\"", "bytes.contains")],
        ),
        (
            "bytes",
            "bytes.in = \"\\x01\"; bytes.in = \"\\x02\"",
            &["\"Ag==\""],
            &[("\"Aw==\"", "bytes.in")],
        ),
        ("bytes", "bytes.not_in = \"\\x01\"", &["\"Ag==\""], &[("\"AQ==\"", "bytes.not_in")]),
        (
            "bytes",
            "bytes.ip = true",
            &["\"AQIDBA==\""],
            &[("\"AQ==\"", "bytes.ip"), ("\"\"", "bytes.ip_empty")],
        ),
        (
            "bytes",
            "bytes.ipv4 = true",
            &["\"AQIDBA==\""],
            &[("\"AAAAAAAAAAAAAAAAAAAAAA==\"", "bytes.ipv4")],
        ),
        (
            "bytes",
            "bytes.ipv6 = true",
            &["\"AAAAAAAAAAAAAAAAAAAAAA==\""],
            &[("\"AQIDBA==\"", "bytes.ipv6")],
        ),
        (
            "bytes",
            "bytes.uuid = true",
            &["\"AAAAAAAAAAAAAAAAAAAAAA==\""],
            &[("\"AQ==\"", "bytes.uuid"), ("\"\"", "bytes.uuid_empty")],
        ),
        ("bytes", "bytes.uuid = false; bytes.example = \"a\"", &["\"AQ==\""], &[]),
    ]);
}

#[test]
fn collections_are_counted_and_their_elements_checked() {
    assert_all(&[
        (
            "repeated int32",
            "repeated.min_items = 2",
            &["[0, 0]"],
            &[("[0]", "repeated.min_items"), ("[]", "repeated.min_items")],
        ),
        (
            "repeated string",
            "repeated.max_items = 1",
            &["[]", "[\"\"]"],
            &[("[\"\", \"\"]", "repeated.max_items")],
        ),
        (
            "repeated sint32",
            "repeated.unique = true",
            &["[-1, 1, 0]"],
            &[("[-1, 0, -1]", "repeated.unique")],
        ),
        (
            "repeated string",
            "repeated.unique = true",
            &["[\"a\", \"\"]"],
            &[("[\"a\", \"a\"]", "repeated.unique")],
        ),
        (
            "repeated double",
            "repeated.unique = true",
            &["[\"NaN\", \"NaN\"]"],
            &[("[0.0, -0.0]", "repeated.unique")],
        ),
        ("repeated bool", "repeated.unique = false", &["[true, true]"], &[]),
        (
            "repeated string",
            "repeated.items.string.max_len = 1",
            &["[]", "[\"a\"]"],
            &[("[\"a\", \"ab\"]", "string.max_len")],
        ),
        ("repeated uint32", "repeated.items.uint32.gt = 1", &["[2]"], &[("[2, 0]", "uint32.gt")]),
        (
            "repeated string",
            "repeated.items = {ignore: IGNORE_IF_ZERO_VALUE, string: {min_len: 2}}",
            &["[\"\"]"],
            &[("[\"a\"]", "string.min_len")],
        ),
        (
            "repeated string",
            "repeated.items = {ignore: IGNORE_ALWAYS, string: {min_len: 2}}",
            &["[\"a\"]"],
            &[],
        ),
        (
            "repeated string",
            "ignore = IGNORE_IF_ZERO_VALUE; repeated.min_items = 2",
            &["[]"],
            &[("[\"a\"]", "repeated.min_items")],
        ),
        ("map<string, int32>", "map.min_pairs = 1", &["{\"a\": 0}"], &[("{}", "map.min_pairs")]),
        (
            "map<string, int32>",
            "map.max_pairs = 1",
            &["{}"],
            &[("{\"a\": 1, \"b\": 1}", "map.max_pairs")],
        ),
        (
            "map<string, int32>",
            "map.keys.string.min_len = 2",
            &["{\"ab\": 1}"],
            &[("{\"a\": 1}", "string.min_len")],
        ),
        (
            "map<sint32, bool>",
            "map.keys.sint32.lt = 0",
            &["{\"-1\": true}"],
            &[("{\"0\": true}", "sint32.lt")],
        ),
        (
            "map<string, string>",
            "map.values.string.max_len = 1",
            &["{\"a\": \"\"}"],
            &[("{\"a\": \"bb\"}", "string.max_len")],
        ),
        (
            "map<string, string>",
            "map.values = {ignore: IGNORE_IF_ZERO_VALUE, string: {min_len: 2}}",
            &["{\"a\": \"\"}"],
            &[("{\"a\": \"b\"}", "string.min_len")],
        ),
    ]);
}

#[test]
fn well_known_messages_have_rules_of_their_own() {
    assert_all(&[
        (
            "google.protobuf.Duration",
            "duration.const = {seconds: 1}",
            &["\"1s\"", "null"],
            &[("\"2s\"", "duration.const")],
        ),
        (
            "google.protobuf.Duration",
            "duration.gte = {}; duration.lt = {seconds: 1, nanos: 500000000}",
            &["\"0s\"", "\"1.4s\""],
            &[("\"1.5s\"", "duration.gte_lt"), ("\"-0.1s\"", "duration.gte_lt")],
        ),
        (
            "google.protobuf.Duration",
            "duration.in = {seconds: 1}; duration.in = {seconds: 2}",
            &["\"2s\""],
            &[("\"3s\"", "duration.in")],
        ),
        (
            "google.protobuf.Duration",
            "duration.not_in = {seconds: 1}",
            &["\"2s\""],
            &[("\"1s\"", "duration.not_in")],
        ),
        (
            "google.protobuf.Timestamp",
            "timestamp.gt = {seconds: 10}",
            &["\"1970-01-01T00:00:10.1Z\""],
            &[("\"1970-01-01T00:00:10Z\"", "timestamp.gt")],
        ),
        (
            "google.protobuf.Timestamp",
            "timestamp.const = {seconds: 10}",
            &["\"1970-01-01T00:00:10Z\""],
            &[("\"1970-01-01T00:00:11Z\"", "timestamp.const")],
        ),
        (
            "google.protobuf.Timestamp",
            "timestamp.lt_now = false",
            &["\"9000-01-01T00:00:11Z\""],
            &[],
        ),
        (
            "google.protobuf.Timestamp",
            "timestamp.lt_now = true",
            &["\"1969-01-01T00:00:11Z\""],
            &[("\"9000-01-01T00:00:11Z\"", "timestamp.lt_now")],
        ),
        (
            "google.protobuf.FieldMask",
            "field_mask.in = \"a\"; field_mask.in = \"b.c\"",
            &["\"a,a.x,b.c\"", "\"\""],
            &[("\"b\"", "field_mask.in"), ("\"ab\"", "field_mask.in")],
        ),
        (
            "google.protobuf.FieldMask",
            "field_mask.not_in = \"a\"",
            &["\"ab\""],
            &[("\"b,a.x\"", "field_mask.not_in")],
        ),
        (
            "google.protobuf.FieldMask",
            "field_mask.const = {paths: [\"a\"]}",
            &["\"a\""],
            &[("\"a,b\"", "field_mask.const")],
        ),
        (
            "google.protobuf.StringValue",
            "string.min_len = 2",
            &["null", "\"ab\""],
            &[("\"\"", "string.min_len"), ("\"a\"", "string.min_len")],
        ),
        ("google.protobuf.Int64Value", "int64.gt = 0", &["\"1\""], &[("\"0\"", "int64.gt")]),
        ("google.protobuf.BoolValue", "bool.const = true", &["true"], &[("false", "bool.const")]),
        (
            "google.protobuf.FloatValue",
            "required = true; float.gt = 0",
            &["1"],
            &[("null", "required"), ("0", "float.gt")],
        ),
        (
            "repeated google.protobuf.Duration",
            "repeated.items.duration.gt = {}",
            &["[\"1s\"]"],
            &[("[\"1s\", \"0s\"]", "duration.gt")],
        ),
        (
            "map<string, google.protobuf.BytesValue>",
            "map.values.bytes.len = 1",
            &["{\"a\": \"AQ==\"}"],
            &[("{\"a\": \"\"}", "bytes.len")],
        ),
    ]);
}

#[test]
fn now_is_the_time_of_the_check() {
    let contract = Contract::proto3(
        "message M {
            google.protobuf.Timestamp past = 1 [(buf.validate.field).timestamp.lt_now = true];
            google.protobuf.Timestamp future = 2 [(buf.validate.field).timestamp.gt_now = true];
            google.protobuf.Timestamp near = 3 [(buf.validate.field).timestamp.within = {seconds: 60}];
        }",
    );
    let program = contract.program("M");
    let message = contract.encode(
        "M",
        r#"{"past": "1970-01-01T00:16:40Z", "future": "1970-01-01T00:16:40Z", "near": "1970-01-01T00:16:40Z"}"#,
    );
    let at = |seconds| {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        broken(program.check_at(&message, now))
    };
    assert_eq!(at(1000), [""; 0], "now is neither past nor future");
    assert_eq!(at(999), ["past: timestamp.lt_now"]);
    assert_eq!(at(1001), ["future: timestamp.gt_now"]);
    assert_eq!(at(1060), ["future: timestamp.gt_now"]);
    assert_eq!(at(1061), ["future: timestamp.gt_now", "near: timestamp.within"]);
    assert_eq!(at(939), ["near: timestamp.within", "past: timestamp.lt_now"]);
}
