//! Who sees which submissions and applicants.

use titan::applicants::v1::{ListSubmissionsRequest, ListSubmissionsResponse};
use tonic::{Code, Status};

use crate::support::{Person, everywhere, refusal, refused, violations};

async fn list(
    person: &Person,
    request: ListSubmissionsRequest,
) -> Result<ListSubmissionsResponse, Status> {
    Ok(person.submissions.clone().list_submissions(request).await?.into_inner())
}

fn of(parent: &str) -> ListSubmissionsRequest {
    ListSubmissionsRequest { parent: parent.into(), ..ListSubmissionsRequest::default() }
}

async fn applicants(person: &Person, request: ListSubmissionsRequest) -> Vec<String> {
    let listed = list(person, request).await.unwrap().submissions;
    listed.into_iter().map(|one| one.applicant.replace("applicants/", "")).collect()
}

#[tokio::test]
async fn a_submission_is_seen_by_its_applicant_and_the_projects_owner_only() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let started = service.user("ada").apply(&bridge).await.unwrap();
        for user in ["ada", "olga"] {
            assert_eq!(service.user(user).get(&started.name).await.unwrap(), started);
        }
        let answer = service.user("eve").get(&started.name).await;
        assert_eq!(refused(answer), refusal(Code::PermissionDenied, "NOT_INVOLVED"));
        let answer = service.nobody().get(&started.name).await;
        assert_eq!(refused(answer).0, Code::Unauthenticated);
    })
    .await;
}

#[tokio::test]
async fn the_owner_lists_all_submissions_and_others_their_own() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let tower = service.projects.publish("tower", "Tower");
        for (user, project) in [("ada", &bridge), ("bob", &bridge), ("ada", &tower)] {
            service.user(user).apply(project).await.unwrap();
        }
        for (user, expected) in
            [("olga", &["bob", "ada"][..]), ("ada", &["ada"]), ("bob", &["bob"]), ("eve", &[])]
        {
            assert_eq!(applicants(&service.user(user), of(&bridge)).await, expected, "{user}");
        }
        assert_eq!(applicants(&service.user("olga"), of("projects/unknown")).await, [""; 0]);
        let answer = list(&service.nobody(), of(&bridge)).await;
        assert_eq!(refused(answer).0, Code::Unauthenticated);
    })
    .await;
}

#[tokio::test]
async fn a_filter_picks_submissions() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let olga = service.user("olga");
        for user in ["ada", "bob", "cyd"] {
            service.user(user).apply(&bridge).await.unwrap();
        }
        let all = list(&olga, of(&bridge)).await.unwrap().submissions;
        olga.approve(&all[0].name, "").await.unwrap();
        service.user("bob").cancel(&all[1].name, "").await.unwrap();
        for (filter, expected) in [
            ("state = STATE_APPROVED", &["cyd"][..]),
            ("state = STATE_CANCELLED", &["bob"]),
            ("state != STATE_IN_REVIEW", &["cyd", "bob"]),
            (r#"applicant = "applicants/ada""#, &["ada"]),
            (r#"applicant = "applicants/ada" AND state = STATE_APPROVED"#, &[]),
            (r#"create_time > "2020-01-01T00:00:00Z""#, &["cyd", "bob", "ada"]),
        ] {
            let request = ListSubmissionsRequest { filter: filter.into(), ..of(&bridge) };
            assert_eq!(applicants(&olga, request).await, expected, "{filter}");
        }
        // A filter does not open what is not theirs.
        let filter = r#"applicant = "applicants/bob""#.into();
        let request = ListSubmissionsRequest { filter, ..of(&bridge) };
        assert_eq!(applicants(&service.user("ada"), request).await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn pages_show_every_submission_once() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        for user in ["ada", "bob", "cyd", "dan", "eve"] {
            service.user(user).apply(&bridge).await.unwrap();
        }
        let olga = service.user("olga");
        let mut request = ListSubmissionsRequest { page_size: 2, ..of(&bridge) };
        for page in [&["eve", "dan"][..], &["cyd", "bob"], &["ada"]] {
            assert_eq!(applicants(&olga, request.clone()).await, page);
            let answer = list(&olga, request.clone()).await.unwrap();
            request.page_token = answer.next_page_token;
        }
        assert_eq!(request.page_token, "");
    })
    .await;
}

#[tokio::test]
async fn a_list_that_cannot_be_is_refused_with_the_field_at_fault() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let tower = service.projects.publish("tower", "Tower");
        let olga = service.user("olga");
        for user in ["ada", "bob"] {
            service.user(user).apply(&bridge).await.unwrap();
        }
        let first = ListSubmissionsRequest { page_size: 1, ..of(&bridge) };
        let token = list(&olga, first).await.unwrap().next_page_token;
        for (request, field) in [
            (of("bridge"), "parent"),
            (ListSubmissionsRequest { page_size: -1, ..of(&bridge) }, "page_size"),
            (ListSubmissionsRequest { page_size: 1001, ..of(&bridge) }, "page_size"),
            (ListSubmissionsRequest { page_token: "nonsense".into(), ..of(&bridge) }, "page_token"),
            (ListSubmissionsRequest { filter: "state".into(), ..of(&bridge) }, "filter"),
            (ListSubmissionsRequest { filter: "state = OPEN".into(), ..of(&bridge) }, "filter"),
            (ListSubmissionsRequest { filter: "comment = x".into(), ..of(&bridge) }, "filter"),
            // A token belongs to the list that it came from.
            (ListSubmissionsRequest { page_token: token, ..of(&tower) }, "page_token"),
        ] {
            let answer = list(&olga, request.clone()).await;
            assert_eq!(violations(answer), [field], "{request:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_applicant_is_seen_by_themselves_only() {
    everywhere(async |service| {
        let bridge = service.projects.publish("bridge", "Bridge");
        let ada = service.user("ada");
        let unknown = refusal(Code::NotFound, "APPLICANT_NOT_FOUND");
        assert_eq!(refused(ada.applicant("applicants/me").await), unknown);
        assert_eq!(refused(ada.applicant("applicants/ada").await), unknown);
        ada.apply(&bridge).await.unwrap();
        assert!(ada.applicant("applicants/me").await.is_ok());

        // Whether somebody has applied cannot be told from the refusal.
        let denied = refusal(Code::PermissionDenied, "NOT_SELF");
        for name in ["applicants/ada", "applicants/nobody"] {
            assert_eq!(refused(service.user("olga").applicant(name).await), denied);
        }
        assert_eq!(
            refused(service.nobody().applicant("applicants/me").await).0,
            Code::Unauthenticated
        );
        assert_eq!(violations(ada.applicant("ada").await), ["name"]);
    })
    .await;
}
