//! The descriptors of one application, and how those of several are merged. The
//! bytes are kept as they came: decoding them to known types would drop the
//! extensions that options live in.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::{
    Message,
    encoding::{WireType, decode_key, decode_varint},
};
use prost_reflect::DescriptorPool;

use super::SchemaError;

/// Files that everybody brings along, each in the version that its compiler
/// had. They only ever grow, so two versions do not contradict each other.
const STANDARD: [&str; 2] = ["google/", "buf/validate/"];

/// `FileDescriptorProto.source_code_info`: comments and positions.
const SOURCE_CODE_INFO: u32 = 9;

/// The types of error details.
const GOOGLE_RPC: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/google_rpc.bin"));

/// What one application contributes.
#[derive(Clone, Debug)]
pub struct Source {
    app: String,
    services: Vec<String>,
    files: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct RawSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    files: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct FileName {
    #[prost(string, tag = "1")]
    name: String,
}

impl Source {
    /// An application, the services it serves, and encoded
    /// `FileDescriptorProto`s, which must hold all their imports.
    #[must_use]
    pub fn new(app: &str, services: Vec<String>, files: Vec<Bytes>) -> Source {
        Source { app: app.to_owned(), services, files }
    }

    /// As [`Source::new`], from an encoded `FileDescriptorSet`.
    ///
    /// # Errors
    /// When the bytes are not such a set.
    pub fn from_set(app: &str, services: &[&str], set: &[u8]) -> Result<Source, SchemaError> {
        let set = RawSet::decode(set).map_err(|error| SchemaError::Descriptors {
            app: app.to_owned(),
            message: error.to_string(),
        })?;
        let services = services.iter().map(|service| (*service).to_owned()).collect();
        Ok(Source::new(app, services, set.files))
    }

    /// The files as an encoded `FileDescriptorSet`.
    #[must_use]
    pub fn to_set(&self) -> Vec<u8> {
        RawSet { files: self.files.clone() }.encode_to_vec()
    }

    /// The application's name.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.app
    }

    /// Full names of the services it serves.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(String::as_str)
    }
}

/// A file and the application that brought it.
pub(super) struct File {
    app: String,
    essence: Bytes,
    pub(super) bytes: Bytes,
}

/// All files of all applications, one of each name.
pub(super) fn merge(sources: &[Source]) -> Result<BTreeMap<String, File>, SchemaError> {
    let mut files: BTreeMap<String, File> = BTreeMap::new();
    let bundled = Source::from_set("the edge", &[], GOOGLE_RPC)?;
    for source in std::iter::once(&bundled).chain(sources) {
        for bytes in &source.files {
            add(&mut files, source, bytes)?;
        }
    }
    Ok(files)
}

fn add(
    files: &mut BTreeMap<String, File>,
    source: &Source,
    bytes: &Bytes,
) -> Result<(), SchemaError> {
    let decoded = FileName::decode(bytes.as_ref()).ok().zip(without_source_info(bytes));
    let Some((FileName { name }, essence)) = decoded else {
        let message = "a file descriptor is malformed".to_owned();
        return Err(SchemaError::Descriptors { app: source.app.clone(), message });
    };
    let file = File { app: source.app.clone(), essence, bytes: bytes.clone() };
    match files.get(&name) {
        None => {
            files.insert(name, file);
        }
        // Comments make documentation: the richer copy of equal files wins.
        Some(earlier) if earlier.essence == file.essence => {
            if file.bytes.len() > earlier.bytes.len() {
                files.insert(name, file);
            }
        }
        Some(earlier) if STANDARD.iter().any(|prefix| name.starts_with(prefix)) => {
            if file.essence.len() > earlier.essence.len() {
                files.insert(name, file);
            }
        }
        Some(earlier) => {
            let (earlier, later) = (earlier.app.clone(), source.app.clone());
            return Err(SchemaError::File { file: name, earlier, later });
        }
    }
    Ok(())
}

/// Two compilers, or one with and without comments, describe the same contract
/// by bytes that differ in nothing but the source information. Nothing when the
/// bytes are not a descriptor.
fn without_source_info(file: &Bytes) -> Option<Bytes> {
    let mut rest = file.clone();
    let mut kept = BytesMut::with_capacity(file.len());
    while rest.has_remaining() {
        let before = rest.clone();
        let (tag, wire_type) = decode_key(&mut rest).ok()?;
        // A FileDescriptorProto holds strings, messages and a few integers.
        let length = match wire_type {
            WireType::Varint => decode_varint(&mut rest).ok().map(|_| 0)?,
            WireType::LengthDelimited => usize::try_from(decode_varint(&mut rest).ok()?).ok()?,
            _ => return None,
        };
        if length > rest.remaining() {
            return None;
        }
        rest.advance(length);
        if tag != SOURCE_CODE_INFO {
            kept.put_slice(&before[..before.len() - rest.len()]);
        }
    }
    Some(kept.freeze())
}

/// Links the files.
pub(super) fn pool(
    files: &BTreeMap<String, File>,
    sources: &[Source],
) -> Result<DescriptorPool, SchemaError> {
    let set = RawSet { files: files.values().map(|file| file.bytes.clone()).collect() };
    let mut pool = DescriptorPool::new();
    pool.decode_file_descriptor_set(set.encode_to_vec().as_slice()).map_err(|error| {
        let app = error.file().and_then(|name| files.get(name)).map(|file| file.app.clone());
        let all = || sources.iter().map(Source::app).collect::<Vec<_>>().join("`, `");
        SchemaError::Descriptors { app: app.unwrap_or_else(all), message: error.to_string() }
    })?;
    Ok(pool)
}
