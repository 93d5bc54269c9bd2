//! The path template grammar of google/api/http.proto:
//!
//! ```text
//! Template = "/" Segments [ Verb ] ;      Segments  = Segment { "/" Segment } ;
//! Segment  = "*" | "**" | LITERAL | Variable ;
//! Variable = "{" FieldPath [ "=" Segments ] "}" ;
//! FieldPath = IDENT { "." IDENT } ;       Verb      = ":" LITERAL ;
//! ```
//!
//! Beyond it, `/` alone is a template, and segments may follow the one `**`.

mod parse;

use std::{fmt, ops::Range, sync::Arc};

use thiserror::Error;

use crate::percent::{Scope, encode_into};

/// Why a template is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// It does not begin with a slash.
    #[error("does not begin with `/`")]
    Relative,
    /// An empty segment: `//`, or a slash at the end.
    #[error("has an empty segment")]
    EmptySegment,
    /// A variable that would capture the slash before it.
    #[error("has a variable that captures a leading `/`")]
    LeadingSlash,
    /// `**` twice: where one ends and the next begins would be anybody's guess.
    #[error("has more than one `**`")]
    TwoRests,
    /// Braces that do not pair, or stand within a segment.
    #[error("has unbalanced braces")]
    Braces,
    /// A variable within a variable.
    #[error("has a variable within a variable")]
    NestedVariable,
    /// A variable's field path is not a path of identifiers.
    #[error("has a variable whose name is not a field path")]
    FieldPath,
    /// A field is bound twice, or together with a field within it.
    #[error("binds a field twice")]
    BoundTwice,
    /// A literal with `*`, with a malformed code, or that no path can have.
    #[error("has a malformed literal")]
    Literal,
    /// A colon in a variable's last segment, which would read as a verb.
    #[error("has a colon in its last variable, which would be a verb")]
    Colon,
    /// A colon with nothing behind it.
    #[error("has an empty verb")]
    EmptyVerb,
    /// More segments than a path may have.
    #[error("has more than {} segments", super::route::MAX_SEGMENTS)]
    TooLong,
}

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Literal text, percent-encoded in the one way that paths are compared in.
    Literal(Box<str>),
    /// `*`: one segment that is not empty.
    Star,
    /// `**`: none or more segments, none of them empty.
    Rest,
}

/// A variable and the segments that it captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The field it binds, by proto names: `project.name`.
    pub field: Box<str>,
    /// The segments it captures, by their index in the template.
    pub segments: Range<usize>,
    /// How what it captures is decoded: [`Scope::Segment`] when it is exactly
    /// one segment, else [`Scope::Segments`].
    pub scope: Scope,
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Arc<str>,
    segments: Vec<Segment>,
    variables: Vec<Variable>,
    verb: Option<Box<str>>,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// When the text does not follow the grammar.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        parse::template(text)
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Its segments.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Its variables, in the order they are written.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// Its verb without the colon, percent-encoded as literals are.
    #[must_use]
    pub fn verb(&self) -> Option<&str> {
        self.verb.as_deref()
    }

    /// The index of its `**`.
    #[must_use]
    pub fn rest(&self) -> Option<usize> {
        self.segments.iter().position(|segment| *segment == Segment::Rest)
    }

    /// The path that a client makes of it. `values` are asked by field path;
    /// segments outside of any variable that are `*` or `**` become `-`. Values
    /// are encoded, not checked: one that does not fit its variable's segments
    /// gives a path that leads elsewhere.
    #[must_use]
    pub fn expand<'a>(&self, values: impl Fn(&str) -> &'a str) -> String {
        let mut path = String::new();
        let mut at = 0;
        while at < self.segments.len() {
            path.push('/');
            if let Some(variable) = self.variables.iter().find(|v| v.segments.start == at) {
                encode_into(&mut path, values(&variable.field), variable.scope);
                at = variable.segments.end;
                continue;
            }
            match &self.segments[at] {
                Segment::Literal(text) => path.push_str(text),
                Segment::Star | Segment::Rest => path.push('-'),
            }
            at += 1;
        }
        if path.is_empty() {
            path.push('/');
        }
        if let Some(verb) = &self.verb {
            path.push(':');
            path.push_str(verb);
        }
        path
    }
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
