//! The codec beside prost-reflect, which shares no code with it: random messages
//! must come through both in the same way, and texts with random mistakes must be
//! taken or refused by both. Where they differ on purpose, the list below says so.
#![allow(clippy::unwrap_used)]

mod random;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use random::{Floats, Random};
use transcode::{JsonError, MessageId, Problem, ReadOptions, Schema, WriteOptions};

/// A million where code is optimised; in an ordinary test run as many as a second
/// or two has room for.
const CASES: u64 = if cfg!(debug_assertions) { 4_000 } else { 1_000_000 };

/// Texts that are made of one message, each with other mistakes.
const MISTAKES: u64 = 4;

struct Codecs {
    schema: Schema,
    message: MessageId,
    descriptor: MessageDescriptor,
}

impl Codecs {
    fn new() -> Codecs {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto");
        let files = protox::compile(["everything.proto"], [folder]).unwrap();
        let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
        let schema = Schema::compile(&pool).unwrap();
        let name = "everything.v1.Everything";
        let message = schema.message(name).unwrap();
        Codecs { schema, message, descriptor: pool.get_message_by_name(name).unwrap() }
    }

    fn read(&self, json: &[u8]) -> Result<DynamicMessage, JsonError> {
        let mut wire = Vec::new();
        self.schema.to_wire(self.message, json, &ReadOptions::default(), &mut wire)?;
        Ok(DynamicMessage::decode(self.descriptor.clone(), wire.as_slice()).unwrap())
    }

    fn print(&self, wire: &[u8]) -> Vec<u8> {
        let mut json = Vec::new();
        let options = WriteOptions::default();
        self.schema.to_json(self.message, wire, &options, &mut json).unwrap();
        json
    }

    fn read_by_reflection(&self, json: &[u8]) -> Result<DynamicMessage, String> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let message = DynamicMessage::deserialize(self.descriptor.clone(), &mut reader)
            .map_err(|error| error.to_string())?;
        reader.end().map_err(|error| error.to_string())?;
        Ok(self.encoded(&message))
    }

    /// As it comes out of an encoder: a default that was set is not set there.
    fn encoded(&self, message: &DynamicMessage) -> DynamicMessage {
        let wire = message.encode_to_vec();
        DynamicMessage::decode(self.descriptor.clone(), wire.as_slice()).unwrap()
    }
}

#[test]
fn random_messages_are_read_and_printed_as_by_reflection() {
    let codecs = Codecs::new();
    for seed in 0..CASES / 2 {
        let message =
            codecs.encoded(&Random::new(seed, Floats::Any).message(&codecs.descriptor, 3));
        let json = codecs.print(&message.encode_to_vec());
        let text = String::from_utf8_lossy(&json);
        // Not `assert_eq!`: descriptors of recursive messages print themselves forever.
        let theirs = codecs.read_by_reflection(&json).unwrap_or_else(|error| {
            panic!("seed {seed}: only they: {error}: {text}");
        });
        assert!(theirs == message, "seed {seed}: {message}: {text}");
        let json = serde_json::to_vec(&message).unwrap();
        let text = String::from_utf8_lossy(&json);
        let ours = codecs.read(&json).unwrap_or_else(|error| {
            panic!("seed {seed}: only we: {error}: {text}");
        });
        assert!(ours == message, "seed {seed}: {message}: {text}");
    }
}

#[test]
fn random_mistakes_are_refused_as_by_reflection() {
    let codecs = Codecs::new();
    let mut refused = 0;
    for seed in 0..CASES / 2 / MISTAKES {
        let mut random = Random::new(seed, Floats::Short);
        let message = random.message(&codecs.descriptor, 2);
        let json = codecs.print(&message.encode_to_vec());
        for _ in 0..MISTAKES {
            let json = random.mistake(&json);
            let text = String::from_utf8_lossy(&json);
            match (codecs.read(&json), codecs.read_by_reflection(&json)) {
                (Ok(ours), Ok(theirs)) => {
                    let is_equal = ours == theirs || is_read_otherwise(&text);
                    assert!(is_equal, "seed {seed}: {ours}: {text}");
                }
                (Err(_), Err(_)) => refused += 1,
                (Err(ours), Ok(_)) => {
                    assert!(is_stricter(ours.problem, &text), "seed {seed}: {ours}: {text}");
                }
                (Ok(_), Err(theirs)) => {
                    assert!(is_more_lenient(&theirs), "seed {seed}: only they: {theirs}: {text}");
                }
            }
        }
    }
    assert!(refused > CASES / 20, "mistakes that are none: {refused} refused");
}

/// Whether a text has numbers that they lose a bit of: the sign of a zero, or the
/// last digit of one with an exponent or with more digits than every double has.
/// And NaN equals nothing; and a list of `Value` that is `null` is empty, as every
/// other list, where they find one `null` in it.
fn is_read_otherwise(text: &str) -> bool {
    let mut pairs = text.as_bytes().windows(2);
    let has_exponent = pairs.any(|pair| pair[0].is_ascii_digit() && matches!(pair[1], b'e' | b'E'));
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let is_long = numbers.any(|number| number.len() > 16 && number.contains('.'));
    let differs = ["-0", "NaN", "\"values\":null"].iter().any(|part| text.contains(part));
    has_exponent || is_long || differs
}

/// What is refused here and taken there.
fn is_stricter(problem: Problem, text: &str) -> bool {
    // They take a type's name with the dot that descriptors put before it.
    if problem == Problem::UnknownType && text.contains("/.") {
        return true;
    }
    matches!(
        problem,
        // They take the last of two values, and the last of two fields of a oneof.
        Problem::Duplicate | Problem::DuplicateKey | Problem::Oneof
        // Rust's parsers take `+1`, `01`, `inf`, `nan` and `.5` in quotes.
        | Problem::NotInteger | Problem::NotNumber
        // They take padding that is not whole.
        | Problem::Base64
        // They drop empty paths from field masks.
        | Problem::FieldMask
        // They take more digits than nanoseconds have, and leap seconds.
        | Problem::Duration | Problem::Timestamp
    )
}

/// What is taken here and refused there.
fn is_more_lenient(error: &str) -> bool {
    const LENIENT: [&str; 7] = [
        // `"1E3"` for an integer, in quotes as without them.
        "invalid digit found in string",
        // `NullValue` by its number, as every other enum.
        "expected null",
        // The number of an enum's value as `1.0`, as every other integer.
        "expected a string or integer",
        // Both alphabets of base64 in one text: `+`, `-`, `/`, `_` beside the other's.
        "invalid base64: Invalid symbol 43,",
        "invalid base64: Invalid symbol 45,",
        "invalid base64: Invalid symbol 47,",
        "invalid base64: Invalid symbol 95,",
    ];
    LENIENT.iter().any(|part| error.contains(part))
}
