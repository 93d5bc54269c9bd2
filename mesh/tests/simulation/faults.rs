//! The simulated network itself: each fault does what it says, and a mesh comes
//! through it.

use std::time::Duration;

use mesh::{
    App, Channel,
    testing::{Faults, Mesh, Recorder, Running},
};
use tokio::time::Instant;
use tonic::Code;

use crate::ledger::{ADD, Entry, Ledger, PUT, book, contract, within};

const MILLI: Duration = Duration::from_millis(1);

struct Setup {
    mesh: Mesh,
    ledger: Ledger,
    running: Running,
    channel: Channel,
}

fn caller(mesh: &Mesh) -> App {
    let app = mesh.app("caller");
    app.know(contract()).unwrap();
    app
}

async fn setup(ledger: Ledger) -> Setup {
    let mesh = Mesh::simulated(1).await;
    let running = mesh.serve("ledger", contract(), ledger.routes()).await;
    let channel = caller(&mesh).channel("ledger");
    book(&channel, ADD, Entry::of(0)).await.unwrap();
    Setup { mesh, ledger, running, channel }
}

#[tokio::test(start_paused = true)]
async fn a_link_without_faults_takes_no_time() {
    let setup = setup(Ledger::default()).await;
    let before = Instant::now();
    for id in 1..100 {
        book(&setup.channel, ADD, Entry::of(id)).await.unwrap();
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(setup.mesh.faults(), Faults::default());
}

#[tokio::test(start_paused = true)]
async fn latency_is_paid_there_and_back() {
    let setup = setup(Ledger::default()).await;
    setup.mesh.link("caller", setup.running.address).latency(100 * MILLI);
    let before = Instant::now();
    book(&setup.channel, ADD, Entry::of(1)).await.unwrap();
    let took = before.elapsed();
    assert!((200 * MILLI..210 * MILLI).contains(&took), "{took:?}");
    assert!(setup.mesh.faults().delayed >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_link_of_another_caller_is_left_alone() {
    let setup = setup(Ledger::default()).await;
    setup.mesh.link("somebody", setup.running.address).black_hole();
    book(&setup.channel, ADD, Entry::of(1)).await.unwrap();
    assert_eq!(setup.mesh.faults(), Faults::default());
}

#[tokio::test(start_paused = true)]
async fn a_narrow_link_takes_its_time_for_a_large_message() {
    let setup = setup(Ledger::default()).await;
    setup.mesh.links(setup.running.address).bandwidth(100_000);
    let before = Instant::now();
    let entry = Entry { id: 1, text: vec![7; 50_000] };
    book(&setup.channel, ADD, entry).await.unwrap();
    // Half a second there, half a second back.
    let took = before.elapsed();
    assert!((1_000 * MILLI..1_050 * MILLI).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_link_is_nobody_and_a_healed_one_is_found_again() {
    let setup = setup(Ledger::default()).await;
    let links = setup.mesh.links(setup.running.address);
    links.refuse().cut();
    let status = book(&setup.channel, ADD, Entry::of(1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    // Time to try again.
    tokio::time::sleep(100 * MILLI).await;
    let faults = setup.mesh.faults();
    assert!(faults.cut == 1 && faults.refused > 0, "{faults:?}");
    assert_eq!(setup.ledger.booked(ADD, 1), 0);
    links.heal();
    book(&setup.channel, ADD, Entry::of(2)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_ends_a_call_at_its_deadline_and_delivers_when_it_is_healed() {
    let setup = setup(Ledger::default()).await;
    let links = setup.mesh.links(setup.running.address);
    links.black_hole();
    let before = Instant::now();
    let request = within(300 * MILLI, Entry::of(1));
    let status = book(&setup.channel, PUT, request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(before.elapsed() <= 302 * MILLI, "{:?}", before.elapsed());
    assert_eq!(setup.ledger.booked(PUT, 1), 0);
    assert!(setup.mesh.faults().held > 0);

    let waiting = book(&setup.channel, PUT, Entry::of(2));
    let healing = async {
        tokio::time::sleep(100 * MILLI).await;
        links.heal();
    };
    let (booked, ()) = tokio::join!(waiting, healing);
    booked.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cut_off_is_only_repeated_when_its_contract_allows() {
    let setup = setup(Ledger { takes: 100 * MILLI, ..Ledger::default() }).await;
    let links = setup.mesh.links(setup.running.address);
    for (method, expected) in [(ADD, None), (PUT, Some(2))] {
        let cutting = async {
            tokio::time::sleep(50 * MILLI).await;
            links.cut();
        };
        let (booked, ()) = tokio::join!(book(&setup.channel, method, Entry::of(1)), cutting);
        match expected {
            None => assert_eq!(booked.unwrap_err().code(), Code::Unavailable),
            Some(_) => _ = booked.unwrap(),
        }
        assert_eq!(setup.ledger.booked(method, 1), expected.unwrap_or(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_killed_is_gone_and_may_return_at_its_address() {
    let setup = setup(Ledger::default()).await;
    let address = setup.running.address;
    setup.running.kill().await;
    let status = book(&setup.channel, ADD, Entry::of(1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let app = setup.mesh.app_with("ledger", &[("listen", &address.to_string())]);
    let again = setup.mesh.serve_app(&app, contract(), setup.ledger.routes()).await;
    assert_eq!(again.address, address);
    book(&setup.channel, ADD, Entry::of(2)).await.unwrap();
}

/// What a storm of a seed does to some calls.
async fn storm(seed: u64) -> (Vec<Option<Code>>, Faults) {
    let mesh = Mesh::simulated(seed).await;
    let recorder = Recorder::new();
    let mut running = Vec::new();
    for at in ["a", "b", "c"] {
        let routes = mesh::Routes::new().add(recorder.around(at, Ledger::default()));
        running.push(mesh.serve("ledger", contract(), routes).await);
    }
    let channel = caller(&mesh).channel("ledger");
    let addresses: Vec<_> = running.iter().map(|one| one.address).collect();
    let calls = async {
        let mut ends = Vec::new();
        for id in 0..100 {
            let request = within(500 * MILLI, Entry::of(id));
            ends.push(book(&channel, PUT, request).await.err().map(|status| status.code()));
            tokio::time::sleep(100 * MILLI).await;
        }
        ends
    };
    let (ends, ()) = tokio::join!(calls, mesh.storm(&addresses, Duration::from_secs(10)));
    // Healed, every instance is found again.
    tokio::time::sleep(Duration::from_secs(30)).await;
    for id in 1_000..1_100 {
        book(&channel, PUT, Entry::of(id)).await.unwrap();
    }
    assert_eq!(channel.ready().len(), 3);
    (ends, mesh.faults())
}

#[tokio::test(start_paused = true)]
async fn a_storm_passes_and_its_seed_decides_what_it_does() {
    let (_, faults) = storm(3).await;
    assert!(faults.total() > 20 && faults.cut > 0, "{faults:?}");
    let (_, others) = storm(4).await;
    assert_ne!(faults, others);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_before_the_first_connection_is_up_is_the_deadlines_fault() {
    let mesh = Mesh::simulated(1).await;
    let running = mesh.serve("ledger", contract(), Ledger::default().routes()).await;
    mesh.link("caller", running.address).black_hole();
    let channel = caller(&mesh).channel("ledger");
    let status = book(&channel, PUT, within(50 * MILLI, Entry::of(1))).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);

    mesh.link("other", running.address).refuse();
    let other = mesh.app("other");
    other.know(contract()).unwrap();
    let status =
        book(&other.channel("ledger"), PUT, within(50 * MILLI, Entry::of(1))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}
