//! What others are told of a project, through the feed.

use titan::projects::v1::{
    ArchiveProjectRequest, DeleteProjectRequest, Project, ProjectArchived, ProjectCreated,
    ProjectDeleted, ProjectTitleChanged,
};

use crate::support::{everywhere, retitled, tells, update};

#[tokio::test]
async fn the_life_of_a_project_is_told_in_order_and_once() {
    everywhere(async |service| {
        let mut ada = service.user("ada");
        let project = service.publish("Bridge").await;
        let name = project.name.clone();
        let new = ada.update_project(retitled(&project, "Tower")).await.unwrap().into_inner();
        // Nothing new: not told.
        ada.update_project(retitled(&project, " Tower ")).await.unwrap();
        let described = Project { description: "Stone".into(), ..new.clone() };
        ada.update_project(update(described, &["description"])).await.unwrap();
        for _ in 0..2 {
            let request = ArchiveProjectRequest { name: name.clone(), ..Default::default() };
            ada.archive_project(request).await.unwrap();
        }
        let request = DeleteProjectRequest { name: name.clone(), ..Default::default() };
        ada.delete_project(request).await.unwrap();

        let told = service.told().await;
        assert!(told.iter().all(|event| event.stream == name && event.actor == "users/ada"));
        assert_eq!(told.iter().map(|event| event.version).collect::<Vec<_>>(), [1, 2, 3, 4]);
        let (project, title, owner) = (name.clone(), "Bridge".into(), "users/ada".into());
        tells(&told[0], &ProjectCreated { project, title, owner });
        let (project, title, update_time) = (name.clone(), "Tower".into(), new.update_time);
        tells(&told[1], &ProjectTitleChanged { project, title, update_time });
        tells(&told[2], &ProjectArchived { project: name.clone() });
        tells(&told[3], &ProjectDeleted { project: name });
    })
    .await;
}

#[tokio::test]
async fn a_refused_change_is_not_told() {
    everywhere(async |service| {
        let project = service.publish("Bridge").await;
        let mut eve = service.user("eve");
        eve.update_project(retitled(&project, "Mine")).await.unwrap_err();
        let mut stale = retitled(&project, "Tower");
        stale.project.as_mut().unwrap().etag = "stale".into();
        service.user("ada").update_project(stale).await.unwrap_err();
        assert_eq!(service.told().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn racing_archives_are_told_once() {
    everywhere(async |service| {
        let project = service.publish("Bridge").await;
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let mut ada = service.user("ada");
                let request =
                    ArchiveProjectRequest { name: project.name.clone(), ..Default::default() };
                tokio::spawn(async move { ada.archive_project(request).await })
            })
            .collect();
        for racer in racers {
            racer.await.unwrap().unwrap();
        }
        let told = service.told().await;
        assert_eq!(told.len(), 2);
        tells(&told[1], &ProjectArchived { project: project.name });
    })
    .await;
}
