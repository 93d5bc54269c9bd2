//! REST over HTTP/1.1 through a real edge and a real service.

use serde_json::json;

use crate::{
    http1,
    library::{Setup, until},
};

const BOOK: &str = "/v1/shelves/1/books/2";

#[tokio::test]
async fn a_get_becomes_a_call_and_its_answer_json() {
    let setup = Setup::new().await;
    // Public: no token.
    let answer = setup.bare("GET", BOOK, &[], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(
        answer.json(),
        json!({"name": "shelves/1/books/2", "title": "T", "pageCount": "9007199254740993"})
    );
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
}

#[tokio::test]
async fn bodies_paths_and_queries_reach_the_service() {
    let setup = Setup::new().await;
    let body = r#"{"title": "T", "tags": ["a"]}"#;
    let answer = setup.send("POST", "/v1/shelves/1/books?validateOnly=true", body).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"title": "T", "tags": ["a"]})));
    assert_eq!(
        *setup.library.asked.lock().unwrap(),
        json!({"parent": "shelves/1", "book": {"title": "T", "tags": ["a"]}, "validateOnly": true})
    );
    let answer = setup.send("PATCH", BOOK, r#"{"title": "N"}"#).await;
    assert_eq!(answer.json(), json!({"name": "shelves/1/books/2", "title": "N"}));
    assert_eq!(setup.library.asked.lock().unwrap()["updateMask"], "title");
    let answer = setup.get("/v1/shelves/1/bookArray").await;
    assert_eq!(answer.json(), json!([{"title": "a"}, {"title": "b"}]));
    let answer = setup.send("DELETE", BOOK, "").await;
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    let answer = setup.send("LINK", BOOK, "").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_a_service_packs_is_unpacked_for_a_client_that_takes_json() {
    let setup = Setup::new().await;
    let answer = setup.bare("GET", "/v1/shelves/1/books/packed", &[], "").await;
    assert_eq!((answer.status, &answer.json()["title"]), (200, &json!("T")), "{answer:?}");
    let offered = setup.seen("grpc-accept-encoding");
    assert!(offered.is_some_and(|codings| codings.contains("gzip")), "it was offered");
    assert!(
        answer.headers.iter().all(|(name, _)| !name.as_str().starts_with("grpc-")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn raw_bodies_go_both_ways_untouched() {
    let setup = Setup::new().await;
    let answer = setup.get("/v1/scans/a/b").await;
    assert_eq!(answer.header("content-type"), "image/png");
    assert_eq!(answer.body, [0, 1, 2]);
    let token = setup.token();
    let headers = [("authorization", token.as_str()), ("content-type", "image/gif")];
    let answer = http1::send(setup.address, "PUT", "/v1/scans/a", &headers, b"\xff\x00").await;
    assert_eq!(answer.status, 200);
    let scan = setup.library.asked.lock().unwrap()["scan"].clone();
    assert_eq!(scan, json!({"contentType": "image/gif", "data": "/wA="}));
}

#[tokio::test]
async fn refusals_of_a_service_keep_their_code_message_and_details() {
    let setup = Setup::new().await;
    let answer = setup.get("/v1/books/missing").await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.json(),
        json!({"code": 5, "message": "no ✓ book", "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "BOOK_MISSING", "domain": "library",
            },
            {
                "@type": "type.googleapis.com/google.rpc.RequestInfo",
                "requestId": answer.header("x-request-id"),
            },
        ]})
    );
    let answer = setup.get("/v1/books/busy").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "3"));
    let answer = setup.get("/v1/books/broken").await;
    assert_eq!((answer.status, &answer.json()["code"]), (500, &json!(13)));
}

