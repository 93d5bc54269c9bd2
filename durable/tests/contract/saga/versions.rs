//! Definitions change while sagas are under way.

use durable::saga::{self, Status};

use super::{Definition, Fate, Running, Step, World, act, cases, step, trip};

/// Version 2 asks for the hotel first, and needs no ticket.
fn second(world: &World) -> Definition<super::Trip, World> {
    Definition::new("trip", 2, world.clone()).step("hotel", step()).step("flight", step())
}

#[tokio::test]
async fn old_sagas_finish_on_their_version_and_new_ones_begin_with_the_newest() {
    for case in cases().await {
        let before = case.run();
        case.world.always("ticket/do", Fate::Silence);
        case.start(&before, "old").await;
        case.rests("old").await;
        drop(before);
        case.world.heal();
        let after = Running::new(&case.store, |sagas| {
            sagas.define(second(&case.world)).define(trip(&case.world))
        });
        case.start(&after, "new").await;
        assert_eq!(case.rests("new").await.version, 2, "{}", case.name);
        saga::retry(&case.store, "old", "").await.unwrap();
        let old = case.rests("old").await;
        assert_eq!((old.version, old.status), (1, Status::Completed));
        let keys = ["trip/new/hotel/do", "trip/new/flight/do", "trip/old/ticket/do"];
        let calls = case.world.calls();
        assert_eq!(calls[calls.len() - 3..], keys);
    }
}

#[tokio::test]
async fn a_saga_whose_definition_is_gone_asks_and_is_finished_when_it_is_back() {
    for case in cases().await {
        let before = case.run();
        case.world.always("hotel/do", Fate::Hang);
        case.start(&before, "t1").await;
        case.happens("t1", saga::Happening::Done).await;
        drop(before);
        case.world.heal();
        let without = Running::new(&case.store, |sagas| sagas.define(second(&case.world)));
        let saga = case.rests("t1").await;
        assert_eq!(saga.status, Status::NeedsAttention, "{}", case.name);
        assert_eq!(saga.error, "trip in version 1 is not defined here");
        drop(without);
        let _with = case.run();
        saga::retry(&case.store, "t1", "deployed again").await.unwrap();
        assert_eq!(case.rests("t1").await.status, Status::Completed);
    }
}

#[tokio::test]
async fn a_saga_whose_step_is_gone_asks() {
    for case in cases().await {
        let before = case.run();
        case.world.always("hotel/do", Fate::Hang);
        case.start(&before, "t1").await;
        case.happens("t1", saga::Happening::Done).await;
        drop(before);
        let _after = Running::new(&case.store, |sagas| {
            sagas.define(Definition::new("trip", 1, case.world.clone()).step("flight", step()))
        });
        let saga = case.rests("t1").await;
        assert_eq!(saga.error, "trip in version 1 has no step hotel", "{}", case.name);
        assert_eq!(saga.status, Status::NeedsAttention);
    }
}

#[tokio::test]
async fn a_step_whose_compensation_is_gone_asks_and_is_not_done_once_more() {
    for case in cases().await {
        let before = case.run();
        case.world.always("flight/undo", Fate::Hang);
        case.world.next("hotel/do", &[Fate::Refuse]);
        case.start(&before, "t1").await;
        case.happens("t1", saga::Happening::Refused).await;
        drop(before);
        let _after = Running::new(&case.store, |sagas| {
            let flight = Step::run(act).without_undo("a test");
            let definition = Definition::new("trip", 1, case.world.clone());
            sagas.define(definition.step("flight", flight).step("hotel", step()))
        });
        let saga = case.rests("t1").await;
        assert_eq!(saga.error, "trip in version 1 does not undo flight", "{}", case.name);
        assert_eq!(saga.status, Status::NeedsAttention);
        assert_eq!(case.world.calls().iter().filter(|key| key.ends_with("/do")).count(), 2);
    }
}

#[tokio::test]
#[should_panic(expected = "has two steps flight")]
async fn two_steps_of_one_name_are_a_mistake_of_the_program() {
    let backend = durable::testing::sqlite();
    let store = backend.open(&[]).await;
    let definition = Definition::new("trip", 1, World::default());
    let _ = Running::new(&store, |sagas| {
        sagas.define(definition.step("flight", step()).step("flight", step()))
    });
}
