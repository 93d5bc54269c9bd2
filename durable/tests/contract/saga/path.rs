//! The way forward, the way back, and where nobody knows.

use durable::saga::{Refusal, Status};

use super::{Fate, cases};

#[tokio::test]
async fn steps_are_done_in_their_order_under_keys_of_their_own() {
    for case in cases().await {
        let running = case.run();
        assert!(case.start(&running, "t1").await);
        let saga = case.rests("t1").await;
        assert_eq!(saga.status, Status::Completed, "{}", case.name);
        let keys = ["trip/t1/flight/do", "trip/t1/hotel/do", "trip/t1/ticket/do"];
        assert_eq!(case.world.calls(), keys);
        let story = ["> Started", ">flight Done", ">hotel Done", ">ticket Done", "> Ended"];
        assert_eq!(case.story("t1").await, story);
    }
}

#[tokio::test]
async fn a_refusal_undoes_the_steps_before_it_last_first() {
    for case in cases().await {
        let running = case.run();
        case.world.next("hotel/do", &[Fate::Refuse]);
        case.start(&running, "t1").await;
        let saga = case.rests("t1").await;
        assert_eq!(saga.status, Status::Compensated, "{}", case.name);
        let why = Refusal { reason: "SOLD_OUT".into(), message: "none left".into() };
        assert_eq!(saga.refusal, Some(why));
        let keys = ["trip/t1/flight/do", "trip/t1/hotel/do", "trip/t1/flight/undo"];
        assert_eq!(case.world.calls(), keys);
    }
}

#[tokio::test]
async fn a_refusal_of_the_first_step_leaves_nothing_to_undo() {
    for case in cases().await {
        let running = case.run();
        case.world.next("flight/do", &[Fate::Refuse]);
        case.start(&running, "t1").await;
        assert_eq!(case.rests("t1").await.status, Status::Compensated, "{}", case.name);
        assert_eq!(case.world.calls(), ["trip/t1/flight/do"]);
    }
}

#[tokio::test]
async fn silence_is_met_with_the_same_key_again() {
    for case in cases().await {
        let running = case.run();
        case.world.next("hotel/do", &[Fate::Silence, Fate::Panic]);
        case.start(&running, "t1").await;
        assert_eq!(case.rests("t1").await.status, Status::Completed, "{}", case.name);
        let hotels = case.world.calls().iter().filter(|key| *key == "trip/t1/hotel/do").count();
        assert_eq!(hotels, 3);
    }
}

#[tokio::test]
async fn silence_to_the_limit_undoes_the_silent_step_too() {
    for case in cases().await {
        let running = case.run();
        case.world.always("hotel/do", Fate::Silence);
        case.start(&running, "t1").await;
        let saga = case.rests("t1").await;
        assert_eq!(saga.status, Status::Compensated, "{}", case.name);
        assert_eq!(saga.refusal.unwrap().reason, "OUTCOME_UNKNOWN");
        let undone = case.world.calls()[4..].to_vec();
        assert_eq!(undone, ["trip/t1/hotel/undo", "trip/t1/flight/undo"]);
    }
}

#[tokio::test]
async fn a_refusal_after_silence_undoes_the_step_that_may_be_on_its_way() {
    for case in cases().await {
        let running = case.run();
        case.world.next("hotel/do", &[Fate::Silence, Fate::Refuse]);
        case.start(&running, "t1").await;
        let saga = case.rests("t1").await;
        assert_eq!(saga.status, Status::Compensated, "{}", case.name);
        assert_eq!(saga.refusal.unwrap().reason, "SOLD_OUT");
        let undone = case.world.calls()[3..].to_vec();
        assert_eq!(undone, ["trip/t1/hotel/undo", "trip/t1/flight/undo"]);
    }
}

#[tokio::test]
async fn after_the_pivot_a_refusal_is_repeated_and_then_asked_about() {
    for case in cases().await {
        let running = case.run();
        case.world.always("ticket/do", Fate::Refuse);
        case.start(&running, "t1").await;
        let saga = case.rests("t1").await;
        assert_eq!((saga.status, &*saga.step), (Status::NeedsAttention, "ticket"));
        assert!(!case.world.calls().iter().any(|key| key.ends_with("undo")), "{}", case.name);
        let tickets = case.world.calls().iter().filter(|key| key.contains("ticket")).count();
        assert_eq!(tickets, 3);
    }
}

#[tokio::test]
async fn a_compensation_that_keeps_failing_is_never_called_compensated() {
    for case in cases().await {
        let running = case.run();
        case.world.next("hotel/do", &[Fate::Refuse]);
        case.world.always("flight/undo", Fate::Silence);
        case.start(&running, "t1").await;
        let saga = case.rests("t1").await;
        assert_eq!((saga.status, &*saga.step), (Status::NeedsAttention, "flight"), "{}", case.name);
        assert_eq!(saga.error, "Unavailable: no answer");
    }
}
