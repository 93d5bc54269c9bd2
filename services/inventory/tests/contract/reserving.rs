//! Reservations: all lines or none, each change once, in any order of arrival.

use titan::inventory::v1::{CreateReservationRequest, ListReservationsRequest, reservation::State};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{
    Reservations, commit, confirm, everywhere, get, held_for, keyed, pieces, refusal, refused,
    release, reserve, violations,
};

#[tokio::test]
async fn pieces_are_set_aside_confirmed_and_sold() {
    everywhere(async |service| {
        let (tea, cup) = (service.offer("Tea", 10).await, service.offer("Cup", 3).await);
        let mut orders = service.orders();
        let wanted = pieces(&[(&tea, 4), (&cup, 1)]);
        let held = reserve(&mut orders, "1", wanted.clone()).await.unwrap();
        assert_eq!((held.state(), &held.lines), (State::Held, &wanted.lines));
        let life = held.expire_time.unwrap().seconds - held.create_time.unwrap().seconds;
        assert_eq!(life, 15 * 60);
        assert_eq!(service.pieces(&tea).await, (6, 4, 0));
        assert_eq!(reserve(&mut orders, "1", wanted.clone()).await.unwrap(), held);
        let kept = confirm(&mut orders, "1").await.unwrap();
        assert_eq!((kept.state(), kept.expire_time), (State::Confirmed, None));
        assert_eq!(confirm(&mut orders, "1").await.unwrap(), kept);
        let sold = commit(&mut orders, "1").await.unwrap();
        assert_eq!(commit(&mut orders, "1").await.unwrap(), sold);
        assert_eq!(sold.state(), State::Committed);
        assert_eq!(
            (service.pieces(&tea).await, service.pieces(&cup).await),
            ((6, 0, 4), (2, 0, 1))
        );
        let late = refusal(Code::FailedPrecondition, "RESERVATION_COMMITTED");
        assert_eq!(refused(release(&mut orders, "1").await), late);
        assert_eq!(get(&mut orders, "1").await.unwrap(), sold);
    })
    .await;
}

#[tokio::test]
async fn all_lines_are_reserved_or_none() {
    everywhere(async |service| {
        let (tea, cup) = (service.offer("Tea", 10).await, service.offer("Cup", 3).await);
        let (spoon, mut orders) = (service.offer("Spoon", 0).await, service.orders());
        let wanted = pieces(&[(&tea, 10), (&cup, 4), (&spoon, 1)]);
        let answer = reserve(&mut orders, "1", wanted).await;
        let details = answer.as_ref().unwrap_err().get_details_precondition_failure().unwrap();
        let mut short: Vec<_> = details.violations.into_iter().map(|it| it.subject).collect();
        short.sort();
        let mut expected = [cup.name.clone(), spoon.name];
        expected.sort();
        assert_eq!(short, expected);
        assert_eq!(refused(answer), refusal(Code::FailedPrecondition, "OUT_OF_STOCK"));
        for product in [&tea, &cup] {
            assert_eq!(service.pieces(product).await.1, 0);
        }
        let missing = refusal(Code::NotFound, "RESERVATION_NOT_FOUND");
        assert_eq!(refused(get(&mut orders, "1").await), missing);
        // Refused is not final: the same reservation may be made when there is more.
        service.receive(&cup, 1).await.unwrap();
        reserve(&mut orders, "1", pieces(&[(&tea, 10), (&cup, 4)])).await.unwrap();
        assert_eq!(service.pieces(&cup).await, (0, 4, 0));
    })
    .await;
}

#[tokio::test]
async fn released_pieces_are_back_once_and_the_reservation_stays_released() {
    everywhere(async |service| {
        let (tea, mut orders) = (service.offer("Tea", 10).await, service.orders());
        for (id, confirmed) in [("1", false), ("2", true)] {
            reserve(&mut orders, id, pieces(&[(&tea, 4)])).await.unwrap();
            if confirmed {
                confirm(&mut orders, id).await.unwrap();
            }
            let released = release(&mut orders, id).await.unwrap();
            assert_eq!(release(&mut orders, id).await.unwrap(), released);
            assert_eq!(service.pieces(&tea).await, (10, 0, 0));
            let late = refusal(Code::FailedPrecondition, "RESERVATION_RELEASED");
            assert_eq!(refused(reserve(&mut orders, id, pieces(&[(&tea, 4)])).await), late);
            assert_eq!(refused(confirm(&mut orders, id).await), late);
            assert_eq!(refused(commit(&mut orders, id).await), late);
        }
    })
    .await;
}

