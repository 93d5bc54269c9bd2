//! Seeded random requests: none of them panics, and what is accepted is a message
//! that can be read again.

use bytes::Bytes;
use fastrand::Rng;
use gateway::{
    route::{Path, Template},
    schema::{Found, Snapshot},
    transcode,
};
use prost_reflect::DynamicMessage;

use crate::contracts::snapshot;

/// Pieces that requests are made of; random bytes alone rarely get far.
const PATHS: [&str; 24] = [
    "/",
    "v1",
    "shelves",
    "books",
    "scans",
    "titles",
    "bookArray",
    "1",
    "a:b",
    ":lend",
    "lend",
    "*",
    "**",
    "{",
    "}",
    "=",
    "%2F",
    "%",
    "%zz",
    "..",
    "%2e",
    "%00",
    "é",
    "%c3%a9",
];
const QUERIES: [&str; 24] = [
    "&",
    "=",
    "pageSize",
    "page_token",
    "criteria",
    ".",
    "and",
    "genres",
    "GENRE_NOVEL",
    "after",
    "2026-01-01T00:00:00Z",
    "lent",
    "1.5s",
    "price",
    "-1",
    "9999999999999999999999",
    "tags",
    "+",
    "%20",
    "%",
    "left",
    "right",
    "NaN",
    "readMask",
];
const BODIES: [&str; 44] = [
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
    "1.5",
    "\"title\":",
    "\"pageCount\":",
    "\"genre\":",
    "\"GENRE_NOVEL\"",
    "\"mainAuthor\":",
    "\"with\":",
    "\"notes\":",
    "\"1\":",
    "\"createTime\":",
    "\"2026-01-01T00:00:00Z\"",
    "\"loanTime\":",
    "\"-0.5s\"",
    "\"extra\":",
    "\"attachment\":",
    "\"@type\":",
    "\"type.googleapis.com/google.protobuf.Any\"",
    "\"type.googleapis.com/library.v1.Book\"",
    "\"value\":",
    "\"priceCents\":",
    "\"cover\":",
    "\"AAE=\"",
    "\"rating\":",
    "\"NaN\"",
    "\"isbn\":",
    "\"barcode\":",
    "\"anyValue\":",
    "\"tags\":",
    "\"a\"",
    "\u{0}",
];

fn text(random: &mut Rng, pieces: &[&str], most: usize) -> String {
    (0..random.usize(..most)).map(|_| pieces[random.usize(..pieces.len())]).collect()
}

/// JSON that is at least well-formed, from the names and values of the contract.
fn value(random: &mut Rng, depth: usize) -> String {
    match random.u8(..if depth == 0 { 6 } else { 9 }) {
        0 => "null".to_owned(),
        1 => random.bool().to_string(),
        2 => random.i64(..).to_string(),
        3 => format!("{:e}", random.f64() * 1e6),
        4 => format!("\"{}\"", random.i32(..)),
        5 => BODIES[[18, 24, 26, 30, 31, 35, 37, 42][random.usize(..8)]].to_owned(),
        6 => {
            let items: Vec<_> = (0..random.u8(..4)).map(|_| value(random, depth - 1)).collect();
            format!("[{}]", items.join(","))
        }
        _ => object(random, depth - 1),
    }
}

fn object(random: &mut Rng, depth: usize) -> String {
    let names = [15, 16, 17, 19, 20, 21, 22, 23, 25, 27, 28, 29, 32, 33, 34, 36, 38, 39, 40, 41];
    let fields: Vec<_> = (0..random.u8(..6))
        .map(|_| format!("{}{}", BODIES[names[random.usize(..names.len())]], value(random, depth)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn try_request(snapshot: &Snapshot, method: &str, path: &str, query: &str, body: &str) -> bool {
    let Ok(parsed) = Path::parse(path) else { return false };
    let found = snapshot.find(&method.parse().unwrap(), &parsed);
    let Found::Route(matched) = found else { return false };
    let request = transcode::Request {
        captures: &matched.captures,
        query,
        body: body.as_bytes(),
        content_type: "text/plain",
    };
    let Ok(encoded) = transcode::request(&matched.route, &request) else { return false };
    DynamicMessage::decode(matched.route.rpc.method.input(), encoded.as_slice())
        .unwrap_or_else(|error| panic!("{method} {path}?{query} {body}: {error}"));
    true
}

#[test]
fn random_requests_are_served_or_refused() {
    let snapshot = snapshot();
    let mut random = Rng::with_seed(0x7174_616e);
    let mut accepted = 0;
    for _ in 0..30_000 {
        let method = ["GET", "POST", "PUT", "PATCH", "DELETE", "LINK"][random.usize(..6)];
        let path = match random.u8(..5) {
            0 => format!("/{}", text(&mut random, &PATHS, 12)),
            1 => "/v1/shelves/1/books".to_owned(),
            2 => "/v1/titles".to_owned(),
            _ => "/v1/shelves/1/books/2".to_owned(),
        };
        let query = if random.bool() { String::new() } else { text(&mut random, &QUERIES, 12) };
        let body = match random.u8(..4) {
            0 => String::new(),
            1 => text(&mut random, &BODIES, 30),
            _ => object(&mut random, 4),
        };
        accepted += usize::from(try_request(&snapshot, method, &path, &query, &body));
    }
    // Enough of them got through to have tried what lies behind.
    assert!(accepted > 500, "{accepted}");
}

#[test]
fn random_templates_are_parsed_or_refused() {
    let mut random = Rng::with_seed(7);
    let pieces = ["/", "v1", "*", "**", "{", "}", "=", ":", ".", "a", "%41", "é", "verb"];
    let parsed =
        (0..20_000).filter(|_| Template::parse(&text(&mut random, &pieces, 10)).is_ok()).count();
    assert!(parsed > 10, "{parsed}");
}

#[test]
fn random_answers_are_written_or_refused() {
    let snapshot = snapshot();
    let mut random = Rng::with_seed(42);
    let routes = snapshot.routes();
    for _ in 0..20_000 {
        let route = &routes[random.usize(..routes.len())];
        let bytes: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
        if let Ok(rendered) = transcode::response(route, Bytes::from(bytes))
            && rendered.content_type == "application/json"
        {
            serde_json::from_slice::<serde_json::Value>(&rendered.body).unwrap();
        }
    }
}
