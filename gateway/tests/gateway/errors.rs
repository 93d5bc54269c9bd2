//! Refusals as HTTP: status, body and headers, for the edge's own and for those
//! that come from a service with all its details.

use std::time::Duration;

use gateway::{
    error::{Context, Failure, code_of_http, http_status},
    schema::Snapshot,
};
use http::{Method, Response, StatusCode};
use prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use transcode::{Reason, Violation};

use crate::contracts::snapshot;

fn context(snapshot: &Snapshot) -> Context<'_> {
    Context { snapshot, has_token: false, wants_problem: false, request_id: "" }
}

fn respond(snapshot: &Snapshot, failure: &Failure) -> (Response<()>, Value) {
    let update = snapshot.rpc("/library.v1.LibraryService/UpdateBook").unwrap();
    let failure = failure.clone().of_request(update.method.input());
    let context = context(snapshot);
    let (parts, body) = failure.respond(context).into_parts();
    (Response::from_parts(parts, ()), serde_json::from_slice(&body).unwrap())
}

fn details(status: Status) -> Vec<Value> {
    let (_, body) = respond(&snapshot(), &Failure::from(status));
    body["details"].as_array().unwrap().clone()
}

#[test]
fn every_code_has_its_http_status() {
    let table = [
        (0, 200),
        (1, 499),
        (2, 500),
        (3, 400),
        (4, 504),
        (5, 404),
        (6, 409),
        (7, 403),
        (8, 429),
        (9, 400),
        (10, 409),
        (11, 400),
        (12, 501),
        (13, 500),
        (14, 503),
        (15, 500),
        (16, 401),
        // A number that no code has reads as UNKNOWN.
        (17, 500),
        (-1, 500),
    ];
    for (code, status) in table {
        assert_eq!(http_status(Code::from_i32(code)).as_u16(), status, "{code}");
    }
    let table = [
        (400, Code::Internal),
        (401, Code::Unauthenticated),
        (403, Code::PermissionDenied),
        (404, Code::Unimplemented),
        (429, Code::Unavailable),
        (502, Code::Unavailable),
        (503, Code::Unavailable),
        (504, Code::Unavailable),
        (500, Code::Unknown),
        (302, Code::Unknown),
    ];
    for (status, code) in table {
        assert_eq!(code_of_http(StatusCode::from_u16(status).unwrap()), code, "{status}");
    }
}

#[test]
fn the_body_has_code_message_and_details() {
    let failure = Failure::new(Code::NotFound, "ROUTE_NOT_FOUND", "no such path");
    let (response, body) = respond(&snapshot(), &failure);
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(
        body,
        json!({"code": 5, "message": "no such path", "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "ROUTE_NOT_FOUND", "domain": "titan",
        }]})
    );
}

#[test]
fn mistakes_name_their_fields_and_reasons() {
    let failure = Failure::invalid(vec![Violation {
        field: "book.pageCount".to_owned(),
        reason: Reason::InvalidValue,
        description: "out of range".to_owned(),
    }]);
    let (response, body) = respond(&snapshot(), &failure);
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        body["details"],
        json!([{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [
            {"field": "book.pageCount", "reason": "INVALID_VALUE", "description": "out of range"},
        ]}])
    );
}

#[test]
fn field_paths_of_services_are_translated_to_json_names() {
    let cases = [
        ("book.page_count", "book.pageCount"),
        ("book.main_author.with[2].given_name", "book.mainAuthor.with[2].givenName"),
        ("book.other_genres[1]", "book.otherGenres[1]"),
        ("book.notes[7]", "book.notes[7]"),
        ("book.notes[\"a.page_count\"].x_y", "book.notes[\"a.page_count\"].x_y"),
        ("update_mask", "updateMask"),
        ("no_such.page_count", "no_such.page_count"),
        ("book..page_count", "book..pageCount"),
        ("book.notes[", "book.notes["),
        ("book.notes[\"", "book.notes[\""),
        ("", ""),
    ];
    for (field, expected) in cases {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation(field, "wrong");
        let status = Status::with_error_details(Code::InvalidArgument, "no", details);
        let rendered = self::details(status);
        let found = rendered[0]["fieldViolations"][0]["field"].as_str().unwrap_or_default();
        assert_eq!(found, expected);
    }
}

