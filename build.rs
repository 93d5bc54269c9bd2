//! Compiles the business contracts under `proto/titan/` with protox, so that no
//! `protoc` is needed, and writes the descriptor set that the mesh reads.

use std::{env, fs, path::Path};

/// Businesses whose contracts this package holds; `mesh` compiles its own.
const BUSINESSES: [&str; 3] = ["applicants", "identity", "projects"];

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
    for business in BUSINESSES {
        for entry in fs::read_dir(Path::new("proto/titan").join(business).join("v1"))? {
            files.push(entry?.path());
        }
    }
    files.sort();

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
