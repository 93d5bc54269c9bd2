//! Applying for a project.

use applicants::Config;
use titan::applicants::v1::{
    CreateSubmissionRequest, Submission, SubmissionStarted, submission::State,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{everywhere, everywhere_with, refusal, refused, violations};

#[tokio::test]
async fn a_submission_starts_in_review_under_the_projects_title() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let ada = service.user("ada");
        let started = ada.say(&bridge, "I can\nswim").await.unwrap();
        assert!(started.name.starts_with("projects/bridge/submissions/"));
        assert_eq!((&*started.project_title, &*started.comment), ("Bridge", "I can\nswim"));
        assert_eq!(started.applicant, "applicants/ada");
        assert_eq!(started.state(), State::InReview);
        assert!(started.create_time.is_some() && started.create_time == started.update_time);
        assert!(!started.etag.is_empty());
        assert_eq!(ada.get(&started.name).await.unwrap(), started);

        let told: SubmissionStarted = service.told().await.next_of().await;
        let (submission, applicant) = (started.name, "applicants/ada".into());
        assert_eq!(told, SubmissionStarted { submission, applicant, project: bridge });
    })
    .await;
}

#[tokio::test]
async fn what_only_the_service_says_is_ignored_when_a_caller_says_it() {
    everywhere(async |service| {
        let parent = service.projects.publish("bridge", "Bridge");
        let mut submission = Submission {
            name: "projects/tower/submissions/1".into(),
            project_title: "Tower".into(),
            applicant: "applicants/eve".into(),
            ..Submission::default()
        };
        submission.set_state(State::Approved);
        let request = CreateSubmissionRequest { parent, submission: Some(submission) };
        let started = service.user("ada").create(request).await.unwrap();
        assert_eq!(started.state(), State::InReview);
        assert_eq!((&*started.project_title, &*started.applicant), ("Bridge", "applicants/ada"));
    })
    .await;
}

