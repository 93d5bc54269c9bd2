//! Content that is streamed through the edge, up and down, and how it ends.

use std::time::Duration;

use http::Request;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    films::End,
    http1::{self, Answer},
    library::{Setup, until},
};

/// An upload whose body has not been sent.
async fn begin(setup: &Setup, target: &str, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    let token = setup.token();
    let head = format!(
        "PUT {target} HTTP/1.1\r\nhost: e\r\nconnection: close\r\nauthorization: {token}\r\n\
         content-type: video/x\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

const CHUNKED: &str = "transfer-encoding: chunked\r\n";

async fn chunk(stream: &mut TcpStream, data: &[u8]) {
    stream.write_all(format!("{:x}\r\n", data.len()).as_bytes()).await.unwrap();
    stream.write_all(data).await.unwrap();
    stream.write_all(b"\r\n").await.unwrap();
}

async fn finish(mut stream: TcpStream) -> Answer {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    http1::parse(&answer)
}

async fn stored(setup: &Setup, bytes: u64) {
    let mut stored = setup.library.films.stored.subscribe();
    let waited = stored.wait_for(|stored| *stored == bytes);
    tokio::time::timeout(Duration::from_secs(10), waited).await.expect("it arrives").unwrap();
}

async fn ended(setup: &Setup, end: End) {
    let films = &setup.library.films;
    until("the call ends", || *films.end.borrow() == end).await;
}

#[tokio::test]
async fn an_upload_goes_on_while_it_comes() {
    let setup = Setup::with(&[("max_body_bytes", "1024")]).await;
    let mut stream = begin(&setup, "/v1/films/a/b", CHUNKED).await;
    chunk(&mut stream, b"012").await;
    stored(&setup, 3).await;
    // More than a body that becomes one message may have.
    chunk(&mut stream, &[b'x'; 200_000]).await;
    stored(&setup, 200_003).await;
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let answer = finish(stream).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"name": "films/a/b", "title": "200003"}))
    );
    let first = setup.library.films.first.lock().unwrap().clone();
    let scan = first.scan.unwrap();
    assert_eq!((first.name.as_str(), scan.content_type.as_str()), ("films/a/b", "video/x"));
    assert_eq!(scan.data, b"012".as_slice());
    assert!(*setup.library.films.largest.lock().unwrap() <= 64 << 10);
}

#[tokio::test]
async fn an_upload_of_nothing_is_one_message() {
    let setup = Setup::new().await;
    let answer = finish(begin(&setup, "/v1/films/a", "content-length: 0\r\n").await).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"name": "films/a", "title": "0"})));
    let first = setup.library.films.first.lock().unwrap().clone();
    assert_eq!(first.scan.unwrap().content_type, "video/x");
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_never_taken_for_complete() {
    let setup = Setup::new().await;
    for more in [CHUNKED, "content-length: 9\r\n"] {
        setup.library.films.stored.send_replace(0);
        let mut stream = begin(&setup, "/v1/films/a", more).await;
        if more == CHUNKED {
            chunk(&mut stream, b"012").await;
        } else {
            stream.write_all(b"012").await.unwrap();
        }
        stored(&setup, 3).await;
        drop(stream);
        ended(&setup, End::Cancelled).await;
    }
}

#[tokio::test]
async fn a_client_that_falls_silent_is_told_and_its_call_is_cancelled() {
    let setup = Setup::with(&[("idle_timeout", "200ms")]).await;
    let silent = begin(&setup, "/v1/films/a", CHUNKED).await;
    let answer = finish(silent).await;
    assert_eq!((answer.status, &answer.json()["code"]), (408, &json!(4)));
    let mut stream = begin(&setup, "/v1/films/a", CHUNKED).await;
    chunk(&mut stream, b"012").await;
    let answer = finish(stream).await;
    assert_eq!((answer.status, &answer.json()["code"]), (408, &json!(4)));
    assert_eq!(answer.json()["details"][0]["reason"], "BODY_TIMEOUT");
    ended(&setup, End::Cancelled).await;
}

#[tokio::test]
async fn a_service_may_answer_before_all_has_come() {
    let setup = Setup::new().await;
    let mut stream = begin(&setup, "/v1/films/refused", CHUNKED).await;
    chunk(&mut stream, b"012").await;
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 400");
}

