//! Contracts for the tests, compiled as the services' own are.

use std::sync::OnceLock;

use gateway::schema::{Snapshot, Source};

/// The service of the test contract.
pub(crate) const LIBRARY: &str = "library.v1.LibraryService";

/// The descriptor set of `tests/proto/library/v1/library.proto`.
pub(crate) fn library() -> &'static [u8] {
    static SET: OnceLock<Vec<u8>> = OnceLock::new();
    SET.get_or_init(|| compile(&["tests/proto", "../proto"], "library/v1/library.proto"))
}

/// The library, served by the application `library`.
pub(crate) fn snapshot() -> Snapshot {
    let source = Source::from_set("library", &[LIBRARY], library()).unwrap();
    Snapshot::build(&[source]).unwrap()
}

/// Compiles a file, with its comments.
pub(crate) fn compile(includes: &[&str], file: &str) -> Vec<u8> {
    let mut compiler = protox::Compiler::new(includes).unwrap();
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file(file).unwrap_or_else(|error| panic!("{error:?}"));
    compiler.encode_file_descriptor_set()
}

/// Compiles one file that is given as text, under the name `name`.
pub(crate) fn compile_text(name: &str, text: &str) -> Vec<u8> {
    let folder = std::env::temp_dir().join(format!("gateway-{}", std::process::id()));
    let folder = folder.join(format!("{:x}", text.len() ^ text.as_ptr() as usize));
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    let set = compile(&[folder.to_str().unwrap(), "../proto"], name);
    std::fs::remove_dir_all(&folder).unwrap();
    set
}
