//! What happens to submissions when something happens to their project.

use std::{collections::HashMap, pin::pin, time::Duration};

use durable::Dialect;
use titan::applicants::v1::{SubmissionCancelled, SubmissionRetitled, submission::State};
use tokio::time::timeout;
use tonic::Code;

use crate::support::{everywhere, refusal, refused};

#[tokio::test]
async fn a_new_title_reaches_every_submission_and_is_told_once() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let (ada, bob) = (service.user("ada"), service.user("bob"));
        let open = ada.apply(&bridge).await.unwrap();
        let ended = bob.apply(&bridge).await.unwrap();
        bob.cancel(&ended.name, "").await.unwrap();
        let _following = service.follow();
        let position = service.projects.rename(&bridge, "Tower").await;

        let mut told = service.told().await;
        let mut effects = vec![told.next_of().await, told.next_of().await];
        effects.sort_by_key(|effect: &SubmissionRetitled| effect.submission.clone());
        let expected = |submission: &str| SubmissionRetitled {
            submission: submission.into(),
            project_title: "Tower".into(),
            source_position: position,
        };
        assert_eq!(effects, [expected(&open.name), expected(&ended.name)]);
        let retitled = ada.get(&open.name).await.unwrap();
        assert_eq!(retitled.project_title, "Tower");
        assert_ne!(retitled.etag, open.etag);
        let retitled = bob.get(&ended.name).await.unwrap();
        assert_eq!((&*retitled.project_title, retitled.state()), ("Tower", State::Cancelled));
    })
    .await;
}

#[tokio::test]
async fn other_projects_submissions_keep_their_title() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let tower = service.projects.publish("tower", "Tower");
        let ada = service.user("ada");
        let other = ada.apply(&tower).await.unwrap();
        ada.apply(&bridge).await.unwrap();
        let _following = service.follow();
        service.projects.rename(&bridge, "Tunnel").await;
        service.told().await.next_of::<SubmissionRetitled>().await;
        assert_eq!(ada.get(&other.name).await.unwrap(), other);
    })
    .await;
}

/// The answer was read before the renaming, and the submission is stored after
/// the renaming has taken effect everywhere else.
#[tokio::test]
async fn a_submission_that_starts_with_an_old_answer_ends_with_the_new_title() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let (ada, bob) = (service.user("ada"), service.user("bob"));
        ada.apply(&bridge).await.unwrap();
        let _following = service.follow();

        let mut held = service.projects.hold();
        let late = tokio::spawn({
            let (bob, bridge) = (bob.clone(), bridge.clone());
            async move { bob.apply(&bridge).await }
        });
        held.arrived().await;
        service.projects.rename(&bridge, "Tower").await;
        service.told().await.next_of::<SubmissionRetitled>().await;
        held.leave();

        let late = late.await.unwrap().unwrap();
        assert_eq!(late.project_title, "Tower");
        assert_eq!(bob.get(&late.name).await.unwrap(), late);
    })
    .await;
}

/// Nobody has applied yet when the renaming is heard.
#[tokio::test]
async fn the_first_submission_does_not_miss_what_was_heard_before_it() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let tower = service.projects.publish("tower", "Tower");
        service.user("ada").apply(&tower).await.unwrap();
        let _following = service.follow();

        let mut held = service.projects.hold();
        let late = tokio::spawn({
            let (bob, bridge) = (service.user("bob"), bridge.clone());
            async move { bob.apply(&bridge).await }
        });
        held.arrived().await;
        service.projects.rename(&bridge, "Tunnel").await;
        // Heard after it, so that one is known to be heard.
        service.projects.rename(&tower, "Castle").await;
        service.told().await.next_of::<SubmissionRetitled>().await;
        held.leave();
        assert_eq!(late.await.unwrap().unwrap().project_title, "Tunnel");
    })
    .await;
}

/// The answer is ahead of the feed: what the feed tells later is old news.
#[tokio::test]
async fn a_title_never_goes_back() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let (ada, bob) = (service.user("ada"), service.user("bob"));
        let early = ada.apply(&bridge).await.unwrap();
        service.projects.rename(&bridge, "Tower").await;
        service.projects.rename(&bridge, "Castle").await;
        let ahead = bob.apply(&bridge).await.unwrap();
        assert_eq!(ahead.project_title, "Castle");

        let _following = service.follow();
        let position = service.projects.rename(&bridge, "Tunnel").await;
        let mut told = service.told().await;
        let mut seen: HashMap<String, Vec<String>> = HashMap::new();
        for _ in 0..4 {
            let effect: SubmissionRetitled = told.next_of().await;
            assert!(effect.source_position <= position);
            seen.entry(effect.submission).or_default().push(effect.project_title);
        }
        assert_eq!(seen[&early.name], ["Tower", "Castle", "Tunnel"]);
        assert_eq!(seen[&ahead.name], ["Tunnel"]);
    })
    .await;
}

#[tokio::test]
async fn however_often_listening_breaks_off_each_title_takes_effect_once() {
    const RENAMES: usize = 60;
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let ada = service.user("ada");
        let name = ada.apply(&bridge).await.unwrap().name;
        let mut told = service.told().await;
        let (mut positions, mut effects) = (Vec::new(), Vec::new());
        let mut following = service.follow();
        for number in 1..=RENAMES {
            positions.push(service.projects.rename(&bridge, &format!("Title {number}")).await);
            if number % 3 == 0 {
                // Broken off wherever it is, and a second one beside the first.
                following.abort();
                following = service.follow();
            }
            if number % 10 == 0 {
                while effects.len() < number {
                    effects.push(told.next_of::<SubmissionRetitled>().await.source_position);
                }
            }
        }
        assert_eq!(effects, positions);
        let last = ada.get(&name).await.unwrap();
        assert_eq!(last.project_title, format!("Title {RENAMES}"));

        // Nothing more was told before the next thing that happens.
        ada.cancel(&name, "").await.unwrap();
        let next = told.next().await;
        assert_eq!(next.r#type, <SubmissionCancelled as prost::Name>::full_name());
    })
    .await;
}

