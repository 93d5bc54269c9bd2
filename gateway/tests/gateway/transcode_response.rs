//! Messages into JSON responses, checked against prost-reflect's own JSON where
//! both promise the same.

use bytes::Bytes;
use gateway::{
    schema::{Route, Snapshot},
    transcode::{self, Rendered, write::WriteError},
};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};

use crate::contracts::snapshot;

fn route<'a>(snapshot: &'a Snapshot, method: &str, path: &str) -> &'a Route {
    let found = snapshot.routes().iter().find(|route| {
        route.rpc.method.name() == method && route.binding.template.to_string() == path
    });
    found.unwrap()
}

fn render(method: &str, path: &str, message: Value) -> Rendered {
    let snapshot = snapshot();
    let route = route(&snapshot, method, path);
    let message = DynamicMessage::deserialize(route.rpc.method.output(), message).unwrap();
    transcode::response(route, message.encode_to_vec().into()).unwrap()
}

const GET_BOOK: &str = "/v1/{name=shelves/*/books/*}";

#[test]
fn messages_are_written_as_protojson_writes_them() {
    let full = json!({
        "name": "books/1", "title": "\u{2028}é\"\\\u{1}", "pageCount": "-7",
        "genre": "GENRE_NOVEL", "mainAuthor": {"givenName": "G", "with": [{}]},
        "tags": ["", "a"], "notes": {"-2": "b", "1": "a", "10": ""},
        "createTime": "2026-01-01T00:00:00.123Z", "loanTime": "1.500s",
        "extra": {"a": [1.0, null, true, {"b": "c"}]}, "priceCents": "0", "cover": "+/8=",
        "rating": "NaN", "edition": 0, "isbn": "", "anyValue": null, "width": 0.1,
        "lent": true, "otherGenres": ["GENRE_SCIENCE", 42],
        "attachment": {"@type": "type.googleapis.com/library.v1.GetBookRequest", "name": "n"},
    });
    let rendered = render("GetBook", GET_BOOK, full.clone());
    assert_eq!(rendered.content_type, "application/json");
    let written: Value = serde_json::from_slice(&rendered.body).unwrap();
    let mut expected = full;
    // JSON numbers of an f32 are its own shortest digits.
    expected["width"] = json!(0.1);
    assert_eq!(written, expected);
}

#[test]
fn equal_messages_are_equal_bytes() {
    let message = json!({"notes": {"3": "c", "1": "a", "2": "b"}, "title": "T", "name": "n"});
    let rendered = render("GetBook", GET_BOOK, message);
    assert_eq!(
        rendered.body,
        Bytes::from_static(br#"{"name":"n","title":"T","notes":{"1":"a","2":"b","3":"c"}}"#)
    );
}

#[test]
fn default_values_are_left_out_and_empty_is_an_object() {
    let message = json!({"title": "", "pageCount": 0, "genre": 0, "tags": [], "lent": false});
    assert_eq!(render("GetBook", GET_BOOK, message).body, Bytes::from_static(b"{}"));
    assert_eq!(render("DeleteBook", GET_BOOK, json!({})).body, Bytes::from_static(b"{}"));
}

#[test]
fn a_response_body_is_one_field() {
    let path = "/v1/{parent=shelves/*}/bookArray";
    let message = json!({"books": [{"name": "a"}, {}], "nextPageToken": "x"});
    assert_eq!(render("ListBooks", path, message).body, br#"[{"name":"a"},{}]"#.as_ref());
    assert_eq!(render("ListBooks", path, json!({})).body, b"[]".as_ref());
}

#[test]
fn an_http_body_is_sent_as_it_is() {
    let path = "/v1/{name=scans/**}";
    let rendered = render("GetScan", path, json!({"contentType": "image/png", "data": "AAE="}));
    assert_eq!(rendered.content_type, "image/png");
    assert_eq!(rendered.body, Bytes::from_static(b"\0\x01"));
    assert_eq!(render("GetScan", path, json!({})).content_type, "application/octet-stream");
}

#[test]
fn every_well_known_type_goes_within_an_any() {
    for (name, value) in [
        ("Duration", json!("1s")),
        ("Timestamp", json!("2026-01-01T00:00:00Z")),
        ("Int64Value", json!("7")),
        ("Struct", json!({"a": 1.0})),
        ("Empty", json!({})),
    ] {
        let any =
            json!({"@type": format!("type.googleapis.com/google.protobuf.{name}"), "value": value});
        let rendered = render("GetBook", GET_BOOK, json!({"attachment": any}));
        let written: Value = serde_json::from_slice(&rendered.body).unwrap();
        assert_eq!(written["attachment"], any);
    }
}

#[test]
fn what_the_contract_does_not_know_is_an_error() {
    let snapshot = snapshot();
    let route = route(&snapshot, "GetBook", GET_BOOK);
    let broken = transcode::response(route, Bytes::from_static(b"\xff\xff"));
    assert!(matches!(broken, Err(WriteError::Decode(_))));

    let any = |type_url: &str, value: Vec<u8>| {
        let any = prost_types::Any { type_url: type_url.to_owned(), value };
        let mut book = DynamicMessage::new(route.rpc.method.output());
        let kind = snapshot.pool().get_message_by_name("google.protobuf.Any").unwrap();
        let any = DynamicMessage::decode(kind, any.encode_to_vec().as_slice()).unwrap();
        book.set_field_by_name("attachment", prost_reflect::Value::Message(any));
        Bytes::from(book.encode_to_vec())
    };
    let unknown = transcode::response(route, any("x/not.Known", vec![]));
    assert!(matches!(unknown, Err(WriteError::UnknownType(_))));

    // Each level is a message of its own, which no decoder's limit counts.
    let mut nested = Vec::new();
    for _ in 0..10_000 {
        let any = prost_types::Any {
            type_url: "type.googleapis.com/google.protobuf.Any".to_owned(),
            value: nested,
        };
        nested = any.encode_to_vec();
    }
    let deep = any("type.googleapis.com/google.protobuf.Any", nested);
    assert!(matches!(transcode::response(route, deep), Err(WriteError::TooDeep)));
}