#[tokio::test]
async fn a_release_that_comes_first_refuses_the_reservation_that_comes_late() {
    everywhere(async |service| {
        let (tea, mut orders) = (service.offer("Tea", 10).await, service.orders());
        let tombstone = release(&mut orders, "1").await.unwrap();
        assert_eq!((tombstone.state(), tombstone.lines.len()), (State::Released, 0));
        let late = refusal(Code::FailedPrecondition, "RESERVATION_RELEASED");
        assert_eq!(refused(reserve(&mut orders, "1", pieces(&[(&tea, 4)])).await), late);
        assert_eq!(service.pieces(&tea).await, (10, 0, 0));
        assert_eq!(get(&mut orders, "1").await.unwrap(), tombstone);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_reserved_is_refused() {
    everywhere(async |service| {
        let (tea, mut orders) = (service.offer("Tea", 10).await, service.orders());
        for (reservation, field) in [
            (pieces(&[]), "reservation.lines"),
            (pieces(&[(&tea, 1), (&tea, 2)]), "reservation.lines"),
            (pieces(&[(&tea, 0)]), "reservation.lines[0].quantity"),
            (pieces(&[(&tea, -1)]), "reservation.lines[0].quantity"),
            (pieces(&[(&tea, i64::MAX)]), "reservation.lines[0].quantity"),
            (held_for(0, pieces(&[(&tea, 1)])), "reservation.ttl"),
            (held_for(86_401, pieces(&[(&tea, 1)])), "reservation.ttl"),
        ] {
            assert_eq!(violations(reserve(&mut orders, "1", reservation).await), [field]);
        }
        let nothing = titan::inventory::v1::Product { name: "products/no".into(), ..tea.clone() };
        let answer = reserve(&mut orders, "1", pieces(&[(&tea, 1), (&nothing, 1)])).await;
        assert_eq!(refused(answer), refusal(Code::NotFound, "PRODUCT_NOT_FOUND"));
        reserve(&mut orders, "1", pieces(&[(&tea, 1)])).await.unwrap();
        let answer = reserve(&mut orders, "1", pieces(&[(&tea, 2)])).await;
        assert_eq!(refused(answer), refusal(Code::AlreadyExists, "RESERVATION_EXISTS"));
        assert_eq!(service.pieces(&tea).await, (9, 1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_key_gives_the_first_answer_again_and_no_other_request() {
    everywhere(async |service| {
        let (tea, mut orders) = (service.offer("Tea", 10).await, service.orders());
        let request = |id: &str| {
            let reservation = Some(pieces(&[(&tea, 4)]));
            let request = CreateReservationRequest { reservation_id: id.into(), reservation };
            keyed("saga-1/reserve/do", request)
        };
        let first = orders.create_reservation(request("1")).await.unwrap().into_inner();
        commit(&mut orders, "1").await.unwrap();
        let again = orders.create_reservation(request("1")).await.unwrap().into_inner();
        assert_eq!(again, first);
        let reused = refusal(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
        assert_eq!(refused(orders.create_reservation(request("2")).await), reused);
        assert_eq!(service.pieces(&tea).await, (6, 0, 4));
    })
    .await;
}

#[tokio::test]
async fn only_the_shop_and_administrators_reserve() {
    everywhere(async |service| {
        let tea = service.offer("Tea", 10).await;
        reserve(&mut service.orders(), "1", pieces(&[(&tea, 4)])).await.unwrap();
        for (channel, code) in [
            (service.as_user("ada", &[]), Code::PermissionDenied),
            (service.process("shipping"), Code::Unauthenticated),
            (service.nobody(), Code::Unauthenticated),
        ] {
            let mut caller = Reservations::new(channel);
            let answer = reserve(&mut caller, "2", pieces(&[(&tea, 1)])).await;
            assert_eq!(refused(answer).0, code);
            assert_eq!(refused(get(&mut caller, "1").await).0, code);
            assert_eq!(refused(confirm(&mut caller, "1").await).0, code);
            assert_eq!(refused(commit(&mut caller, "1").await).0, code);
            assert_eq!(refused(release(&mut caller, "1").await).0, code);
        }
        let mut admin = Reservations::new(service.as_user("root", &["admin"]));
        release(&mut admin, "2").await.unwrap();
        let filter = "state = STATE_HELD".to_owned();
        let request = ListReservationsRequest { filter, ..Default::default() };
        let held = admin.list_reservations(request).await.unwrap().into_inner().reservations;
        assert_eq!(held.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["reservations/1"]);
    })
    .await;
}
