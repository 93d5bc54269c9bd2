//! "Rules for HTTP mapping" of google/api/http.proto: what path, body and query
//! of a request become, and what is refused.

use serde_json::{Value, json};
use transcode::{
    Limits, QueryLimits, ReadOptions,
    Reason::{
        self, Conflict, DuplicateField, InvalidJson, InvalidType, InvalidValue, LimitExceeded,
        UnexpectedBody, UnknownField, UnknownParameter,
    },
    bind::RequestOptions,
};

use crate::contracts::{Api, messaging};

fn becomes(api: &Api, method: &str, uri: &str, body: &str, expected: &Value) {
    let sent = api.send(method, uri, body);
    assert_eq!(sent.as_ref(), Ok(expected), "{method} {uri} {body}");
}

fn refuses(api: &Api, method: &str, uri: &str, body: &str, field: &str, reason: Reason) {
    let found = api.refused(method, uri, body);
    assert_eq!(found, (field.to_owned(), reason), "{method} {uri} {body}");
}

/// "`GET /v1/messages/123456` gRPC: `GetMessage(name: "messages/123456")`"
#[test]
fn fields_of_the_path_are_bound() {
    let api = messaging();
    let name = json!({"name": "messages/123456"});
    becomes(&api, "GET", "/by-name/messages/123456", "", &name);
    becomes(&api, "HEAD", "/by-name/messages/123456", "", &name);
    let nested = json!({"sub": {"sub": {"text": "a b"}}});
    becomes(&api, "GET", "/types/nested/a%20b", "", &nested);
}

/// "`GET /v1/messages/123456?revision=2&sub.subfield=foo` gRPC:
/// `GetMessage(message_id: "123456" revision: 2 sub: SubMessage(subfield: "foo"))`"
#[test]
fn fields_that_are_not_in_the_path_are_parameters_without_a_body() {
    let api = messaging();
    let uri = "/v1/messages/123456?revision=2&sub.subfield=foo";
    let expected = json!({"messageId": "123456", "revision": "2", "sub": {"subfield": "foo"}});
    becomes(&api, "GET", uri, "", &expected);
}

