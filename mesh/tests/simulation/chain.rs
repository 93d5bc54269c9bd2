//! Chains of services: what a dead or slow leaf costs those above it.

use std::time::Duration;

use mesh::{
    Channel,
    testing::{Mesh, Peer, Reply, Running},
};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::ledger::{Entry, Ledger, PUT, book, contract, within};

const MILLI: Duration = Duration::from_millis(1);

/// A ledger that passes everything on to an application that was started before.
async fn above(mesh: &Mesh, name: &'static str, next: &str, takes: Duration) -> (Ledger, Running) {
    let app = mesh.app(name);
    let ledger = Ledger { next: Some(app.channel(next)), takes, ..Ledger::default() };
    let running = mesh.serve_app(&app, contract(), ledger.routes()).await;
    (ledger, running)
}

fn entrance(mesh: &Mesh) -> Channel {
    let app = mesh.app("caller");
    app.know(contract()).unwrap();
    app.channel("top")
}

#[tokio::test(start_paused = true)]
async fn a_chain_never_works_on_a_call_that_has_expired() {
    let mesh = Mesh::simulated(1).await;
    let leaf = Ledger { takes: 400 * MILLI, ..Ledger::default() };
    let running = mesh.serve("leaf", contract(), leaf.routes()).await;
    let (middle, _middle) = above(&mesh, "middle", "leaf", 200 * MILLI).await;
    let (top, _top) = above(&mesh, "top", "middle", 200 * MILLI).await;
    mesh.links(running.address).latency(20 * MILLI).jitter(30 * MILLI);
    let channel = entrance(&mesh);
    book(&channel, PUT, Entry::of(0)).await.unwrap();

    let mut expired = 0;
    for id in 1..100 {
        let timeout = fastrand::u64(100..1_000);
        let before = Instant::now();
        let request = within(Duration::from_millis(timeout), Entry::of(id));
        match book(&channel, PUT, request).await {
            Ok(_) => {}
            Err(status) => {
                assert_eq!(status.code(), Code::DeadlineExceeded);
                expired += 1;
            }
        }
        let late = before.elapsed().saturating_sub(Duration::from_millis(timeout));
        assert!(late <= 2 * MILLI, "{late:?} after the deadline");
    }
    assert!((20..100).contains(&expired), "{expired} expired");
    for (ledger, below) in [(&top, Some(&middle)), (&middle, Some(&leaf)), (&leaf, None)] {
        let books = ledger.books.lock().unwrap();
        assert!(books.latest <= MILLI, "worked {:?} past its deadline", books.latest);
        assert!(books.left.iter().all(|left| !left.is_zero()), "began what had expired");
        if let Some(below) = below {
            let below = below.books.lock().unwrap();
            assert!(below.left.len() <= books.left.len(), "what expired here was not passed on");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_leaf_gets_no_more_than_a_fifth_above_what_enters_at_the_top() {
    const ENTERED: u64 = 1_000;
    let mesh = Mesh::simulated(1).await;
    let dead = Reply::status(Status::unavailable("dead"));
    let leaf = mesh.peer("leaf", Peer::new().always(dead)).await;
    let (middle, _middle) = above(&mesh, "middle", "leaf", Duration::ZERO).await;
    let (top, _top) = above(&mesh, "top", "middle", Duration::ZERO).await;
    let channel = entrance(&mesh);
    let began = Instant::now();
    for id in 0..ENTERED {
        let status = book(&channel, PUT, Entry::of(id)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
    }
    let seconds = began.elapsed().as_secs_f64();
    let at = |ledger: &Ledger| ledger.books.lock().unwrap().left.len() as f64 / ENTERED as f64;
    let amplified = leaf.arrivals().len() as f64 / ENTERED as f64;
    let layers = [at(&top), at(&middle), amplified];
    // A fifth, ten a second, and the repetitions that a channel has to begin with:
    // of one layer, not of all three.
    let granted = 10.0 + 10.0 * seconds;
    assert!(
        amplified <= 1.2 + granted / ENTERED as f64,
        "top, middle and leaf got {layers:?} of what entered in {seconds} s"
    );
    assert!(amplified >= 0.9, "it was called: {layers:?}");
}
