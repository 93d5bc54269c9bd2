//! What a caller has when a service cannot answer: a value, or the last good
//! answer, and always a mark that says so.
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

use std::time::Duration;

use mesh::{
    App, LastGoodChannel,
    fallback::{self, AGE, FALLBACK, LAST_GOOD, LastGood, VALUE},
    proto::{JsonWebKey, ListKeysRequest, ListKeysResponse, key_service_client::KeyServiceClient},
    testing::{Mesh, Peer, Reply, RunningPeer},
};
use tonic::{Code, Request, Response, Status};

/// A caller of a peer.
struct Setup {
    _mesh: Mesh,
    _peer: RunningPeer,
    app: App,
}

async fn caller_of(peer: Peer) -> Setup {
    let mesh = Mesh::simulated(1).await;
    let peer = mesh.peer("keys", peer).await;
    Setup { app: mesh.app("caller"), _mesh: mesh, _peer: peer }
}

fn keys(kid: &str) -> ListKeysResponse {
    ListKeysResponse { keys: vec![JsonWebKey { kid: kid.to_owned(), ..Default::default() }] }
}

fn answer(kid: &str) -> Reply {
    Reply::message(&keys(kid))
}

fn status(code: Code) -> Reply {
    Reply::status(Status::new(code, "on purpose"))
}

fn request(user: &str) -> Request<ListKeysRequest> {
    let mut request = Request::new(ListKeysRequest {});
    request.set_timeout(Duration::from_secs(1));
    if !user.is_empty() {
        request.metadata_mut().insert("authorization", user.parse().unwrap());
    }
    request
}

async fn list(channel: &LastGoodChannel, user: &str) -> Result<Response<ListKeysResponse>, Status> {
    KeyServiceClient::new(channel.clone()).list_keys(request(user)).await
}

/// What marks an answer: how it came about, and its age in seconds.
fn mark<T>(response: &Response<T>) -> (Option<&str>, Option<&str>) {
    let of = |name| response.metadata().get(name).map(|value| value.to_str().unwrap());
    (of(FALLBACK), of(AGE))
}

