//! What the body of a response becomes, and bodies that go over HTTP as they are.

use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use transcode::{
    Reason, WriteOptions,
    bind::{Download, Request, RequestOptions},
};

use crate::contracts::{Api, messaging};

fn encoded(api: &Api, method: &str, path: &str, message: Value) -> Vec<u8> {
    let kind = api.route(method, path).0.target.output();
    DynamicMessage::deserialize(kind, message).unwrap().encode_to_vec()
}

fn answered(api: &Api, path: &str, message: Value) -> Value {
    let (route, _) = api.route("GET", path);
    let mut out = Vec::new();
    let message = encoded(api, "GET", path, message);
    route.binding.response(&message, &WriteOptions::default(), &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

/// "When omitted, the entire response message will be used as the HTTP response
/// body."
#[test]
fn a_response_is_the_message() {
    let message = json!({"aString": "x", "anInt64": "1", "sub": {"text": "a"}});
    assert_eq!(answered(&messaging(), "/answer", message.clone()), message);
    assert_eq!(answered(&messaging(), "/answer", json!({})), json!({}));
}

/// "The name of the response field whose value is mapped to the HTTP response
/// body."
#[test]
fn a_response_may_be_one_field() {
    let api = messaging();
    let message = json!({
        "strings": ["a", "b"], "aMap": {"k": "v"}, "anInt64": "7", "sub": {"text": "a"},
        "anEnum": "KIND_ONE",
    });
    let cases = [
        ("/answer/strings", json!(["a", "b"]), json!([])),
        ("/answer/map", json!({"k": "v"}), json!({})),
        ("/answer/int64", json!("7"), json!("0")),
        ("/answer/sub", json!({"text": "a"}), json!({})),
        ("/answer/enum", json!("KIND_ONE"), json!("KIND_UNSPECIFIED")),
    ];
    for (path, set, unset) in cases {
        assert_eq!(answered(&api, path, message.clone()), set, "{path}");
        assert_eq!(answered(&api, path, json!({})), unset, "{path}");
    }
}

#[test]
fn an_answer_that_contradicts_its_contract_is_an_error() {
    let api = messaging();
    for path in ["/answer", "/answer/strings"] {
        let mut out = b"before".to_vec();
        let binding = &api.route("GET", path).0.binding;
        assert!(binding.response(b"\xff\xff", &WriteOptions::default(), &mut out).is_err());
        assert_eq!(out, b"before");
    }
    let upload = &api.route("POST", "/upload/files/a").0.binding;
    for broken in [&b"\xff\xff"[..], b"\x0a\x05a", b"\x0a\x01\xff", b"\x12\x05a"] {
        assert!(upload.download(broken).is_err());
    }
    let raw = &api.route("POST", "/raw").0.binding;
    for broken in [&b"\xff\xff"[..], b"\x12\x05a", b"\x12\x03\x0a\x01\xff"] {
        assert!(raw.download(broken).is_err());
    }
}

#[test]
fn an_http_body_goes_out_as_it_is() {
    let api = messaging();
    let (upload, raw) = (api.route("POST", "/upload/files").0, api.route("POST", "/raw").0);
    assert!(upload.binding.gives_http_body() && raw.binding.gives_http_body());
    let body = json!({"contentType": "image/png", "data": "AAEC", "extensions": []});
    let message = encoded(&api, "POST", "/upload/files", body.clone());
    let Download { content_type, data } = upload.binding.download(&message).unwrap();
    assert_eq!((content_type, &message[data]), ("image/png", &b"\0\x01\x02"[..]));
    let message = encoded(&api, "POST", "/raw", json!({"note": "n", "file": body}));
    let Download { content_type, data } = raw.binding.download(&message).unwrap();
    assert_eq!((content_type, &message[data]), ("image/png", &b"\0\x01\x02"[..]));
    for binding in [&upload.binding, &raw.binding] {
        let nothing = binding.download(b"").unwrap();
        assert_eq!(nothing, Download { content_type: "application/octet-stream", data: 0..0 });
    }
}

#[test]
fn an_http_body_comes_in_as_it_is() {
    let api = messaging();
    let expected = json!({
        "name": "files/a/b", "note": "n",
        "file": {"contentType": "image/png", "data": "AHt9"},
    });
    let sent = api.send("POST", "/upload/files/a/b?note=n", "\0{}");
    assert_eq!(sent, Ok(expected));
    let sent = api.send("POST", "/upload/files", "").unwrap();
    assert_eq!(sent, json!({"name": "files", "file": {"contentType": "image/png"}}));
    let sent = api.send("POST", "/raw", "x").unwrap();
    assert_eq!(sent, json!({"contentType": "image/png", "data": "eA=="}));
    // "If HttpRule.body is "*", there is no URL query parameter"
    let refused = api.refused("POST", "/raw?contentType=a", "x");
    assert_eq!(refused, ("contentType".to_owned(), Reason::UnknownParameter));
    let refused = api.refused("POST", "/upload/files?file.contentType=a", "x");
    assert_eq!(refused, ("file.contentType".to_owned(), Reason::UnknownParameter));
}

/// The gateway need not hold what it passes on.
#[test]
fn a_body_may_be_sent_in_pieces_without_being_looked_at() {
    let api = messaging();
    let (route, captures) = api.route("POST", "/upload-stream/files/a");
    assert!(route.target.is_client_streaming() && route.binding.takes_http_body());
    let request = Request {
        captures,
        query: "note=n",
        body: b"",
        content_type: "text/plain",
        is_form: false,
    };
    let read = |mut head: Vec<u8>, data: &[u8]| {
        head.extend_from_slice(data);
        let message = DynamicMessage::decode(route.target.input(), head.as_slice()).unwrap();
        serde_json::to_value(&message).unwrap()
    };
    let long = vec![7; 300];
    let (mut first, mut more) = (Vec::new(), Vec::new());
    route.binding.upload(&request, &RequestOptions::default(), 300, &mut first).unwrap();
    route.binding.pieces().head(2, &mut more);
    let first = read(first, &long);
    assert_eq!((&first["name"], &first["note"]), (&json!("files/a"), &json!("n")));
    assert_eq!(first["file"]["contentType"], json!("text/plain"));
    assert_eq!(first["file"]["data"].as_str().unwrap().len(), 400);
    assert_eq!(read(more, b"ab"), json!({"file": {"data": "YWI="}}));
    let broken = Request { query: "note=n&note=m", ..request };
    let refused = route.binding.upload(&broken, &RequestOptions::default(), 0, &mut Vec::new());
    assert_eq!(refused.unwrap_err()[0].reason, Reason::DuplicateField);
}