#[tokio::test]
async fn what_is_wrong_with_an_upload_is_told_without_a_call() {
    let setup = Setup::new().await;
    for (target, more, status) in [
        ("/v1/films/a?pages=1", "", 400),
        ("/v1/films/a?scan.contentType=x", "", 400),
        ("/v1/films/a", "content-encoding: gzip\r\n", 415),
        ("/v1/films/a", "if-match: \"1\"\r\n", 412),
    ] {
        let mut stream = begin(&setup, target, &format!("{CHUNKED}{more}")).await;
        chunk(&mut stream, b"012").await;
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, format!("HTTP/1.1 {status}").into_bytes(), "{target} {more}");
    }
    assert_eq!(*setup.library.films.stored.borrow(), 0);
}

/// A service that takes nothing holds up its client, and not the edge's memory.
#[tokio::test]
async fn an_upload_is_taken_no_sooner_than_the_service_takes_it() {
    let setup = Setup::new().await;
    let mut stream = begin(&setup, "/v1/films/untouched", "content-length: 268435456\r\n").await;
    let mut written = 0;
    let data = vec![0; 1 << 16];
    // Nothing tells that nothing happens but time.
    while let Ok(count) =
        tokio::time::timeout(Duration::from_millis(500), stream.write(&data)).await
    {
        written += count.unwrap();
    }
    assert!(written < 64 << 20, "{written} bytes were taken");
}

#[tokio::test]
async fn a_download_has_the_type_of_its_first_message() {
    let setup = Setup::new().await;
    let answer = setup.get("/v1/films/a").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "video/x"));
    assert_eq!(answer.header("transfer-encoding"), "chunked");
    // Its length is not known, so it has no parts.
    assert_eq!(answer.header("accept-ranges"), "none");
    assert_eq!(answer.body, b"5\r\n01234\r\n2\r\n56\r\n3\r\n789\r\n0\r\n\r\n");
    let part = setup.bare("GET", "/v1/films/a", &[("range", "bytes=0-1")], "").await;
    assert_eq!((part.status, part.body), (200, answer.body));
    let head = setup.send("HEAD", "/v1/films/a", "").await;
    assert_eq!((head.status, head.header("content-type"), head.body.len()), (200, "video/x", 0));
    let empty = setup.get("/v1/films/empty").await;
    assert_eq!(
        (empty.status, empty.header("content-type"), &empty.body[..]),
        (200, "", &b"0\r\n\r\n"[..])
    );
}

#[tokio::test]
async fn a_download_that_is_refused_has_the_status_of_its_refusal() {
    let setup = Setup::new().await;
    let answer = setup.get("/v1/films/refused").await;
    assert_eq!((answer.status, &answer.json()["code"]), (404, &json!(5)));
}

#[tokio::test]
async fn a_download_that_breaks_off_ends_uncleanly() {
    let setup = Setup::new().await;
    let answer = setup.get("/v1/films/torn").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, b"5\r\n01234\r\n2\r\n56\r\n", "no last chunk");
    // Less than it says, however many bytes the service has sent.
    for (name, come) in [("torn-last", "01234"), ("short", "012"), ("long", "01234")] {
        let answer = setup.get(&format!("/v1/films/{name}")).await;
        assert_eq!((answer.status, answer.header("content-length")), (200, "10"), "{name}");
        assert_eq!(answer.body, come.as_bytes(), "{name}");
    }
}

#[tokio::test]
async fn a_download_that_breaks_off_resets_its_stream() {
    let setup = Setup::new().await;
    let tcp = TcpStream::connect(setup.address).await.unwrap();
    let (client, connection) = h2::client::handshake(tcp).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = Request::get("http://e/v1/films/torn").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut come = Vec::new();
    let error = loop {
        match body.data().await {
            Some(Ok(data)) => come.extend_from_slice(&data),
            Some(Err(error)) => break error,
            None => panic!("it ends as if it were complete"),
        }
    };
    assert_eq!((come.as_slice(), error.is_reset()), (&b"0123456"[..], true));
}