#[tokio::test(start_paused = true)]
async fn a_value_is_the_answer_when_the_service_has_none_and_says_so() {
    let cases = [
        (answer("real"), Ok("real")),
        (status(Code::Unavailable), Ok("mine")),
        (status(Code::ResourceExhausted), Ok("mine")),
        (Reply::never(), Ok("mine")),
        (status(Code::NotFound), Err(Code::NotFound)),
        (status(Code::PermissionDenied), Err(Code::PermissionDenied)),
        (status(Code::Internal), Err(Code::Internal)),
        (status(Code::Cancelled), Err(Code::Cancelled)),
    ];
    for (reply, expected) in cases {
        let setup = caller_of(Peer::new().always(reply)).await;
        let mut client = KeyServiceClient::new(setup.app.channel("keys"));
        let made = fallback::value(client.list_keys(request("")), keys("mine")).await;
        let found = made.as_ref().map(|answer| answer.get_ref().keys[0].kid.as_str());
        assert_eq!(found.map_err(Status::code), expected);
        let marked = made.is_ok_and(|answer| mark(&answer) == (Some(VALUE), None));
        assert_eq!(marked, expected == Ok("mine"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_good_answer_is_given_with_its_age_until_it_is_too_old() {
    let peer =
        Peer::new().once(answer("old")).once(answer("new")).always(status(Code::Unavailable));
    let setup = caller_of(peer).await;
    let channel = setup.app.channel("keys").with_last_good(LastGood::default());
    for expected in ["old", "new"] {
        let good = list(&channel, "").await.unwrap();
        assert_eq!((good.get_ref(), mark(&good)), (&keys(expected), (None, None)));
    }
    tokio::time::sleep(Duration::from_secs(40)).await;
    let last = list(&channel, "").await.unwrap();
    assert_eq!((last.get_ref(), mark(&last)), (&keys("new"), (Some(LAST_GOOD), Some("40"))));
    let line = "mesh_fallback_last_good_total{grpc_target=\"keys\"} 1";
    assert!(setup.app.metrics().contains(line));

    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(list(&channel, "").await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_to_one_user_is_not_given_to_another() {
    let setup =
        caller_of(Peer::new().once(answer("ada's")).always(status(Code::Unavailable))).await;
    let channel = setup.app.channel("keys");
    let kept = channel.with_last_good(LastGood::default());
    list(&kept, "Bearer ada").await.unwrap();
    for (user, expected) in [
        ("Bearer bob", Err(Code::Unavailable)),
        ("", Err(Code::Unavailable)),
        ("Bearer ada", Ok(())),
    ] {
        let found = list(&kept, user).await;
        assert_eq!(found.map(drop).map_err(|status| status.code()), expected, "{user}");
    }
    // Another one of the same channel begins with nothing.
    let other = channel.with_last_good(LastGood::default());
    assert_eq!(list(&other, "Bearer ada").await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn who_calls_under_different_metadata_gets_another_answer() {
    let setup = caller_of(Peer::new().once(answer("de")).always(status(Code::Unavailable))).await;
    let channel = setup.app.channel("keys").with_last_good(LastGood::default());
    let asked = |language: &'static str| {
        let mut request = request("");
        request.metadata_mut().insert("accept-language", language.parse().unwrap());
        let mut client = KeyServiceClient::new(channel.clone());
        async move { client.list_keys(request).await.is_ok() }
    };
    assert!(asked("de").await);
    assert!(!asked("en").await);
    assert!(asked("de").await);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_the_answer_also_where_a_good_one_is_kept() {
    for code in [Code::NotFound, Code::PermissionDenied, Code::Internal, Code::Unauthenticated] {
        let setup = caller_of(Peer::new().once(answer("kept")).always(status(code))).await;
        let channel = setup.app.channel("keys").with_last_good(LastGood::default());
        list(&channel, "").await.unwrap();
        assert_eq!(list(&channel, "").await.unwrap_err().code(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_not_good_and_is_replaced() {
    let broken = Reply::reset_after_bytes(2, 1);
    let peer = Peer::new().once(answer("kept")).once(broken).always(status(Code::NotFound));
    let setup = caller_of(peer).await;
    let channel = setup.app.channel("keys").with_last_good(LastGood::default());
    list(&channel, "").await.unwrap();
    // INTERNAL_ERROR in the middle of a message: the service's fault, to be seen.
    assert_eq!(list(&channel, "").await.unwrap_err().code(), Code::Internal);
    assert_eq!(list(&channel, "").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_method_that_may_have_effects_passes_by() {
    let setup = caller_of(Peer::new().once(answer("1")).always(status(Code::Unavailable))).await;
    let channel = setup.app.channel("keys").with_last_good(LastGood::default());
    let mut client = tonic::client::Grpc::new(channel);
    for expected in [true, false] {
        client.ready().await.unwrap();
        // No contract knows it, so nobody knows what it does.
        let path = http::uri::PathAndQuery::from_static("/nobody.Knows/This");
        let codec = tonic_prost::ProstCodec::<(), ListKeysResponse>::default();
        let made = client.unary(Request::new(()), path, codec).await;
        assert_eq!(made.is_ok(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_larger_than_all_that_may_be_kept_is_given_and_not_kept() {
    let large = "x".repeat(10_000);
    let setup = caller_of(Peer::new().once(answer(&large)).always(status(Code::Unavailable))).await;
    let kept = LastGood { max_bytes: 1_000, ..LastGood::default() };
    let channel = setup.app.channel("keys").with_last_good(kept);
    assert_eq!(list(&channel, "").await.unwrap().get_ref(), &keys(&large));
    assert_eq!(list(&channel, "").await.unwrap_err().code(), Code::Unavailable);
}
