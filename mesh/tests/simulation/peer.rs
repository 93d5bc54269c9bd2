//! Peers that misbehave: what a caller sees of it, and how often it tries.

use std::time::Duration;

use mesh::{
    Channel,
    testing::{End, Mesh, Peer, Reply, RunningPeer},
};
use tonic::{Code, Status};

use crate::ledger::{ADD, Entry, MOST_ATTEMPTS, PUT, book, contract, within};

/// HTTP/2 error codes (RFC 9113, section 7).
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

async fn against(peer: Peer) -> (Mesh, RunningPeer, Channel) {
    let mesh = Mesh::simulated(1).await;
    let peer = mesh.peer("ledger", peer).await;
    let app = mesh.app("caller");
    app.know(contract()).unwrap();
    let channel = app.channel("ledger");
    (mesh, peer, channel)
}

fn fine() -> Reply {
    Reply::message(&Entry::of(1))
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_did_not_process_is_repeated_whatever_the_contract_says() {
    for reply in [Reply::refused_stream(), Reply::go_away(0, NO_ERROR)] {
        for method in [ADD, PUT] {
            let (_mesh, peer, channel) =
                against(Peer::new().once(reply.clone()).always(fine())).await;
            book(&channel, method, Entry::of(1)).await.unwrap();
            let arrivals = peer.arrivals();
            assert_eq!(arrivals.len(), 2, "{reply:?}");
            assert_eq!(arrivals[1].attempt, 1, "the first that anybody looked at");
            assert_eq!(arrivals[1].end, Some(End::Answered(Code::Ok)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_may_have_processed_is_repeated_only_when_the_contract_allows() {
    for reply in [
        Reply::go_away(1, NO_ERROR),
        Reply::close(),
        Reply::garbage(),
        Reply::status(Status::unavailable("once")),
    ] {
        let (_mesh, peer, channel) = against(Peer::new().once(reply.clone()).always(fine())).await;
        let status = book(&channel, ADD, Entry::of(1)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{reply:?}");
        assert_eq!(peer.arrivals().len(), 1, "{reply:?}");

        let (_mesh, peer, channel) = against(Peer::new().once(reply.clone()).always(fine())).await;
        book(&channel, PUT, Entry::of(1)).await.unwrap();
        let attempts: Vec<u32> = peer.arrivals().iter().map(|arrival| arrival.attempt).collect();
        assert_eq!(attempts, [1, 2], "{reply:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_recovers_is_tried_as_often_as_the_contract_says() {
    let (_mesh, peer, channel) =
        against(Peer::new().always(Reply::status(Status::unavailable("ever")))).await;
    let status = book(&channel, PUT, Entry::of(1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let attempts: Vec<u32> = peer.arrivals().iter().map(|arrival| arrival.attempt).collect();
    assert_eq!(attempts, (1..=MOST_ATTEMPTS).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_not_unavailable_is_told_and_not_repeated() {
    let cases = [
        (Reply::reset(INTERNAL_ERROR), Code::Internal),
        (Reply::reset(CANCEL), Code::Cancelled),
        (Reply::reset(ENHANCE_YOUR_CALM), Code::ResourceExhausted),
        (Reply::reset_after_headers(INTERNAL_ERROR), Code::Internal),
        (Reply::reset_after_bytes(INTERNAL_ERROR, 3), Code::Internal),
        (Reply::reset_after_bytes(INTERNAL_ERROR, 1_000), Code::Internal),
        (Reply::status(Status::aborted("no")), Code::Aborted),
        (Reply::http(404, "text/html"), Code::Unimplemented),
        (Reply::http(403, "text/html"), Code::PermissionDenied),
        (Reply::http(503, "text/html"), Code::Unavailable),
    ];
    for (reply, expected) in cases {
        for method in [ADD, PUT] {
            let (_mesh, peer, channel) = against(Peer::new().always(reply.clone())).await;
            let status = book(&channel, method, Entry::of(1)).await.unwrap_err();
            assert_eq!(status.code(), expected, "{reply:?}: {status:?}");
            assert_eq!(peer.arrivals().len(), 1, "{reply:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_status_is_no_success() {
    let (_mesh, _peer, channel) =
        against(Peer::new().always(Reply::message_without_status(&Entry::of(1)))).await;
    let status = book(&channel, ADD, Entry::of(1)).await.unwrap_err();
    assert!(matches!(status.code(), Code::Unknown | Code::Internal), "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_ends_with_the_deadline() {
    let second = Duration::from_secs(1);
    for reply in [Reply::never(), Reply::stop_reading(), fine().after(2 * second)] {
        let (_mesh, peer, channel) = against(Peer::new().always(reply.clone())).await;
        let before = tokio::time::Instant::now();
        let status = book(&channel, PUT, within(second, Entry::of(1))).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{reply:?}");
        let late = before.elapsed() - second;
        assert!(late <= Duration::from_millis(2), "{reply:?}: {late:?}");
        let [arrival] = peer.arrivals().try_into().unwrap();
        assert!(arrival.timeout.unwrap() <= second);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_is_reset_at_its_peer() {
    let (_mesh, peer, channel) = against(Peer::new()).await;
    let request = within(Duration::from_millis(50), Entry::of(1));
    book(&channel, ADD, request).await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(peer.arrivals()[0].end, Some(End::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn a_header_block_of_a_megabyte_fails_its_own_call_only() {
    let (_mesh, peer, channel) =
        against(Peer::new().once(Reply::long_headers(1 << 20)).always(fine())).await;
    // Whether such a block is taken is the limit's business.
    let _ = book(&channel, ADD, Entry::of(1)).await;
    book(&channel, ADD, Entry::of(2)).await.unwrap();
    assert_eq!(peer.arrivals().len(), 2);
}

#[tokio::test]
async fn a_peer_misbehaves_over_tcp_too() {
    let mesh = Mesh::new().await;
    let peer =
        mesh.peer("ledger", Peer::new().once(Reply::go_away(0, NO_ERROR)).always(fine())).await;
    let app = mesh.app("caller");
    app.know(contract()).unwrap();
    book(&app.channel("ledger"), ADD, Entry::of(1)).await.unwrap();
    assert_eq!((peer.arrivals().len(), peer.connections()), (2, 2));
}

/// What a server of the mesh says when it has too much to do.
fn turned_away() -> Reply {
    let mut status = Status::resource_exhausted("too much to do");
    status.metadata_mut().insert("titan-unprocessed", "1".parse().unwrap());
    status.metadata_mut().insert("grpc-retry-pushback-ms", "100".parse().unwrap());
    Reply::status(status)
}

/// A caller of so many peers that reply the same.
async fn among(replies: &[Reply]) -> (Mesh, Vec<RunningPeer>, Channel) {
    let mesh = Mesh::simulated(1).await;
    let mut peers = Vec::new();
    for reply in replies {
        peers.push(mesh.peer("ledger", Peer::new().always(reply.clone())).await);
    }
    let app = mesh.app("caller");
    app.know(contract()).unwrap();
    let channel = app.channel("ledger");
    while channel.ready().len() < replies.len() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (mesh, peers, channel)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_turned_away_goes_to_another_instance_at_once() {
    let (_mesh, peers, channel) = among(&[turned_away(), fine()]).await;
    let began = tokio::time::Instant::now();
    for id in 0..20 {
        book(&channel, if id % 2 == 0 { ADD } else { PUT }, Entry::of(id)).await.unwrap();
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(!peers[0].arrivals().is_empty(), "it was asked, and turned some away");
    assert_eq!(peers[1].arrivals().len(), 20);
    assert!(peers[1].arrivals().iter().all(|arrival| arrival.attempt == 1));
}

#[tokio::test(start_paused = true)]
async fn when_all_instances_turn_a_call_away_each_is_asked_once() {
    let (_mesh, peers, channel) = among(&[turned_away(), turned_away(), turned_away()]).await;
    let status = book(&channel, PUT, Entry::of(1)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(!status.metadata().contains_key("titan-unprocessed"), "it speaks of one hop");
    for peer in &peers {
        assert_eq!(peer.arrivals().len(), 1);
    }
    // The budget bounds them, as all repetitions.
    for id in 0..300 {
        book(&channel, ADD, Entry::of(id)).await.unwrap_err();
    }
    let asked: usize = peers.iter().map(|peer| peer.arrivals().len()).sum();
    assert!(asked <= 301 + 301 / 5 + 110, "{asked}");
}

#[tokio::test(start_paused = true)]
async fn exhaustion_without_that_proof_is_not_repeated() {
    let exhausted = Reply::status(Status::resource_exhausted("a handler's word"));
    let (_mesh, peers, channel) = among(&[exhausted.clone(), exhausted]).await;
    let status = book(&channel, PUT, Entry::of(1)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let asked: usize = peers.iter().map(|peer| peer.arrivals().len()).sum();
    assert_eq!(asked, 1);
}
