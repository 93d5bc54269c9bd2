//! A payment against a provider that answers, declines, or is never heard of.

use super::*;

fn terms(minor: i64) -> Terms {
    let amount = Money { currency: "EUR".into(), minor };
    Terms { customer: "users/ada".into(), amount, card: "card-ok".into() }
}

fn id() -> PaymentId {
    PaymentId::new("order-1")
}

fn done(captured: i64, refunded: i64) -> Outcome {
    Outcome::Done { captured, refunded }
}

fn wish(known: Option<Payment>, wish: &Wish) -> Result<Payment, Refusal> {
    Payment::wish(known, &id(), wish, 7)
}

/// A payment in each state that it can be in.
fn all() -> Vec<Payment> {
    let authorizing = wish(None, &Wish::Authorize(terms(500))).unwrap();
    let authorized = authorizing.clone().settle(Action::Authorize, &done(0, 0), 8);
    let capturing = wish(Some(authorized.clone()), &Wish::Capture).unwrap();
    let captured = capturing.clone().settle(Action::Capture, &done(500, 0), 9);
    let undoing = wish(Some(captured.clone()), &Wish::Refund).unwrap();
    let refunded = undoing.clone().settle(Action::Undo, &done(500, 500), 10);
    let no = Outcome::Declined { reason: "no".into() };
    let declined = authorizing.clone().settle(Action::Authorize, &no, 8);
    let voided = wish(Some(authorized.clone()), &Wish::Void).unwrap();
    let voided = voided.settle(Action::Undo, &done(0, 0), 9);
    vec![authorizing, authorized, capturing, captured, undoing, refunded, declined, voided]
}

#[test]
fn a_payment_goes_from_authorised_to_captured_to_refunded() {
    let states: Vec<_> = all().into_iter().map(|payment| payment.state).collect();
    let expected = [
        State::Authorizing,
        State::Authorized,
        State::Capturing,
        State::Captured,
        State::Undoing,
        State::Refunded,
        State::Declined,
        State::Voided,
    ];
    assert_eq!(states, expected);
    let refunded = &all()[5];
    assert_eq!((refunded.captured, refunded.refunded), (500, 500));
}

#[test]
fn a_refund_ends_in_nothing_taken_wherever_it_starts() {
    for payment in all() {
        let before = payment.clone();
        let undoing = wish(Some(payment), &Wish::Refund).unwrap();
        match before.state {
            State::Refunded | State::Voided => assert_eq!(undoing, before),
            _ => assert_eq!(undoing.due(), Some(Action::Undo), "{before:?}"),
        }
        // The provider alone knows whether a capture without an answer was made.
        for (captured, state) in [(0, State::Voided), (500, State::Refunded)] {
            let undone = undoing.clone().settle(Action::Undo, &done(captured, captured), 9);
            assert_eq!(undone.captured, undone.refunded);
            assert!(undoing.due().is_none() || undone.state == state);
        }
    }
}

#[test]
fn once_it_is_undone_nothing_else_happens() {
    for payment in all() {
        let undoing = wish(Some(payment), &Wish::Refund).unwrap();
        for late in [Wish::Authorize(terms(500)), Wish::Capture] {
            assert_eq!(wish(Some(undoing.clone()), &late), Err(Refusal::Undone));
        }
        for action in [Action::Authorize, Action::Capture] {
            assert_eq!(undoing.clone().settle(action, &done(500, 0), 9), undoing);
        }
    }
}

#[test]
fn an_answer_is_noted_once() {
    let capturing = all().swap_remove(2);
    let captured = capturing.settle(Action::Capture, &done(500, 0), 9);
    assert_eq!(captured.clone().settle(Action::Capture, &done(1_000, 0), 10), captured);
}

#[test]
fn voiding_waits_for_a_capture_and_is_refused_when_it_was_made() {
    let payments = all();
    let capturing = wish(Some(payments[2].clone()), &Wish::Void).unwrap();
    assert_eq!(capturing.due(), Some(Action::Capture));
    assert_eq!(wish(Some(payments[3].clone()), &Wish::Void), Err(Refusal::Captured));
    for payment in [&payments[0], &payments[1], &payments[6]] {
        let undoing = wish(Some(payment.clone()), &Wish::Void).unwrap();
        assert_eq!(undoing.due(), Some(Action::Undo));
    }
}

#[test]
fn what_is_undone_before_it_is_made_is_never_made() {
    for undo in [Wish::Void, Wish::Refund] {
        let tombstone = wish(None, &undo).unwrap();
        assert_eq!((tombstone.state, tombstone.due()), (State::Voided, None));
        let late = wish(Some(tombstone.clone()), &Wish::Authorize(terms(500)));
        assert_eq!(late, Err(Refusal::Undone));
        assert_eq!(wish(Some(tombstone.clone()), &undo), Ok(tombstone));
    }
    assert_eq!(wish(None, &Wish::Capture), Err(Refusal::Unknown));
}

#[test]
fn other_terms_under_the_same_id_are_refused_in_every_state() {
    for payment in all() {
        let answer = wish(Some(payment), &Wish::Authorize(terms(501)));
        assert_eq!(answer, Err(Refusal::Different));
    }
}
