//! The edge's OpenAPI document is a promise: a tester that nobody here wrote reads
//! it and calls every operation, with what it allows and with what it forbids.

use std::process::Command;

use crate::{
    system::System,
    tools::{find, stdout},
};

/// Requests of each operation and phase: half a minute of testing in all.
const EXAMPLES: &str = "30";
/// The same requests each time.
const SEED: &str = "1";
/// Whatever is sent, the answer is one that the document describes. Left out are
/// the checks of rules that JSON Schema cannot say (a filter's grammar) and of
/// `null`, which ProtoJSON takes for any field.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,\
                      unsupported_method";

#[test]
fn every_answer_is_one_that_the_document_describes() {
    let Some(tester) = find("schemathesis") else { return };
    let system = System::start();
    let user = system.client().sign_up("tester@example.com");
    let report = stdout(
        Command::new(tester)
            .args(["run", &format!("http://{}/openapi.json", system.edge())])
            .args(["--header", &format!("authorization: Bearer {}", user.token())])
            .args(["--phases", "coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", SEED])
            .args(["--checks", CHECKS, "--no-color"])
            .current_dir(system.path()),
    );
    let operations = report.lines().find_map(|line| line.trim().strip_prefix("Tested: "));
    let operations: usize = operations.and_then(|count| count.parse().ok()).unwrap_or_default();
    assert!(operations >= 20, "only {operations} operations were tested:\n{report}");
}
