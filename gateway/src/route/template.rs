//! The path template grammar of google/api/http.proto:
//!
//! ```text
//! Template = "/" Segments [ Verb ] ;      Segments  = Segment { "/" Segment } ;
//! Segment  = "*" | "**" | LITERAL | Variable ;
//! Variable = "{" FieldPath [ "=" Segments ] "}" ;
//! FieldPath = IDENT { "." IDENT } ;       Verb      = ":" LITERAL ;
//! ```

use std::{fmt, ops::Range};

use thiserror::Error;

use super::path::escapes_are_whole;

/// Why a template is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// It does not begin with a slash.
    #[error("does not begin with `/`")]
    Relative,
    /// An empty segment: `//`, or a slash at the end.
    #[error("has an empty segment")]
    EmptySegment,
    /// `**` is not the last segment.
    #[error("has `**` before its last segment")]
    RestNotLast,
    /// Braces that do not pair, or a variable within a variable.
    #[error("has unbalanced or nested braces")]
    Braces,
    /// A variable's field path is not a path of identifiers.
    #[error("has a variable whose name is not a field path")]
    FieldPath,
    /// A field is bound twice.
    #[error("binds a field twice")]
    BoundTwice,
    /// A literal with `*`, or with a malformed escape.
    #[error("has a malformed literal")]
    Literal,
    /// A colon with nothing behind it.
    #[error("has an empty verb")]
    EmptyVerb,
}

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Literal text, percent-encoded in the one way that paths are compared in.
    Literal(String),
    /// `*`: one segment that is not empty.
    Star,
    /// `**`: the rest of the path, none or more segments.
    Rest,
}

/// A variable and the segments that it captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The field it binds, by proto names: `project.name`.
    pub field: String,
    /// The segments it captures, by their index.
    pub segments: Range<usize>,
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    /// Its segments.
    pub segments: Vec<Segment>,
    /// Its variables, in the order they are written.
    pub variables: Vec<Variable>,
    /// Its verb, without the colon.
    pub verb: Option<String>,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// When the text does not follow the grammar.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let rest = text.strip_prefix('/').ok_or(TemplateError::Relative)?;
        let (body, verb) = split_verb(rest)?;
        let mut template = Template {
            text: text.to_owned(),
            segments: Vec::new(),
            variables: Vec::new(),
            verb: verb.map(literal).transpose()?,
        };
        if !body.is_empty() {
            for piece in split_outside_braces(body)? {
                template.push(piece)?;
            }
        }
        template.check()?;
        Ok(template)
    }

    /// Whether a variable stands for exactly one segment, which decides how its
    /// escapes are decoded.
    #[must_use]
    pub fn is_single(&self, variable: &Variable) -> bool {
        variable.segments.len() == 1 && self.segments[variable.segments.start] != Segment::Rest
    }

    fn push(&mut self, piece: &str) -> Result<(), TemplateError> {
        let Some(inner) = piece.strip_prefix('{') else {
            self.segments.push(segment(piece)?);
            return Ok(());
        };
        let inner = inner.strip_suffix('}').ok_or(TemplateError::Braces)?;
        let (field, pattern) = inner.split_once('=').unwrap_or((inner, "*"));
        if !is_field_path(field) {
            return Err(TemplateError::FieldPath);
        }
        let start = self.segments.len();
        for piece in pattern.split('/') {
            self.segments.push(segment(piece)?);
        }
        let segments = start..self.segments.len();
        self.variables.push(Variable { field: field.to_owned(), segments });
        Ok(())
    }

    fn check(&self) -> Result<(), TemplateError> {
        let before_last = self.segments.len().saturating_sub(1);
        if self.segments[..before_last].contains(&Segment::Rest) {
            return Err(TemplateError::RestNotLast);
        }
        for (at, variable) in self.variables.iter().enumerate() {
            if self.variables[..at].iter().any(|earlier| earlier.field == variable.field) {
                return Err(TemplateError::BoundTwice);
            }
        }
        Ok(())
    }
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The verb stands behind the last colon of the last segment, outside braces.
fn split_verb(text: &str) -> Result<(&str, Option<&str>), TemplateError> {
    let tail = text.rfind(['}', '/']).map_or(0, |at| at + 1);
    match text[tail..].rfind(':') {
        None => Ok((text, None)),
        Some(at) if tail + at + 1 == text.len() => Err(TemplateError::EmptyVerb),
        Some(at) => Ok((&text[..tail + at], Some(&text[tail + at + 1..]))),
    }
}