#[test]
fn details_keep_their_type_and_debug_info_stays_inside() {
    let mut details =
        ErrorDetails::with_error_info("STALE", "titan", [("etag".to_owned(), "7".to_owned())]);
    details.set_debug_info(vec!["secret".to_owned()], "secret");
    details.set_help(vec![tonic_types::HelpLink::new("d", "https://example.org")]);
    let rendered = self::details(Status::with_error_details(Code::Aborted, "no", details));
    assert_eq!(rendered.len(), 2);
    assert_eq!(rendered[0]["reason"], "STALE");
    assert_eq!(rendered[0]["metadata"], json!({"etag": "7"}));
    assert_eq!(rendered[1]["@type"], "type.googleapis.com/google.rpc.Help");
    assert!(!format!("{rendered:?}").contains("secret"));
}

#[test]
fn details_of_contracts_are_resolved_and_unknown_ones_keep_their_bytes() {
    let with = |code: i32, type_url: &str, value: Vec<u8>| {
        let detail = prost_types::Any { type_url: type_url.to_owned(), value };
        let status =
            tonic_types::pb::Status { code, message: String::new(), details: vec![detail] };
        Status::with_details(Code::NotFound, "no", status.encode_to_vec().into())
    };
    let known = "type.googleapis.com/library.v1.GetBookRequest";
    assert_eq!(
        details(with(5, known, b"\x0a\x01n".to_vec())),
        [json!({"@type": known, "name": "n"})]
    );
    // Bytes that are no such message, and a type that nobody knows.
    for type_url in [known, "x/not.Known", ""] {
        assert_eq!(
            details(with(5, type_url, b"\xff".to_vec())),
            [json!({"@type": type_url, "value": "/w=="})]
        );
    }
    // Details that contradict the status are not believed.
    assert!(details(with(7, known, b"\x0a\x01n".to_vec())).is_empty());
    assert!(details(Status::with_details(Code::NotFound, "no", vec![0xff].into())).is_empty());
}

#[test]
fn retry_info_becomes_retry_after_in_whole_seconds() {
    let header = |delay: Option<Duration>| {
        let details = ErrorDetails::with_retry_info(delay);
        let status = Status::with_error_details(Code::ResourceExhausted, "slow down", details);
        let (response, _) = respond(&snapshot(), &Failure::from(status));
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(header(Some(Duration::from_secs(7))).as_deref(), Some("7"));
    assert_eq!(header(Some(Duration::from_millis(1001))).as_deref(), Some("2"));
    assert_eq!(header(None), None);
}

#[test]
fn a_missing_and_a_bad_token_are_challenged_differently() {
    let snapshot = snapshot();
    let failure = Failure::new(Code::Unauthenticated, "NO_TOKEN", "sign in\r\nx-evil: 1");
    let challenge = |has_token: bool| {
        let context = Context { has_token, ..context(&snapshot) };
        failure.respond(context).headers()["www-authenticate"].to_str().unwrap().to_owned()
    };
    assert_eq!(challenge(false), "Bearer realm=\"titan\"");
    assert_eq!(challenge(true), "Bearer realm=\"titan\", error=\"invalid_token\"");
}

#[test]
fn a_method_that_is_not_allowed_names_those_that_are() {
    let failure = Failure::not_allowed(&Method::PUT, &[Method::GET, Method::HEAD]);
    let (response, body) = respond(&snapshot(), &failure);
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET, HEAD");
    assert_eq!(body["code"], 12);
}

#[test]
fn a_client_that_prefers_problems_gets_them_with_the_same_details() {
    let snapshot = snapshot();
    let context = Context { wants_problem: true, request_id: "r-1", ..context(&snapshot) };
    let failure = Failure::new(Code::NotFound, "ROUTE_NOT_FOUND", "no such path");
    let (head, body) = failure.respond(context).into_parts();
    assert_eq!(head.headers["content-type"], "application/problem+json");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        json!({
            "title": "Not Found", "status": 404, "detail": "no such path", "code": 5,
            "details": [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                 "reason": "ROUTE_NOT_FOUND", "domain": "titan"},
                {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "r-1"},
            ],
        })
    );
}

#[test]
fn a_service_that_says_which_request_it_refused_is_not_contradicted() {
    let snapshot = snapshot();
    let context = Context { request_id: "r-1", ..context(&snapshot) };
    let details = ErrorDetails::with_request_info("theirs", "");
    let status = Status::with_error_details(Code::Internal, "broken", details);
    let body = Failure::from(status).respond(context).into_body();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["details"].as_array().unwrap().len(), 1);
    assert_eq!(body["details"][0]["requestId"], "theirs");
}