#[tokio::test]
async fn a_download_of_known_length_has_parts() {
    const FILM: &str = "/v1/films/known";
    let setup = Setup::new().await;
    let whole = setup.get(FILM).await;
    assert_eq!((whole.status, whole.body.as_slice()), (200, &b"0123456789"[..]));
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert!(!whole.headers.contains_key("x-http-content-length"));
    for (range, known, content_range, part) in [
        ("bytes=0-0", "", "bytes 0-0/10", "0"),
        ("bytes=2-6", "", "bytes 2-6/10", "23456"),
        ("bytes=3-", "", "bytes 3-9/10", "3456789"),
        ("bytes=-1", "\"c1\"", "bytes 9-9/10", "9"),
    ] {
        let mut headers = vec![("range", range)];
        headers.extend((!known.is_empty()).then_some(("if-range", known)));
        let answer = setup.bare("GET", FILM, &headers, "").await;
        assert_eq!(
            (answer.status, answer.header("content-range")),
            (206, content_range),
            "{range}"
        );
        assert_eq!(answer.body, part.as_bytes(), "{range}");
        assert_eq!(answer.header("content-length"), part.len().to_string(), "{range}");
        assert_eq!(answer.header("etag"), "\"c1\"");
    }
    let other = [("range", "bytes=0-0"), ("if-range", "\"c2\"")];
    assert_eq!(setup.bare("GET", FILM, &other, "").await.status, 200);
    let outside = setup.bare("GET", FILM, &[("range", "bytes=10-")], "").await;
    assert_eq!((outside.status, outside.header("content-range")), (416, "bytes */10"));
    let known = setup.bare("GET", FILM, &[("if-none-match", "\"c1\""), ("range", "bytes=0-1")], "");
    assert_eq!(known.await.status, 304);
    let head = setup.bare("HEAD", FILM, &[("range", "bytes=0-1")], "").await;
    assert_eq!((head.status, head.header("content-length")), (200, "10"));
}

#[tokio::test]
async fn raw_answers_of_one_message_have_parts() {
    let setup = Setup::new().await;
    let whole = setup.get("/v1/scans/a/b").await;
    assert_eq!((whole.header("accept-ranges"), &whole.body[..]), ("bytes", &[0, 1, 2][..]));
    let token = setup.token();
    let part = async |range: &str, known: &str| {
        let headers = [("authorization", token.as_str()), ("range", range), ("if-range", known)];
        setup.bare("GET", "/v1/scans/a/b", &headers, "").await
    };
    let tag = whole.headers["etag"].to_str().unwrap();
    let answer = part("bytes=1-", tag).await;
    assert_eq!((answer.status, answer.header("content-range")), (206, "bytes 1-2/3"));
    assert_eq!((answer.header("content-length"), &answer.body[..]), ("2", &[1, 2][..]));
    assert_eq!(part("bytes=1-", "\"other\"").await.status, 200);
    assert_eq!(part("bytes=3-", tag).await.status, 416);
}

#[tokio::test]
async fn a_service_learns_at_once_that_nobody_listens_any_more() {
    let setup = Setup::new().await;
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    stream.write_all(b"GET /v1/films/endless HTTP/1.1\r\nhost: e\r\n\r\n").await.unwrap();
    stream.read_exact(&mut vec![0; 1 << 20]).await.unwrap();
    drop(stream);
    ended(&setup, End::Cancelled).await;
    // Nor does anybody want what is behind the part that was asked for.
    let part = setup.bare("GET", "/v1/films/endless-known", &[("range", "bytes=0-1")], "").await;
    assert_eq!((part.status, part.body.as_slice()), (206, &b"ff"[..]));
    ended(&setup, End::Cancelled).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let setup = Setup::with(&[("idle_timeout", "200ms")]).await;
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    stream.write_all(b"GET /v1/films/endless HTTP/1.1\r\nhost: e\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 100]).await.unwrap();
    ended(&setup, End::Cancelled).await;
}

#[tokio::test]
async fn content_streams_both_ways_at_once() {
    let setup = Setup::new().await;
    let tcp = TcpStream::connect(setup.address).await.unwrap();
    let (client, connection) = h2::client::handshake(tcp).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = Request::post("http://e/v1/films/a:cut").header("authorization", setup.token());
    let (response, mut sending) = client.send_request(request.body(()).unwrap(), false).unwrap();
    sending.send_data("01".into(), false).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "01");
    for (sent, come) in [("23", ""), ("45", "45")] {
        sending.send_data(sent.into(), false).unwrap();
        if !come.is_empty() {
            assert_eq!(body.data().await.unwrap().unwrap(), come);
        }
    }
    sending.send_data("".into(), true).unwrap();
    while let Some(data) = body.data().await {
        assert_eq!(data.unwrap(), "");
    }
}
