//! A system goes back to a moment before, and on from there.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
};

use prost::Message as _;
use serde_json::json;
use titan::applicants::v1::SubmissionRetitled;

use crate::system::System;

const BEFORE: usize = 20;
const TITLE_CHANGED: &str = "titan.projects.v1.ProjectTitleChanged";
const RETITLED: &str = "titan.applicants.v1.SubmissionRetitled";

#[test]
fn a_backup_under_load_is_restored_and_every_event_takes_effect_once() {
    let mut system = System::start();
    let edge = system.client();
    let owner = edge.sign_up("owner@example.com");
    let project = owner.post("/v1/projects", &json!({"title": "Title 0"})).ok();
    let path = format!("/v1/{}", project["name"].as_str().unwrap());
    let applicant = edge.sign_up("applicant@example.com");
    let made = applicant.post(&format!("{path}/submissions"), &json!({})).ok();
    let submission = format!("/v1/{}", made["name"].as_str().unwrap());
    let backup = system.path().join("backup");

    let renames = AtomicUsize::new(0);
    thread::scope(|scope| {
        let copied = scope.spawn(|| {
            system.until("there is something to copy", || {
                (renames.load(SeqCst) >= BEFORE).then_some(())
            });
            let run = system.titan(&["backup"]).arg(&backup).output().unwrap();
            assert!(run.status.success(), "{run:?}");
        });
        while !copied.is_finished() {
            let title = format!("Title {}", renames.fetch_add(1, SeqCst) + 1);
            owner.patch(&path, &json!({"title": title})).ok();
        }
    });
    owner.patch(&path, &json!({"title": "Forgotten"})).ok();
    refused(&system, &backup, "while it runs");

    system.down();
    damage(&backup);
    refused(&system, &backup, "a damaged copy");
    damage(&backup);
    let run = system.titan(&["restore"]).arg(&backup).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    system.up_again();

    let edge = system.client();
    let (owner, applicant) =
        (edge.sign_in("owner@example.com"), edge.sign_in("applicant@example.com"));
    let found = owner.get(&path).ok()["title"].as_str().unwrap().to_owned();
    assert_ne!(found, "Forgotten");
    owner.patch(&path, &json!({"title": "After"})).ok();
    system.until("the submission has the last title", || {
        let answer = applicant.get(&submission);
        (answer.status == 200 && answer.json()["projectTitle"] == "After").then_some(())
    });
    let told = system.events("projects", &[TITLE_CHANGED]);
    let told: BTreeSet<i64> = told.iter().map(|event| event.position).collect();
    let heard = system.events("applicants", &[RETITLED]);
    let sources: BTreeSet<i64> = heard
        .iter()
        .map(|event| SubmissionRetitled::decode(event.data.as_slice()).unwrap().source_position)
        .collect();
    assert_eq!(heard.len(), sources.len(), "an event took effect twice");
    assert_eq!(told, sources, "an event was lost");
    assert!(told.len() > BEFORE, "the backup holds only {} renames", told.len());
}

fn refused(system: &System, backup: &Path, what: &str) {
    let run = system.titan(&["restore"]).arg(backup).output().unwrap();
    assert!(!run.status.success(), "{what} was not refused: {run:?}");
}

/// Flips a bit; the second time it is as before.
fn damage(backup: &Path) {
    let file = backup.join("projects.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
}
