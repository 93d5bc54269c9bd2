//! Lists of projects: order, filter and pages.

use titan::projects::v1::{ArchiveProjectRequest, ListProjectsRequest};

use crate::support::{Service, everywhere, retitled, violations};

/// Publishes `A`, `B` and `C`, archives `B`, and renames `A` to `D`.
async fn publish_some(service: &Service) {
    let mut ada = service.user("ada");
    let a = service.publish("A").await;
    let b = service.publish("B").await;
    service.publish("C").await;
    let request = ArchiveProjectRequest { name: b.name, ..Default::default() };
    ada.archive_project(request).await.unwrap();
    ada.update_project(retitled(&a, "D")).await.unwrap();
}

async fn titles(service: &Service, request: ListProjectsRequest) -> Vec<String> {
    let list = service.stranger().list_projects(request).await.unwrap().into_inner();
    list.projects.into_iter().map(|project| project.title).collect()
}

#[tokio::test]
async fn projects_are_listed_newest_first_or_as_asked() {
    everywhere(async |service| {
        publish_some(&service).await;
        for (order_by, expected) in [
            ("", ["C", "B", "D"]),
            ("create_time", ["D", "B", "C"]),
            ("create_time desc", ["C", "B", "D"]),
            ("update_time desc", ["D", "B", "C"]),
            ("title", ["B", "C", "D"]),
            ("title desc", ["D", "C", "B"]),
        ] {
            let request = ListProjectsRequest { order_by: order_by.into(), ..Default::default() };
            assert_eq!(titles(&service, request).await, expected, "{order_by:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_filter_picks_projects() {
    everywhere(async |service| {
        publish_some(&service).await;
        for (filter, expected) in [
            ("state = STATE_ACTIVE", &["C", "D"][..]),
            ("state = STATE_ARCHIVED", &["B"]),
            ("state != STATE_ARCHIVED", &["C", "D"]),
            (r#"owner = "users/ada""#, &["C", "B", "D"]),
            (r#"owner = "users/bob""#, &[]),
            (r#"title = "D""#, &["D"]),
            (r#"title = "A""#, &[]),
            (r#"state = STATE_ACTIVE AND owner = "users/ada" AND title != "C""#, &["D"]),
            (r#"create_time > "2020-01-01T00:00:00Z""#, &["C", "B", "D"]),
            (r#"update_time < "2020-01-01T00:00:00Z""#, &[]),
        ] {
            let request = ListProjectsRequest { filter: filter.into(), ..Default::default() };
            assert_eq!(titles(&service, request).await, expected, "{filter:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_show_every_project_once() {
    everywhere(async |service| {
        for title in ["A", "B", "C", "D", "E"] {
            service.publish(title).await;
        }
        for (order_by, expected) in [
            ("", ["ED", "CB", "A"]),
            ("title", ["AB", "CD", "E"]),
            ("title desc", ["ED", "CB", "A"]),
        ] {
            let mut request = ListProjectsRequest {
                page_size: 2,
                order_by: order_by.into(),
                ..ListProjectsRequest::default()
            };
            for page in expected {
                let answer = service.stranger().list_projects(request.clone()).await.unwrap();
                let answer = answer.into_inner();
                let titles: String = answer.projects.into_iter().map(|p| p.title).collect();
                assert_eq!(titles, page, "{order_by:?}");
                request.page_token = answer.next_page_token;
            }
            assert_eq!(request.page_token, "", "{order_by:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_longest_titles_have_a_next_page() {
    everywhere(async |service| {
        for number in 0..3 {
            service.publish(&format!("{}{number}", "😀".repeat(199))).await;
        }
        let order_by = "title".to_owned();
        let mut request = ListProjectsRequest { page_size: 1, order_by, ..Default::default() };
        for number in ["0", "1", "2"] {
            let page =
                service.stranger().list_projects(request.clone()).await.unwrap().into_inner();
            assert!(page.projects[0].title.ends_with(number));
            request.page_token = page.next_page_token;
        }
        assert_eq!(request.page_token, "");
    })
    .await;
}

#[tokio::test]
async fn a_list_that_cannot_be_is_refused_with_the_field_at_fault() {
    everywhere(async |service| {
        publish_some(&service).await;
        let mut anyone = service.stranger();
        let first = ListProjectsRequest { page_size: 1, ..Default::default() };
        let token = anyone.list_projects(first.clone()).await.unwrap().into_inner().next_page_token;
        let base = ListProjectsRequest::default;
        for (request, field) in [
            (ListProjectsRequest { page_size: -1, ..base() }, "page_size"),
            (ListProjectsRequest { page_size: 1001, ..base() }, "page_size"),
            (ListProjectsRequest { page_token: "nonsense".into(), ..base() }, "page_token"),
            (ListProjectsRequest { filter: "state =".into(), ..base() }, "filter"),
            (ListProjectsRequest { filter: "colour = red".into(), ..base() }, "filter"),
            (ListProjectsRequest { filter: "state = STATE_LOST".into(), ..base() }, "filter"),
            (ListProjectsRequest { filter: r#"create_time > "soon""#.into(), ..base() }, "filter"),
            (ListProjectsRequest { order_by: "colour".into(), ..base() }, "order_by"),
            (ListProjectsRequest { order_by: "title,,".into(), ..base() }, "order_by"),
            (ListProjectsRequest { order_by: "title sideways".into(), ..base() }, "order_by"),
            // A token belongs to the list that it came from.
            (
                ListProjectsRequest {
                    page_token: token.clone(),
                    filter: "state = STATE_ACTIVE".into(),
                    ..base()
                },
                "page_token",
            ),
            (
                ListProjectsRequest { page_token: token, order_by: "title".into(), ..base() },
                "page_token",
            ),
        ] {
            let answer = anyone.list_projects(request.clone()).await;
            assert_eq!(violations(answer), [field], "{request:?}");
        }
    })
    .await;
}
