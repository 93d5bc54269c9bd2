//! What is held for a time is put back when that is over, once.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::SeqCst},
};

use durable::{task::Worker, time};
use titan::inventory::v1::{Reservation, reservation::State};
use tokio::task::JoinSet;

use crate::support::{
    Reservations, Service, commit, confirm, everywhere, get, held_for, pieces, refused, release,
    reserve,
};

/// Two workers on a clock that the test advances.
fn workers(service: &Service) -> (Arc<AtomicI64>, JoinSet<()>) {
    let clock = Arc::new(AtomicI64::new(time::now()));
    let mut workers = JoinSet::new();
    for _ in 0..2 {
        let clock = clock.clone();
        let worker = Worker::with_clock(service.store.clone(), move || clock.load(SeqCst));
        workers.spawn(inventory::expiring(worker, service.store.clone()).run());
    }
    (clock, workers)
}

/// Waits for a state that comes by itself.
async fn until(orders: &mut Reservations, id: &str, state: State) -> Reservation {
    loop {
        let reservation = get(orders, id).await.unwrap();
        if reservation.state() == state {
            return reservation;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn only_what_is_still_held_expires_and_its_pieces_are_back_once() {
    everywhere(async |service| {
        let (tea, mut orders) = (service.offer("Tea", 100).await, service.orders());
        let (clock, _workers) = workers(&service);
        for id in ["held", "confirmed", "sold", "released"] {
            let wanted = held_for(60, pieces(&[(&tea, 10)]));
            reserve(&mut orders, id, wanted).await.unwrap();
        }
        confirm(&mut orders, "confirmed").await.unwrap();
        commit(&mut orders, "sold").await.unwrap();
        release(&mut orders, "released").await.unwrap();
        // The last to expire: when it has, the others were looked at.
        reserve(&mut orders, "later", held_for(61, pieces(&[(&tea, 10)]))).await.unwrap();
        assert_eq!(service.pieces(&tea).await, (60, 30, 10));

        clock.fetch_add(120 * 1_000_000, SeqCst);
        until(&mut orders, "later", State::Expired).await;
        let expired = until(&mut orders, "held", State::Expired).await;
        assert_eq!(expired.expire_time, None);
        for (id, state) in [
            ("confirmed", State::Confirmed),
            ("sold", State::Committed),
            ("released", State::Released),
        ] {
            assert_eq!(get(&mut orders, id).await.unwrap().state(), state);
        }
        assert_eq!(service.pieces(&tea).await, (80, 10, 10));

        // Undoing what has expired is done already; everything else is too late.
        assert_eq!(release(&mut orders, "held").await.unwrap(), expired);
        assert_eq!(refused(commit(&mut orders, "held").await).1, "RESERVATION_EXPIRED");
        assert_eq!(refused(confirm(&mut orders, "held").await).1, "RESERVATION_EXPIRED");
        let again = reserve(&mut orders, "held", pieces(&[(&tea, 10)])).await;
        assert_eq!(refused(again).1, "RESERVATION_EXPIRED");
        assert_eq!(service.pieces(&tea).await, (80, 10, 10));
    })
    .await;
}

#[tokio::test]
async fn expiry_and_release_at_once_put_the_pieces_back_once() {
    everywhere(async |service| {
        let (tea, mut orders) = (service.offer("Tea", 100).await, service.orders());
        let (clock, _workers) = workers(&service);
        let ids: Vec<_> = (0..12).map(|n| format!("race-{n}")).collect();
        for id in &ids {
            reserve(&mut orders, id, held_for(60, pieces(&[(&tea, 5)]))).await.unwrap();
        }
        clock.fetch_add(120 * 1_000_000, SeqCst);
        for id in &ids {
            let ended = release(&mut orders, id).await.unwrap();
            assert!(matches!(ended.state(), State::Released | State::Expired), "{ended:?}");
        }
        assert_eq!(service.pieces(&tea).await, (100, 0, 0));
        let ended = ["StockReserved", "ReservationReleased", "ReservationExpired"];
        let told = service.told().await;
        let told = told.iter().filter(|event| ended.iter().any(|end| event.r#type.ends_with(end)));
        assert_eq!(told.count(), 2 * ids.len());
    })
    .await;
}
