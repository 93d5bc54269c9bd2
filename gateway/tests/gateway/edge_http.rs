//! What HTTP offers beside a request and its answer: versions, codings, and the
//! form of a refusal.

use std::io::{Read as _, Write as _};

use serde_json::json;

use crate::{http1, library::Setup};

const VERSIONED: &str = "/v1/shelves/1/books/versioned";
const BOOK: &str = "/v1/shelves/1/books/2";

#[tokio::test]
async fn a_client_that_has_the_version_is_told_so() {
    let setup = Setup::new().await;
    let answer = setup.get(VERSIONED).await;
    assert_eq!((answer.status, answer.header("etag")), (200, "\"v7\""));
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    for method in ["GET", "HEAD"] {
        let headers = [("if-none-match", "\"v6\", W/\"v7\"")];
        let again = setup.bare(method, VERSIONED, &headers, "").await;
        assert_eq!((again.status, again.header("etag")), (304, "\"v7\""));
        assert!(again.body.is_empty());
        let other = setup.bare(method, VERSIONED, &[("if-none-match", "\"v6\"")], "").await;
        assert_eq!(other.status, 200);
    }
    // Without a version of its own, a resource is known by its bytes.
    let answer = setup.get(BOOK).await;
    let tag = answer.header("etag").to_owned();
    let again = setup.bare("GET", BOOK, &[("if-none-match", &tag)], "").await;
    assert_eq!(again.status, 304);
    let other = setup.get("/v1/shelves/1/books/3").await;
    assert_ne!(other.header("etag"), tag);
}

