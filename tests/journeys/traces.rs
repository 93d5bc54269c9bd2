//! One call, one trace: from the edge through applicants to projects, as a real
//! collector receives it.

use std::{
    collections::BTreeSet,
    fs::File,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::json;

use crate::{
    system::System,
    tools::{find, python, stdout},
};

/// A collector that prints every span it gets; it ends with the test.
struct Collector {
    child: Child,
    output: PathBuf,
    endpoint: String,
    _folder: tempfile::TempDir,
}

impl Collector {
    fn start(program: &PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("spans");
        let [grpc, http] = [free_address(), free_address()];
        let child = Command::new(program)
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces"])
            .args(["--debug-log-verbosity", "detailed", "--otlp-grpc-endpoint", &grpc])
            .args(["--otlp-http-endpoint", &http])
            .stdin(Stdio::null())
            .stdout(File::create(&output).unwrap())
            .stderr(File::create(folder.path().join("errors")).unwrap())
            .spawn()
            .unwrap();
        Self { child, output, endpoint: format!("http://{grpc}"), _folder: folder }
    }

    fn received(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The collector's own program; the package's command is a wrapper that updates.
fn collector() -> Option<PathBuf> {
    let python = python()?;
    let path =
        "import rotel, os; print(os.path.join(os.path.dirname(rotel.__file__), 'rotel-agent'))";
    let has = Command::new(&python).args(["-c", "import rotel"]).output().unwrap();
    if !has.status.success() {
        return find("rotel-agent");
    }
    Some(PathBuf::from(stdout(Command::new(&python).args(["-c", path])).trim()))
}

#[test]
fn one_trace_leads_from_the_edge_through_applicants_to_projects() {
    let Some(program) = collector() else { return };
    let collector = Collector::start(&program);
    let system = System::start_with(&["--otlp", &collector.endpoint]);
    let owner = system.client().sign_up("owner@example.com");
    let applicant = system.client().sign_up("applicant@example.com");
    let project = owner.post("/v1/projects", &json!({"title": "A bridge"})).ok();
    let path = format!("/v1/{}/submissions", project["name"].as_str().unwrap());

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [("content-type", "application/json"), ("traceparent", parent.as_str())];
    let answer = applicant.send("POST", &path, &headers, "{}");
    assert_eq!(answer.status, 200, "{answer:?}");

    let expected: BTreeSet<&str> = ["gateway", "applicants", "projects"].into();
    let of_edge = "POST /v1/{parent=projects/*}/submissions";
    system.until("all spans have arrived", || {
        let received = collector.received();
        let services = services_of(&received, trace);
        let whole = expected.iter().all(|service| services.contains(*service));
        (whole && received.contains(of_edge)).then_some(())
    });
}

/// Services whose spans belong to a trace, in the collector's listing: resource
/// attributes first, then the spans of that resource.
fn services_of(listing: &str, trace: &str) -> BTreeSet<String> {
    let mut service = String::new();
    let mut found = BTreeSet::new();
    for line in listing.lines() {
        if let Some((_, value)) = line.split_once("service.name") {
            let name: String =
                value.chars().filter(|c| c.is_ascii_lowercase() || *c == '-').collect();
            // The listing writes the value's type before it.
            service = name.trim_start_matches("tr").to_owned();
        }
        if line.contains(trace) {
            found.insert(service.clone());
        }
    }
    found
}
