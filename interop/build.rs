//! Compiles gRPC's interop contracts, `proto/grpc/testing/`, with protox.

use std::{env, fs, path::Path};

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed=../proto/grpc");
    let mut compiler = protox::Compiler::new(["../proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_file("grpc/testing/test.proto")?;
    let descriptors = Path::new(&env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds_with_config(compiler.file_descriptor_set(), prost_build::Config::new())?;
    Ok(())
}