#[tokio::test]
async fn a_change_is_made_only_to_the_version_that_its_client_has_seen() {
    let setup = Setup::new().await;
    let token = setup.token();
    let patch = async |tag: &str, body: &'static [u8]| {
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/json"),
            ("if-match", tag),
        ];
        http1::send(setup.address, "PATCH", BOOK, &headers, body).await
    };
    let answer = patch("\"v7\"", br#"{"title": "N"}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let asked = setup.library.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        json!({"book": {"name": "shelves/1/books/2", "title": "N", "etag": "v7"}, "updateMask": "title"})
    );
    let stale = patch("\"stale\"", br#"{"title": "N"}"#).await;
    assert_eq!((stale.status, &stale.json()["code"]), (412, &json!(10)));
    let any = patch("*", br#"{"title": "N"}"#).await;
    assert_eq!(any.status, 200);
    for (tag, body, status, reason) in [
        ("\"a\"", &br#"{"title": "N", "etag": "b"}"#[..], 400, "CONFLICTING_ETAG"),
        ("W/\"a\"", br#"{"title": "N"}"#, 400, "INVALID_IF_MATCH"),
        ("\"a\", \"b\"", br#"{"title": "N"}"#, 400, "INVALID_IF_MATCH"),
    ] {
        let answer = patch(tag, body).await;
        let found = answer.json()["details"][0]["reason"].clone();
        assert_eq!((answer.status, found), (status, json!(reason)), "{tag}");
    }
    // A method that compares no versions must not act as if it had.
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
        ("if-match", "\"v7\""),
    ];
    let answer = setup.bare("POST", &format!("{BOOK}:lend"), &headers, r#"{"reader": "r"}"#).await;
    assert_eq!(
        (answer.status, &answer.json()["details"][0]["reason"]),
        (412, &json!("IF_MATCH_UNSUPPORTED"))
    );
}

#[tokio::test]
async fn answers_come_packed_to_who_takes_that() {
    const LARGE: &str = "/v1/shelves/1/books/large";
    let setup = Setup::new().await;
    let plain = setup.get(LARGE).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
    let gzip = setup.bare("GET", LARGE, &[("accept-encoding", "gzip")], "").await;
    assert_eq!(gzip.header("content-encoding"), "gzip");
    assert_eq!(gzip.header("content-length"), gzip.body.len().to_string());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(gzip.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    let zstd = setup.bare("GET", LARGE, &[("accept-encoding", "gzip, br, zstd")], "").await;
    assert_eq!(zstd.header("content-encoding"), "zstd");
    assert_eq!(zstd::decode_all(zstd.body.as_slice()).unwrap(), plain.body);
    // Another representation: the version is the same, the bytes are not.
    assert_eq!(zstd.header("etag"), format!("W/{}", plain.header("etag")));
}

#[tokio::test]
async fn packed_bodies_are_taken_and_what_is_no_packed_body_is_refused() {
    let setup = Setup::with(&[("max_body_bytes", "65536")]).await;
    let token = setup.token();
    let post = async |coding: &str, body: &[u8]| {
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/json"),
            ("content-encoding", coding),
        ];
        http1::send(setup.address, "POST", "/v1/shelves/1/books", &headers, body).await
    };
    let gzip = |body: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let body = br#"{"title": "Packed"}"#;
    assert_eq!(post("gzip", &gzip(body)).await.json(), json!({"title": "Packed"}));
    let packed = zstd::encode_all(&body[..], 1).unwrap();
    assert_eq!(post("zstd", &packed).await.json(), json!({"title": "Packed"}));
    assert_eq!(post("gzip", body).await.status, 400);
    let unknown = post("br", body).await;
    assert_eq!((unknown.status, unknown.header("accept-encoding")), (415, "gzip, zstd"));
    assert_eq!(post("gzip", &gzip(&vec![b' '; 1 << 20])).await.status, 413);
}

#[tokio::test]
async fn a_refusal_is_a_problem_for_who_prefers_that() {
    let setup = Setup::new().await;
    let headers =
        [("accept", "text/html, application/problem+json;q=0.9"), ("x-request-id", "r-1")];
    let answer = setup.bare("GET", "/v1/books/missing", &headers, "").await;
    assert_eq!((answer.status, answer.header("content-type")), (404, "application/problem+json"));
    let problem = answer.json();
    assert_eq!((&problem["title"], &problem["status"]), (&json!("Not Found"), &json!(404)));
    assert_eq!((&problem["code"], &problem["detail"]), (&json!(5), &json!("no ✓ book")));
    assert_eq!(problem["details"][1]["requestId"], "r-1");
}

#[tokio::test]
async fn what_many_may_keep_says_so_and_no_token_makes_it_theirs() {
    const SHOWN: &str = "/v1/shown/1";
    let setup = Setup::new().await;
    let answer = setup.bare("GET", SHOWN, &[], "").await;
    assert_eq!(answer.header("cache-control"), "public, max-age=60");
    let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
    assert!(vary.iter().any(|name| *name == "authorization"), "{vary:?}");
    let tag = answer.header("etag").to_owned();
    let known = setup.bare("GET", SHOWN, &[("if-none-match", &tag)], "").await;
    assert_eq!((known.status, known.header("cache-control")), (304, "public, max-age=60"));
    // Who shows a token may get what others do not.
    assert_eq!(setup.get(SHOWN).await.header("cache-control"), "private, no-cache");
    for (method, target) in [("GET", "/v1/shown/missing"), ("POST", "/v1/shelves/1:ask")] {
        let answer = setup.send(method, target, if method == "GET" { "" } else { "{}" }).await;
        assert!(!answer.headers.contains_key("cache-control"), "{target}");
    }
}

#[tokio::test]
async fn a_form_is_a_body_where_the_contract_takes_forms() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let setup = Setup::new().await;
    let token = setup.token();
    let send = async |method: &str, target: &str, kind: &str, body: &str| {
        let headers = [("authorization", token.as_str()), ("content-type", kind)];
        http1::send(setup.address, method, target, &headers, body.as_bytes()).await
    };
    let charset = "Application/X-WWW-Form-URLencoded; charset=UTF-8";
    for kind in [FORM, charset] {
        let body = "note=a+b%26c&book.title=T&book.tags=x&book.tags=y";
        let answer = send("POST", "/v1/shelves/1:ask", kind, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let asked = setup.library.asked.lock().unwrap().clone();
        let book = json!({"title": "T", "tags": ["x", "y"]});
        assert_eq!(asked, json!({"shelf": "shelves/1", "note": "a b&c", "book": book}));
    }
    // Where the body is a field, names are those of its fields, and the query has
    // the others.
    let answer = send("POST", "/v1/shelves/1:askFor?note=n", FORM, "title=T&pageCount=7").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let asked = setup.library.asked.lock().unwrap().clone();
    let book = json!({"title": "T", "pageCount": "7"});
    assert_eq!(asked, json!({"shelf": "shelves/1", "note": "n", "book": book}));
    for (target, body, field) in [
        ("/v1/shelves/1:ask", "nope=1", "nope"),
        ("/v1/shelves/1:ask", "shelf=shelves%2F1", "shelf"),
        ("/v1/shelves/1:ask", "note=1&note=2", "note"),
        ("/v1/shelves/1:ask", "book.isbn=1&book.barcode=2", "book.barcode"),
        ("/v1/shelves/1:ask", "book.pageCount=1e3", "book.pageCount"),
        ("/v1/shelves/1:askFor", "book.title=T", "book.title"),
        ("/v1/shelves/1:askFor", "title=%ff", "title"),
    ] {
        let answer = send("POST", target, FORM, body).await;
        let found = answer.json()["details"][0]["fieldViolations"][0]["field"].clone();
        assert_eq!((answer.status, found), (400, json!(field)), "{target} {body}");
    }
    // Elsewhere, and by other methods, it is not taken.
    for (method, target, kind) in [
        ("POST", "/v1/shelves/1/books", FORM),
        ("PUT", "/v1/shelves/1:ask", FORM),
        ("POST", "/v1/shelves/1:ask", "application/x-www-form-urlencoded; charset=latin1"),
        ("POST", "/v1/shelves/1:ask", "multipart/form-data"),
    ] {
        assert_eq!(send(method, target, kind, "title=T").await.status, 415, "{method} {target}");
    }
}
