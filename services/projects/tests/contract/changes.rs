//! Changing, archiving and deleting a project: what a change changes, who may
//! make it and when it comes too late.

use titan::projects::v1::{
    ArchiveProjectRequest, DeleteProjectRequest, GetProjectRequest, Project, UpdateProjectRequest,
    project::State,
};
use tonic::Code;

use crate::support::{everywhere, refused, retitled, update, violations};

fn archive(project: &Project, etag: &str) -> ArchiveProjectRequest {
    ArchiveProjectRequest { name: project.name.clone(), etag: etag.into() }
}

fn delete(project: &Project, etag: &str) -> DeleteProjectRequest {
    DeleteProjectRequest { name: project.name.clone(), etag: etag.into() }
}

#[tokio::test]
async fn an_update_changes_what_its_mask_names() {
    everywhere(async |service| {
        let mut ada = service.user("ada");
        for (paths, title, description, expected) in [
            (&["title"][..], "New", "new", ("New", "old")),
            (&["description"], "New", "new", ("Old", "new")),
            (&["description"], "New", "", ("Old", "")),
            (&["title", "description"], "New", "", ("New", "")),
            (&["*"], "New", "", ("New", "")),
            // Without a mask: what is populated.
            (&[], "New", "", ("New", "old")),
            (&[], "", "new", ("Old", "new")),
            (&[], "", "", ("Old", "old")),
            // A mask may name what says which project is meant.
            (&["name", "etag", "title"], "New", "", ("New", "old")),
        ] {
            let old = service.publish("Old").await;
            let wanted = |title: &str, description: &str| Project {
                name: old.name.clone(),
                title: title.into(),
                description: description.into(),
                ..Project::default()
            };
            ada.update_project(update(wanted("", "old"), &["description"])).await.unwrap();
            let changed = ada.update_project(update(wanted(title, description), paths)).await;
            let changed = changed.unwrap().into_inner();
            assert_eq!((&*changed.title, &*changed.description), expected, "{paths:?}");
            let read = ada.get_project(GetProjectRequest { name: old.name.clone() }).await;
            assert_eq!(read.unwrap().into_inner(), changed, "{paths:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_update_that_cannot_be_is_refused_with_the_fields_at_fault() {
    everywhere(async |service| {
        let mut ada = service.user("ada");
        let old = service.publish("Bridge").await;
        for (title, paths, expected) in [
            ("New", &["owner"][..], &["update_mask"][..]),
            ("New", &["title", "state", "create_time"], &["update_mask", "update_mask"]),
            ("New", &["colour"], &["update_mask"]),
            ("New", &["Title"], &["update_mask"]),
            ("", &["title"], &["project.title"]),
            ("", &["*"], &["project.title"]),
            ("two\nlines", &[], &["project.title"]),
            ("", &["title", "owner"], &["update_mask", "project.title"]),
        ] {
            let project =
                Project { name: old.name.clone(), title: title.into(), ..Project::default() };
            let answer = ada.update_project(update(project, paths)).await;
            assert_eq!(violations(answer), expected, "{title:?} {paths:?}");
        }
        let nameless = update(Project { title: "New".into(), ..Project::default() }, &["title"]);
        assert_eq!(violations(ada.update_project(nameless).await), ["project.name"]);
        let empty = UpdateProjectRequest::default();
        assert_eq!(violations(ada.update_project(empty).await), ["project"]);
        let read = ada.get_project(GetProjectRequest { name: old.name.clone() }).await;
        assert_eq!(read.unwrap().into_inner(), old);
    })
    .await;
}

#[tokio::test]
async fn validate_only_shows_the_change_and_makes_none() {
    everywhere(async |service| {
        let mut ada = service.user("ada");
        let old = service.publish("Bridge").await;
        let request = UpdateProjectRequest { validate_only: true, ..retitled(&old, "Tower") };
        let shown = ada.update_project(request.clone()).await.unwrap().into_inner();
        assert_eq!(shown.title, "Tower");
        let eve = service.user("eve").update_project(request).await;
        assert_eq!(refused(eve), (Code::PermissionDenied, "NOT_OWNER".into()));
        let read = ada.get_project(GetProjectRequest { name: old.name.clone() }).await;
        assert_eq!(read.unwrap().into_inner(), old);
    })
    .await;
}

#[tokio::test]
async fn only_its_owner_changes_a_project() {
    everywhere(async |service| {
        let mut eve = service.user("eve");
        let old = service.publish("Bridge").await;
        let denied = (Code::PermissionDenied, "NOT_OWNER".to_owned());
        assert_eq!(refused(eve.update_project(retitled(&old, "Mine")).await), denied);
        assert_eq!(refused(eve.archive_project(archive(&old, "")).await), denied);
        assert_eq!(refused(eve.delete_project(delete(&old, "")).await), denied);

        let mut nobody = service.stranger();
        let answer = nobody.update_project(retitled(&old, "Mine")).await;
        assert_eq!(refused(answer).0, Code::Unauthenticated);
        let answer = nobody.archive_project(archive(&old, "")).await;
        assert_eq!(refused(answer).0, Code::Unauthenticated);
        let answer = nobody.delete_project(delete(&old, "")).await;
        assert_eq!(refused(answer).0, Code::Unauthenticated);

        let read = eve.get_project(GetProjectRequest { name: old.name.clone() }).await;
        assert_eq!(read.unwrap().into_inner(), old);
    })
    .await;
}

#[tokio::test]
async fn a_change_of_what_was_never_published_is_not_found() {
    everywhere(async |service| {
        let mut ada = service.user("ada");
        let gone = (Code::NotFound, "PROJECT_NOT_FOUND".to_owned());
        for name in ["projects/bridge", "projects/00000000-0000-7000-8000-000000000000"] {
            let ghost = Project { name: name.into(), ..Project::default() };
            assert_eq!(refused(ada.update_project(retitled(&ghost, "Boo")).await), gone);
            assert_eq!(refused(ada.archive_project(archive(&ghost, "")).await), gone);
            assert_eq!(refused(ada.delete_project(delete(&ghost, "")).await), gone);
        }
    })
    .await;
}

#[tokio::test]
async fn a_stale_etag_changes_nothing() {
    everywhere(async |service| {
        let mut ada = service.user("ada");
        let old = service.publish("Bridge").await;
        let new = ada.update_project(retitled(&old, "Tower")).await.unwrap().into_inner();
        assert_ne!(new.etag, old.etag);
        let stale = (Code::Aborted, "ETAG_MISMATCH".to_owned());
        for etag in [&*old.etag, "nonsense"] {
            let mut request = retitled(&old, "Castle");
            request.project.as_mut().unwrap().etag = etag.into();
            assert_eq!(refused(ada.update_project(request).await), stale);
            assert_eq!(refused(ada.archive_project(archive(&old, etag)).await), stale);
            assert_eq!(refused(ada.delete_project(delete(&old, etag)).await), stale);
        }
        let read = ada.get_project(GetProjectRequest { name: old.name.clone() }).await;
        assert_eq!(read.unwrap().into_inner(), new);

        let mut request = retitled(&old, "Castle");
        request.project.as_mut().unwrap().etag = new.etag;
        assert!(ada.update_project(request).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn archiving_twice_keeps_the_first_date() {
    everywhere(async |service| {
        let mut ada = service.user("ada");
        let old = service.publish("Bridge").await;
        let first = ada.archive_project(archive(&old, &old.etag)).await.unwrap().into_inner();
        assert_eq!(first.state(), State::Archived);
        assert!(first.archive_time.is_some() && first.archive_time == first.update_time);
        // The same request once more, as after a lost answer.
        let second = ada.archive_project(archive(&old, &old.etag)).await.unwrap().into_inner();
        assert_eq!(second, first);
    })
    .await;
}

#[tokio::test]
async fn an_archived_project_no_longer_changes_and_can_be_deleted() {
    everywhere(async |service| {
        let mut ada = service.user("ada");
        let old = service.publish("Bridge").await;
        ada.archive_project(archive(&old, "")).await.unwrap();
        let answer = ada.update_project(retitled(&old, "Tower")).await;
        assert_eq!(refused(answer), (Code::FailedPrecondition, "PROJECT_ARCHIVED".into()));
        ada.delete_project(delete(&old, "")).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_deleted_project_is_gone() {
    everywhere(async |service| {
        let mut ada = service.user("ada");
        let old = service.publish("Bridge").await;
        ada.delete_project(delete(&old, &old.etag)).await.unwrap();
        let gone = (Code::NotFound, "PROJECT_NOT_FOUND".to_owned());
        let read = ada.get_project(GetProjectRequest { name: old.name.clone() }).await;
        assert_eq!(refused(read), gone);
        assert_eq!(refused(ada.delete_project(delete(&old, "")).await), gone);
        assert_eq!(refused(ada.update_project(retitled(&old, "Tower")).await), gone);
    })
    .await;
}

#[tokio::test]
async fn of_racing_changes_of_one_state_exactly_one_is_made() {
    everywhere(async |service| {
        const RACERS: usize = 8;
        let old = service.publish("Bridge").await;
        let racers: Vec<_> = (0..RACERS)
            .map(|number| {
                let mut request = retitled(&old, &format!("Tower {number}"));
                request.project.as_mut().unwrap().etag = old.etag.clone();
                let mut ada = service.user("ada");
                tokio::spawn(async move { ada.update_project(request).await })
            })
            .collect();
        let mut won = Vec::new();
        for racer in racers {
            match racer.await.unwrap() {
                Ok(project) => won.push(project.into_inner()),
                lost => assert_eq!(refused(lost), (Code::Aborted, "ETAG_MISMATCH".into())),
            }
        }
        let read = service.stranger().get_project(GetProjectRequest { name: old.name }).await;
        assert_eq!(won, [read.unwrap().into_inner()]);
    })
    .await;
}
