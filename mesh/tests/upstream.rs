//! Defects that others have had on the same ground, each named by its public
//! report: whoever replaces a part of the call path must not bring one back.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use mesh::{
    Channel, Routes,
    proto::{
        ListKeysRequest, ListKeysResponse,
        key_service_client::KeyServiceClient,
        key_service_server::{KeyService, KeyServiceServer},
    },
    testing::{Mesh, Peer, Reply, Running},
};
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};

/// HTTP/2 error codes (RFC 9113 §7).
const NO_ERROR: u32 = 0;
const CANCEL: u32 = 8;

/// Answers, or sleeps when its settings say so.
struct Keys {
    takes: Duration,
}

#[tonic::async_trait]
impl KeyService for Keys {
    async fn list_keys(
        &self,
        _: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        tokio::time::sleep(self.takes).await;
        Ok(Response::new(ListKeysResponse::default()))
    }
}

async fn serve(mesh: &Mesh, takes: Duration, settings: &[(&str, &str)]) -> Running {
    let routes = Routes::new().add(KeyServiceServer::new(Keys { takes }));
    mesh.serve_app(&mesh.app_with("keys", settings), mesh::DESCRIPTORS, routes).await
}

async fn call(channel: &Channel) -> Result<ListKeysResponse, Status> {
    let mut client = KeyServiceClient::new(channel.clone());
    Ok(client.list_keys(ListKeysRequest {}).await?.into_inner())
}

async fn against(peer: Peer) -> (Mesh, mesh::testing::RunningPeer, Channel) {
    let mesh = Mesh::simulated(1).await;
    let peer = mesh.peer("keys", peer).await;
    let channel = mesh.app("caller").channel("keys");
    (mesh, peer, channel)
}

fn fine() -> Reply {
    Reply::message(&ListKeysResponse::default())
}

// grpc-rust#2522: with a connection age and no grace, the task of an aged
// connection was polled after its end, and panicked.
#[tokio::test(start_paused = true)]
async fn a_connection_that_grows_old_again_and_again_panics_nowhere() {
    let mesh = Mesh::simulated(1).await;
    let _running = serve(&mesh, Duration::ZERO, &[("max_connection_age", "1s")]).await;
    let channel = mesh.app("caller").channel("keys");
    for _ in 0..50 {
        call(&channel).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

// grpc-rust#2877: with age and grace, nothing was announced at the age and calls
// were cut at age + grace.
#[tokio::test(start_paused = true)]
async fn a_call_that_outlives_its_connections_age_ends_well() {
    let mesh = Mesh::simulated(1).await;
    let settings = [("max_connection_age", "1s"), ("max_connection_age_grace", "10s")];
    let _running = serve(&mesh, Duration::from_millis(1_500), &settings).await;
    let channel = mesh.app("caller").channel("keys");
    for _ in 0..10 {
        call(&channel).await.unwrap();
    }
}

// grpc-rust#1820: a shutdown waited for calls without any limit of time.
#[tokio::test(start_paused = true)]
async fn a_drain_has_an_end_though_a_call_has_none() {
    let mesh = Mesh::simulated(1).await;
    let settings = [("drain_timeout", "3s")];
    let running = serve(&mesh, Duration::from_secs(3_600), &settings).await;
    let channel = mesh.app("caller").channel("keys");
    let held = tokio::spawn(async move {
        let mut client = KeyServiceClient::new(channel);
        let mut request = Request::new(ListKeysRequest {});
        request.set_timeout(Duration::from_secs(7_200));
        client.list_keys(request).await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    running.stop().await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(held.await.unwrap().is_err());
}

// grpc-rust#1940: a server that was told to end stopped to accept at once, while
// others still sent calls to it.
#[tokio::test(start_paused = true)]
async fn who_comes_while_a_server_takes_leave_is_still_served() {
    let mesh = Mesh::simulated(1).await;
    let running = serve(&mesh, Duration::ZERO, &[("lame_duck", "5s")]).await;
    let stopped = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_secs(2)).await;
    call(&mesh.app("late").channel("keys")).await.unwrap();
    stopped.await.unwrap();
}

// grpc-rust#1635: a call hung past every time limit while nobody could be reached,
// since only the answer was waited for with one.
#[tokio::test(start_paused = true)]
async fn a_call_to_nobody_ends_by_its_deadline() {
    let mesh = Mesh::simulated(1).await;
    let running = serve(&mesh, Duration::ZERO, &[]).await;
    let channel = mesh.app("caller").channel("keys");
    running.kill().await;
    let started = Instant::now();
    let status = call(&channel).await.unwrap_err();
    assert!(matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded), "{status}");
    // The contract allows two seconds.
    assert!(started.elapsed() <= Duration::from_millis(2_010), "{:?}", started.elapsed());
}

// grpc-rust#629: a timeout of the client's own was told as CANCELLED.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_is_told_as_one() {
    for reply in [Reply::never(), Reply::reset(CANCEL).after(Duration::from_secs(2))] {
        let (_mesh, _peer, channel) = against(Peer::new().always(reply.clone())).await;
        let status = call(&channel).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{reply:?}");
    }
}

// grpc-rust#628: a connection that broke was told as UNKNOWN.
#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_told_as_unavailable() {
    for reply in [Reply::close(), Reply::garbage()] {
        let (_mesh, _peer, channel) = against(Peer::new().always(reply.clone())).await;
        let status = call(&channel).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{reply:?}");
    }
}

