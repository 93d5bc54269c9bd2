//! Every replica of a service is replaced, or killed, under load; its callers do
//! not notice.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use mesh::{App, Channel, Settings};
use prost::Message as _;
use titan::projects::v1::{
    CreateProjectRequest, GetProjectRequest, Project, ProjectCreated, UpdateProjectRequest,
    projects_service_client::ProjectsServiceClient,
};

use crate::{system::System, tools::stdout};

const REPLICAS: &str = "projects=3";
/// Calls of each kind that are always on their way.
const CALLERS: usize = 4;

/// A process of the mesh that calls the projects for a user.
fn caller(system: &System, token: &str) -> Channel {
    let key = system.path().join("mesh.key");
    let status = system.status();
    let pairs = [
        ("mesh_key_file", key.to_str().unwrap()),
        ("registry", status["registry"].as_str().unwrap()),
        ("log", "warn"),
    ];
    let app = App::new(Settings::from_pairs("journey", &pairs)).unwrap();
    app.know(titan::DESCRIPTORS).unwrap();
    app.channel("projects").with_token(token).unwrap()
}

fn titled(name: &str, title: String) -> Project {
    Project { name: name.to_owned(), title, ..Project::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_call_and_makes_none_twice() {
    let system = tokio::task::spawn_blocking(|| System::start_with(&["--replicas", REPLICAS]));
    let system = Arc::new(system.await.unwrap());
    let owner = system.client().sign_up("owner@example.com");
    let channel = caller(&system, owner.token());

    let restarting = Arc::new(AtomicBool::new(true));
    let made = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (restarting, made) = (restarting.clone(), made.clone());
            let mut projects = ProjectsServiceClient::new(channel.clone());
            tokio::spawn(async move {
                while restarting.load(SeqCst) {
                    // Not idempotent: who repeats it makes a second project.
                    let title = format!("Project {}", made.fetch_add(1, SeqCst));
                    let create = CreateProjectRequest {
                        project: Some(titled("", title)),
                        ..CreateProjectRequest::default()
                    };
                    let name = projects.create_project(create).await.unwrap().into_inner().name;
                    projects.get_project(GetProjectRequest { name }).await.unwrap();
                }
            })
        })
        .collect();
    let rolling = system.clone();
    let restarted = tokio::task::spawn_blocking(move || {
        stdout(&mut rolling.titan(&["restart", "projects"]));
    });
    restarted.await.unwrap();
    restarting.store(false, SeqCst);
    for caller in callers {
        caller.await.expect("no call fails");
    }

    let made = made.load(SeqCst);
    assert!(made >= 30, "only {made} calls were made while all replicas were replaced");
    let created = tokio::task::spawn_blocking(move || {
        system.events("projects", &["titan.projects.v1.ProjectCreated"])
    });
    let mut titles: BTreeMap<String, usize> = BTreeMap::new();
    for event in created.await.unwrap() {
        *titles.entry(ProjectCreated::decode(event.data.as_slice()).unwrap().title).or_default() +=
            1;
    }
    assert!(titles.values().all(|count| *count == 1), "a project was made twice: {titles:?}");
    assert_eq!(titles.len(), made, "a project was acknowledged and not made");
}

async fn rename(projects: &mut ProjectsServiceClient<Channel>, name: &str, title: &str) {
    let update = UpdateProjectRequest {
        project: Some(titled(name, title.to_owned())),
        update_mask: Some(prost_types::FieldMask { paths: vec!["title".to_owned()] }),
        ..UpdateProjectRequest::default()
    };
    projects.update_project(update).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_are_killed_fail_no_idempotent_call() {
    const KILLS: usize = 6;
    let system = tokio::task::spawn_blocking(|| System::start_with(&["--replicas", REPLICAS]));
    let system = Arc::new(system.await.unwrap());
    let owner = system.client().sign_up("owner@example.com");
    let channel = caller(&system, owner.token());

    let killing = Arc::new(AtomicBool::new(true));
    let calls = Arc::new(AtomicUsize::new(0));
    let mut callers = Vec::new();
    for n in 0..CALLERS {
        let (killing, calls) = (killing.clone(), calls.clone());
        let mut projects = ProjectsServiceClient::new(channel.clone());
        // Not idempotent, so before the first kill.
        let create = CreateProjectRequest {
            project: Some(titled("", format!("Project {n}"))),
            ..CreateProjectRequest::default()
        };
        let name = projects.create_project(create).await.unwrap().into_inner().name;
        callers.push(tokio::spawn(async move {
            for round in 0.. {
                if !killing.load(SeqCst) {
                    break;
                }
                let title = format!("Project {n}, round {round}");
                rename(&mut projects, &name, &title).await;
                let get = GetProjectRequest { name: name.clone() };
                let got = projects.get_project(get).await.unwrap().into_inner();
                assert_eq!(got.title, title, "an acknowledged change is lost");
                calls.fetch_add(2, SeqCst);
            }
        }));
    }
    let killer = system.clone();
    let killed = tokio::task::spawn_blocking(move || {
        for _ in 0..KILLS {
            let pid = killer.kill("projects");
            assert_ne!(pid, 0, "nothing was there to kill");
            killer.until_restarted("projects", pid);
        }
    });
    killed.await.unwrap();
    killing.store(false, SeqCst);
    for caller in callers {
        caller.await.expect("no call fails");
    }
    let calls = calls.load(SeqCst);
    assert!(calls >= 30, "only {calls} calls were made while replicas were killed");
}
