//! Files of contracts as raw bytes, found by name, symbol or extension.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use prost::{
    DecodeError, Message as _,
    encoding::{DecodeContext, decode_key, skip_field},
};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    ServiceDescriptorProto,
};

/// Number of `source_code_info` in `FileDescriptorProto`.
const SOURCE_CODE_INFO: u32 = 9;

/// Everything that reflection can be asked about. Also the gateway's, which
/// gathers the contracts of several applications.
#[derive(Debug, Default)]
pub struct Index {
    files: Vec<File>,
    by_name: HashMap<String, usize>,
    symbols: HashMap<String, usize>,
    /// By the message that is extended, then by number.
    extensions: HashMap<String, BTreeMap<i32, usize>>,
    services: Vec<String>,
}

#[derive(Debug)]
struct File {
    bytes: Bytes,
    /// Positions of the files that it imports itself.
    imports: Vec<usize>,
}

/// Descriptors that reflection cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Not an encoded `FileDescriptorSet`.
    #[error("malformed descriptors")]
    Malformed(#[from] DecodeError),
    /// The imports were left out when the descriptors were written.
    #[error("`{file}` imports `{import}`, which is in none of the descriptor sets")]
    MissingImport {
        /// The file that imports.
        file: String,
        /// What it imports.
        import: String,
    },
    /// Two applications bring different contracts under one name.
    #[error("`{0}` is in two descriptor sets with different content")]
    Conflict(String),
    /// A service that no contract defines.
    #[error("service `{0}` is in none of the descriptor sets")]
    UnknownService(String),
}

/// A `FileDescriptorSet` whose files stay encoded.
#[derive(prost::Message)]
struct RawSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    files: Vec<Bytes>,
}

impl Index {
    /// Indexes encoded `FileDescriptorSet`s, each with its imports. Only
    /// `services` are listed, whatever else the files define.
    ///
    /// The first of two files of one name is kept when they differ in comments
    /// only, or are `google/protobuf/...`, of which every language ships its own.
    ///
    /// # Errors
    /// Descriptors that are malformed, incomplete or contradict each other, and
    /// services that they do not define.
    pub fn build<'s>(
        descriptor_sets: &[&[u8]],
        services: impl IntoIterator<Item = &'s str>,
    ) -> Result<Self, IndexError> {
        let mut index = Self::default();
        let mut imports = Vec::new();
        for set in descriptor_sets {
            for bytes in RawSet::decode(*set)?.files {
                index.add(bytes, &mut imports)?;
            }
        }
        for (position, names) in imports.into_iter().enumerate() {
            index.files[position].imports = index.resolve(names)?;
        }
        index.services = index.defined(services)?;
        Ok(index)
    }

    /// Names of the services to list, sorted.
    #[must_use]
    pub fn services(&self) -> &[String] {
        &self.services
    }

    pub(super) fn file(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(super) fn file_of_symbol(&self, symbol: &str) -> Option<usize> {
        self.symbols.get(absolute(symbol)).copied()
    }

    pub(super) fn file_of_extension(&self, of: &str, number: i32) -> Option<usize> {
        self.extensions.get(absolute(of))?.get(&number).copied()
    }

    /// Numbers of the extensions of a message; `None` when there is no such message.
    pub(super) fn extensions(&self, of: &str) -> Option<Vec<i32>> {
        let of = absolute(of);
        match self.extensions.get(of) {
            Some(extensions) => Some(extensions.keys().copied().collect()),
            None => self.symbols.contains_key(of).then(Vec::new),
        }
    }

    pub(super) fn imports(&self, file: usize) -> &[usize] {
        &self.files[file].imports
    }

    pub(super) fn bytes(&self, file: usize) -> &Bytes {
        &self.files[file].bytes
    }

    /// Adds a file unless it is there; `imports` gets the names of what it imports.
    fn add(&mut self, bytes: Bytes, imports: &mut Vec<Imports>) -> Result<(), IndexError> {
        let file = FileDescriptorProto::decode(bytes.as_ref())?;
        let name = file.name().to_owned();
        if let Some(position) = self.file(&name) {
            let same = name.starts_with("google/protobuf/")
                || content(&self.files[position].bytes)? == content(&bytes)?;
            return if same { Ok(()) } else { Err(IndexError::Conflict(name)) };
        }
        let position = self.files.len();
        for symbol in Symbols::of(&file).names {
            self.symbols.entry(symbol).or_insert(position);
        }
        each_extension(&file, &mut |extension| {
            let of = self.extensions.entry(absolute(extension.extendee()).to_owned()).or_default();
            of.entry(extension.number()).or_insert(position);
        });
        imports.push(Imports { file: name.clone(), names: file.dependency });
        self.by_name.insert(name, position);
        self.files.push(File { bytes, imports: Vec::new() });
        Ok(())
    }

    fn resolve(&self, imports: Imports) -> Result<Vec<usize>, IndexError> {
        let Imports { file, names } = imports;
        let resolve = |import: String| {
            let missing = |import| IndexError::MissingImport { file: file.clone(), import };
            self.file(&import).ok_or_else(|| missing(import))
        };
        names.into_iter().map(resolve).collect()
    }

    fn defined<'s>(
        &self,
        services: impl IntoIterator<Item = &'s str>,
    ) -> Result<Vec<String>, IndexError> {
        let services: BTreeSet<_> = services.into_iter().collect();
        let check = |service: &str| match self.symbols.contains_key(service) {
            true => Ok(service.to_owned()),
            false => Err(IndexError::UnknownService(service.to_owned())),
        };
        services.into_iter().map(check).collect()
    }
}

