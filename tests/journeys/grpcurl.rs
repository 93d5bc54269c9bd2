//! The same by grpcurl, through the edge and directly at a service.

use std::{path::PathBuf, process::Command};

use serde_json::Value;

use crate::{
    system::System,
    tools::{find, said, stdout},
};

struct Grpcurl {
    program: PathBuf,
    address: String,
    token: Option<String>,
}

impl Grpcurl {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-plaintext");
        if let Some(token) = &self.token {
            command.arg("-H").arg(format!("authorization: Bearer {token}"));
        }
        let (before, after) = match arguments {
            [data, method] => (vec!["-d", data], *method),
            [method] => (Vec::new(), *method),
            _ => panic!("a method, and data before it"),
        };
        command.args(before).arg(&self.address).args(after.split(' '));
        command
    }

    fn call(&self, data: &str, method: &str) -> Value {
        serde_json::from_str(&stdout(&mut self.command(&[data, method]))).unwrap()
    }
}

#[test]
fn every_service_is_listed_described_and_called_through_the_edge() {
    let Some(program) = find("grpcurl") else { return };
    let system = System::start();
    let mut edge = Grpcurl { program, address: system.edge(), token: None };

    let listed = stdout(&mut edge.command(&["list"]));
    for service in [
        "titan.applicants.v1.SubmissionsService",
        "titan.identity.v1.UsersService",
        "titan.projects.v1.ProjectsService",
    ] {
        assert!(listed.contains(service), "{service} is missing in {listed}");
    }
    assert!(!listed.contains("titan.mesh"), "what is within the mesh is not for the edge");
    let described = stdout(&mut edge.command(&["describe titan.projects.v1.ProjectsService"]));
    assert!(described.contains("rpc ArchiveProject"), "{described}");

    let data = r#"{"email":"g@example.com","password":"correct horse"}"#;
    edge.call(data, "titan.identity.v1.UsersService/CreateUser");
    let session = edge.call(data, "titan.identity.v1.SessionsService/CreateSession");
    edge.token = session["accessToken"].as_str().map(str::to_owned);
    let create = "titan.projects.v1.ProjectsService/CreateProject";
    let project = edge.call(r#"{"project":{"title":"A tower"}}"#, create);

    let direct = Grpcurl {
        program: edge.program.clone(),
        address: system.address("projects"),
        token: edge.token.clone(),
    };
    let name = format!(r#"{{"name":{}}}"#, project["name"]);
    let seen = direct.call(&name, "titan.projects.v1.ProjectsService/GetProject");
    assert_eq!(seen, project);
    let health = direct
        .call(r#"{"service":"titan.projects.v1.ProjectsService"}"#, "grpc.health.v1.Health/Check");
    assert_eq!(health["status"], "SERVING");
}

#[test]
fn a_refusal_keeps_its_code_and_details_through_the_edge() {
    let Some(program) = find("grpcurl") else { return };
    let system = System::start();
    let edge = Grpcurl { program, address: system.edge(), token: None };
    let create = "titan.projects.v1.ProjectsService/CreateProject";
    let anonymous = edge.command(&[r#"{"project":{"title":"x"}}"#, create]).output().unwrap();
    assert!(said(&anonymous).contains("Unauthenticated"), "{}", said(&anonymous));
    let invalid = edge
        .command(&[r#"{"name":"no such name"}"#, "titan.projects.v1.ProjectsService/GetProject"])
        .output()
        .unwrap();
    let told = said(&invalid);
    assert!(told.contains("InvalidArgument") && told.contains("BadRequest"), "{told}");
    let feed = edge.command(&["{}", "titan.mesh.v1.FeedService/Subscribe"]).output().unwrap();
    assert!(!feed.status.success(), "a feed is not for outsiders");
}

#[test]
fn a_feed_is_closed_to_who_proves_no_name_even_at_the_service_itself() {
    let Some(program) = find("grpcurl") else { return };
    let system = System::start();
    let direct = Grpcurl { program, address: system.address("projects"), token: None };
    let data = r#"{"consumer":"curious"}"#;
    let feed = direct.command(&[data, "titan.mesh.v1.FeedService/Subscribe"]).output().unwrap();
    assert!(said(&feed).contains("PermissionDenied"), "{}", said(&feed));
}
