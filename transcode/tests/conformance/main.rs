//! Protobuf's own conformance tests (`conformance_test_runner`), required and
//! recommended, with the codec as what is tested. The runner starts this program
//! once more, as its testee.
//!
//! `TITAN_TEST_CONFORMANCE` names the runner; its protos are in
//! `TITAN_TEST_CONFORMANCE_PROTOS`. Without them nothing is tested, unless
//! `TITAN_TEST_BACKENDS=all` demands it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod testee;

use std::{env, path::Path, process::Command};

/// Cases that transcoding does not touch, each with its reason.
const OUT_OF_SCOPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/out-of-scope.txt");

/// Cases that pass at least, of those of proto2 and proto3 with JSON on one side.
const LEAST: usize = 1400;

/// Says to this program that it is the testee, and where the protos are.
const TESTEE: &str = "TITAN_CONFORMANCE_TESTEE";

fn main() {
    if let Some(protos) = env::var_os(TESTEE) {
        return testee::serve(Path::new(&protos));
    }
    let found =
        env::var_os("TITAN_TEST_CONFORMANCE").zip(env::var_os("TITAN_TEST_CONFORMANCE_PROTOS"));
    let Some((runner, protos)) = found else {
        let is_demanded = env::var("TITAN_TEST_BACKENDS").is_ok_and(|backends| backends == "all");
        assert!(
            !is_demanded,
            "TITAN_TEST_CONFORMANCE and TITAN_TEST_CONFORMANCE_PROTOS are not set"
        );
        println!("conformance: no runner, nothing tested");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(runner)
        .args(["--enforce_recommended", "--failure_list", OUT_OF_SCOPE, "--output_dir"])
        .arg(folder.path())
        .arg(env::current_exe().unwrap())
        .env(TESTEE, protos)
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    // A runner that skips everything is content as well.
    let passed = passed(&report);
    assert!(passed >= LEAST, "only {passed} cases passed:\n{report}");
    println!("conformance: {passed} cases passed");
}

/// The first number of `CONFORMANCE SUITE PASSED: 1234 successes, …`.
fn passed(report: &str) -> usize {
    let counts = report.split("CONFORMANCE SUITE PASSED: ").skip(1);
    let counts = counts.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok());
    counts.sum()
}