struct Imports {
    file: String,
    names: Vec<String>,
}

/// Descriptors write full names with a leading dot, and some clients do too.
fn absolute(name: &str) -> &str {
    name.strip_prefix('.').unwrap_or(name)
}

/// The fields of an encoded file without its comments.
fn content(file: &Bytes) -> Result<Vec<Bytes>, DecodeError> {
    let mut fields = Vec::new();
    let mut rest = file.clone();
    while !rest.is_empty() {
        let field = rest.clone();
        let (number, wire) = decode_key(&mut rest)?;
        skip_field(wire, number, &mut rest, DecodeContext::default())?;
        if number != SOURCE_CODE_INFO {
            fields.push(field.slice(..field.len() - rest.len()));
        }
    }
    Ok(fields)
}

/// Full names of all that a file defines.
struct Symbols {
    names: Vec<String>,
}

impl Symbols {
    fn of(file: &FileDescriptorProto) -> Self {
        let mut symbols = Self { names: Vec::new() };
        let package = file.package();
        file.message_type.iter().for_each(|message| symbols.message(package, message));
        file.enum_type.iter().for_each(|values| symbols.values(package, values));
        file.extension.iter().for_each(|field| _ = symbols.push(package, field.name()));
        file.service.iter().for_each(|service| symbols.service(package, service));
        symbols
    }

    fn push(&mut self, scope: &str, name: &str) -> String {
        let name = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
        self.names.push(name.clone());
        name
    }

    fn message(&mut self, scope: &str, message: &DescriptorProto) {
        let scope = &self.push(scope, message.name());
        let fields = message.field.iter().chain(&message.extension);
        fields.for_each(|field| _ = self.push(scope, field.name()));
        message.oneof_decl.iter().for_each(|oneof| _ = self.push(scope, oneof.name()));
        message.enum_type.iter().for_each(|values| self.values(scope, values));
        message.nested_type.iter().for_each(|nested| self.message(scope, nested));
    }

    /// Values lie beside their enum, as in C++.
    fn values(&mut self, scope: &str, values: &EnumDescriptorProto) {
        self.push(scope, values.name());
        values.value.iter().for_each(|value| _ = self.push(scope, value.name()));
    }

    fn service(&mut self, scope: &str, service: &ServiceDescriptorProto) {
        let scope = &self.push(scope, service.name());
        service.method.iter().for_each(|method| _ = self.push(scope, method.name()));
    }
}

fn each_extension(file: &FileDescriptorProto, visit: &mut impl FnMut(&FieldDescriptorProto)) {
    file.extension.iter().for_each(&mut *visit);
    let mut messages: Vec<_> = file.message_type.iter().collect();
    while let Some(message) = messages.pop() {
        message.extension.iter().for_each(&mut *visit);
        messages.extend(&message.nested_type);
    }
}
