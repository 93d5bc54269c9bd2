//! Every wish in every state.

use super::*;

fn line(product: &str, quantity: i64) -> Line {
    Line { product: ProductId::named(product), quantity }
}

fn hold(quantity: i64) -> Wish {
    Wish::Hold { lines: vec![line("products/tea", quantity)], until: 100 }
}

/// What comes of some wishes, one a microsecond, and what they did to the stock.
fn after(wishes: &[Wish]) -> (Result<State, Refusal>, Vec<Move>) {
    let (mut known, mut moves) = (None, Vec::new());
    for (wish, at) in wishes.iter().zip(1..) {
        match Reservation::follow(known, ReservationId::new("1"), wish.clone(), at) {
            Ok((reservation, does)) => {
                known = Some(reservation);
                moves.extend(does);
            }
            Err(refusal) => return (Err(refusal), moves),
        }
    }
    (Ok(known.unwrap().state), moves)
}

#[test]
fn pieces_move_once_however_often_it_is_wished_for() {
    use Wish::{Commit, Confirm, Release};
    for (wishes, state, moves) in [
        (vec![hold(2), hold(2)], State::Held { until: 100 }, vec![Move::SetAside]),
        (
            vec![hold(2), Confirm, Confirm, hold(2), Commit, Commit, Confirm],
            State::Committed,
            vec![Move::SetAside, Move::None, Move::Sell],
        ),
        (vec![hold(2), Commit, hold(2)], State::Committed, vec![Move::SetAside, Move::Sell]),
        (vec![hold(2), Release, Release], State::Released, vec![Move::SetAside, Move::PutBack]),
        (
            vec![hold(2), Confirm, Release],
            State::Released,
            vec![Move::SetAside, Move::None, Move::PutBack],
        ),
        (vec![Release, Release], State::Released, vec![Move::None]),
    ] {
        assert_eq!(after(&wishes), (Ok(state), moves), "{wishes:?}");
    }
}

#[test]
fn what_comes_too_late_is_refused() {
    use Wish::{Commit, Confirm, Expire, Release};
    for (wishes, refusal) in [
        (vec![Release, hold(2)], Refusal::Released),
        (vec![hold(2), Release, Commit], Refusal::Released),
        (vec![hold(2), Release, Confirm], Refusal::Released),
        (vec![hold(2), Release, hold(2)], Refusal::Released),
        (vec![hold(2), Commit, Release], Refusal::Committed),
        (vec![hold(2), hold(3)], Refusal::Different),
        (vec![Commit], Refusal::Unknown),
        (vec![Confirm], Refusal::Unknown),
        (vec![Expire], Refusal::Unknown),
    ] {
        assert_eq!(after(&wishes).0, Err(refusal), "{wishes:?}");
    }
}

#[test]
fn only_what_is_held_expires_and_only_after_its_time() {
    let make = |wishes: &[Wish]| {
        wishes.iter().fold(None, |known, wish| {
            let id = ReservationId::new("1");
            Some(Reservation::follow(known, id, wish.clone(), 1).unwrap().0)
        })
    };
    let expire = |wishes: &[Wish], at| {
        Reservation::follow(make(wishes), ReservationId::new("1"), Wish::Expire, at).unwrap()
    };
    assert_eq!(expire(&[hold(2)], 99).1, None);
    let (expired, does) = expire(&[hold(2)], 100);
    assert_eq!((expired.state, does), (State::Expired, Some(Move::PutBack)));
    for wishes in [
        &[hold(2), Wish::Confirm][..],
        &[hold(2), Wish::Commit],
        &[hold(2), Wish::Release],
        &[Wish::Release],
    ] {
        assert_eq!(expire(wishes, 1_000).1, None, "{wishes:?}");
    }
    for (late, answer) in [
        (Wish::Commit, Err(Refusal::Expired)),
        (Wish::Confirm, Err(Refusal::Expired)),
        (hold(2), Err(Refusal::Expired)),
        (Wish::Expire, Ok((expired.clone(), None))),
        (Wish::Release, Ok((expired.clone(), None))),
    ] {
        let id = ReservationId::new("1");
        assert_eq!(Reservation::follow(Some(expired.clone()), id, late, 101), answer);
    }
}