#[tokio::test]
async fn a_submission_may_be_empty_and_needs_a_user() {
    everywhere(async |service| {
        let parent = service.projects.publish("bridge", "Bridge");
        let request = CreateSubmissionRequest { parent, submission: None };
        let answer = service.nobody().create(request.clone()).await;
        assert_eq!(refused(answer).0, Code::Unauthenticated);
        assert!(service.user("ada").create(request).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn bad_input_is_refused_with_the_field_at_fault() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let ada = service.user("ada");
        for parent in ["", "bridge", "projects/", "projects/a/b", "projects/A"] {
            assert_eq!(violations(ada.apply(parent).await), ["parent"], "{parent:?}");
        }
        let answer = ada.say(&bridge, &"x".repeat(2_001)).await;
        assert_eq!(violations(answer), ["submission.comment"]);
        for comment in ["no null\0character", "no \u{1b}[31mcolours"] {
            let answer = ada.say(&bridge, comment).await;
            assert_eq!(violations(answer), ["submission.comment"], "{comment:?}");
        }
        assert!(ada.say(&bridge, &"ä".repeat(2_000)).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn nobody_applies_for_what_is_missing_closed_or_their_own() {
    everywhere(async |service| {
        let (ada, olga) = (service.user("ada"), service.user("olga"));
        let bridge = service.projects.publish("bridge", "Bridge");
        let answer = ada.apply("projects/tower").await;
        assert_eq!(refused(answer), refusal(Code::NotFound, "PROJECT_NOT_FOUND"));
        let answer = olga.apply(&bridge).await;
        assert_eq!(refused(answer), refusal(Code::FailedPrecondition, "OWN_PROJECT"));
        service.projects.archive(&bridge).await;
        let answer = ada.apply(&bridge).await;
        assert_eq!(refused(answer), refusal(Code::FailedPrecondition, "PROJECT_ARCHIVED"));
        // A refused person has not become an applicant.
        let answer = ada.applicant("applicants/me").await;
        assert_eq!(refused(answer), refusal(Code::NotFound, "APPLICANT_NOT_FOUND"));
    })
    .await;
}

#[tokio::test]
async fn a_person_has_one_open_or_approved_submission_for_a_project() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let (ada, olga) = (service.user("ada"), service.user("olga"));
        let twice = refusal(Code::AlreadyExists, "ALREADY_APPLIED");
        let first = ada.apply(&bridge).await.unwrap();
        let status = ada.apply(&bridge).await.unwrap_err();
        assert_eq!(status.get_details_resource_info().unwrap().resource_name, first.name);
        assert_eq!(refused::<()>(Err(status)), twice);

        ada.cancel(&first.name, "").await.unwrap();
        let second = ada.apply(&bridge).await.unwrap();
        olga.approve(&second.name, "").await.unwrap();
        assert_eq!(refused(ada.apply(&bridge).await), twice);

        let tower = service.projects.publish("tower", "Tower");
        assert!(ada.apply(&tower).await.is_ok());
        assert!(service.user("bob").apply(&bridge).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_project_takes_in_so_many_submissions_and_no_more() {
    let config = Config { max_submissions_per_project: 2, ..Config::default() };
    everywhere_with(&config, async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let tower = service.projects.publish("tower", "Tower");
        let ada = service.user("ada");
        // One that has ended still counts: it is retitled like any other.
        let ended = ada.apply(&bridge).await.unwrap();
        ada.cancel(&ended.name, "").await.unwrap();
        ada.apply(&bridge).await.unwrap();
        let answer = service.user("bob").apply(&bridge).await;
        assert_eq!(refused(answer), refusal(Code::FailedPrecondition, "PROJECT_FULL"));
        assert!(service.user("bob").apply(&tower).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn of_a_persons_racing_submissions_for_a_project_one_is_started() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let (ada, bridge) = (service.user("ada"), bridge.clone());
                tokio::spawn(async move { ada.apply(&bridge).await })
            })
            .collect();
        let mut started = 0;
        for racer in racers {
            match racer.await.unwrap() {
                Ok(_) => started += 1,
                lost => assert_eq!(refused(lost), refusal(Code::AlreadyExists, "ALREADY_APPLIED")),
            }
        }
        assert_eq!(started, 1);
        assert_eq!(
            service.user("ada").applicant("applicants/me").await.unwrap().submission_count,
            1
        );
    })
    .await;
}

#[tokio::test]
async fn applying_makes_an_applicant_and_applying_again_verifies_them() {
    everywhere(async |service| {
        let (bridge, tower) =
            (service.projects.publish("bridge", "Bridge"), service.projects.publish("tower", "T"));
        let ada = service.user("ada");
        let first = ada.apply(&bridge).await.unwrap();
        let applicant = ada.applicant("applicants/me").await.unwrap();
        assert_eq!((&*applicant.name, &*applicant.user), ("applicants/ada", "users/ada"));
        assert_eq!(applicant.submission_count, 1);
        assert_eq!(
            (applicant.create_time, applicant.verify_time),
            (first.create_time, first.create_time)
        );

        let second = ada.apply(&tower).await.unwrap();
        let applicant = ada.applicant("applicants/ada").await.unwrap();
        assert_eq!(applicant.submission_count, 2);
        assert_eq!(
            (applicant.create_time, applicant.verify_time),
            (first.create_time, second.create_time)
        );
    })
    .await;
}

#[tokio::test]
async fn racing_first_submissions_for_several_projects_are_all_counted() {
    everywhere(async |service| {
        let racers: Vec<_> = (0..8)
            .map(|number| {
                let project = service.projects.publish(&format!("p{number}"), "P");
                let ada = service.user("ada");
                tokio::spawn(async move { ada.apply(&project).await })
            })
            .collect();
        for racer in racers {
            racer.await.unwrap().unwrap();
        }
        assert_eq!(
            service.user("ada").applicant("applicants/me").await.unwrap().submission_count,
            8
        );
    })
    .await;
}

#[tokio::test]
async fn without_the_projects_service_nothing_is_started() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        for (said, code) in [
            (Status::unavailable("away"), Code::Unavailable),
            // What it says of itself is not for our caller.
            (Status::data_loss("secret"), Code::Internal),
        ] {
            service.projects.fail(Some(said));
            let status = service.user("ada").apply(&bridge).await.unwrap_err();
            assert_eq!(status.code(), code);
            assert!(!status.message().contains("secret"));
        }
        let answer = service.user("ada").applicant("applicants/me").await;
        assert_eq!(refused(answer), refusal(Code::NotFound, "APPLICANT_NOT_FOUND"));
    })
    .await;
}
