//! JSON requests into messages: tables of what is understood, and of what is
//! refused with which reason at which place.

use gateway::schema::Snapshot;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use transcode::{
    Limits, ReadOptions, Reason, Violation,
    bind::{Request, RequestOptions},
    route::Path,
    routes::Found,
};

use crate::contracts::snapshot;

/// Sends a request through the transcoder; the message that comes out, written
/// by prost-reflect's own JSON, which nothing here shares code with.
fn send(snapshot: &Snapshot, method: &str, uri: &str, body: &str) -> Result<Value, Vec<Violation>> {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let Found::Route(route, captures) = snapshot.find(method, Path::parse(path).unwrap()) else {
        panic!("{method} {uri} has no route");
    };
    let request = Request {
        captures,
        query,
        body: body.as_bytes(),
        content_type: "image/png",
        is_form: false,
    };
    let mut encoded = Vec::new();
    // As the edge has it.
    let limits = Limits { depth: 64, ..Limits::default() };
    let read = ReadOptions { limits, ..ReadOptions::default() };
    let options = RequestOptions { read, ..RequestOptions::default() };
    route.binding.request(&request, &options, &mut encoded)?;
    let kind = route.target.rpc.method.input();
    let message = DynamicMessage::decode(kind, encoded.as_slice()).unwrap();
    Ok(serde_json::to_value(&message).unwrap())
}

const BOOK: &str = "/v1/shelves/1/books/2";
const BOOKS: &str = "/v1/shelves/1/books";

#[test]
fn requests_become_messages() {
    let snapshot = snapshot();
    let name = "shelves/1/books/2";
    let cases: Vec<(&str, String, &str, Value)> = vec![
        ("GET", BOOK.into(), "", json!({"name": name})),
        ("GET", "/v1/books/a%2Fb%20c".into(), "", json!({"name": "books/a%2Fb c"})),
        ("GET", "/v1/books/%E2%82%AC".into(), "", json!({"name": "books/€"})),
        (
            "GET",
            format!("{BOOK}?readMask=title,mainAuthor.givenName"),
            "",
            json!({"name": name, "readMask": "title,mainAuthor.givenName"}),
        ),
        ("GET", format!("{BOOK}?utm_source=x&access_token=y"), "", json!({"name": name})),
        (
            "GET",
            format!("{BOOKS}?pageSize=10&page_token=t&tags=a&tags=b"),
            "",
            json!({"parent": "shelves/1", "pageSize": 10, "pageToken": "t", "tags": ["a", "b"]}),
        ),
        (
            "GET",
            format!(
                "{BOOKS}?criteria.genres=GENRE_NOVEL&criteria.genres=2&criteria.genres=77\
                 &criteria.after=2026-01-02T03:04:05%2B01:00&criteria.lent=1.5s\
                 &criteria.price=12&criteria.and.and.isLent=false&criteria.is_lent=true\
                 &criteria.left=x&criteria.cover=_-8&criteria.rating=Infinity"
            ),
            "",
            json!({"parent": "shelves/1", "criteria": {
                "genres": ["GENRE_NOVEL", "GENRE_SCIENCE", 77],
                "after": "2026-01-02T02:04:05Z", "lent": "1.500s", "price": "12",
                "and": {"and": {"isLent": false}}, "isLent": true, "left": "x",
                "cover": "/+8=", "rating": "Infinity",
            }}),
        ),
        ("POST", BOOKS.into(), "", json!({"parent": "shelves/1", "book": {}})),
        ("POST", BOOKS.into(), " \r\n", json!({"parent": "shelves/1", "book": {}})),
        (
            "POST",
            format!("{BOOKS}?validateOnly=true"),
            r#"{"title": "T", "page_count": "7", "genre": "GENRE_NOVEL", "notes": {"1": "n"},
                "mainAuthor": {"givenName": "G", "with": [{"given_name": "H"}]},
                "tags": ["a"], "loanTime": "3s", "createTime": "2026-01-01T00:00:00Z",
                "extra": {"a": [1, null, {"b": "c"}]}, "priceCents": "99", "cover": "+/8=",
                "rating": 4.5, "edition": 0, "barcode": 7, "anyValue": null, "width": 0.5,
                "lent": true, "otherGenres": [1, "GENRE_SCIENCE"], "isbn": null, "etag": null,
                "attachment": {"@type": "type.googleapis.com/library.v1.GetBookRequest",
                               "name": "books/1"}}"#,
            json!({"parent": "shelves/1", "validateOnly": true, "book": {
                "title": "T", "pageCount": "7", "genre": "GENRE_NOVEL", "notes": {"1": "n"},
                "mainAuthor": {"givenName": "G", "with": [{"givenName": "H"}]},
                "tags": ["a"], "loanTime": "3s", "createTime": "2026-01-01T00:00:00Z",
                "extra": {"a": [1.0, null, {"b": "c"}]}, "priceCents": "99", "cover": "+/8=",
                "rating": 4.5, "edition": 0, "barcode": 7, "anyValue": null, "width": 0.5,
                "lent": true, "otherGenres": ["GENRE_NOVEL", "GENRE_SCIENCE"],
                "attachment": {"@type": "type.googleapis.com/library.v1.GetBookRequest",
                               "name": "books/1"},
            }}),
        ),
        (
            "POST",
            format!("{BOOK}:lend"),
            r#"{"reader": "r", "time": "60s", "name": "shelves/1/books/2"}"#,
            json!({"name": name, "reader": "r", "time": "60s"}),
        ),
        // An empty string is absent in proto3, and nothing that could disagree.
        ("POST", format!("{BOOK}:lend"), r#"{"name": ""}"#, json!({"name": name})),
        (
            "PUT",
            "/v1/titles?shelf=s".into(),
            r#"["a","b"]"#,
            json!({"titles": ["a", "b"], "shelf": "s"}),
        ),
        (
            "PUT",
            "/v1/scans/a/b".into(),
            "\u{0}raw",
            json!({"name": "scans/a/b", "scan": {"contentType": "image/png", "data": "AHJhdw=="}}),
        ),
        (
            "PUT",
            "/v1/scans".into(),
            "",
            json!({"name": "scans", "scan": {"contentType": "image/png"}}),
        ),
    ];
    for (method, uri, body, expected) in cases {
        let sent = send(&snapshot, method, &uri, body);
        assert_eq!(sent.as_ref(), Ok(&expected), "{method} {uri} {body}");
    }
}

