//! Programs that a journey needs and a machine may not have.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

/// The program, or `None` where it may be missing.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.or_else(|| missing(name))
}

/// A Python that has grpcio and its tools.
pub fn python() -> Option<PathBuf> {
    let python =
        std::env::var_os("TITAN_TEST_PYTHON").map(PathBuf::from).or_else(|| find("python3"))?;
    let has = Command::new(&python).args(["-c", "import grpc, grpc_tools"]).output().ok()?;
    if has.status.success() { Some(python) } else { missing("grpcio-tools for Python") }
}

fn missing(what: &str) -> Option<PathBuf> {
    assert_ne!(
        std::env::var("TITAN_TEST_BACKENDS").as_deref(),
        Ok("all"),
        "{what} is missing, and TITAN_TEST_BACKENDS=all demands it"
    );
    eprintln!("left out: {what} is not on this machine");
    None
}

/// What a program printed; its failure is the test's, with all that it said.
pub fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?} failed: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that a program printed.
pub fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}