/// "`PATCH /v1/messages/123456 { "text": "Hi!" }` gRPC:
/// `UpdateMessage(message_id: "123456" message { text: "Hi!" })`"
#[test]
fn a_body_may_be_one_field() {
    let api = messaging();
    let expected = json!({"messageId": "123456", "message": {"text": "Hi!"}});
    becomes(&api, "PUT", "/field/123456", r#"{ "text": "Hi!" }"#, &expected);
    let expected = json!({"messageId": "1", "message": {}, "validateOnly": true});
    becomes(&api, "PUT", "/field/1?validateOnly=true", "{}", &expected);
}

/// "… every field not bound by the path template should be mapped to the request
/// body": `UpdateMessage(message_id: "123456" text: "Hi!")`
#[test]
fn a_body_may_be_every_field_that_the_path_is_not() {
    let api = messaging();
    let expected = json!({"name": "123456", "text": "Hi!"});
    becomes(&api, "PATCH", "/whole/123456", r#"{ "text": "Hi!" }"#, &expected);
}

/// "This enables the following two alternative HTTP JSON to RPC mappings"
#[test]
fn additional_bindings_are_alternatives() {
    let api = messaging();
    let expected = json!({"userId": "me", "messageId": "123456"});
    becomes(&api, "GET", "/v1/users/me/messages/123456", "", &expected);
    becomes(&api, "GET", "/v1/messages/123456", "", &json!({"messageId": "123456"}));
}

/// "If HttpRule.body is "*", there is no URL query parameter"
#[test]
fn a_body_that_is_everything_leaves_nothing_to_the_query() {
    let api = messaging();
    refuses(&api, "PATCH", "/whole/1?text=x", "{}", "text", UnknownParameter);
    refuses(&api, "PATCH", "/whole/1?subMessage.text=x", "", "subMessage.text", UnknownParameter);
    refuses(&api, "PATCH", "/whole/1?name=1", "", "name", Conflict);
    refuses(&api, "PUT", "/field/1?message.text=x", "{}", "message.text", UnknownParameter);
}

/// "If HttpRule.body is omitted, there is no HTTP request body"
#[test]
fn a_body_is_refused_where_the_rule_has_none() {
    let api = messaging();
    for body in ["{}", " ", "null", "x"] {
        refuses(&api, "GET", "/by-name/messages/1", body, "", UnexpectedBody);
    }
}

#[test]
fn an_empty_body_is_an_empty_object() {
    let api = messaging();
    for body in ["", " \r\n\t", "{}", " { } "] {
        becomes(&api, "PATCH", "/whole/1", body, &json!({"name": "1"}));
        let expected = json!({"messageId": "1", "message": {}});
        becomes(&api, "PUT", "/field/1", body, &expected);
    }
    becomes(&api, "POST", "/types/strings", "", &json!({}));
    becomes(&api, "DELETE", "/types", r#"{"left": "a"}"#, &json!({"left": "a"}));
}

/// "If an API needs to use a JSON array for request or response body, it can map
/// the request or response body to a repeated field."
#[test]
fn a_body_may_be_a_field_of_any_type() {
    let api = messaging();
    let cases = [
        ("strings", r#"["a", ""]"#, json!({"strings": ["a", ""]})),
        ("strings", "[]", json!({})),
        ("map", r#"{"a": "b"}"#, json!({"aMap": {"a": "b"}})),
        ("string", r#""x""#, json!({"aString": "x"})),
        ("value", "null", json!({"aValue": null})),
        ("value", r#"[1, {"a": null}]"#, json!({"aValue": [1.0, {"a": null}]})),
        ("subs", r#"[{"text": "a"}, {}]"#, json!({"subs": [{"text": "a"}, {}]})),
        ("left-sub", r#"{"text": "a"}"#, json!({"leftSub": {"text": "a"}})),
    ];
    for (path, body, expected) in cases {
        becomes(&api, "POST", &format!("/types/{path}"), body, &expected);
    }
}

#[test]
fn a_body_is_one_json_value_and_not_null() {
    let api = messaging();
    let cases = [
        ("null", "", InvalidType),
        ("[]", "", InvalidType),
        ("1", "", InvalidType),
        ("{", "", InvalidJson),
        ("{} {}", "", InvalidJson),
        ("{}x", "", InvalidJson),
        ("{\"text\": \"a\"}\0", "", InvalidJson),
        (r#"{"text": 1}"#, "text", InvalidType),
        (r#"{"text": "a", "text": "b"}"#, "text", DuplicateField),
        (r#"{"subMessage": {}, "sub_message": {}}"#, "subMessage", DuplicateField),
        (r#"{"size": 1.5}"#, "size", InvalidValue),
        (r#"{"nope": 1}"#, "nope", UnknownField),
        (r#"{"subMessage": {"sub": {"nope": 1}}}"#, "subMessage.sub.nope", UnknownField),
    ];
    for (body, field, reason) in cases {
        refuses(&api, "PATCH", "/whole/1", body, field, reason);
        let within = match field {
            "" => "message".to_owned(),
            field => format!("message.{field}"),
        };
        refuses(&api, "PUT", "/field/1", body, &within, reason);
    }
    refuses(&api, "POST", "/types/strings", "null", "strings", InvalidType);
    refuses(&api, "POST", "/types/strings", "[1]", "strings[0]", InvalidType);
}

/// Every type of a variable, in its one notation.
#[test]
fn a_variable_is_read_by_its_type() {
    let api = messaging();
    let cases = [
        ("bool/true", json!({"aBool": true})),
        ("bool/false", json!({})),
        ("int32/-7", json!({"anInt32": -7})),
        ("int32/010", json!({"anInt32": 10})),
        ("int64/-9223372036854775808", json!({"anInt64": "-9223372036854775808"})),
        ("uint32/4294967295", json!({"aUint32": 4_294_967_295_u32})),
        ("uint64/18446744073709551615", json!({"aUint64": "18446744073709551615"})),
        ("sint32/-1", json!({"aSint32": -1})),
        ("sint64/-1", json!({"aSint64": "-1"})),
        ("fixed32/1", json!({"aFixed32": 1})),
        ("fixed64/1", json!({"aFixed64": "1"})),
        ("sfixed32/-1", json!({"aSfixed32": -1})),
        ("sfixed64/-1", json!({"aSfixed64": "-1"})),
        ("float/0.5", json!({"aFloat": 0.5})),
        ("double/1e2", json!({"aDouble": 100.0})),
        ("double/-Infinity", json!({"aDouble": "-Infinity"})),
        ("double/NaN", json!({"aDouble": "NaN"})),
        ("string/a%2Fb%20%C3%A9", json!({"aString": "a/b é"})),
        ("bytes/-_8", json!({"someBytes": "+/8="})),
        ("bytes/%2B%2F8%3D", json!({"someBytes": "+/8="})),
        ("enum/KIND_ONE", json!({"anEnum": "KIND_ONE"})),
        ("enum/-1", json!({"anEnum": "KIND_MINUS"})),
        ("enum/77", json!({"anEnum": 77})),
        ("optional/0", json!({"anOptional": 0})),
        ("wrapper/0", json!({"aWrapper": "0"})),
        ("text-wrapper/x", json!({"aTextWrapper": "x"})),
        ("left/x", json!({"left": "x"})),
    ];
    for (path, expected) in cases {
        becomes(&api, "GET", &format!("/types/{path}"), "", &expected);
    }
}

#[test]
fn a_variable_that_is_no_value_of_its_type_is_refused() {
    let api = messaging();
    let cases = [
        ("bool/1", "aBool"),
        ("bool/True", "aBool"),
        ("int32/0x10", "anInt32"),
        ("int32/1e2", "anInt32"),
        ("int32/%2B1", "anInt32"),
        ("int32/%201", "anInt32"),
        ("int32/2147483648", "anInt32"),
        ("uint32/-1", "aUint32"),
        ("uint64/18446744073709551616", "aUint64"),
        ("float/1e39", "aFloat"),
        ("double/inf", "aDouble"),
        ("double/nan", "aDouble"),
        ("double/1.", "aDouble"),
        ("bytes/a", "someBytes"),
        ("enum/ONE", "anEnum"),
        ("enum/4294967296", "anEnum"),
        ("wrapper/x", "aWrapper"),
    ];
    for (path, field) in cases {
        refuses(&api, "GET", &format!("/types/{path}"), "", field, InvalidValue);
    }
}

/// "Note that fields which are mapped to URL query parameters must have a
/// primitive type or a repeated primitive type or a non-repeated message type …
/// In the case of a repeated type, the parameter can be repeated in the URL … In
/// the case of a message type, each field of the message is mapped to a separate
/// parameter".
#[test]
fn parameters_are_primitive_fields_or_lists_of_them_or_lie_in_messages() {
    let api = messaging();
    let uri = "/types?a_bool=true&anInt32=-7&aUint64=18446744073709551615&aFloat=0.5&aString=x+y\
        &someBytes=-_8&anEnum=KIND_ONE&anOptional=0&aWrapper=0&sub.text=a&sub.sub.number=1\
        &strings=a&strings=&strings=b&numbers=1&numbers=2&kinds=KIND_ONE&kinds=-1\
        &aTime=2026-01-02T03:04:05%2B01:00&aDuration=1.5s&aMask=title,owner.displayName\
        &blobs=AA%3D%3D&sub.words=v&sub.words=w";
    let expected = json!({
        "aBool": true, "anInt32": -7, "aUint64": "18446744073709551615", "aFloat": 0.5,
        "aString": "x y", "someBytes": "+/8=", "anEnum": "KIND_ONE", "anOptional": 0,
        "aWrapper": "0", "sub": {"text": "a", "sub": {"number": 1}, "words": ["v", "w"]},
        "strings": ["a", "", "b"], "numbers": [1, 2], "kinds": ["KIND_ONE", "KIND_MINUS"],
        "aTime": "2026-01-02T02:04:05Z", "aDuration": "1.500s",
        "aMask": "title,owner.displayName", "blobs": ["AA=="],
    });
    becomes(&api, "GET", uri, "", &expected);
}

/// "… the parameter name is the field path in the request message": by JSON names
/// or the contract's, a JSON name first.
#[test]
fn a_parameter_has_the_json_name_of_its_field_or_the_contracts() {
    let api = messaging();
    becomes(&api, "GET", "/types?renamed=x", "", &json!({"renamed": "x"}));
    becomes(&api, "GET", "/types?named=x", "", &json!({"renamed": "x"}));
    becomes(&api, "GET", "/types?sub.fooBar=x", "", &json!({"sub": {"fooBar": "x"}}));
    becomes(&api, "GET", "/types?%61String=x", "", &json!({"aString": "x"}));
    refuses(&api, "GET", "/types?astring=x", "", "astring", UnknownParameter);
    refuses(&api, "GET", "/types?sub.foo_bar=x", "", "sub.foo_bar", UnknownParameter);
}

/// "Repeated message fields must not be mapped to URL query parameters".
#[test]
fn other_fields_are_no_parameters() {
    let api = messaging();
    for name in [
        "nope",
        "",
        "sub",
        "sub.",
        ".sub",
        "sub..text",
        "sub.nope",
        "aString.x",
        "strings.0",
        "aMap",
        "aMap.key",
        "aMap.value",
        "subs",
        "subs.text",
        "aTime.seconds",
        "aWrapper.value",
        "aStruct",
        "aStruct.fields",
        "aValue",
        "aValue.stringValue",
        "anAny",
        "anAny.typeUrl",
        "times",
        "empty",
        "choice",
        "strings[0]",
        "strings[]",
    ] {
        refuses(&api, "GET", &format!("/types?{name}=1"), "", name, UnknownParameter);
    }
    // No deeper than contracts go on purpose, however often a message holds itself.
    let deep = format!("{}text", "sub.".repeat(15));
    assert!(api.send("GET", &format!("/types?{deep}=x"), "").is_ok());
    let deeper = format!("sub.{deep}");
    refuses(&api, "GET", &format!("/types?{deeper}=x"), "", &deeper, UnknownParameter);
}

#[test]
fn a_parameter_has_one_notation() {
    let api = messaging();
    let cases = [
        "aBool=1",
        "aBool=",
        "anInt32=1e2",
        "anInt32=1.0",
        "anInt32=%2B1",
        "anInt32=+1",
        "anInt32=",
        "anInt32=0x1",
        "anInt32=1,2",
        "aDouble=inf",
        "anEnum=ONE",
        "aWrapper=",
        "aWrapper={}",
        "aTime=2026-01-02",
        "aTime=1",
        "aDuration=1m",
        "aDuration=1",
        "aMask=foo_bar",
        "someBytes=?",
        "aString=%",
        "aString=%zz",
        "aString=%ff",
    ];
    for pair in cases {
        let name = pair.split_once('=').unwrap().0;
        refuses(&api, "GET", &format!("/types?{pair}"), "", name, InvalidValue);
    }
    refuses(&api, "GET", "/types?%zz=1", "", "", InvalidValue);
    refuses(&api, "GET", "/types?numbers=1,2", "", "numbers", InvalidValue);
    // What has no `=` is empty.
    becomes(&api, "GET", "/types?strings&strings=", "", &json!({"strings": ["", ""]}));
    becomes(&api, "GET", "/types?", "", &json!({}));
    becomes(&api, "GET", "/types?&&", "", &json!({}));
}

#[test]
fn a_singular_field_is_given_once() {
    let api = messaging();
    for (query, name) in [
        ("aString=x&aString=x", "aString"),
        ("aString=x&a_string=y", "a_string"),
        ("sub.text=x&sub.text=x", "sub.text"),
        ("aTime=2026-01-01T00:00:00Z&aTime=2026-01-01T00:00:00Z", "aTime"),
    ] {
        refuses(&api, "GET", &format!("/types?{query}"), "", name, DuplicateField);
    }
}

#[test]
fn two_fields_of_a_oneof_are_not_given_together() {
    let api = messaging();
    for (method, uri, body, name) in [
        ("GET", "/types?left=a&right=1", "", "right"),
        ("GET", "/types?right=1&leftSub.text=a", "", "leftSub.text"),
        ("GET", "/types?leftSub.left=a&leftSub.right=1", "", "leftSub.right"),
        ("GET", "/types/left/a?right=1", "", "right"),
        ("POST", "/types/left-sub?right=1", "{}", "right"),
        ("POST", "/types/left/a", r#"{"right": 1}"#, "left"),
        ("POST", "/types/left/a", r#"{"leftSub": {}}"#, "left"),
    ] {
        refuses(&api, method, uri, body, name, Conflict);
    }
    let expected = json!({"leftSub": {"text": "a", "left": "b"}});
    becomes(&api, "GET", "/types?leftSub.text=a&leftSub.left=b", "", &expected);
}

/// A policy that looks at the path sees what the service gets.
#[test]
fn what_the_path_says_is_said_by_nothing_else() {
    let api = messaging();
    let name = json!({"name": "1"});
    // A body may repeat it, as clients do that send a resource back.
    becomes(&api, "PATCH", "/whole/1", r#"{"name": "1"}"#, &name);
    becomes(&api, "PATCH", "/whole/1", r#"{"name": ""}"#, &name);
    becomes(&api, "PATCH", "/whole/1", r#"{"name": null}"#, &name);
    becomes(&api, "POST", "/types/wrapper/7", r#"{"aWrapper": 7}"#, &json!({"aWrapper": "7"}));
    let nested = json!({"sub": {"sub": {"text": "a", "number": 1}, "text": "b"}});
    let body = r#"{"sub": {"text": "b", "sub": {"text": "a", "number": 1}}}"#;
    becomes(&api, "POST", "/types/nested/a", body, &nested);
    becomes(&api, "POST", "/types/sub/a", r#"{"text": "a"}"#, &json!({"sub": {"text": "a"}}));
    // It may not say anything else.
    refuses(&api, "PATCH", "/whole/1", r#"{"name": "2"}"#, "name", Conflict);
    refuses(&api, "PATCH", "/whole/1", r#"{"name": "1 "}"#, "name", Conflict);
    refuses(&api, "POST", "/types/wrapper/7", r#"{"aWrapper": "8"}"#, "aWrapper", Conflict);
    refuses(&api, "POST", "/types/wrapper/0", r#"{"aWrapper": "8"}"#, "aWrapper", Conflict);
    let other = r#"{"sub": {"sub": {"text": "x"}}}"#;
    refuses(&api, "POST", "/types/nested/a", other, "sub.sub.text", Conflict);
    refuses(&api, "POST", "/types/sub/a", r#"{"text": "x"}"#, "sub.text", Conflict);
    // A query may not even repeat it.
    refuses(&api, "GET", "/by-name/messages/1?name=messages/2", "", "name", Conflict);
    refuses(&api, "GET", "/by-name/messages/1?name=messages/1", "", "name", Conflict);
    refuses(&api, "GET", "/types/nested/a?sub.sub.text=b", "", "sub.sub.text", Conflict);
    refuses(&api, "POST", "/types/sub/a?sub.text=a", "{}", "sub.text", Conflict);
    let sibling = json!({"sub": {"sub": {"text": "a"}, "text": "b"}});
    becomes(&api, "GET", "/types/nested/a?sub.text=b", "", &sibling);
}

/// AIP-134, with JSON Merge Patch's idea of what a body changes.
#[test]
fn a_patch_without_a_mask_changes_what_its_body_holds() {
    let api = messaging();
    let uri = "/patch/messages/1";
    let mask = |uri: &str, body: &str| {
        let sent = api.send("PATCH", uri, body).unwrap();
        sent["updateMask"].as_str().unwrap().to_owned()
    };
    let cases = [
        (r#"{"text": "T"}"#, "text"),
        (r#"{"text": ""}"#, "text"),
        (r#"{"te\u0078t": "T"}"#, "text"),
        (r#"{"sub_message": null}"#, "subMessage"),
        (r#"{"subMessage": {"text": "G"}}"#, "subMessage.text"),
        (
            r#"{"subMessage": {"sub": {"number": 0, "words": []}, "left": "x"}}"#,
            "subMessage.sub.number,subMessage.sub.words,subMessage.left",
        ),
        (r#"{"subMessage": { }}"#, "subMessage"),
        (r#"{"labels": {"1": "a"}, "tags": ["x"]}"#, "labels,tags"),
        (r#"{"extra": {"a": {"b": 1}}, "ttl": "1s"}"#, "extra,ttl"),
        // What the client got and cannot change is not a change.
        (
            r#"{"name": "messages/1", "createTime": "2026-01-01T00:00:00Z", "etag": "e", "size": "1"}"#,
            "size",
        ),
        ("{}", ""),
        ("", ""),
    ];
    for (body, expected) in cases {
        assert_eq!(mask(uri, body), expected, "{body}");
    }
    // The client's own mask is not touched.
    assert_eq!(mask("/patch/messages/1?updateMask=tags", r#"{"text": "T"}"#), "tags");
    assert_eq!(mask("/patch/messages/1?update_mask=", r#"{"text": "T"}"#), "");
}

#[test]
fn a_mask_is_not_guessed() {
    let api = messaging();
    // Two fields could be meant; the whole request is the body; it is no PATCH.
    let sent = api.send("PATCH", "/patch-twice/1", r#"{"text": "T"}"#).unwrap();
    assert_eq!(sent, json!({"name": "1", "message": {"text": "T"}}));
    becomes(&api, "PATCH", "/whole/1", r#"{"text": "T"}"#, &json!({"name": "1", "text": "T"}));
}

#[test]
fn all_mistakes_of_path_and_query_are_reported_with_the_first_of_the_body() {
    let api = messaging();
    let found = api.send("PUT", "/field/1?nope=1&validateOnly=2", r#"{"x": 1, "y": 2}"#);
    let found = found.unwrap_err();
    let found: Vec<_> = found.iter().map(|found| (found.field.as_str(), found.reason)).collect();
    let expected =
        [("message.x", UnknownField), ("nope", UnknownParameter), ("validateOnly", InvalidValue)];
    assert_eq!(found, expected);
    let many = format!("/types?{}", "nope=1&".repeat(100));
    assert_eq!(api.send("GET", &many, "").unwrap_err().len(), transcode::MAX_VIOLATIONS);
    let long = format!("/types?{}=1", "x".repeat(1000));
    let field = &api.send("GET", &long, "").unwrap_err()[0].field;
    assert!(field.chars().count() < 300 && field.ends_with('…'), "{field}");
}

#[test]
fn parameters_are_bounded_in_number_and_length() {
    let api = messaging();
    let many = |count: usize| format!("/types?{}", "strings=a&".repeat(count));
    assert!(api.send("GET", &many(256), "").is_ok());
    refuses(&api, "GET", &many(257), "", "strings", LimitExceeded);
    let long = |len: usize| format!("/types?aString={}", "x".repeat(len));
    assert!(api.send("GET", &long(16_000), "").is_ok());
    refuses(&api, "GET", &long(17_000), "", "", LimitExceeded);
    let query = QueryLimits { parameters: 1, ..QueryLimits::default() };
    let options = RequestOptions { query, ..RequestOptions::default() };
    assert!(api.send_with(&options, "GET", &many(1), "").is_ok());
    assert!(api.send_with(&options, "GET", &many(2), "").is_err());
}

#[test]
fn bodies_are_bounded_in_size_and_depth() {
    let api = messaging();
    let deep = format!(r#"{{"extra": {}1{}}}"#, r#"{"a":"#.repeat(120), "}".repeat(120));
    let violations = api.send("PATCH", "/whole/1", &deep).unwrap_err();
    assert_eq!(violations[0].reason, LimitExceeded);
    let limits = Limits { input: 10, ..Limits::default() };
    let read = ReadOptions { limits, ..ReadOptions::default() };
    let options = RequestOptions { read, ..RequestOptions::default() };
    let refused = api.send_with(&options, "PATCH", "/whole/1", r#"{"text": "abc"}"#);
    assert_eq!(refused.unwrap_err()[0].reason, LimitExceeded);
}

#[test]
fn what_is_not_known_may_be_ignored_where_that_is_chosen() {
    let api = messaging();
    let read = ReadOptions { ignore_unknown: true, ..ReadOptions::default() };
    let options = RequestOptions { read, ignore_unknown_parameters: true, ..Default::default() };
    let sent = api.send_with(&options, "PUT", "/field/1?nope=1", r#"{"nope": {}, "text": "T"}"#);
    assert_eq!(sent, Ok(json!({"messageId": "1", "message": {"text": "T"}})));
    // What is known is still read strictly.
    let sent = api.send_with(&options, "GET", "/by-name/messages/1?name=messages/2&size=x", "");
    let reasons: Vec<_> = sent.unwrap_err().iter().map(|found| found.reason).collect();
    assert_eq!(reasons, [Conflict, InvalidValue]);
    // These belong to others along the way.
    becomes(&api, "GET", "/types?utm_source=x&access_token=y&$alt=json", "", &json!({}));
}

/// AIP-127: "Fields should not use the `json_name` annotation", but may.
#[test]
fn json_names_are_the_contracts() {
    let api = messaging();
    let body = r#"{"renamed": "x", "sub": {"fooBar": "y"}}"#;
    becomes(&api, "DELETE", "/types", body, &json!({"renamed": "x", "sub": {"fooBar": "y"}}));
}
