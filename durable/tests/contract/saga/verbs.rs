//! What humans ask of sagas.

use durable::saga::{self, Happening, Retry, Status};
use tonic::Code;

use super::{Case, Definition, Duration, Fate, Running, Step, act, cases, step};

/// A saga whose compensation failed until it asked.
async fn stuck(case: &Case, running: &Running) {
    case.world.next("hotel/do", &[Fate::Refuse]);
    case.world.always("flight/undo", Fate::Silence);
    case.start(running, "t1").await;
    let saga = case.rests("t1").await;
    assert_eq!(saga.status, Status::NeedsAttention, "{}", case.name);
    assert_eq!(saga.attempts, super::QUICK.attempts, "all of them are told");
    case.world.heal();
}

#[tokio::test]
async fn a_retry_finishes_what_failed() {
    for case in cases().await {
        let running = case.run();
        stuck(&case, &running).await;
        saga::retry(&case.store, "t1", "the airline is back").await.unwrap();
        assert_eq!(case.rests("t1").await.status, Status::Compensated, "{}", case.name);
        let history = case.history("t1").await;
        let retried = history.iter().find(|entry| entry.happening == Happening::Retried).unwrap();
        assert_eq!(retried.detail, "the airline is back");
    }
}

#[tokio::test]
async fn a_skip_ends_it_and_is_not_called_compensated() {
    for case in cases().await {
        let running = case.run();
        stuck(&case, &running).await;
        saga::skip(&case.store, "t1", "refunded by phone").await.unwrap();
        case.happens("t1", Happening::Ended).await;
        assert_eq!(case.rests("t1").await.status, Status::Resolved, "{}", case.name);
        let story = case.story("t1").await;
        let asked = ["<flight NeedsAttention", "<flight Asked", "<flight Skipped", "< Ended"];
        assert_eq!(story[story.len() - 4..], asked);
    }
}

#[tokio::test]
async fn a_skip_after_the_pivot_goes_on_forward() {
    for case in cases().await {
        let running = case.run();
        case.world.always("ticket/do", Fate::Silence);
        case.start(&running, "t1").await;
        assert_eq!(case.rests("t1").await.status, Status::NeedsAttention, "{}", case.name);
        saga::skip(&case.store, "t1", "handed over by hand").await.unwrap();
        case.happens("t1", Happening::Ended).await;
        let saga = case.rests("t1").await;
        assert_eq!((saga.status, saga.direction), (Status::Resolved, saga::Direction::Do));
    }
}

#[tokio::test]
async fn a_cancelled_saga_undoes_what_may_have_happened() {
    for case in cases().await {
        // Waits so long between attempts that only the wish can end it in time.
        let hour = Duration::from_secs(3_600);
        let patient = Retry { attempts: 9, initial: hour, max: hour };
        let running = Running::new(&case.store, |sagas| {
            let hotel = Step::run(act).undo(act).retry(patient);
            sagas.define(
                Definition::new("trip", 1, case.world.clone())
                    .step("flight", step())
                    .step("hotel", hotel),
            )
        });
        case.world.next("hotel/do", &[Fate::Silence]);
        case.start(&running, "t1").await;
        case.happens("t1", Happening::Unknown).await;
        saga::cancel(&case.store, "t1", "changed my mind").await.unwrap();
        let saga = case.rests("t1").await;
        assert_eq!(saga.status, Status::Compensated, "{}", case.name);
        assert_eq!(saga.refusal.unwrap().reason, "CANCELLED");
        let undone = case.world.calls()[2..].to_vec();
        assert_eq!(undone, ["trip/t1/hotel/undo", "trip/t1/flight/undo"]);
    }
}

#[tokio::test]
async fn a_wish_that_makes_no_sense_is_refused() {
    for case in cases().await {
        let running = case.run();
        case.start(&running, "done").await;
        case.rests("done").await;
        case.world.always("ticket/do", Fate::Silence);
        case.start(&running, "pivoted").await;
        assert_eq!(case.rests("pivoted").await.status, Status::NeedsAttention);
        let store = &case.store;
        let cases = [
            (saga::retry(store, "none", "").await, Code::NotFound, "SAGA_NOT_FOUND"),
            (saga::cancel(store, "none", "").await, Code::NotFound, "SAGA_NOT_FOUND"),
            (
                saga::retry(store, "done", "").await,
                Code::FailedPrecondition,
                "SAGA_NEEDS_NO_ATTENTION",
            ),
            (
                saga::skip(store, "done", "").await,
                Code::FailedPrecondition,
                "SAGA_NEEDS_NO_ATTENTION",
            ),
            (saga::cancel(store, "done", "").await, Code::FailedPrecondition, "SAGA_ENDED"),
            (
                saga::cancel(store, "pivoted", "").await,
                Code::FailedPrecondition,
                "SAGA_NO_WAY_BACK",
            ),
        ];
        for (answer, code, reason) in cases {
            let status = tonic::Status::from(answer.unwrap_err());
            assert_eq!(status.code(), code, "{}", case.name);
            assert_eq!(mesh::status::reason(&status).as_deref(), Some(reason));
        }
        assert_eq!(case.story("done").await.len(), 5);
    }
}

#[tokio::test]
async fn sagas_are_listed_by_status_page_by_page() {
    for case in cases().await {
        let running = case.run();
        for id in ["a", "b", "c"] {
            case.start(&running, id).await;
            case.rests(id).await;
        }
        case.world.always("ticket/do", Fate::Refuse);
        case.start(&running, "d").await;
        case.rests("d").await;
        let ids = |sagas: Vec<saga::Record>| -> Vec<String> {
            sagas.iter().map(|saga| saga.id.to_string()).collect()
        };
        let store = &case.store;
        assert_eq!(ids(saga::list(store, "", None, 3).await.unwrap()), ["a", "b", "c"]);
        assert_eq!(ids(saga::list(store, "c", None, 3).await.unwrap()), ["d"]);
        let completed = saga::list(store, "a", Some(Status::Completed), 9).await.unwrap();
        assert_eq!(ids(completed), ["b", "c"], "{}", case.name);
        let unfinished = saga::unfinished(store).await.unwrap();
        assert_eq!(unfinished.len(), 1);
        assert_eq!((unfinished[0].0, unfinished[0].1), (Status::NeedsAttention, 1));
    }
}