#[test]
fn a_patch_without_a_mask_changes_what_its_body_holds() {
    let snapshot = snapshot();
    let mask = |uri: &str, body: &str| {
        let sent = send(&snapshot, "PATCH", uri, body).unwrap();
        sent.get("updateMask").map(|mask| mask.as_str().unwrap().to_owned())
    };
    let cases = [
        (r#"{"title": "T"}"#, "title"),
        (r#"{"title": ""}"#, "title"),
        (r#"{"page_count": null}"#, "pageCount"),
        (r#"{"mainAuthor": {"givenName": "G"}}"#, "mainAuthor.givenName"),
        (r#"{"mainAuthor": {}}"#, "mainAuthor"),
        (r#"{"notes": {"1": "a"}, "tags": ["x"]}"#, "notes,tags"),
        (r#"{"extra": {"a": 1}, "loanTime": "1s"}"#, "extra,loanTime"),
        // What the client got and cannot change is not a change.
        (
            r#"{"name": "shelves/1/books/2", "createTime": "2026-01-01T00:00:00Z",
                "etag": "e", "title": "T"}"#,
            "title",
        ),
        ("{}", ""),
        ("", ""),
    ];
    for (body, expected) in cases {
        assert_eq!(mask(BOOK, body).as_deref(), Some(expected), "{body}");
    }
    // The client's own mask is not touched.
    let given = format!("{BOOK}?updateMask=tags");
    assert_eq!(mask(&given, r#"{"title": "T"}"#).as_deref(), Some("tags"));
}

#[test]
fn mistakes_are_refused_with_their_reason_and_their_place() {
    use Reason::{
        Conflict, DuplicateField, InvalidJson, InvalidType, InvalidValue, LimitExceeded,
        UnexpectedBody, UnknownField, UnknownParameter,
    };
    let snapshot = snapshot();
    let deep = format!(r#"{{"extra": {{"a": {}1{}}}}}"#, "[".repeat(63), "]".repeat(63));
    let too_deep = format!("book.extra[\"a\"]{}", "[0]".repeat(31));
    let lend = format!("{BOOK}:lend");
    let too_far = format!("criteria.{}isLent", "and.".repeat(20));
    let recursive = format!("{BOOKS}?{too_far}=true");
    let with = |query: &str| format!("{BOOKS}?{query}");
    let cases: Vec<(&str, String, &str, &str, Reason)> = vec![
        // The body as a text.
        ("POST", BOOKS.into(), "{", "book", InvalidJson),
        ("POST", BOOKS.into(), "{} {}", "book", InvalidJson),
        ("POST", BOOKS.into(), r#"{"title": nope}"#, "book.title", InvalidJson),
        ("POST", BOOKS.into(), "null", "book", InvalidType),
        ("POST", BOOKS.into(), "[]", "book", InvalidType),
        ("POST", BOOKS.into(), &deep, &too_deep, LimitExceeded),
        ("POST", BOOKS.into(), r#"{"title":"a","title":"b"}"#, "book.title", DuplicateField),
        // Its fields.
        ("POST", BOOKS.into(), r#"{"titel": 1}"#, "book.titel", UnknownField),
        ("POST", BOOKS.into(), r#"{"[ext.a]": 1}"#, "book.[ext.a]", UnknownField),
        (
            "POST",
            BOOKS.into(),
            r#"{"pageCount":1,"page_count":1}"#,
            "book.pageCount",
            DuplicateField,
        ),
        ("POST", BOOKS.into(), r#"{"title": 1}"#, "book.title", InvalidType),
        ("POST", BOOKS.into(), r#"{"pageCount": 1.5}"#, "book.pageCount", InvalidValue),
        (
            "POST",
            BOOKS.into(),
            r#"{"pageCount": 9223372036854775808}"#,
            "book.pageCount",
            InvalidValue,
        ),
        ("POST", BOOKS.into(), r#"{"genre": "NOVEL"}"#, "book.genre", InvalidValue),
        ("POST", BOOKS.into(), r#"{"genre": 1.5}"#, "book.genre", InvalidValue),
        ("POST", BOOKS.into(), r#"{"genre": 4294967296}"#, "book.genre", InvalidValue),
        ("POST", BOOKS.into(), r#"{"mainAuthor": []}"#, "book.mainAuthor", InvalidType),
        (
            "POST",
            BOOKS.into(),
            r#"{"mainAuthor":{"with":[{},{"x":1}]}}"#,
            "book.mainAuthor.with[1].x",
            UnknownField,
        ),
        ("POST", BOOKS.into(), r#"{"tags": "a"}"#, "book.tags", InvalidType),
        ("POST", BOOKS.into(), r#"{"tags": ["a", null]}"#, "book.tags[1]", InvalidType),
        ("POST", BOOKS.into(), r#"{"notes": []}"#, "book.notes", InvalidType),
        ("POST", BOOKS.into(), r#"{"notes": {"a": "b"}}"#, "book.notes[\"a\"]", InvalidValue),
        (
            "POST",
            BOOKS.into(),
            r#"{"notes": {"1": "b", "01": "c"}}"#,
            "book.notes[\"01\"]",
            DuplicateField,
        ),
        ("POST", BOOKS.into(), r#"{"notes": {"1": null}}"#, "book.notes[\"1\"]", InvalidType),
        ("POST", BOOKS.into(), r#"{"createTime": "yesterday"}"#, "book.createTime", InvalidValue),
        ("POST", BOOKS.into(), r#"{"createTime": 5}"#, "book.createTime", InvalidType),
        ("POST", BOOKS.into(), r#"{"loanTime": "1h"}"#, "book.loanTime", InvalidValue),
        ("POST", BOOKS.into(), r#"{"extra": 1}"#, "book.extra", InvalidType),
        ("POST", BOOKS.into(), r#"{"extra": {"a":1,"a":2}}"#, "book.extra[\"a\"]", DuplicateField),
        (
            "POST",
            BOOKS.into(),
            r#"{"attachment": {"@type": "x/not.Known"}}"#,
            "book.attachment",
            InvalidValue,
        ),
        ("POST", BOOKS.into(), r#"{"attachment": {"name": "x"}}"#, "book.attachment", InvalidValue),
        ("POST", BOOKS.into(), r#"{"priceCents": "x"}"#, "book.priceCents", InvalidValue),
        ("POST", BOOKS.into(), r#"{"cover": "?"}"#, "book.cover", InvalidValue),
        ("POST", BOOKS.into(), r#"{"width": 1e39}"#, "book.width", InvalidValue),
        ("POST", BOOKS.into(), r#"{"barcode": -1}"#, "book.barcode", InvalidValue),
        ("POST", BOOKS.into(), r#"{"isbn": "a", "barcode": 1}"#, "book.barcode", Conflict),
        // A body where none belongs.
        ("GET", BOOK.into(), "{}", "", UnexpectedBody),
        ("DELETE", BOOK.into(), " ", "", UnexpectedBody),
        // The path against the body.
        ("POST", lend.clone(), r#"{"name": "shelves/9/books/9"}"#, "name", Conflict),
        ("PATCH", BOOK.into(), r#"{"name": "shelves/9/books/9"}"#, "book.name", Conflict),
        // The query against path and body.
        ("GET", format!("{BOOK}?name=shelves/9/books/9"), "", "name", Conflict),
        ("GET", format!("{BOOK}?name=shelves/1/books/2"), "", "name", Conflict),
        ("POST", format!("{lend}?reader=x"), "{}", "reader", UnknownParameter),
        ("POST", format!("{BOOKS}?book.title=x"), "{}", "book.title", UnknownParameter),
        // The query by itself.
        ("GET", with("nope=1"), "", "nope", UnknownParameter),
        ("GET", with("criteria=1"), "", "criteria", UnknownParameter),
        ("GET", with("criteria.nope=1"), "", "criteria.nope", UnknownParameter),
        ("GET", with("labels=1"), "", "labels", UnknownParameter),
        ("GET", with("labels.a=1"), "", "labels.a", UnknownParameter),
        ("GET", with("others.left=1"), "", "others.left", UnknownParameter),
        ("GET", with("pageSize.x=1"), "", "pageSize.x", UnknownParameter),
        ("GET", with("criteria.after.seconds=1"), "", "criteria.after.seconds", UnknownParameter),
        ("GET", with("=1"), "", "", UnknownParameter),
        ("GET", recursive, "", &too_far, UnknownParameter),
        ("GET", with("pageSize=1&pageSize=1"), "", "pageSize", DuplicateField),
        ("GET", with("pageSize=1&page_size=2"), "", "page_size", DuplicateField),
        ("GET", with("pageSize=x"), "", "pageSize", InvalidValue),
        ("GET", with("pageSize="), "", "pageSize", InvalidValue),
        ("GET", with("pageSize=1e2"), "", "pageSize", InvalidValue),
        ("GET", with("page_size=99999999999"), "", "page_size", InvalidValue),
        ("GET", with("criteria.isLent=1"), "", "criteria.isLent", InvalidValue),
        ("GET", with("criteria.genres=NOVEL"), "", "criteria.genres", InvalidValue),
        ("GET", with("criteria.after=2026-01-02"), "", "criteria.after", InvalidValue),
        ("GET", with("criteria.lent=1m"), "", "criteria.lent", InvalidValue),
        ("GET", with("criteria.price="), "", "criteria.price", InvalidValue),
        ("GET", with("criteria.left=a&criteria.right=1"), "", "criteria.right", Conflict),
        ("GET", with("tags=%"), "", "tags", InvalidValue),
        ("GET", with("tags=%ff"), "", "tags", InvalidValue),
    ];
    for (method, uri, body, field, reason) in cases {
        let violations =
            send(&snapshot, method, &uri, body).expect_err(&format!("{method} {uri} {body}"));
        let found: Vec<_> =
            violations.iter().map(|found| (found.field.as_str(), found.reason)).collect();
        assert_eq!(found, [(field, reason)], "{method} {uri} {body}");
    }
}

#[test]
fn the_first_mistake_of_a_body_is_reported_with_all_of_the_query() {
    let snapshot = snapshot();
    let uri = format!("{BOOKS}?nope=1&validateOnly=2");
    let violations = send(&snapshot, "POST", &uri, r#"{"titel": 1, "genre": "X"}"#).unwrap_err();
    let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["book.titel", "nope", "validateOnly"]);
}
