//! Compiles `google.rpc`, the types of error details, under the names by which
//! contracts import them, so that the edge can render details even of
//! applications whose own descriptors do not mention them.

use std::{env, fs, path::Path};

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed=../proto/google/rpc");
    let mut compiler = protox::Compiler::new(["../proto"])?;
    compiler
        .include_imports(true)
        .open_files(["google/rpc/error_details.proto", "google/rpc/status.proto"])?;
    let target = Path::new(&env::var("OUT_DIR")?).join("google_rpc.bin");
    fs::write(target, compiler.encode_file_descriptor_set())?;
    Ok(())
}
