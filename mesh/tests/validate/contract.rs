//! Contracts compiled from text, and messages for them.

use std::{path::Path, sync::Arc};

use mesh::validate::{CompileError, Program, Rejection};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};

const HEADER: &str = r#"
    package test;
    import "buf/validate/validate.proto";
    import "google/protobuf/any.proto";
    import "google/protobuf/duration.proto";
    import "google/protobuf/field_mask.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";
"#;

/// Serves the one file that a test wrote.
struct Written(String);

impl FileResolver for Written {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name != "test.proto" {
            return Err(protox::Error::file_not_found(name));
        }
        File::from_source(name, &self.0)
    }
}

pub(crate) struct Contract {
    pool: DescriptorPool,
}

impl Contract {
    pub(crate) fn proto3(body: &str) -> Self {
        Self::compile(format!("syntax = \"proto3\";{HEADER}{body}"))
    }

    pub(crate) fn proto2(body: &str) -> Self {
        Self::compile(format!("syntax = \"proto2\";{HEADER}{body}"))
    }

    fn compile(source: String) -> Self {
        let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
        let mut files = ChainFileResolver::new();
        files.add(Written(source));
        files.add(IncludeFileResolver::new(proto));
        files.add(GoogleFileResolver::new());
        let mut compiler = protox::Compiler::with_file_resolver(files);
        compiler.include_imports(true).open_file("test.proto").unwrap();
        let set = compiler.encode_file_descriptor_set();
        Self { pool: DescriptorPool::decode(set.as_slice()).unwrap() }
    }

    pub(crate) fn message(&self, name: &str) -> prost_reflect::MessageDescriptor {
        self.pool.get_message_by_name(&format!("test.{name}")).unwrap()
    }

    pub(crate) fn try_program(&self, name: &str) -> Result<Option<Arc<Program>>, CompileError> {
        Program::compile(&self.message(name))
    }

    pub(crate) fn program(&self, name: &str) -> Arc<Program> {
        self.try_program(name).unwrap().unwrap()
    }

    pub(crate) fn encode(&self, name: &str, json: &str) -> Vec<u8> {
        let mut json = serde_json::Deserializer::from_str(json);
        DynamicMessage::deserialize(self.message(name), &mut json).unwrap().encode_to_vec()
    }

    /// What is wrong with a message, as `field: rule`.
    pub(crate) fn check(&self, name: &str, json: &str) -> Vec<String> {
        broken(self.program(name).check(&self.encode(name, json)))
    }
}

/// The broken rules as `field: rule`, sorted.
pub(crate) fn broken(outcome: Result<(), Rejection>) -> Vec<String> {
    let mut broken: Vec<_> = match outcome {
        Ok(()) => Vec::new(),
        Err(Rejection::Invalid(violations)) => {
            violations.into_iter().map(|it| format!("{}: {}", it.field, it.rule)).collect()
        }
        Err(malformed) => panic!("{malformed}"),
    };
    broken.sort();
    broken
}
