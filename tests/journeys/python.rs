//! A Python client, generated from `proto/` by grpcio's tools.

use std::{fs, path::Path, process::Command};

use crate::{
    system::System,
    tools::{python, stdout},
};

const CLIENT: &str = include_str!("client.py");

#[test]
fn a_generated_client_goes_the_whole_way() {
    let Some(python) = python() else { return };
    let system = System::start();
    let folder = tempfile::tempdir().unwrap();
    generate(&python, folder.path());
    fs::write(folder.path().join("client.py"), CLIENT).unwrap();
    let mut client = Command::new(&python);
    let told = stdout(client.current_dir(&folder).args(["client.py", &system.edge()]));
    assert_eq!(told.trim(), "A tunnel, STATE_APPROVED", "{told}");
}

fn generate(python: &Path, folder: &Path) {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let mut protoc = Command::new(python);
    protoc
        .current_dir(&proto)
        .args(["-m", "grpc_tools.protoc", "--proto_path=."])
        .arg(format!("--python_out={}", folder.display()))
        .arg(format!("--grpc_python_out={}", folder.display()));
    for pattern in [
        "titan/applicants/v1",
        "titan/identity/v1",
        "titan/projects/v1",
        "titan/mesh/v1",
        "google/api",
        "google/rpc",
        "buf/validate",
    ] {
        for file in fs::read_dir(proto.join(pattern)).unwrap() {
            protoc.arg(Path::new(pattern).join(file.unwrap().file_name()));
        }
    }
    stdout(&mut protoc);
}
