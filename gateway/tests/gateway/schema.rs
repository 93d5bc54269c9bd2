//! Snapshots: what is taken from the contracts, and which ones are refused.

use std::time::Duration;

use gateway::schema::{Route, SchemaError, Snapshot, Source};
use transcode::{
    bind::BindingError,
    route::Path,
    routes::{Found, RouteError},
};

use crate::contracts::{LIBRARY, compile_text, library, snapshot};

const HEADER: &str = r#"
    syntax = "proto3";
    package test.v1;
    import "google/api/annotations.proto";
"#;

fn source(app: &str, file: &str, body: &str) -> Source {
    let set = compile_text(file, &format!("{HEADER}{body}"));
    Source::from_set(app, &["test.v1.Test"], &set).unwrap()
}

#[test]
fn methods_carry_their_application_policy_and_bindings() {
    let snapshot = snapshot();
    assert_eq!(snapshot.owner(LIBRARY).unwrap().as_ref(), "library");
    assert!(snapshot.owner("library.v1.Other").is_none());

    let rpc = snapshot.rpc("/library.v1.LibraryService/GetBook").unwrap();
    assert!(rpc.policy.access.public && !rpc.policy.access.authenticated);
    assert_eq!(rpc.policy.deadline, Some(Duration::from_secs(5)));
    let rpc = snapshot.rpc("/library.v1.LibraryService/LendBook").unwrap();
    assert_eq!(rpc.policy.access.roles, ["librarian"]);
    assert_eq!(rpc.policy.deadline, Some(Duration::from_millis(200)));
    let rpc = snapshot.rpc("/library.v1.LibraryService/DeleteBook").unwrap();
    assert!(rpc.policy.access.authenticated && rpc.is_unary());

    let bindings = |method: &str| {
        let of = |route: &&Route| route.target.rpc.method.name() == method;
        snapshot.routes().iter().filter(of).count()
    };
    assert_eq!(bindings("GetBook"), 2);
    assert_eq!(bindings("LinkBook"), 1);
    assert_eq!(bindings("Chat"), 0);
}

#[test]
fn a_request_finds_its_method_through_the_snapshot() {
    let snapshot = snapshot();
    let find = |method: &str, raw: &'static str| snapshot.find(method, Path::parse(raw).unwrap());
    match find("POST", "/v1/shelves/1/books/2:lend") {
        Found::Route(route, captures) => {
            assert_eq!(route.target.rpc.method.name(), "LendBook");
            assert_eq!(captures.get(0), "shelves/1/books/2");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(find("LINK", "/v1/shelves/1/books/2"), Found::Route(..)));
    assert!(matches!(find("PUT", "/v1/shelves/1/books"), Found::NotAllowed(_)));
    assert!(matches!(find("GET", "/v1/nothing/here"), Found::Nothing));
}

#[test]
fn services_of_the_mesh_are_never_exposed() {
    let services = [LIBRARY, "titan.mesh.v1.FeedService", "grpc.health.v1.Health"];
    let source = Source::from_set("library", &services, library()).unwrap();
    let snapshot = Snapshot::build(&[source]).unwrap();
    assert_eq!(snapshot.services().map(|(name, _)| name).collect::<Vec<_>>(), [LIBRARY]);
}

#[test]
fn equal_files_of_two_applications_are_one() {
    let first = Source::from_set("library", &[LIBRARY], library()).unwrap();
    let second = Source::from_set("readers", &[], library()).unwrap();
    let snapshot = Snapshot::build(&[first, second]).unwrap();
    assert_eq!(snapshot.owner(LIBRARY).unwrap().as_ref(), "library");
    // The copy with comments is the one that is kept and handed out.
    let with_comments = snapshot.file("library/v1/library.proto").unwrap().len();
    assert!(with_comments > 10_000);
}

#[test]
fn unequal_files_of_two_applications_are_a_conflict_that_names_both() {
    let first = source("first", "same.proto", "message A { string a = 1; }");
    let second = source("second", "same.proto", "message A { int32 a = 1; }");
    match Snapshot::build(&[first, second]).unwrap_err() {
        SchemaError::File { file, earlier, later } => {
            assert_eq!((&file[..], &earlier[..], &later[..]), ("same.proto", "first", "second"));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_service_has_one_owner() {
    let first = Source::from_set("first", &[LIBRARY], library()).unwrap();
    let second = Source::from_set("second", &[LIBRARY], library()).unwrap();
    let error = Snapshot::build(&[first, second]).unwrap_err();
    assert!(matches!(
        error,
        SchemaError::Service { earlier, later, .. } if earlier == "first" && later == "second"
    ));
}

#[test]
fn two_rules_for_the_same_requests_are_a_conflict_that_names_both() {
    let body = r#"message A { string id = 1; }
        service Test {
            rpc One(A) returns (A) { option (google.api.http) = { get: "/a/{id}" }; }
            rpc Two(A) returns (A) { option (google.api.http) = { get: "/a/{id=*}" }; }
        }"#;
    match Snapshot::build(&[source("test", "test.proto", body)]).unwrap_err() {
        SchemaError::Route(RouteError::Conflict { earlier, later, template, .. }) => {
            assert_eq!(earlier, "test.v1.Test.One");
            assert_eq!(later, "test.v1.Test.Two");
            assert_eq!(template, "/a/{id=*}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_rule_that_http_proto_forbids_is_refused_with_its_method() {
    let body = r#"message A { string id = 1; }
        service Test {
            rpc Call(A) returns (A) { option (google.api.http) = { get: "/a/{nope}" }; }
        }"#;
    match Snapshot::build(&[source("test", "test.proto", body)]).unwrap_err() {
        SchemaError::Route(RouteError::Binding { method, error }) => {
            assert_eq!(method, "test.v1.Test.Call");
            assert_eq!(error, BindingError::Variable("nope".to_owned()));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn broken_descriptors_are_refused_by_application() {
    assert!(Source::from_set("broken", &[], b"\xff\xff\xff").is_err());
    let incomplete = {
        use prost::Message;
        let mut set = prost_types::FileDescriptorSet::decode(library()).unwrap();
        set.file.retain(|file| !file.name().starts_with("google/protobuf/struct"));
        set.encode_to_vec()
    };
    let source = Source::from_set("broken", &[LIBRARY], &incomplete).unwrap();
    match Snapshot::build(&[source]).unwrap_err() {
        SchemaError::Descriptors { app, .. } => assert_eq!(app, "broken"),
        other => panic!("{other}"),
    }
}
