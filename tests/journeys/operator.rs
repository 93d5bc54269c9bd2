//! What happens by itself, as an operator looks at it and decides over it: events,
//! sagas, tasks and the state of the databases, from the command line.

use std::{
    io::{BufRead as _, BufReader},
    process::{Output, Stdio},
};

use durable::{Expected, NewEvent, Store};
use prost::{Message, Name};
use serde_json::{Value, json};

use crate::{
    client::Client,
    shop::{self, Shop, text},
    system::System,
    tools::{said, stdout},
};

/// Usage errors, and refused calls: 64 and the code.
const USAGE: i32 = 2;
const INVALID_ARGUMENT: i32 = 64 + 3;
const NOT_FOUND: i32 = 64 + 5;
const FAILED_PRECONDITION: i32 = 64 + 9;

/// Bears the name of an event, and is none: its first field is a number.
#[derive(Clone, PartialEq, Message)]
struct Garbled {
    #[prost(int64, tag = "1")]
    project: i64,
}

impl Name for Garbled {
    const NAME: &'static str = "ProjectTitleChanged";
    const PACKAGE: &'static str = "titan.projects.v1";
}

fn run(system: &System, arguments: &[&str]) -> Output {
    system.titan(arguments).env("USER", "operator").output().unwrap()
}

