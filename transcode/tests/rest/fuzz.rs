//! Seeded random requests: none of them panics, what is accepted is a message
//! that can be read again, and nothing but the path says what the path says.

use fastrand::Rng;
use prost_reflect::{DynamicMessage, Value};
use transcode::{
    WriteOptions,
    bind::{Request, RequestOptions},
    percent::{Scope, decode},
    route::{Captures, Lookup, Method, Path, Tree},
    routes::Found,
    template::{Segment, Template},
};

use crate::contracts::{Api, messaging};

/// Pieces that requests are made of; random bytes alone rarely get far.
const PATHS: [&str; 34] = [
    "/", "/", "/", "/", "v1", "messages", "users", "whole", "field", "patch", "types", "int32",
    "nested", "upload", "files", "answer", "1", "a:b", ":x", "*", "**", "{", "}", "=", "%2F",
    "%252F", "%", "%zz", "..", "%2e", "%00", "é", "%c3%a9", ",",
];
const QUERIES: [&str; 36] = [
    "&",
    "&",
    "&",
    "=",
    "=",
    "=",
    "aBool",
    "an_int32",
    "sub",
    ".",
    ".",
    "text",
    "words",
    "left",
    "right",
    "leftSub",
    "numbers",
    "strings",
    "aTime",
    "2026-01-01T00:00:00Z",
    "aDuration",
    "1.5s",
    "aMask",
    "aWrapper",
    "-1",
    "true",
    "99999999999999999999",
    "+",
    "%20",
    "%",
    "%ff",
    "NaN",
    "KIND_ONE",
    "name",
    "a",
    "utm_x",
];
const BODIES: [&str; 30] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "true",
    "0",
    "-1",
    "1e3",
    "1e999",
    "\"text\":",
    "\"name\":",
    "\"subMessage\":",
    "\"sub\":",
    "\"sub_message\":",
    "\"size\":",
    "\"labels\":",
    "\"extra\":",
    "\"ttl\":",
    "\"1s\"",
    "\"left\":",
    "\"right\":",
    "\"a\"",
    "\"1\"",
    "\"na\\u006de\":",
    "\u{0}",
];
const NAMES: [&str; 10] =
    ["name", "text", "subMessage", "sub", "left", "right", "tags", "words", "extra", "labels"];

fn text(random: &mut Rng, pieces: &[&str], most: usize) -> String {
    (0..random.usize(..most)).map(|_| pieces[random.usize(..pieces.len())]).collect()
}

/// JSON that is at least well-formed, from the names of the contract.
fn value(random: &mut Rng, depth: usize) -> String {
    match random.u8(..if depth == 0 { 4 } else { 7 }) {
        0 => "null".to_owned(),
        1 => random.i32(-3..3).to_string(),
        2 | 3 => format!("\"{}\"", ["", "1", "a", "messages/1", "%31"][random.usize(..5)]),
        4 => {
            let items: Vec<_> = (0..random.u8(..4)).map(|_| value(random, depth - 1)).collect();
            format!("[{}]", items.join(","))
        }
        _ => object(random, depth - 1),
    }
}