fn split_outside_braces(text: &str) -> Result<Vec<&str>, TemplateError> {
    let mut pieces = Vec::new();
    let (mut start, mut open) = (0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '{' if open || at != start => return Err(TemplateError::Braces),
            '{' => open = true,
            '}' if !open => return Err(TemplateError::Braces),
            '}' => open = false,
            '/' if !open => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if open {
        return Err(TemplateError::Braces);
    }
    pieces.push(&text[start..]);
    Ok(pieces)
}

fn segment(text: &str) -> Result<Segment, TemplateError> {
    match text {
        "" => Err(TemplateError::EmptySegment),
        "*" => Ok(Segment::Star),
        "**" => Ok(Segment::Rest),
        text => literal(text).map(Segment::Literal),
    }
}

/// Reserved characters of a literal are percent-encoded before matching
/// (http.proto); escapes that are already there are kept, in upper case.
fn literal(text: &str) -> Result<String, TemplateError> {
    if text.contains(['*', '{', '}']) || !escapes_are_whole(text) {
        return Err(TemplateError::Literal);
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@%".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(upper_escapes(&encoded).into_owned())
}

/// Writes escapes in upper case, since `%2f` and `%2F` are the same (RFC 3986
/// §6.2.2.1). Nothing else is normalised: policy and routing see the same bytes.
pub(super) fn upper_escapes(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut upper = String::with_capacity(text.len());
    let mut hex = 0;
    for letter in text.chars() {
        upper.push(if hex > 0 { letter.to_ascii_uppercase() } else { letter });
        hex = if letter == '%' { 2 } else { usize::saturating_sub(hex, 1) };
    }
    upper.into()
}

fn is_field_path(text: &str) -> bool {
    text.split('.').all(|part| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lit(text: &str) -> Segment {
        Segment::Literal(text.to_owned())
    }

    #[test]
    fn every_production_of_the_grammar_is_understood() {
        use Segment::{Rest, Star};
        type Case<'a> = (&'a str, Vec<Segment>, Vec<(&'a str, Range<usize>)>, Option<&'a str>);
        let cases: Vec<Case<'_>> = vec![
            ("/", vec![], vec![], None),
            ("/v1/a", vec![lit("v1"), lit("a")], vec![], None),
            ("/v1/*", vec![lit("v1"), Star], vec![], None),
            ("/v1/**", vec![lit("v1"), Rest], vec![], None),
            ("/v1/{id}", vec![lit("v1"), Star], vec![("id", 1..2)], None),
            ("/v1/{id=*}:x", vec![lit("v1"), Star], vec![("id", 1..2)], Some("x")),
            ("/v1/{a.b=c/*}", vec![lit("v1"), lit("c"), Star], vec![("a.b", 1..3)], None),
            ("/{a=x/**}:v", vec![lit("x"), Rest], vec![("a", 0..2)], Some("v")),
            ("/v1/s:go", vec![lit("v1"), lit("s")], vec![], Some("go")),
            ("/a:b/c", vec![lit("a:b"), lit("c")], vec![], None),
            ("/{a}/{b=c}", vec![Star, lit("c")], vec![("a", 0..1), ("b", 1..2)], None),
            ("/.well-known/x.json", vec![lit(".well-known"), lit("x.json")], vec![], None),
            ("/a b/%c3%a9/é", vec![lit("a%20b"), lit("%C3%A9"), lit("%C3%A9")], vec![], None),
        ];
        for (text, segments, variables, verb) in cases {
            let template = Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(template.segments, segments, "{text}");
            assert_eq!(template.verb.as_deref(), verb, "{text}");
            let found: Vec<_> = template
                .variables
                .iter()
                .map(|variable| (variable.field.as_str(), variable.segments.clone()))
                .collect();
            assert_eq!(found, variables, "{text}");
        }
    }

    #[test]
    fn what_the_grammar_does_not_allow_is_refused() {
        use TemplateError as E;
        let cases = [
            ("", E::Relative),
            ("v1", E::Relative),
            ("//", E::EmptySegment),
            ("/v1/", E::EmptySegment),
            ("/v1//a", E::EmptySegment),
            ("/v1/{a=}", E::EmptySegment),
            ("/v1/**/a", E::RestNotLast),
            ("/{a=**}/{b}", E::RestNotLast),
            ("/{a", E::Braces),
            ("/a}", E::Braces),
            ("/{a={b}}", E::Braces),
            ("/x{a}", E::Braces),
            ("/{a}x", E::Braces),
            ("/{}", E::FieldPath),
            ("/{1a}", E::FieldPath),
            ("/{a..b}", E::FieldPath),
            ("/{a-b}", E::FieldPath),
            ("/{a}/{a}", E::BoundTwice),
            ("/a*", E::Literal),
            ("/***", E::Literal),
            ("/%4", E::Literal),
            ("/a:", E::EmptyVerb),
            ("/{a}:", E::EmptyVerb),
        ];
        for (text, expected) in cases {
            assert_eq!(Template::parse(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn only_a_variable_of_one_segment_is_single() {
        for (text, single) in
            [("/{a}", true), ("/{a=x}", true), ("/{a=x/*}", false), ("/{a=**}", false)]
        {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.is_single(&template.variables[0]), single, "{text}");
        }
    }
}
