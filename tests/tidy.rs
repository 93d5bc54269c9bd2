//! House rules that a compiler does not know: which way dependencies run, how a
//! service is laid out, what a file begins with.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What each room may depend on among the rooms. A service may depend on
/// `titan`, `mesh` and `durable`, and on no other service.
const ROOMS: [(&str, &[&str]); 9] = [
    ("titan", &["mesh"]),
    ("mesh", &[]),
    ("durable", &["mesh"]),
    ("transcode", &[]),
    ("gateway", &["mesh", "transcode"]),
    ("cli", &["mesh", "durable"]),
    ("bench", &["mesh", "durable", "gateway", "titan", "projects"]),
    ("interop", &["mesh"]),
    ("registry", &["mesh"]),
];
const SERVICE: &[&str] = &["titan", "mesh", "durable"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Names of the rooms that each room depends on, tests not counted.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<&str> =
        packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let rooms = packages.iter().map(|package| {
        let needs = package["dependencies"].as_array().unwrap().iter();
        let needs = needs.filter(|dependency| dependency["kind"].as_str() != Some("dev"));
        let needs = needs.map(|dependency| dependency["name"].as_str().unwrap());
        let needs = needs.filter(|name| names.contains(name)).map(str::to_owned).collect();
        (package["name"].as_str().unwrap().to_owned(), needs)
    });
    rooms.collect()
}

fn services() -> Vec<String> {
    let folders = fs::read_dir(root().join("services")).unwrap();
    folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect()
}

fn files_with(extension: &str) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "-co", "--exclude-standard"])
        .current_dir(root())
        .output();
    // A source archive has no history, and nothing to check either.
    let Ok(output) = output else { return Vec::new() };
    let names = String::from_utf8(output.stdout).unwrap();
    let paths = names.lines().map(|name| root().join(name));
    paths
        .filter(|path| path.extension().is_some_and(|is| is == extension) && path.exists())
        .collect()
}

#[test]
fn dependencies_run_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = ROOMS.into_iter().collect();
    for (room, needs) in dependencies() {
        let may = allowed.get(room.as_str()).copied().unwrap_or(SERVICE);
        for need in needs {
            assert!(may.contains(&need.as_str()), "{room} must not depend on {need}");
        }
    }
}

#[test]
fn every_service_has_the_same_shape() {
    for service in services() {
        let folder = root().join("services").join(&service);
        let needed = ["README.md", "src/main.rs", "src/lib.rs", "src/config.rs", "src/domain.rs"];
        for file in needed {
            assert!(folder.join(file).is_file(), "services/{service}/{file} is missing");
        }
        let has = |name: &str| {
            folder.join(format!("src/{name}.rs")).exists()
                || folder.join(format!("src/{name}")).exists()
        };
        assert!(has("grpc"), "services/{service} has no grpc");
        assert!(folder.join("tests").is_dir(), "services/{service} has no tests");
        let main = fs::read_to_string(folder.join("src/main.rs")).unwrap();
        assert!(main.lines().count() <= 40, "services/{service}/src/main.rs is no paragraph");
    }
}

#[test]
fn a_domain_is_pure() {
    const IMPURE: [&str; 8] =
        ["tonic", "prost", "tokio", "sqlx", "tracing", "mesh::", "durable::", "SystemTime::now"];
    for path in files_with("rs") {
        let text = path.to_string_lossy().into_owned();
        if !text.contains("/services/")
            || !(text.ends_with("src/domain.rs") || text.contains("/domain/"))
        {
            continue;
        }
        let code = fs::read_to_string(&path).unwrap();
        let code = code.split("#[cfg(test)]").next().unwrap().to_owned();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for word in IMPURE {
                assert!(!line.contains(word), "{text}: a domain does no `{word}`: {line}");
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in files_with("rs") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} has no //! header", path.display());
    }
}

#[test]
fn modules_are_files_beside_their_folders() {
    for path in files_with("rs") {
        assert_ne!(path.file_name().unwrap(), "mod.rs", "{}", path.display());
    }
}

#[test]
fn no_room_is_called_after_nothing() {
    for path in files_with("rs") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let nothing = ["common", "util", "utils", "helper", "helpers", "misc"];
        assert!(!nothing.contains(&name), "{} has no idea of its own", path.display());
    }
}

#[test]
fn the_root_shows_the_architecture() {
    let known: BTreeSet<&str> = [
        ".ci",
        ".git",
        ".gitignore",
        ".titan",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "Makefile",
        "README.md",
        "bench",
        "buf.yaml",
        "build.rs",
        "cli",
        "clippy.toml",
        "deny.toml",
        "docs",
        "durable",
        "gateway",
        "interop",
        "mesh",
        "proto",
        "rustfmt.toml",
        "services",
        "src",
        "target",
        "tests",
        "transcode",
    ]
    .into();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(name.as_str()), "{name} is a stray at the root");
    }
}
