//! Processes die; nothing is lost.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
    time::Duration,
};

use prost::Message as _;
use serde_json::json;
use titan::applicants::v1::SubmissionRetitled;

use crate::{client::Client, system::System};

const RENAMES: usize = 200;
const KILLS: usize = 12;
const SUBMISSIONS: usize = 5;

#[test]
fn every_submission_ends_with_the_last_title_while_both_services_are_killed() {
    let system = System::start();
    let edge = system.client();
    let owner = edge.sign_up("owner@example.com");
    let project = owner.post("/v1/projects", &json!({"title": "Title 0"})).ok();
    let path = format!("/v1/{}", project["name"].as_str().unwrap());
    let submissions: Vec<(Client, String)> = (0..SUBMISSIONS)
        .map(|n| {
            let applicant = edge.sign_up(&format!("applicant-{n}@example.com"));
            let made = applicant.post(&format!("{path}/submissions"), &json!({})).ok();
            (applicant, format!("/v1/{}", made["name"].as_str().unwrap()))
        })
        .collect();

    let renaming = AtomicBool::new(true);
    let kills = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Between kills a process is up for a moment, so that there is
            // something to interrupt.
            for n in 0..KILLS {
                let app = ["projects", "applicants"][n % 2];
                let pid = system.kill(app);
                kills.fetch_add(usize::from(pid != 0), SeqCst);
                system.until_restarted(app, pid);
                if !renaming.load(SeqCst) {
                    break;
                }
            }
        });
        for n in 1..=RENAMES {
            rename(&owner, &path, &format!("Title {n}"));
        }
        renaming.store(false, SeqCst);
    });
    assert!(kills.load(SeqCst) >= 4, "only {kills:?} kills interrupted {RENAMES} renames");

    let last = format!("Title {RENAMES}");
    for (applicant, path) in &submissions {
        system.until("the submission has the last title", || {
            let answer = applicant.get(path);
            (answer.status == 200 && answer.json()["projectTitle"] == last).then_some(())
        });
    }
    each_event_took_effect_once(&system);
}

/// A rename sets a title: repeating it until it is answered is safe.
fn rename(owner: &Client, path: &str, title: &str) {
    for _ in 0..600 {
        let answer = owner.patch(path, &json!({"title": title}));
        match answer.status {
            200 => return,
            0 | 409 | 503 | 504 => thread::sleep(Duration::from_millis(50)),
            other => panic!("a rename was answered {other}: {answer:?}"),
        }
    }
    panic!("{title} was never accepted");
}

/// The applicants' own log names the event that each retitling came from.
fn each_event_took_effect_once(system: &System) {
    let renames = system.events("projects", &["titan.projects.v1.ProjectTitleChanged"]);
    assert_eq!(renames.len(), RENAMES, "a rename was logged more or less than once");

    let mut effects: BTreeMap<(String, i64), usize> = BTreeMap::new();
    for event in system.events("applicants", &["titan.applicants.v1.SubmissionRetitled"]) {
        let retitled = SubmissionRetitled::decode(event.data.as_slice()).unwrap();
        *effects.entry((event.stream, retitled.source_position)).or_default() += 1;
    }
    assert!(effects.values().all(|count| *count == 1), "an event took effect twice: {effects:?}");
    assert_eq!(effects.len(), RENAMES * SUBMISSIONS, "an event took no effect");
}

#[test]
fn a_killed_service_is_back_and_calls_in_between_are_clear() {
    let system = System::start();
    let owner = system.client().sign_up("owner@example.com");
    let project = owner.post("/v1/projects", &json!({"title": "A bridge"})).ok();
    let path = format!("/v1/{}", project["name"].as_str().unwrap());
    let pid = system.kill("projects");
    let started = std::time::Instant::now();
    // Reading is repeated by the mesh; at worst it is refused as unavailable.
    while started.elapsed() < Duration::from_secs(2) {
        let answer = owner.get(&path);
        assert!(matches!(answer.status, 200 | 503 | 504), "{answer:?}");
    }
    system.until_restarted("projects", pid);
    assert_eq!(owner.get(&path).ok()["title"], "A bridge");
}

#[test]
fn reads_do_not_notice_that_one_of_three_replicas_is_killed() {
    let system = System::start_with(&["--replicas", "projects=3"]);
    let owner = system.client().sign_up("owner@example.com");
    let project = owner.post("/v1/projects", &json!({"title": "A bridge"})).ok();
    let path = format!("/v1/{}", project["name"].as_str().unwrap());
    for _ in 0..3 {
        let pid = system.kill("projects");
        for _ in 0..100 {
            let answer = owner.get(&path);
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        system.until_restarted("projects", pid);
    }
}

#[test]
fn the_mesh_lives_on_without_its_registry_and_finds_it_again() {
    let system = System::start();
    let owner = system.client().sign_up("owner@example.com");
    let pid = system.kill("registry");
    for n in 0..50 {
        let answer = owner.post("/v1/projects", &json!({"title": format!("Project {n}")}));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    system.until_restarted("registry", pid);
    // A service that comes up after the registry is found through it.
    let pid = system.kill("projects");
    system.until_restarted("projects", pid);
    assert_eq!(owner.get("/v1/projects").ok()["projects"].as_array().unwrap().len(), 50);
}
