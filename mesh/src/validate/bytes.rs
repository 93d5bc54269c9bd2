//! Rules on byte strings.

use prost_reflect::{DynamicMessage, Value};
use regex::Regex;

use super::{
    pattern,
    plan::{Rule, Rules, Test},
    rules::{Problem, list, settings, show, unsupported, wrong_type},
};

#[derive(Debug)]
pub(super) enum Blob {
    Equal(Box<[u8]>),
    Len(u64),
    MinLen(u64),
    MaxLen(u64),
    /// Bytes that are not UTF-8 match no pattern.
    Pattern(Regex),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Contains(Box<[u8]>),
    In(Box<[Box<[u8]>]>),
    NotIn(Box<[Box<[u8]>]>),
    NotEmpty,
    /// One of these lengths; empty is left to [`Blob::NotEmpty`].
    EmptyOrLen(&'static [usize]),
}

impl Test<&[u8]> for Blob {
    fn holds(&self, bytes: &[u8]) -> bool {
        let len = bytes.len() as u64;
        match self {
            Self::Equal(constant) => bytes == &**constant,
            Self::Len(exact) => len == *exact,
            Self::MinLen(min) => len >= *min,
            Self::MaxLen(max) => len <= *max,
            Self::Pattern(pattern) => {
                str::from_utf8(bytes).is_ok_and(|text| pattern.is_match(text))
            }
            Self::Prefix(prefix) => bytes.starts_with(prefix),
            Self::Suffix(suffix) => bytes.ends_with(suffix),
            Self::Contains(part) => contains(bytes, part),
            Self::In(values) => values.iter().any(|value| **value == *bytes),
            Self::NotIn(values) => values.iter().all(|value| **value != *bytes),
            Self::NotEmpty => !bytes.is_empty(),
            Self::EmptyOrLen(lens) => bytes.is_empty() || lens.contains(&bytes.len()),
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}

/// Compiles `BytesRules`.
pub(super) fn compile(rules: &DynamicMessage) -> Result<Rules<Blob>, Problem> {
    let mut compiled = Vec::new();
    for (name, value) in settings(rules)? {
        if name == "example" {
            continue;
        }
        if let Some((test, text)) = plain(&name, value)? {
            compiled.push(Rule::new(format!("bytes.{name}"), text, test));
        } else if value.as_bool() != Some(false) {
            compiled.extend(known(&name)?);
        }
    }
    Ok(compiled.into())
}

/// The rules that compare with a value of the contract.
fn plain(name: &str, value: &Value) -> Result<Option<(Blob, String)>, Problem> {
    let shown = show(value);
    let size = || value.as_u64().ok_or_else(|| wrong_type(name));
    let read = |value: &Value| value.as_bytes().map(|bytes| Box::from(bytes.as_ref()));
    let bytes = || read(value).ok_or_else(|| wrong_type(name));
    let pair = match name {
        "const" => (Blob::Equal(bytes()?), format!("must be {shown}")),
        "len" => (Blob::Len(size()?), format!("must be {shown} bytes")),
        "min_len" => (Blob::MinLen(size()?), format!("must be at least {shown} bytes")),
        "max_len" => (Blob::MaxLen(size()?), format!("must be at most {shown} bytes")),
        "pattern" => {
            let pattern = value.as_str().ok_or_else(|| wrong_type(name))?;
            let text = format!("must match regex pattern `{shown}`");
            (Blob::Pattern(pattern::compile(pattern)?), text)
        }
        "prefix" => (Blob::Prefix(bytes()?), format!("does not have prefix {shown}")),
        "suffix" => (Blob::Suffix(bytes()?), format!("does not have suffix {shown}")),
        "contains" => (Blob::Contains(bytes()?), format!("does not contain {shown}")),
        "in" => (Blob::In(list(name, value, read)?), format!("must be in list {shown}")),
        "not_in" => (Blob::NotIn(list(name, value, read)?), format!("must not be in list {shown}")),
        _ => return Ok(None),
    };
    Ok(Some(pair))
}

/// The rules that name a format, all of which fix the length.
fn known(name: &str) -> Result<[Rule<Blob>; 2], Problem> {
    let (lens, what): (&[usize], _) = match name {
        "ip" => (&[4, 16], "IP address"),
        "ipv4" => (&[4], "IPv4 address"),
        "ipv6" => (&[16], "IPv6 address"),
        "uuid" => (&[16], "UUID"),
        _ => return Err(unsupported(&format!("bytes.{name}"))),
    };
    let empty = format!("value is empty, which is not a valid {what}");
    Ok([
        Rule::new(format!("bytes.{name}_empty"), empty, Blob::NotEmpty),
        Rule::new(
            format!("bytes.{name}"),
            format!("must be a valid {what}"),
            Blob::EmptyOrLen(lens),
        ),
    ])
}