fn object(random: &mut Rng, depth: usize) -> String {
    let fields: Vec<_> = (0..random.u8(..4))
        .map(|_| format!("\"{}\":{}", NAMES[random.usize(..NAMES.len())], value(random, depth)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn uri(random: &mut Rng) -> String {
    let known = [
        "/whole/1",
        "/field/1",
        "/patch/messages/1",
        "/types",
        "/types/nested/a",
        "/types/left/a",
        "/types/int32/1",
        "/types/sub/1",
        "/by-name/messages/1",
        "/upload/files/a",
    ];
    let path = match random.u8(..4) {
        0 => format!("/{}", text(random, &PATHS, 10)),
        _ => known[random.usize(..known.len())].to_owned(),
    };
    let query = if random.bool() { String::new() } else { text(random, &QUERIES, 10) };
    format!("{path}?{query}")
}

/// Whether the request was accepted; then its message says what its path says.
fn try_request(api: &Api, method: &str, uri: &str, body: &str) -> bool {
    let (raw, query) = uri.split_once('?').unwrap();
    let Ok(path) = Path::parse(raw) else { return false };
    let Found::Route(route, captures) = api.routes.find(method, path) else { return false };
    let request = Request {
        captures,
        query,
        body: body.as_bytes(),
        content_type: "text/plain",
        is_form: false,
    };
    let mut out = Vec::new();
    if route.binding.request(&request, &RequestOptions::default(), &mut out).is_err() {
        return false;
    }
    let message = DynamicMessage::decode(route.target.input(), out.as_slice())
        .unwrap_or_else(|error| panic!("{method} {uri} {body}: {error}"));
    for (at, variable) in route.binding.template().variables().iter().enumerate() {
        let said = decode(captures.get(at), variable.scope).unwrap();
        let field = field(message.clone(), &variable.field);
        if let Some(Value::String(text)) = field {
            assert_eq!(text, said, "{method} {uri} {body}");
        }
    }
    true
}

fn field(message: DynamicMessage, path: &str) -> Option<Value> {
    let mut value = Value::Message(message);
    for name in path.split('.') {
        let next = value.as_message()?.get_field_by_name(name)?.into_owned();
        value = next;
    }
    Some(value)
}

#[test]
fn random_requests_are_refused_or_say_what_their_path_says() {
    let api = messaging();
    let mut random = Rng::with_seed(0x7174_616e);
    let mut accepted = 0;
    for _ in 0..60_000 {
        let method = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"][random.usize(..6)];
        let uri = uri(&mut random);
        let body = match random.u8(..4) {
            0 | 1 => String::new(),
            2 => text(&mut random, &BODIES, 20),
            _ => object(&mut random, 3),
        };
        accepted += usize::from(try_request(&api, method, &uri, &body));
    }
    // Enough of them got through to have tried what lies behind.
    assert!(accepted > 2_000, "{accepted}");
}

#[test]
fn random_answers_are_written_or_refused() {
    let api = messaging();
    let mut random = Rng::with_seed(42);
    let routes = api.routes.all();
    for _ in 0..20_000 {
        let route = &routes[random.usize(..routes.len())];
        let bytes: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
        let mut out = Vec::new();
        if route.binding.response(&bytes, &WriteOptions::default(), &mut out).is_ok() {
            serde_json::from_slice::<serde_json::Value>(&out).unwrap();
        }
        if route.binding.gives_http_body()
            && let Ok(download) = route.binding.download(&bytes)
        {
            assert!(download.data.end <= bytes.len());
        }
    }
}

#[test]
fn random_templates_are_parsed_or_refused_and_answer_to_what_they_expand_to() {
    let mut random = Rng::with_seed(7);
    let pieces =
        ["/", "/", "/", "v1", "*", "**", "{a", "}", "{b.c=", ":", ".", "x", "%41", "é", ",", "go"];
    let mut parsed = 0;
    for _ in 0..60_000 {
        let text = format!("/{}", text(&mut random, &pieces, 10));
        let Ok(template) = Template::parse(&text) else { continue };
        parsed += 1;
        let values: Vec<_> =
            template.variables().iter().map(|v| expansion(&template, v.segments.clone())).collect();
        let of = |name: &str| {
            template.variables().iter().position(|v| *v.field == *name).map(|at| &*values[at])
        };
        let path = template.expand(|name| of(name).unwrap());
        let mut tree = Tree::default();
        tree.insert(&Method::Any, &template, 7).unwrap();
        let parsed = Path::parse(&path).unwrap_or_else(|error| panic!("{text} {path}: {error}"));
        let Lookup::Found(found) = tree.find("GET", &parsed) else { panic!("{text} {path}") };
        let captures = Captures::new(&template, parsed, found);
        for (at, variable) in template.variables().iter().enumerate() {
            let captured = decode(captures.get(at), variable.scope).unwrap();
            assert_eq!(captured, values[at], "{text} {path}");
        }
    }
    assert!(parsed > 1_000, "{parsed}");
}

/// A value that a client may give a variable of these segments.
fn expansion(template: &Template, segments: std::ops::Range<usize>) -> String {
    let one = segments.len() == 1;
    let parts = template.segments()[segments].iter().map(|segment| match segment {
        Segment::Literal(text) => decode(text, Scope::Segment).unwrap().into_owned(),
        Segment::Star if one => "a/b é%:".to_owned(),
        Segment::Star => "b é%:c".to_owned(),
        Segment::Rest => "c/d e".to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}
