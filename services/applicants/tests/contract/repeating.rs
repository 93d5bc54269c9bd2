//! Applying under an idempotency key: a call that is made again finds what the
//! first one did.

use titan::applicants::v1::SubmissionStarted;
use tonic::{Code, Status};

use crate::support::{everywhere, refusal, refused, violations};

#[tokio::test]
async fn a_repeated_call_is_answered_as_the_first_and_has_no_further_effect() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let ada = service.user("ada");
        let first = ada.apply_once("key-1", &bridge, "Hello").await.unwrap();
        let second = ada.apply_once("key-1", &bridge, "Hello").await.unwrap();
        assert_eq!(first, second);
        assert_eq!(ada.applicant("applicants/me").await.unwrap().submission_count, 1);

        let later = service.user("bob").apply(&bridge).await.unwrap();
        let mut told = service.told().await;
        assert_eq!(told.next_of::<SubmissionStarted>().await.submission, first.name);
        assert_eq!(told.next_of::<SubmissionStarted>().await.submission, later.name);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_call_finds_its_answer_though_the_world_has_moved_on() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let ada = service.user("ada");
        let first = ada.apply_once("key-1", &bridge, "").await.unwrap();
        ada.cancel(&first.name, "").await.unwrap();
        service.projects.archive(&bridge).await;
        assert_eq!(ada.apply_once("key-1", &bridge, "").await.unwrap(), first);
        service.projects.delete(&bridge).await;
        assert_eq!(ada.apply_once("key-1", &bridge, "").await.unwrap(), first);
    })
    .await;
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_caller() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let tower = service.projects.publish("tower", "Tower");
        let (ada, bob) = (service.user("ada"), service.user("bob"));
        let first = ada.apply_once("key-1", &bridge, "Hello").await.unwrap();
        let reused = refusal(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
        assert_eq!(refused(ada.apply_once("key-1", &bridge, "Good day").await), reused);
        assert_eq!(refused(ada.apply_once("key-1", &tower, "Hello").await), reused);
        let others = bob.apply_once("key-1", &bridge, "Hello").await.unwrap();
        assert_ne!(first.name, others.name);
    })
    .await;
}

#[tokio::test]
async fn a_refused_call_leaves_its_key_free() {
    everywhere(async |service| {
        let ada = service.user("ada");
        let answer = ada.apply_once("key-1", "projects/bridge", "").await;
        assert_eq!(refused(answer), refusal(Code::NotFound, "PROJECT_NOT_FOUND"));
        let bridge = service.projects.publish("bridge", "Bridge");
        service.projects.fail(Some(Status::unavailable("away")));
        let answer = ada.apply_once("key-1", &bridge, "").await;
        assert_eq!(refused(answer).0, Code::Unavailable);
        service.projects.fail(None);
        assert!(ada.apply_once("key-1", &bridge, "").await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_bad_key_is_refused() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let answer = service.user("ada").apply_once(&"x".repeat(129), &bridge, "").await;
        assert_eq!(violations(answer), ["idempotency-key"]);
    })
    .await;
}

#[tokio::test]
async fn racing_calls_under_one_key_start_one_submission() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let (ada, bridge) = (service.user("ada"), bridge.clone());
                tokio::spawn(async move { ada.apply_once("key-1", &bridge, "").await })
            })
            .collect();
        let mut answers = Vec::new();
        for racer in racers {
            answers.push(racer.await.unwrap().unwrap());
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(
            service.user("ada").applicant("applicants/me").await.unwrap().submission_count,
            1
        );
    })
    .await;
}
