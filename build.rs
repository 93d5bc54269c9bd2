//! Compiles the business contracts under `proto/titan/` with protox, so that no
//! `protoc` is needed, and writes the descriptor set that the mesh reads.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// Messages that hold a secret; they have no `Debug`.
const SECRETS: [&str; 4] = [
    "titan.identity.v1.CreateSessionRequest",
    "titan.identity.v1.CreateUserRequest",
    "titan.identity.v1.RefreshSessionRequest",
    "titan.identity.v1.Session",
];

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed=proto");
    let mut files = Vec::new();
    for business in inside(Path::new("proto/titan"))? {
        // `mesh` compiles its own.
        if !business.ends_with("mesh") {
            files.extend(inside(&business.join("v1"))?);
        }
    }

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(files)?;
    // The raw set, since prost-types drops the options that the mesh lives on.
    let descriptors = Path::new(&env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;

    let mut names = prost_build::Config::new();
    names.enable_type_names();
    // Derived, it would print passwords and tokens wherever a request is logged.
    names.skip_debug(SECRETS);
    tonic_prost_build::configure()
        .build_transport(false)
        .extern_path(".titan.mesh.v1", "::mesh::proto")
        .compile_fds_with_config(compiler.file_descriptor_set(), names)?;
    Ok(())
}

/// What lies in a folder, in the order of the names.
fn inside(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let paths = |entries: fs::ReadDir| entries.map(|entry| Ok(entry?.path())).collect();
    let paths: io::Result<Vec<_>> = fs::read_dir(folder).and_then(paths);
    let mut paths = paths.with_context(|| format!("cannot read {}", folder.display()))?;
    paths.sort();
    Ok(paths)
}