#[tokio::test]
async fn rules_of_the_contract_are_broken_at_json_paths() {
    let setup = Setup::new().await;
    // The service refuses; it knows the field as `book.page_count`.
    let answer =
        setup.send("POST", "/v1/shelves/1/books", r#"{"title": "T", "pageCount": -1}"#).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let details = answer.json()["details"].clone();
    let violations = details
        .as_array()
        .unwrap()
        .iter()
        .find_map(|detail| detail["fieldViolations"].as_array().cloned());
    assert_eq!(violations.unwrap()[0]["field"], "book.pageCount");
    // The edge refuses, with the same kind of path.
    let answer = setup.send("POST", "/v1/shelves/1/books", r#"{"title": 7}"#).await;
    let violation = answer.json()["details"][0]["fieldViolations"][0].clone();
    assert_eq!((answer.status, &violation["field"]), (400, &json!("book.title")));
}

#[tokio::test]
async fn who_may_not_call_is_challenged() {
    let setup = Setup::new().await;
    let answer = setup.bare("DELETE", BOOK, &[], "").await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer realm=\"titan\""));
    let answer = setup.bare("DELETE", BOOK, &[("authorization", "Bearer x")], "").await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").contains("invalid_token"));
    let token = format!("Bearer {}", setup.mesh.token("u2", &[]));
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let answer = setup.bare("POST", &format!("{BOOK}:lend"), &headers, r#"{"reader":"r"}"#).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn the_edge_lends_nobody_its_own_name() {
    let setup = Setup::new().await;
    let forged = [("titan-service", "v1.projects.9999999999.AAAA"), ("x-titan-user", "root")];
    for headers in [&[][..], &forged] {
        let answer = setup.bare("GET", "/v1/count", headers, "").await;
        assert!(matches!(answer.status, 401 | 403), "{answer:?}");
    }
    setup.bare("GET", BOOK, &forged, "").await;
    assert_eq!(setup.seen("titan-service"), None);
    assert_eq!(setup.seen("x-titan-user"), None);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let setup = Setup::new().await;
    let answer = setup.get("/v1/nothing").await;
    assert_eq!((answer.status, &answer.json()["code"]), (404, &json!(5)));
    let answer = setup.send("PUT", BOOK, "{}").await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("allow"), "DELETE, GET, HEAD, LINK, OPTIONS, PATCH");
    let answer = setup.bare("OPTIONS", BOOK, &[], "").await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(answer.header("allow"), "DELETE, GET, HEAD, LINK, OPTIONS, PATCH");
    for path in ["/v1/shelves/../x", "/v1/%2e%2e/x", "/v1/books/a%00", "/v1/books/%ff", "/v1/%zz"] {
        assert_eq!(setup.get(path).await.status, 400, "{path}");
    }
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let setup = Setup::new().await;
    let get = setup.get(BOOK).await;
    let head = setup.send("HEAD", BOOK, "").await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-length"), get.header("content-length"));
    assert!(head.body.is_empty());
    assert_eq!(setup.send("HEAD", "/v1/nothing", "").await.status, 404);
}

#[tokio::test]
async fn bodies_have_a_type_and_a_size() {
    let setup = Setup::with(&[("max_body_bytes", "1000")]).await;
    let token = setup.token();
    let post = async |kind: Option<&str>, extra: &[(&str, &str)], body: &str| {
        let mut headers = vec![("authorization", token.as_str())];
        headers.extend(kind.map(|kind| ("content-type", kind)));
        headers.extend_from_slice(extra);
        setup.bare("POST", "/v1/shelves/1/books", &headers, body).await
    };
    let body = r#"{"title": "T"}"#;
    assert_eq!(post(Some("application/json"), &[], body).await.status, 200);
    assert_eq!(post(None, &[], body).await.status, 200);
    assert_eq!(post(None, &[("origin", "https://evil.example")], body).await.status, 415);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/grpc-web"] {
        let answer = post(Some(kind), &[], body).await;
        assert_eq!(answer.status, 415, "{kind}");
        assert_eq!(answer.json()["code"], 3);
    }
    let large = format!(r#"{{"title": "{}"}}"#, "x".repeat(1000));
    assert_eq!(post(Some("application/json"), &[], &large).await.status, 413);
    // Without a length, the limit is met while the body comes.
    let chunk = "x".repeat(600);
    let request = format!(
        "POST /v1/shelves/1/books HTTP/1.1\r\nhost: e\r\nconnection: close\r\n\
         authorization: {token}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n258\r\n{chunk}\r\n258\r\n{chunk}\r\n0\r\n\r\n"
    );
    assert_eq!(http1::raw(setup.address, request.as_bytes()).await.status, 413);
    let headers = format!("x-large: {}", "x".repeat(70_000));
    let request = format!("GET {BOOK} HTTP/1.1\r\nhost: e\r\n{headers}\r\n\r\n");
    assert_eq!(http1::raw(setup.address, request.as_bytes()).await.status, 431);
}

