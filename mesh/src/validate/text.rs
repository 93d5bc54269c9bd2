//! Rules on strings.

use prost_reflect::{DynamicMessage, Value};
use regex::Regex;

use super::{
    format::{self, Format},
    pattern,
    plan::{Rule, Rules, Test},
    rules::{Problem, list, settings, show, unsupported, wrong_type},
};

#[derive(Debug)]
pub(super) enum Text {
    Equal(Box<str>),
    /// Unicode code points.
    Chars(u64),
    MinChars(u64),
    MaxChars(u64),
    Bytes(u64),
    MinBytes(u64),
    MaxBytes(u64),
    Pattern(Regex),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Contains(Box<str>),
    NotContains(Box<str>),
    In(Box<[Box<str>]>),
    NotIn(Box<[Box<str>]>),
    NotEmpty,
    Format(Format),
    /// Left to [`Text::NotEmpty`], which has an id of its own.
    EmptyOr(Format),
}

impl Test<&str> for Text {
    fn holds(&self, text: &str) -> bool {
        let bytes = text.len() as u64;
        match self {
            Self::Equal(constant) => text == &**constant,
            Self::Chars(exact) => count(text) == *exact,
            // A code point has one to four bytes, so that most texts need no count.
            Self::MinChars(min) => bytes >= *min && (bytes / 4 >= *min || count(text) >= *min),
            Self::MaxChars(max) => bytes <= *max || count(text) <= *max,
            Self::Bytes(exact) => bytes == *exact,
            Self::MinBytes(min) => bytes >= *min,
            Self::MaxBytes(max) => bytes <= *max,
            Self::Pattern(pattern) => pattern.is_match(text),
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Suffix(suffix) => text.ends_with(&**suffix),
            Self::Contains(part) => text.contains(&**part),
            Self::NotContains(part) => !text.contains(&**part),
            Self::In(values) => values.iter().any(|value| **value == *text),
            Self::NotIn(values) => values.iter().all(|value| **value != *text),
            Self::NotEmpty => !text.is_empty(),
            Self::Format(format) => format(text),
            Self::EmptyOr(format) => text.is_empty() || format(text),
        }
    }
}

fn count(text: &str) -> u64 {
    text.chars().count() as u64
}

/// Compiles `StringRules`.
pub(super) fn compile(rules: &DynamicMessage) -> Result<Rules<Text>, Problem> {
    let settings = settings(rules)?;
    // Only `false` loosens the formats of HTTP headers.
    let strict =
        !settings.iter().any(|(name, value)| name == "strict" && value.as_bool() == Some(false));
    let mut compiled = Vec::new();
    for (name, value) in settings {
        if name == "example" || name == "strict" {
            continue;
        }
        if let Some((test, text)) = plain(&name, value)? {
            compiled.push(Rule::new(format!("string.{name}"), text, test));
        } else {
            compiled.extend(known(&name, value, strict)?);
        }
    }
    Ok(compiled.into())
}

/// The rules that compare with a value of the contract.
fn plain(name: &str, value: &Value) -> Result<Option<(Text, String)>, Problem> {
    let shown = show(value);
    let size = || value.as_u64().ok_or_else(|| wrong_type(name));
    let text = || value.as_str().map(Box::from).ok_or_else(|| wrong_type(name));
    let texts = || list(name, value, |item| item.as_str().map(Box::from));
    let pair = match name {
        "const" => (Text::Equal(text()?), format!("must equal `{shown}`")),
        "len" => (Text::Chars(size()?), format!("must be {shown} characters")),
        "min_len" => (Text::MinChars(size()?), format!("must be at least {shown} characters")),
        "max_len" => (Text::MaxChars(size()?), format!("must be at most {shown} characters")),
        "len_bytes" => (Text::Bytes(size()?), format!("must be {shown} bytes")),
        "min_bytes" => (Text::MinBytes(size()?), format!("must be at least {shown} bytes")),
        "max_bytes" => (Text::MaxBytes(size()?), format!("must be at most {shown} bytes")),
        "pattern" => {
            let pattern = pattern::compile(&text()?)?;
            (Text::Pattern(pattern), format!("does not match regex pattern `{shown}`"))
        }
        "prefix" => (Text::Prefix(text()?), format!("does not have prefix `{shown}`")),
        "suffix" => (Text::Suffix(text()?), format!("does not have suffix `{shown}`")),
        "contains" => (Text::Contains(text()?), format!("does not contain substring `{shown}`")),
        "not_contains" => (Text::NotContains(text()?), format!("contains substring `{shown}`")),
        "in" => (Text::In(texts()?), format!("must be in list {shown}")),
        "not_in" => (Text::NotIn(texts()?), format!("must not be in list {shown}")),
        _ => return Ok(None),
    };
    Ok(Some(pair))
}

/// The rules that name a format.
fn known(name: &str, value: &Value, strict: bool) -> Result<Vec<Rule<Text>>, Problem> {
    if value.as_bool() == Some(false) {
        return Ok(Vec::new());
    }
    let (id, known) = match (name, value.as_enum_number()) {
        ("well_known_regex", Some(0)) => return Ok(Vec::new()),
        ("well_known_regex", Some(1)) => {
            let format = if strict { format::header_name } else { format::loose_header_name };
            ("well_known_regex.header_name", (format as Format, "HTTP header name"))
        }
        ("well_known_regex", Some(2)) => {
            let format = if strict { format::header_value } else { format::loose_header_value };
            ("well_known_regex.header_value", (format as Format, "HTTP header value"))
        }
        _ => (name, format::by_rule(name).ok_or_else(|| unsupported(&format!("string.{name}")))?),
    };
    let (format, what) = known;
    let id = format!("string.{id}");
    let text = format!("must be a valid {what}");
    // Of these two the empty text is a valid instance.
    if matches!(id.as_str(), "string.uri_ref" | "string.well_known_regex.header_value") {
        return Ok(vec![Rule::new(id, text, Text::Format(format))]);
    }
    let empty = format!("value is empty, which is not a valid {what}");
    Ok(vec![
        Rule::new(format!("{id}_empty"), empty, Text::NotEmpty),
        Rule::new(id, text, Text::EmptyOr(format)),
    ])
}
