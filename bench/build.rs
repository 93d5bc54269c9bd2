//! Compiles `proto/`, the contract that is measured, with protox.

use std::{env, fs, path::Path};

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=../proto/titan/mesh/v1/options.proto");
    let mut compiler = protox::Compiler::new(["proto", "../proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(["titan/bench/v1/echo.proto", "titan/bench/v1/work.proto"])?;
    // The raw set, since prost-types drops the options that the mesh lives on.
    let descriptors = Path::new(&env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    let mut types = prost_build::Config::new();
    types.bytes(["."]);
    tonic_prost_build::configure()
        .build_transport(false)
        .extern_path(".titan.mesh.v1", "::mesh::proto")
        .compile_fds_with_config(compiler.file_descriptor_set(), types)?;
    Ok(())
}
