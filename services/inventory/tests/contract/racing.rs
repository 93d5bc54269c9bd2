//! Two replicas and many callers: pieces are conserved and never negative.

use tonic::Code;

use crate::support::{commit, everywhere, get, pieces, refused, release, reserve};

#[tokio::test]
async fn of_many_who_want_the_last_pieces_as_many_get_some_as_there_are() {
    everywhere(async |service| {
        let (tea, cup) = (service.offer("Tea", 5).await, service.offer("Cup", 100).await);
        let racers: Vec<_> = (0..16)
            .map(|n| {
                let (mut orders, tea, cup) = (service.orders(), tea.clone(), cup.clone());
                // In both orders of lines, so that they would wait for each other.
                let wanted = match n % 2 {
                    0 => pieces(&[(&tea, 1), (&cup, 2)]),
                    _ => pieces(&[(&cup, 2), (&tea, 1)]),
                };
                tokio::spawn(async move { reserve(&mut orders, &format!("{n}"), wanted).await })
            })
            .collect();
        let mut won = 0;
        for racer in racers {
            match racer.await.unwrap() {
                Ok(_) => won += 1,
                lost => assert_eq!(refused(lost).1, "OUT_OF_STOCK"),
            }
        }
        assert_eq!(won, 5);
        assert_eq!(
            (service.pieces(&tea).await, service.pieces(&cup).await),
            ((0, 5, 0), (90, 10, 0))
        );
    })
    .await;
}

#[tokio::test]
async fn the_same_reservation_from_many_sides_moves_pieces_once() {
    everywhere(async |service| {
        let tea = service.offer("Tea", 5).await;
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let (mut orders, wanted) = (service.orders(), pieces(&[(&tea, 2)]));
                tokio::spawn(async move { reserve(&mut orders, "1", wanted).await })
            })
            .collect();
        for racer in racers {
            racer.await.unwrap().unwrap();
        }
        assert_eq!(service.pieces(&tea).await, (3, 2, 0));
    })
    .await;
}

#[tokio::test]
async fn of_racing_sales_and_releases_one_side_wins() {
    everywhere(async |service| {
        let tea = service.offer("Tea", 100).await;
        let mut sold = 0;
        for round in 0..8 {
            let id = format!("race-{round}");
            reserve(&mut service.orders(), &id, pieces(&[(&tea, 3)])).await.unwrap();
            let (mut seller, mut undoer) = (service.orders(), service.orders());
            let race = tokio::join!(commit(&mut seller, &id), release(&mut undoer, &id));
            let last = get(&mut seller, &id).await.unwrap();
            match race {
                (Ok(won), lost) => {
                    assert_eq!(refused(lost).0, Code::FailedPrecondition);
                    assert_eq!(won, last);
                    sold += 3;
                }
                (lost, won) => {
                    assert_eq!(refused(lost).0, Code::FailedPrecondition);
                    assert_eq!(won.unwrap(), last);
                }
            }
            assert_eq!(service.pieces(&tea).await, (100 - sold, 0, sold));
        }
    })
    .await;
}

#[tokio::test]
async fn of_a_race_between_making_and_releasing_nothing_stays_aside() {
    everywhere(async |service| {
        let tea = service.offer("Tea", 10).await;
        for round in 0..8 {
            let id = format!("race-{round}");
            let (mut maker, mut undoer) = (service.orders(), service.orders());
            let made = reserve(&mut maker, &id, pieces(&[(&tea, 3)]));
            let (made, undone) = tokio::join!(made, release(&mut undoer, &id));
            undone.unwrap();
            if made.is_err() {
                assert_eq!(refused(made).1, "RESERVATION_RELEASED");
            }
            assert_eq!(service.pieces(&tea).await, (10, 0, 0));
        }
    })
    .await;
}