#[tokio::test]
async fn a_deadline_is_the_clients_or_the_contracts() {
    let setup = Setup::new().await;
    let answer = setup.bare("GET", "/v1/books/slow", &[("grpc-timeout", "50m")], "").await;
    assert_eq!((answer.status, &answer.json()["code"]), (504, &json!(4)));
    let answer = setup.bare("GET", "/v1/books/slow", &[("x-server-timeout", "0.05")], "").await;
    assert_eq!(answer.status, 504);
    // The contract gives this method 200 ms, whatever is asked for.
    let token = setup.token();
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
        ("x-server-timeout", "3600"),
    ];
    let slow = "/v1/shelves/1/books/slow:lend";
    assert_eq!(setup.bare("POST", slow, &headers, r#"{"reader":"r"}"#).await.status, 504);
    let answer = setup.bare("GET", BOOK, &[("grpc-timeout", "soon")], "").await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_request_has_an_id_and_a_trace() {
    let setup = Setup::new().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("x-request-id", "mine-1"), ("traceparent", trace), ("x-custom", "c")];
    let answer = setup.bare("GET", BOOK, &headers, "").await;
    assert_eq!(answer.header("x-request-id"), "mine-1");
    assert_eq!(answer.header("traceparent"), trace);
    assert_eq!(setup.seen("x-request-id").as_deref(), Some("mine-1"));
    assert_eq!(setup.seen("x-custom").as_deref(), Some("c"));
    assert_eq!(setup.seen("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    let passed = setup.seen("traceparent").unwrap();
    assert_eq!(passed[..35], trace[..35], "the same trace");
    let answer = setup.get("/v1/nothing").await;
    assert_eq!(answer.header("x-request-id").len(), 32);
    assert_eq!(answer.header("traceparent").len(), 55);
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn a_request_without_an_id_has_that_of_its_trace() {
    let setup = Setup::new().await;
    let answer = setup.get(BOOK).await;
    let id = answer.header("x-request-id");
    assert_eq!(answer.header("traceparent")[3..35], *id);
    assert_eq!(setup.seen("traceparent").unwrap()[3..35], *id);
    assert_eq!(setup.seen("x-request-id"), None, "the trace says it");
    let given = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")];
    let answer = setup.bare("GET", BOOK, &given, "").await;
    assert_eq!(answer.header("x-request-id"), "4bf92f3577b34da6a3ce929d0e0e4736");
    let answer = setup.bare("GET", BOOK, &[("x-request-id", "no id")], "").await;
    assert_eq!(answer.header("x-request-id").len(), 32);
    assert_eq!(setup.seen("x-request-id"), None, "none that could not stand in a log");
}

#[tokio::test]
async fn metadata_becomes_headers_but_for_the_words_of_the_mesh() {
    let setup = Setup::new().await;
    let answer = setup.get(BOOK).await;
    assert_eq!(answer.header("x-shelf"), "7");
    for name in ["titan-secret", "grpc-status", "x-trailer"] {
        assert!(!answer.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn only_named_origins_may_read() {
    let setup = Setup::with(&[("cors_origins", "https://app.example")]).await;
    let preflight = async |origin: &str, path: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "authorization, x-a, titan-service"),
        ];
        setup.bare("OPTIONS", path, &headers, "").await
    };
    let answer = preflight("https://app.example", BOOK).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    assert_eq!(answer.header("access-control-allow-headers"), "authorization, x-a");
    assert_eq!(answer.header("vary"), "origin");
    let answer = preflight("https://evil.example", BOOK).await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    assert!(!answer.headers.contains_key("access-control-allow-methods"));
    assert_eq!(preflight("https://app.example", "/v1/nothing").await.status, 404);

    // Refusals are readable too, or a page could not tell why.
    let origin = [("origin", "https://app.example")];
    let answer = setup.bare("GET", "/v1/books/missing", &origin, "").await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
    assert!(answer.header("access-control-expose-headers").contains("x-request-id"));
    let answer = setup.bare("GET", BOOK, &[("origin", "https://evil.example")], "").await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn without_a_setting_no_origin_may_read() {
    let setup = Setup::new().await;
    let answer = setup.bare("GET", BOOK, &[("origin", "https://app.example")], "").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control-")));
}

#[tokio::test]
async fn streaming_methods_are_refused_clearly() {
    let setup = Setup::new().await;
    let answer = setup.get("/v1/shelves/1/returns").await;
    assert_eq!(answer.status, 501);
    assert_eq!(answer.json()["details"][0]["reason"], "STREAMING_OVER_REST");
}

#[tokio::test]
async fn the_edge_has_pages_of_its_own() {
    let setup = Setup::new().await;
    assert_eq!(setup.get("/livez").await.status, 200);
    let ready = setup.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_eq!(
        ready.json(),
        json!({"ready": true, "registryKnown": true,
               "applications": {"library": {"instances": 1, "loaded": true}}})
    );
    let document = setup.get("/openapi.json").await;
    assert_eq!(document.json()["openapi"], "3.1.0");
    let page = setup.get("/docs").await;
    let text = String::from_utf8(page.body).unwrap();
    for part in ["/docs/swagger-ui-bundle.js", "href=\"/docs?api=library.v1\""] {
        assert!(text.contains(part), "{part}");
    }
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("'none'"));
    for part in ["library.v1", "library.v1.LibraryService"] {
        let document = setup.get(&format!("/openapi/{part}.json")).await;
        assert_eq!((document.status, &document.json()["info"]["title"]), (200, &json!(part)));
    }
    for none in
        ["/openapi/library.json", "/openapi/library.v1", "/openapi/.json", "/openapi/a/b.json"]
    {
        assert_eq!(setup.get(none).await.status, 404, "{none}");
    }
    for path in ["/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/start.js"] {
        let head = setup.send("HEAD", path, "").await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
    assert_eq!(setup.send("POST", "/docs", "{}").await.status, 405);
}

#[tokio::test]
async fn a_service_that_is_gone_is_unavailable_and_stays_known() {
    let setup = Setup::new().await;
    let edge = setup.address;
    setup.running.stop().await;
    let headers = [("x-server-timeout", "0.3")];
    let answer = http1::send(edge, "GET", BOOK, &headers, b"").await;
    assert!(matches!(answer.status, 503 | 504), "{answer:?}");
    assert!(matches!(answer.json()["code"].as_i64(), Some(14 | 4)));
}

#[tokio::test]
async fn a_stopping_edge_answers_what_it_has_and_closes() {
    let mut setup = Setup::new().await;
    let address = setup.address;
    let slow = tokio::spawn(async move {
        let headers = [("x-server-timeout", "0.5")];
        http1::send(address, "GET", "/v1/books/slow", &headers, b"").await
    });
    let asked = setup.library.asked.clone();
    until("the request arrives", || asked.lock().unwrap()["name"] == "books/slow").await;
    setup.edge.stop.take().unwrap().send(()).unwrap();
    assert_eq!(slow.await.unwrap().status, 504, "the deadline, not the end");
    (&mut setup.edge.task).await.unwrap();
    assert!(!setup.edge.readiness.is_ready());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn requests_share_a_connection_in_order() {
    let setup = Setup::new().await;
    let request = |id: u8, connection: &str| {
        format!("GET /v1/books/{id} HTTP/1.1\r\nhost: e\r\nconnection: {connection}\r\n\r\n")
    };
    let pipeline = request(1, "keep-alive") + &request(2, "keep-alive") + &request(3, "close");
    let answer = http1::raw(setup.address, pipeline.as_bytes()).await;
    let all = String::from_utf8(answer.body).unwrap();
    assert_eq!(all.matches("HTTP/1.1 200 OK").count(), 2, "behind the first");
    assert!(all.find("books/2") < all.find("books/3"));
}