// hyper#2500, hyper#4052: a client could not tell a stream that its server had
// not looked at from one that may have been processed.
#[tokio::test(start_paused = true)]
async fn a_stream_above_the_last_of_a_goaway_is_sent_again() {
    let replies = Peer::new().once(Reply::go_away(0, NO_ERROR)).always(fine());
    let (_mesh, peer, channel) = against(replies).await;
    call(&channel).await.unwrap();
    assert_eq!((peer.arrivals().len(), peer.connections()), (2, 2));
}

// grpc-rust#2257: connections that their server had closed stayed in CLOSE_WAIT.
#[tokio::test(start_paused = true)]
async fn a_connection_that_its_server_closes_is_replaced_and_not_kept() {
    let (_mesh, peer, channel) = against(Peer::new().once(Reply::close()).always(fine())).await;
    // The first call may be lost or repeated; the channel goes on.
    let _ = call(&channel).await;
    for _ in 0..10 {
        call(&channel).await.unwrap();
    }
    assert_eq!(peer.connections(), 2);
}

// grpc-rust#1824: what stood between a server and its caller could not see the
// status of a call, since it comes in the trailers.
#[tokio::test(start_paused = true)]
async fn a_status_in_the_trailers_is_counted() {
    let mesh = Mesh::simulated(1).await;
    let app = mesh.app("keys");
    let routes = Routes::new().add(KeyServiceServer::new(Keys { takes: Duration::ZERO }));
    let _running = mesh.serve_app(&app, mesh::DESCRIPTORS, routes).await;
    call(&mesh.app("caller").channel("keys")).await.unwrap();
    let counted = "grpc_server_call_duration_seconds_count{\
                   grpc_method=\"titan.mesh.v1.KeyService/ListKeys\",grpc_status=\"OK\"} 1";
    let page = app.metrics();
    assert!(page.contains(counted), "{page}");
}

// gRPC's negative cases `rst_after_header` and `rst_during_data`
// (doc/http2-interop-test-descriptions.md): a stream that is cut is no answer.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_cut_is_none() {
    for reply in [Reply::reset_after_headers(NO_ERROR), Reply::reset_after_bytes(NO_ERROR, 100)] {
        let (_mesh, peer, channel) = against(Peer::new().always(reply.clone())).await;
        call(&channel).await.unwrap_err();
        assert_eq!(peer.connections(), 1, "the connection is not to blame: {reply:?}");
    }
}

// gRPC's negative case `rst_after_data`: what came before a reset does not make
// it an answer.
#[tokio::test(start_paused = true)]
async fn a_whole_message_without_a_status_is_no_answer() {
    let reply = Reply::message_without_status(&ListKeysResponse::default());
    let (_mesh, _peer, channel) = against(Peer::new().always(reply)).await;
    assert_ne!(call(&channel).await.unwrap_err().code(), Code::Ok);
}