/// What a success printed, line by line as JSON.
fn lines(system: &System, arguments: &[&str]) -> Vec<Value> {
    let output = run(system, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Ends with this code, and says something with this in it.
#[track_caller]
fn refused(system: &System, arguments: &[&str], code: i32, says: &str) {
    let output = run(system, arguments);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
    assert!(told.contains(says), "{arguments:?}: {told}");
}

#[test]
fn an_operator_sees_what_waits_and_decides_over_it() {
    let system = System::start();
    let owner = system.client().sign_up("owner@example.com");
    events_are_listed_shown_and_followed(&system, &owner);
    a_poisoned_stream_is_released_and_discarded(&system, &owner);
    a_consumer_is_paused_and_resumed(&system);
    a_saga_that_asks_is_retried_and_skipped(&system);
    tasks_and_databases_are_well(&system);
}

fn events_are_listed_shown_and_followed(system: &System, owner: &Client) {
    let project = owner.post("/v1/projects", &json!({"title": "A bridge"})).ok();
    let name = text(&project["name"]);
    owner.patch(&format!("/v1/{name}"), &json!({"title": "A longer bridge"})).ok();
    let listed = lines(system, &["events", "projects", "--json", "list", "--stream", &name]);
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(listed.iter().all(|event| event["stream"] == *name), "{listed:?}");
    let table = stdout(&mut system.titan(&["events", "projects", "list"]));
    assert!(table.contains("titan.projects.v1.ProjectTitleChanged"), "{table}");
    assert!(table.contains("A longer bridge"), "a payload can be read: {table}");

    let position = text(&listed[1]["position"]);
    let shown = lines(system, &["events", "projects", "--json", "show", &position]);
    assert_eq!(
        (&shown[0]["position"], &shown[0]["version"]),
        (&listed[1]["position"], &json!("2"))
    );
    refused(system, &["events", "projects", "show", "4711"], NOT_FOUND, "4711");
    refused(system, &["events", "projects", "show", "first"], USAGE, "first");
    refused(system, &["events", "nobody", "list"], 1, "nobody");
    refused(system, &["events", "projects", "discard"], USAGE, "required");

    let only = ["events", "projects", "--json", "follow", "--after", &position];
    let mut follow = system.titan(&only).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(follow.stdout.take().unwrap()).lines();
    owner.patch(&format!("/v1/{name}"), &json!({"title": "The longest bridge"})).ok();
    let next: Value = serde_json::from_str(&told.next().unwrap().unwrap()).unwrap();
    assert_eq!((&next["stream"], &next["version"]), (&json!(name), &json!("3")), "{next}");
    follow.kill().unwrap();
    follow.wait().unwrap();
}

/// Appends what nobody can read, behind the service's back.
fn poison(system: &System, stream: &str) {
    let url = format!("sqlite:{}", system.path().join("data/projects.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&url, &[]).await.unwrap();
        let event = vec![NewEvent::of(&Garbled { project: 7 })];
        store.append(stream, Expected::Any, event).await.unwrap();
        store.close().await;
    });
}

fn parked(system: &System) -> Vec<Value> {
    let parked = lines(system, &["events", "applicants", "--json", "parked"]);
    parked.into_iter().filter(|it| it["parked"] == true).collect()
}

fn a_poisoned_stream_is_released_and_discarded(system: &System, owner: &Client) {
    assert_eq!(parked(system), [Value::Null; 0]);
    let project = owner.post("/v1/projects", &json!({"title": "A tower"})).ok();
    let name = text(&project["name"]);
    let applicant = system.client().sign_up("applicant@example.com");
    let made = applicant.post(&format!("/v1/{name}/submissions"), &json!({})).ok();
    let submission = format!("/v1/{}", text(&made["name"]));
    poison(system, &name);
    owner.patch(&format!("/v1/{name}"), &json!({"title": "A higher tower"})).ok();
    let waiting = system.until("the stream is parked", || parked(system).pop());
    assert_eq!((&waiting["stream"], &waiting["consumer"]), (&json!(name), &json!("projects")));
    let position = text(&waiting["position"]);
    let table = stdout(&mut system.titan(&["events", "applicants", "parked"]));
    assert!(table.contains(&name), "{table}");
    let letters = lines(system, &["events", "applicants", "--json", "dead-letters"]);
    assert_eq!((letters.len(), &letters[0]["status"]), (1, &json!("parked")), "{letters:?}");

    let release = ["events", "applicants", "release", "projects", &*name];
    let discard = ["events", "applicants", "discard", "projects", &*name];
    refused(system, &release, USAGE, "--reason");
    let why = ["--reason", "the reader is mended"];
    refused(system, &[&discard[..], &["1"], &why].concat(), FAILED_PRECONDITION, "EVENT_NOT_FIRST");
    let elsewhere = ["events", "applicants", "release", "projects", "projects/none"];
    refused(system, &[&elsewhere[..], &why].concat(), NOT_FOUND, "projects/none");

    // It is tried again, and is what it was.
    assert!(run(system, &[&release[..], &why].concat()).status.success());
    system.until("it is parked again", || parked(system).pop());
    let done = run(system, &[&discard[..], &[&*position], &why].concat());
    assert!(done.status.success(), "{}", said(&done));
    system.until("what waited behind it is applied", || {
        (applicant.get(&submission).ok()["projectTitle"] == "A higher tower").then_some(())
    });
    assert_eq!(parked(system), [Value::Null; 0]);
    let letters = lines(system, &["events", "applicants", "--json", "dead-letters"]);
    assert!(letters.iter().any(|it| it["status"] == "discarded"), "{letters:?}");
}

fn a_consumer_is_paused_and_resumed(system: &System) {
    let consumers = || lines(system, &["events", "applicants", "--json", "consumers"]);
    let why = ["--reason", "a look around"];
    let verb =
        |verb| run(system, &[&["events", "applicants", verb, "projects"], &why[..]].concat());
    assert!(verb("pause").status.success());
    assert_eq!(consumers()[0]["paused"], true, "{:?}", consumers());
    assert!(verb("resume").status.success());
    assert_ne!(consumers()[0]["paused"], true, "{:?}", consumers());
    let nobody = ["events", "applicants", "pause", "nobody", "--reason", "x"];
    refused(system, &nobody, NOT_FOUND, "nobody");
}

fn saga(system: &System, id: &str) -> Value {
    serde_json::from_str(&stdout(&mut system.titan(&["sagas", "show", id, "--json"]))).unwrap()
}

fn until_it_asks(system: &System, id: &str, entries: usize) -> Value {
    system.until("the saga asks", || {
        let found = saga(system, id);
        let more = found["history"].as_array().unwrap().len() > entries;
        (more && found["saga"]["status"] == "SAGA_STATUS_NEEDS_ATTENTION").then_some(found)
    })
}

fn a_saga_that_asks_is_retried_and_skipped(system: &System) {
    let shop = Shop::open(system);
    let tea = shop.offer("Tea", 1_250, 10);
    // Paid, not deliverable, and not to be given back.
    let wanted = shop::order(&[(&tea, 2)], "card-no-refund", "AQ");
    let order = text(&shop.customer.post("/v1/orders", &wanted).ok()["name"]);
    refused(system, &["sagas", "show", &order], NOT_FOUND, &order);
    shop.customer.post(&format!("/v1/{order}:confirm"), &json!({})).ok();
    let asking = until_it_asks(system, &order, 0);
    assert_eq!(
        (&asking["saga"]["step"], &asking["saga"]["attempts"]),
        (&json!("authorize"), &json!(6))
    );
    let list = stdout(&mut system.titan(&["sagas", "list"]));
    assert!(list.contains(&order) && list.contains("needs attention"), "{list}");
    assert!(list.contains("undo authorize"), "{list}");
    let table = stdout(&mut system.titan(&["sagas", "show", &order]));
    assert!(table.contains("needs attention") && table.contains("undo authorize"), "{table}");

    refused(system, &["sagas", "skip", &order], USAGE, "--reason");
    refused(system, &["sagas", "skip", &order, "--reason", ""], INVALID_ARGUMENT, "reason");
    refused(system, &["sagas", "cancel", &order], FAILED_PRECONDITION, &order);
    refused(system, &["sagas", "retry", "orders/none"], NOT_FOUND, "orders/none");
    refused(system, &["sagas", "list", "--status", "lost"], USAGE, "needs-attention");

    let entries = asking["history"].as_array().unwrap().len();
    let retry = run(system, &["sagas", "retry", &order, "--reason", "the bank is back"]);
    assert!(retry.status.success() && said(&retry).contains("tried again"), "{}", said(&retry));
    let asking = until_it_asks(system, &order, entries + 1);
    let entries = asking["history"].as_array().unwrap().len();
    let skip = run(system, &["sagas", "skip", &order, "--reason", "given back in cash"]);
    assert!(skip.status.success(), "{}", said(&skip));
    let rests = system.until("the saga goes on", || {
        let found = saga(system, &order);
        let more = found["history"].as_array().unwrap().len() > entries + 1;
        let rests = ["SAGA_STATUS_NEEDS_ATTENTION", "SAGA_STATUS_RESOLVED"];
        (more && rests.contains(&found["saga"]["status"].as_str().unwrap())).then_some(found)
    });
    assert_eq!(rests["saga"]["status"], "SAGA_STATUS_RESOLVED", "{rests}");
    assert_eq!(shop.customer.get(&format!("/v1/{order}")).ok()["state"], "STATE_CANCELLED");
    assert_eq!(shop.pieces(&tea), (10, 0, 0));
    // What is over stays so.
    refused(system, &["sagas", "retry", &order], FAILED_PRECONDITION, &order);
    refused(system, &["sagas", "skip", &order, "--reason", "x"], FAILED_PRECONDITION, &order);
    let resolved = lines(system, &["sagas", "list", "--status", "resolved", "--json"]);
    assert_eq!((resolved.len(), &resolved[0]["app"]), (1, &json!("orders")));
    assert_eq!(lines(system, &["sagas", "list", "--json"]), [Value::Null; 0]);
}

fn tasks_and_databases_are_well(system: &System) {
    assert_eq!(lines(system, &["tasks", "list", "--json"]), [Value::Null; 0]);
    refused(system, &["tasks", "requeue", "saga", "none"], 1, "saga none");
    refused(system, &["tasks", "--app", "orders", "discard", "saga", "none"], NOT_FOUND, "saga");
    refused(system, &["tasks", "--app", "nobody", "list"], USAGE, "nobody");
    let doctor = run(system, &["doctor"]);
    let told = said(&doctor);
    assert!(doctor.status.success(), "{told}");
    for database in ["orders", "accounts", "projects", "machine"] {
        assert!(told.lines().any(|line| line.starts_with(database)), "{database}: {told}");
    }
    refused(system, &["doctor", "mysql://nowhere"], 1, "mysql");
}
