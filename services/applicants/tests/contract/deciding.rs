//! Approving and cancelling: who may, when it comes too late, and what happens
//! when both happen at once.

use titan::applicants::v1::{SubmissionApproved, SubmissionCancelled, submission::State};
use tonic::Code;

use crate::support::{everywhere, refusal, refused, violations};

#[tokio::test]
async fn only_the_projects_owner_approves() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let ada = service.user("ada");
        let started = ada.apply(&bridge).await.unwrap();
        let denied = refusal(Code::PermissionDenied, "NOT_PROJECT_OWNER");
        assert_eq!(refused(ada.approve(&started.name, "").await), denied);
        assert_eq!(refused(service.user("eve").approve(&started.name, "").await), denied);
        let answer = service.nobody().approve(&started.name, "").await;
        assert_eq!(refused(answer).0, Code::Unauthenticated);
        assert_eq!(ada.get(&started.name).await.unwrap(), started);

        let approved = service.user("olga").approve(&started.name, "").await.unwrap();
        assert_eq!(approved.state(), State::Approved);
        assert_eq!(ada.get(&started.name).await.unwrap(), approved);
    })
    .await;
}

#[tokio::test]
async fn only_the_applicant_cancels() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let ada = service.user("ada");
        let started = ada.apply(&bridge).await.unwrap();
        let denied = refusal(Code::PermissionDenied, "NOT_APPLICANT");
        assert_eq!(refused(service.user("olga").cancel(&started.name, "").await), denied);
        assert_eq!(refused(service.user("eve").cancel(&started.name, "").await), denied);
        let answer = service.nobody().cancel(&started.name, "").await;
        assert_eq!(refused(answer).0, Code::Unauthenticated);
        assert_eq!(ada.get(&started.name).await.unwrap(), started);

        let cancelled = ada.cancel(&started.name, "").await.unwrap();
        assert_eq!(cancelled.state(), State::Cancelled);
        assert_eq!(ada.get(&started.name).await.unwrap(), cancelled);
    })
    .await;
}

#[tokio::test]
async fn approving_again_succeeds_and_is_told_once() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let olga = service.user("olga");
        let started = service.user("ada").apply(&bridge).await.unwrap();
        let first = olga.approve(&started.name, &started.etag).await.unwrap();
        // The same request once more, as after a lost answer.
        let second = olga.approve(&started.name, &started.etag).await.unwrap();
        assert_eq!(first, second);

        let later = service.user("bob").apply(&bridge).await.unwrap();
        olga.approve(&later.name, "").await.unwrap();
        let mut told = service.told().await;
        for submission in [started.name, later.name] {
            let approver = "users/olga".into();
            let expected = SubmissionApproved { submission, approver };
            assert_eq!(told.next_of::<SubmissionApproved>().await, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn cancelling_again_succeeds_and_is_told_once() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let (ada, bob) = (service.user("ada"), service.user("bob"));
        let started = ada.apply(&bridge).await.unwrap();
        let first = ada.cancel(&started.name, &started.etag).await.unwrap();
        let second = ada.cancel(&started.name, &started.etag).await.unwrap();
        assert_eq!(first, second);

        let later = bob.apply(&bridge).await.unwrap();
        bob.cancel(&later.name, "").await.unwrap();
        let mut told = service.told().await;
        for submission in [started.name, later.name] {
            let expected = SubmissionCancelled { submission };
            assert_eq!(told.next_of::<SubmissionCancelled>().await, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn an_end_is_an_end() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let (ada, bob, olga) = (service.user("ada"), service.user("bob"), service.user("olga"));
        let approved = ada.apply(&bridge).await.unwrap();
        olga.approve(&approved.name, "").await.unwrap();
        let late = refusal(Code::FailedPrecondition, "SUBMISSION_APPROVED");
        assert_eq!(refused(ada.cancel(&approved.name, "").await), late);

        let cancelled = bob.apply(&bridge).await.unwrap();
        bob.cancel(&cancelled.name, "").await.unwrap();
        let late = refusal(Code::FailedPrecondition, "SUBMISSION_CANCELLED");
        assert_eq!(refused(olga.approve(&cancelled.name, "").await), late);
    })
    .await;
}

#[tokio::test]
async fn a_stale_etag_decides_nothing() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let (ada, olga) = (service.user("ada"), service.user("olga"));
        let started = ada.apply(&bridge).await.unwrap();
        let stale = refusal(Code::Aborted, "ETAG_MISMATCH");
        assert_eq!(refused(olga.approve(&started.name, "stale").await), stale);
        assert_eq!(refused(ada.cancel(&started.name, "stale").await), stale);
        assert_eq!(ada.get(&started.name).await.unwrap(), started);
    })
    .await;
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_and_what_is_no_name_is_refused() {
    everywhere(async |service| {
        let (ada, olga) = (service.user("ada"), service.user("olga"));
        let bridge = service.projects.publish("bridge", "Bridge");
        let started = ada.apply(&bridge).await.unwrap();
        let gone = refusal(Code::NotFound, "SUBMISSION_NOT_FOUND");
        for name in [
            "projects/bridge/submissions/first",
            "projects/bridge/submissions/00000000-0000-7000-8000-000000000000",
            // The right submission under another project's name.
            &started.name.replace("bridge", "tower"),
        ] {
            assert_eq!(refused(ada.get(name).await), gone, "{name}");
            assert_eq!(refused(ada.cancel(name, "").await), gone, "{name}");
            assert_eq!(refused(olga.approve(name, "").await), gone, "{name}");
        }
        for name in ["", "projects/bridge", "projects/bridge/submissions/A"] {
            assert_eq!(violations(ada.get(name).await), ["name"], "{name:?}");
            assert_eq!(violations(ada.cancel(name, "").await), ["name"], "{name:?}");
            assert_eq!(violations(olga.approve(name, "").await), ["name"], "{name:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn racing_approvals_and_cancellations_end_in_one_state() {
    everywhere(async |service| {
        for round in 0..4 {
            let project = service.projects.publish(&format!("p{round}"), "P");
            let (ada, olga) = (service.user("ada"), service.user("olga"));
            let name = ada.apply(&project).await.unwrap().name;
            let mut racers = Vec::new();
            for _ in 0..4 {
                let (olga, approved) = (olga.clone(), name.clone());
                racers.push(tokio::spawn(async move { olga.approve(&approved, "").await }));
                let (ada, cancelled) = (ada.clone(), name.clone());
                racers.push(tokio::spawn(async move { ada.cancel(&cancelled, "").await }));
            }
            let mut answers = Vec::new();
            for racer in racers {
                answers.push(racer.await.unwrap());
            }
            let end = ada.get(&name).await.unwrap();
            let lost = match end.state() {
                State::Approved => refusal(Code::FailedPrecondition, "SUBMISSION_APPROVED"),
                State::Cancelled => refusal(Code::FailedPrecondition, "SUBMISSION_CANCELLED"),
                other => panic!("{other:?} is no end"),
            };
            let (won, refusals): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
            assert_eq!((won.len(), refusals.len()), (4, 4));
            assert!(won.into_iter().all(|answer| answer.unwrap() == end));
            assert!(refusals.into_iter().all(|answer| refused(answer) == lost));
        }
    })
    .await;
}
