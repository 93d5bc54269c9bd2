//! A message with every kind of field that the codec knows, and how a text must
//! come back.

use std::sync::LazyLock;

use transcode::{MessageId, Problem, ReadOptions, Schema, WriteOptions};

static SCHEMA: LazyLock<(Schema, MessageId)> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/proto");
    let files = protox::compile(["everything.proto"], [folder]).expect("the tests' own proto");
    let pool = prost_reflect::DescriptorPool::from_file_descriptor_set(files);
    let schema = Schema::compile(&pool.expect("complete")).expect("no misshapen well-known type");
    let message = schema.message("everything.v1.Everything").expect("it is in that file");
    (schema, message)
});

/// The encoding of a text, where it is one of a message.
pub fn read(json: &[u8]) -> Result<Vec<u8>, Problem> {
    let (schema, message) = &*SCHEMA;
    let mut wire = Vec::new();
    let read = schema.to_wire(*message, json, &ReadOptions::default(), &mut wire);
    read.map(|()| wire).map_err(|error| error.problem)
}

/// The text of a message, where the bytes are one that has a text.
pub fn print(wire: &[u8]) -> Option<Vec<u8>> {
    let (schema, message) = &*SCHEMA;
    let mut json = Vec::new();
    schema.to_json(*message, wire, &WriteOptions::default(), &mut json).ok().map(|()| json)
}

/// Reads what was printed and prints it again.
///
/// # Panics
/// When another text comes out, or none.
pub fn assert_comes_back(text: &[u8]) {
    let wire = match read(text) {
        Ok(wire) => wire,
        // Arrays and maps are levels of a text, but not of a message.
        Err(Problem::DepthLimit) => return,
        Err(problem) => panic!("what was printed is refused: {problem}"),
    };
    let again = print(&wire).expect("what was read can be printed");
    // A number that `NullValue` does not have is a null too, and comes back as the
    // one that it has, which a field without presence does not print.
    if text.windows(11).any(|part| part == br#""null":null"#) {
        return;
    }
    assert_eq!(String::from_utf8_lossy(text), String::from_utf8_lossy(&again));
}