#[tokio::test]
async fn whenever_somebody_applies_while_the_title_changes_they_end_with_the_new_one() {
    const ROUNDS: usize = 12;
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let _following = service.follow();
        // The first submission shows when a title has been heard.
        service.user("ada").apply(&bridge).await.unwrap();
        let mut told = service.told().await;
        for round in 0..ROUNDS {
            let person = service.user(&format!("p{round}"));
            let applying = tokio::spawn({
                let (person, bridge) = (person.clone(), bridge.clone());
                async move { person.apply(&bridge).await }
            });
            // Sooner or later within the other, differently in each round.
            for _ in 0..round * 8 {
                tokio::task::yield_now().await;
            }
            let title = format!("Title {round}");
            let position = service.projects.rename(&bridge, &title).await;
            let started = applying.await.unwrap().unwrap();
            while told.next_of::<SubmissionRetitled>().await.source_position != position {}
            let ended = person.get(&started.name).await.unwrap();
            assert_eq!(ended.project_title, title, "round {round}");
        }
    })
    .await;
}

/// On PostgreSQL, where both transactions can be open at once.
#[tokio::test]
async fn a_title_that_is_heard_while_a_submission_is_stored_waits_for_it() {
    everywhere(async |service| {
        if service.store.dialect() == Dialect::Sqlite {
            return;
        }
        let bridge = service.projects.publish("bridge", "Bridge");
        let tower = service.projects.publish("tower", "Tower");
        let (ada, bob) = (service.user("ada"), service.user("bob"));
        ada.apply(&bridge).await.unwrap();
        bob.apply(&tower).await.unwrap();
        let _following = service.follow();

        // Bob's submission stops before its end, at the row that counts them.
        let mut stop = service.store.begin().await.unwrap();
        stop.execute("UPDATE applicants SET id = id WHERE id = 'bob'", vec![]).await.unwrap();
        let mut storing = pin!(bob.apply(&bridge));
        let waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                       AND query LIKE '%applicants%' AND datname = current_database()";
        while service.store.query(waiting, vec![]).await.unwrap().is_empty() {
            let answer = timeout(Duration::from_millis(1), &mut storing).await;
            assert!(answer.is_err(), "it does not end while it is stopped");
        }
        let position = service.projects.rename(&bridge, "Tunnel").await;
        // Long enough to be heard if it did not wait; nothing depends on it.
        let mut told = service.told().await;
        let heard = timeout(Duration::from_millis(300), told.next_of::<SubmissionRetitled>());
        assert!(heard.await.is_err(), "the title waits for the submission");
        stop.rollback().await.unwrap();

        let stored = storing.await.unwrap();
        assert_eq!(stored.project_title, "Bridge");
        let mut told = service.told().await;
        for _ in ["ada", "bob"] {
            assert_eq!(told.next_of::<SubmissionRetitled>().await.source_position, position);
        }
        assert_eq!(bob.get(&stored.name).await.unwrap().project_title, "Tunnel");
    })
    .await;
}

#[tokio::test]
async fn a_deleted_project_voids_what_is_in_review_and_leaves_what_has_ended() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let (ada, bob, olga) = (service.user("ada"), service.user("bob"), service.user("olga"));
        let open = ada.apply(&bridge).await.unwrap();
        let approved = bob.apply(&bridge).await.unwrap();
        let approved = olga.approve(&approved.name, "").await.unwrap();
        let _following = service.follow();
        service.projects.delete(&bridge).await;

        let told: SubmissionCancelled = service.told().await.next_of().await;
        assert_eq!(told.submission, open.name);
        assert_eq!(ada.get(&open.name).await.unwrap().state(), State::Cancelled);
        assert_eq!(bob.get(&approved.name).await.unwrap(), approved);
    })
    .await;
}

/// The answer said that the project is open, and the submission is stored after
/// this service has heard otherwise.
#[tokio::test]
async fn a_project_that_is_known_to_be_closed_or_gone_takes_no_submission() {
    everywhere(async |service| {
        let marker = service.projects.publish("marker", "Marker");
        let ada = service.user("ada");
        ada.apply(&marker).await.unwrap();
        let _following = service.follow();
        let mut told = service.told().await;
        for (id, code, reason) in [
            ("closed", Code::FailedPrecondition, "PROJECT_ARCHIVED"),
            ("gone", Code::NotFound, "PROJECT_NOT_FOUND"),
        ] {
            let project = service.projects.publish(id, "Bridge");
            let mut held = service.projects.hold();
            let late = tokio::spawn({
                let (ada, project) = (ada.clone(), project.clone());
                async move { ada.apply(&project).await }
            });
            held.arrived().await;
            match id {
                "closed" => service.projects.archive(&project).await,
                _ => service.projects.delete(&project).await,
            }
            // Heard after it, so that one is known to be heard.
            service.projects.rename(&marker, id).await;
            told.next_of::<SubmissionRetitled>().await;
            held.leave();
            assert_eq!(refused(late.await.unwrap()), refusal(code, reason));
        }
    })
    .await;
}
