//! Publishing a project, and finding it again.

use crate::support::{everywhere, refused, violations};
use durable::testing::{keyed, refusal};
use titan::projects::v1::{CreateProjectRequest, GetProjectRequest, Project, project::State};
use tonic::Code;
use tonic_types::StatusExt as _;

fn create(title: &str) -> CreateProjectRequest {
    let project = Project { title: title.into(), ..Project::default() };
    CreateProjectRequest { project: Some(project), validate_only: false }
}

fn get(name: &str) -> GetProjectRequest {
    GetProjectRequest { name: name.into() }
}

#[tokio::test]
async fn a_published_project_belongs_to_its_caller_and_is_read_by_anyone() {
    everywhere(async |service| {
        let mut request = create("  Bridge ");
        let wanted = request.project.as_mut().unwrap();
        wanted.description = "Wood\nand rope".into();
        // What only the service says is ignored when a caller says it.
        wanted.owner = "users/eve".into();
        wanted.name = "projects/mine".into();
        wanted.state = State::Archived.into();
        let created = service.user("ada").create_project(request).await.unwrap().into_inner();
        assert_eq!((&*created.title, &*created.description), ("Bridge", "Wood\nand rope"));
        assert_eq!(created.owner, "users/ada");
        assert_eq!(created.state(), State::Active);
        assert_eq!(created.create_time, created.update_time);
        assert!(created.create_time.is_some() && created.archive_time.is_none());
        assert!(created.name.starts_with("projects/") && created.name != "projects/mine");
        assert!(!created.etag.is_empty());

        let read = service.stranger().get_project(get(&created.name)).await.unwrap();
        assert_eq!(read.into_inner(), created);
    })
    .await;
}

#[tokio::test]
async fn publishing_needs_a_user() {
    everywhere(async |service| {
        let answer = service.stranger().create_project(create("Bridge")).await;
        assert_eq!(refused(answer).0, Code::Unauthenticated);
    })
    .await;
}

#[tokio::test]
async fn a_title_is_one_line_of_1_to_200_characters() {
    everywhere(async |service| {
        let mut ada = service.user("ada");
        for title in ["", "   ", "two\nlines", "a\u{0}b", &"x".repeat(201)] {
            let answer = ada.create_project(create(title)).await;
            assert_eq!(violations(answer), ["project.title"], "{title:?}");
        }
        assert!(ada.create_project(create(&"ä".repeat(200))).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_description_is_text_of_at_most_10000_characters() {
    everywhere(async |service| {
        let mut ada = service.user("ada");
        for (description, right) in [
            ("x".repeat(10_001), false),
            ("no null\0character".into(), false),
            ("😀".repeat(10_000), true),
            ("tabs\tand\nlines".into(), true),
        ] {
            let mut request = create("Bridge");
            request.project.as_mut().unwrap().description = description;
            match ada.create_project(request).await {
                Ok(_) => assert!(right),
                refused => assert_eq!(violations(refused), ["project.description"]),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_without_a_project_is_refused() {
    everywhere(async |service| {
        let answer = service.user("ada").create_project(CreateProjectRequest::default()).await;
        assert_eq!(violations(answer), ["project"]);
    })
    .await;
}

#[tokio::test]
async fn validate_only_checks_and_publishes_nothing() {
    everywhere(async |service| {
        let mut ada = service.user("ada");
        let validate = |title| CreateProjectRequest { validate_only: true, ..create(title) };
        let answer = ada.create_project(validate(" Bridge ")).await.unwrap().into_inner();
        assert_eq!((&*answer.name, &*answer.title), ("", "Bridge"));
        assert_eq!(violations(ada.create_project(validate("")).await), ["project.title"]);
        let list = ada.list_projects(titan::projects::v1::ListProjectsRequest::default()).await;
        assert_eq!(list.unwrap().into_inner().projects, []);
        assert_eq!(service.told().await, []);
    })
    .await;
}

#[tokio::test]
async fn publishing_is_repeated_under_a_key_without_a_second_project() {
    everywhere(async |service| {
        let mut ada = service.user("ada");
        let first = ada.create_project(keyed("key-1", create("Bridge"))).await.unwrap();
        let again = ada.create_project(keyed("key-1", create("Bridge"))).await.unwrap();
        assert_eq!(again.into_inner(), first.into_inner());
        assert_eq!(service.told().await.len(), 1);

        let reused = refusal(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
        assert_eq!(refused(ada.create_project(keyed("key-1", create("Tower"))).await), reused);
        let answer = ada.create_project(keyed(&"k".repeat(129), create("Tower"))).await;
        assert_eq!(violations(answer), ["idempotency-key"]);
        let others = service.user("bob").create_project(keyed("key-1", create("Bridge"))).await;
        assert_eq!(others.unwrap().into_inner().owner, "users/bob");
    })
    .await;
}

#[tokio::test]
async fn what_does_not_exist_is_named_in_the_refusal() {
    everywhere(async |service| {
        let real = service.publish("Bridge").await.name;
        for name in [
            "projects/bridge",
            "projects/00000000-0000-7000-8000-000000000000",
            // Another spelling of a real name is no name.
            &real.replace('-', ""),
        ] {
            let status = service.stranger().get_project(get(name)).await.unwrap_err();
            assert_eq!(status.code(), Code::NotFound, "{name}");
            assert_eq!(mesh::status::reason(&status).as_deref(), Some("PROJECT_NOT_FOUND"));
            assert_eq!(status.get_details_resource_info().unwrap().resource_name, name);
        }
        for name in ["", "bridge", "projects/", "projects/a/b", "projects/A"] {
            let answer = service.stranger().get_project(get(name)).await;
            assert_eq!(violations(answer), ["name"], "{name:?}");
        }
    })
    .await;
}
