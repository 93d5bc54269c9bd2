//! Registering, reading and changing users.

use std::collections::HashMap;

use prost_types::FieldMask;
use titan::identity::v1::{
    CreateUserRequest, GetUserRequest, ListUsersRequest, SetUserRolesRequest, UpdateUserRequest,
    User,
};
use tonic::{Code, Status};

use crate::support::{PASSWORD, Service, fields, on_every_database, refused};

fn registration(email: &str) -> CreateUserRequest {
    CreateUserRequest {
        email: email.to_owned(),
        password: PASSWORD.to_owned(),
        ..CreateUserRequest::default()
    }
}

fn named(name: &str) -> GetUserRequest {
    GetUserRequest { name: name.to_owned() }
}

fn preferences(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn update(
    service: &Service,
    by: &User,
    user: User,
    mask: Option<&[&str]>,
) -> Result<User, Status> {
    let paths = |mask: &[&str]| mask.iter().map(|path| (*path).to_owned()).collect();
    let update_mask = mask.map(|mask| FieldMask { paths: paths(mask) });
    let request = UpdateUserRequest { user: Some(user), update_mask };
    Ok(service.users_as(&by.name, &[]).update_user(request).await?.into_inner())
}

#[tokio::test]
async fn a_person_registers_and_reads_themselves() {
    on_every_database(async |service| {
        let request = CreateUserRequest {
            display_name: "Ada Lovelace".to_owned(),
            preferences: preferences(&[("theme", "dark")]),
            ..registration("Ada@Example.org")
        };
        let ada = service.users().create_user(request).await.unwrap().into_inner();
        assert_eq!(
            (ada.email.as_str(), ada.display_name.as_str()),
            ("ada@example.org", "Ada Lovelace")
        );
        assert_eq!(ada.preferences["theme"], "dark");
        assert!(ada.roles.is_empty());
        let mut client = service.users_as(&ada.name, &[]);
        for name in [ada.name.as_str(), "users/me"] {
            let read = client.get_user(named(name)).await.unwrap().into_inner();
            assert_eq!(read, ada, "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_address_is_taken_whatever_its_case() {
    on_every_database(async |service| {
        service.register("ada").await;
        for validate_only in [true, false] {
            let request = CreateUserRequest { validate_only, ..registration("ADA@example.ORG") };
            let answer = service.users().create_user(request).await;
            refused(answer, Code::AlreadyExists, "EMAIL_TAKEN");
        }
    })
    .await;
}

#[tokio::test]
async fn of_several_who_register_an_address_at_once_one_gets_it() {
    on_every_database(async |service| {
        let calls = (0..4).map(|_| {
            let mut users = service.users();
            tokio::spawn(async move { users.create_user(registration("ada@example.org")).await })
        });
        let mut registered = 0;
        for call in calls.collect::<Vec<_>>() {
            match call.await.unwrap() {
                Ok(_) => registered += 1,
                refusal => drop(refused(refusal, Code::AlreadyExists, "EMAIL_TAKEN")),
            }
        }
        assert_eq!(registered, 1);
    })
    .await;
}

#[tokio::test]
async fn validate_only_registers_nobody() {
    on_every_database(async |service| {
        let request = CreateUserRequest { validate_only: true, ..registration("ada@example.org") };
        let ada = service.users().create_user(request).await.unwrap().into_inner();
        assert_eq!((ada.name.as_str(), ada.display_name.as_str()), ("", "ada"));
        service.register("ada").await;
    })
    .await;
}

#[tokio::test]
async fn fields_that_break_the_contract_are_named() {
    on_every_database(async |service| {
        let request = CreateUserRequest {
            password: "short".to_owned(),
            display_name: "x".repeat(101),
            ..registration("no address")
        };
        let refusal = service.users().create_user(request).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument);
        let mut named = fields(&refusal);
        named.sort();
        assert_eq!(named, ["display_name", "email", "password"]);
    })
    .await;
}

#[tokio::test]
async fn text_that_a_database_cannot_keep_is_refused_by_field() {
    on_every_database(async |service| {
        let request = CreateUserRequest {
            display_name: "A\0".to_owned(),
            preferences: preferences(&[("a\0", "\0")]),
            ..registration("ada@example.org")
        };
        let refusal = service.users().create_user(request.clone()).await.unwrap_err();
        assert_eq!(fields(&refusal), ["display_name"]);
        let request = CreateUserRequest { display_name: String::new(), ..request };
        let ada = service.users().create_user(request).await.unwrap().into_inner();
        assert_eq!(ada.preferences["a\0"], "\0");
        let user =
            User { name: "users/me".to_owned(), display_name: "\0".to_owned(), ..User::default() };
        let refusal = update(&service, &ada, user, None).await.unwrap_err();
        assert_eq!(fields(&refusal), ["user.display_name"]);
        let refusal = service.sign_in("a\0", PASSWORD).await.err().unwrap();
        assert_eq!(fields(&refusal), ["email"]);
    })
    .await;
}

#[tokio::test]
async fn other_users_are_neither_seen_nor_changed_nor_told_to_exist() {
    on_every_database(async |service| {
        let (ada, eve) = (service.register("ada").await, service.register("eve").await);
        let mut client = service.users_as(&eve.name, &["guest"]);
        for name in [ada.name.as_str(), "users/nobody"] {
            let answer = client.get_user(named(name)).await;
            refused(answer, Code::PermissionDenied, "NOT_OWNER");
            let user =
                User { name: name.to_owned(), display_name: "X".to_owned(), ..User::default() };
            let answer = update(&service, &eve, user, None).await;
            refused(answer, Code::PermissionDenied, "NOT_OWNER");
        }
        let answer = service.users().get_user(named(&ada.name)).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);

        let mut admin = service.users_as("root", &["admin"]);
        assert_eq!(admin.get_user(named(&ada.name)).await.unwrap().into_inner(), ada);
        let answer = admin.get_user(named("users/nobody")).await;
        refused(answer, Code::NotFound, "USER_NOT_FOUND");
    })
    .await;
}

#[tokio::test]
async fn an_update_changes_what_the_mask_names() {
    on_every_database(async |service| {
        let request = CreateUserRequest {
            display_name: "Ada".to_owned(),
            preferences: preferences(&[("theme", "dark")]),
            ..registration("ada@example.org")
        };
        let ada = service.users().create_user(request).await.unwrap().into_inner();
        let wanted = |display_name: &str, pairs: &[(&str, &str)]| User {
            name: "users/me".to_owned(),
            display_name: display_name.to_owned(),
            preferences: preferences(pairs),
            email: "other@example.org".to_owned(),
            roles: vec!["admin".to_owned()],
            ..User::default()
        };
        let light: &[(&str, &str)] = &[("theme", "light")];
        let dark: &[(&str, &str)] = &[("theme", "dark")];
        for (user, mask, display_name, pairs) in [
            (wanted("A", light), Some(&["display_name"][..]), "A", dark),
            (wanted("B", light), Some(&["preferences"]), "A", light),
            (wanted("B", &[]), None, "B", light),
            (wanted("", dark), None, "B", dark),
            (wanted("C", light), Some(&["name", "etag", "display_name"]), "C", dark),
            (wanted("D", &[]), Some(&["*"]), "D", &[]),
            (wanted("", light), Some(&["display_name"]), "ada", &[]),
        ] {
            let changed = update(&service, &ada, user, mask).await.unwrap();
            assert_eq!(changed.display_name, display_name, "{mask:?}");
            assert_eq!(changed.preferences, preferences(pairs), "{mask:?}");
            assert_eq!((&changed.email, &changed.roles), (&ada.email, &ada.roles));
        }
    })
    .await;
}

#[tokio::test]
async fn an_update_that_cannot_be_is_refused_by_field() {
    on_every_database(async |service| {
        let ada = service.register("ada").await;
        let me = User { name: "users/me".to_owned(), ..User::default() };
        for mask in ["email", "roles", "create_time", "nickname", "preferences.theme", ""] {
            let answer = update(&service, &ada, me.clone(), Some(&["display_name", mask])).await;
            let refusal = refused(answer, Code::InvalidArgument, "INVALID_FIELDS");
            assert_eq!(fields(&refusal), ["update_mask"], "{mask:?}");
        }
        for name in ["", "users/", "projects/1", "users/a/b", "users/A", "users/a\0"] {
            let user = User { name: name.to_owned(), ..User::default() };
            let refusal = update(&service, &ada, user, None).await.unwrap_err();
            assert_eq!(refusal.code(), Code::InvalidArgument, "{name:?}");
            assert_eq!(fields(&refusal), ["user.name"], "{name:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_stale_etag_aborts_and_a_repeated_update_does_not() {
    on_every_database(async |service| {
        let ada = service.register("ada").await;
        let renamed = |name: &str| User { display_name: name.to_owned(), ..ada.clone() };
        let mask = Some(&["display_name", "etag"][..]);
        let first = update(&service, &ada, renamed("A"), mask).await.unwrap();
        assert_ne!(first.etag, ada.etag);
        assert!(first.update_time.unwrap().nanos > ada.update_time.unwrap().nanos);
        let repeated = update(&service, &ada, renamed("A"), mask).await.unwrap();
        assert_eq!(repeated, first);
        let answer = update(&service, &ada, renamed("B"), mask).await;
        refused(answer, Code::Aborted, "ETAG_MISMATCH");
    })
    .await;
}

#[tokio::test]
async fn of_updates_that_race_none_is_lost() {
    on_every_database(async |service| {
        let ada = service.register("ada").await;
        let calls = (0..8).map(|n| {
            let mut client = service.users_as(&ada.name, &[]);
            let user = User {
                name: ada.name.clone(),
                display_name: format!("Ada {n}"),
                ..User::default()
            };
            let request = UpdateUserRequest { user: Some(user), update_mask: None };
            tokio::spawn(async move { client.update_user(request).await })
        });
        let mut etags = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            etags.push(call.await.unwrap().unwrap().into_inner().etag);
        }
        etags.sort();
        etags.dedup();
        assert_eq!(etags.len(), 8, "every update saw the one before: {etags:?}");
    })
    .await;
}

#[tokio::test]
async fn only_administrators_set_roles() {
    on_every_database(async |service| {
        let ada = service.register("ada").await;
        let request = |roles: &[&str]| SetUserRolesRequest {
            name: ada.name.clone(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        };
        let answer =
            service.users_as(&ada.name, &["user"]).set_user_roles(request(&["admin"])).await;
        assert_eq!(answer.unwrap_err().code(), Code::PermissionDenied);
        let mut admin = service.users_as("root", &["admin"]);
        let changed = admin.set_user_roles(request(&["writer", "admin"])).await.unwrap();
        assert_eq!(changed.into_inner().roles, ["admin", "writer"]);
        let changed = admin.set_user_roles(request(&[])).await.unwrap().into_inner();
        assert!(changed.roles.is_empty());
        let answer = admin.set_user_roles(request(&["Not A Role"])).await;
        assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument);
    })
    .await;
}

#[tokio::test]
async fn users_are_listed_in_pages_oldest_first() {
    on_every_database(async |service| {
        let mut registered = Vec::new();
        for name in ["ada", "bob", "cyd", "dan", "eve"] {
            registered.push(service.register(name).await);
        }
        let mut admin = service.users_as("root", &["admin"]);
        let (mut listed, mut sizes) = (Vec::new(), Vec::new());
        let mut request = ListUsersRequest { page_size: 2, ..ListUsersRequest::default() };
        loop {
            let page = admin.list_users(request.clone()).await.unwrap().into_inner();
            sizes.push(page.users.len());
            listed.extend(page.users);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(sizes, [2, 2, 1]);
        assert_eq!(listed, registered);
    })
    .await;
}

#[tokio::test]
async fn a_list_is_for_administrators_with_good_page_tokens() {
    on_every_database(async |service| {
        let ada = service.register("ada").await;
        let mut user = service.users_as(&ada.name, &["user"]);
        let answer = user.list_users(ListUsersRequest::default()).await;
        assert_eq!(answer.unwrap_err().code(), Code::PermissionDenied);
        let mut admin = service.users_as("root", &["admin"]);
        let request = ListUsersRequest { page_token: "garbage".to_owned(), page_size: 1 };
        let refusal = admin.list_users(request).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument);
        assert_eq!(fields(&refusal), ["page_token"]);
    })
    .await;
}
