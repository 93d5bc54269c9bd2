//! From the text of a template to its segments and variables.

use super::{Segment, Template, TemplateError, Variable};
use crate::{
    percent::{Scope, decode, encode_into},
    route::{MAX_SEGMENTS, Path},
};

pub(super) fn template(text: &str) -> Result<Template, TemplateError> {
    let rest = text.strip_prefix('/').ok_or(TemplateError::Relative)?;
    let (body, verb) = split_verb(rest)?;
    let mut template = Template {
        text: text.into(),
        segments: Vec::new(),
        variables: Vec::new(),
        verb: verb.map(literal).transpose()?,
    };
    if !body.is_empty() {
        for piece in split_outside_braces(body)? {
            push(&mut template, piece)?;
        }
    }
    check(&template)?;
    Ok(template)
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
            '{' if open => return Err(TemplateError::NestedVariable),
            '{' if at != start => return Err(TemplateError::Braces),
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

fn push(template: &mut Template, piece: &str) -> Result<(), TemplateError> {
    let Some(inner) = piece.strip_prefix('{') else {
        template.segments.push(segment(piece)?);
        return Ok(());
    };
    let inner = inner.strip_suffix('}').ok_or(TemplateError::Braces)?;
    let (field, pattern) = inner.split_once('=').unwrap_or((inner, "*"));
    if !is_field_path(field) {
        return Err(TemplateError::FieldPath);
    }
    if pattern.starts_with('/') {
        return Err(TemplateError::LeadingSlash);
    }
    let start = template.segments.len();
    for piece in pattern.split('/') {
        template.segments.push(segment(piece)?);
    }
    let segments = start..template.segments.len();
    let single = segments.len() == 1 && template.segments[start] != Segment::Rest;
    let scope = if single { Scope::Segment } else { Scope::Segments };
    template.variables.push(Variable { field: field.into(), segments, scope });
    Ok(())
}

fn segment(text: &str) -> Result<Segment, TemplateError> {
    match text {
        "" => Err(TemplateError::EmptySegment),
        "*" => Ok(Segment::Star),
        "**" => Ok(Segment::Rest),
        text => literal(text).map(Segment::Literal),
    }
}

/// A literal that no request could ever have (`..`, `%00`) is a mistake as well.
fn literal(text: &str) -> Result<Box<str>, TemplateError> {
    if text.contains(['*', '{', '}']) {
        return Err(TemplateError::Literal);
    }
    // In a contract a code that needs none is the character that it stands for.
    let decoded = decode(text, Scope::Segment).map_err(|_| TemplateError::Literal)?;
    let mut literal = String::with_capacity(text.len());
    encode_into(&mut literal, &decoded, Scope::Segment);
    match Path::parse(&format!("/{literal}")) {
        Ok(_) => Ok(literal.into()),
        Err(_) => Err(TemplateError::Literal),
    }
}

fn check(template: &Template) -> Result<(), TemplateError> {
    if template.segments.is_empty() && template.verb.is_some() {
        return Err(TemplateError::EmptySegment);
    }
    if template.segments.len() > MAX_SEGMENTS {
        return Err(TemplateError::TooLong);
    }
    if template.segments.iter().filter(|segment| **segment == Segment::Rest).count() > 1 {
        return Err(TemplateError::TwoRests);
    }
    for (at, variable) in template.variables.iter().enumerate() {
        if template.variables[..at].iter().any(|earlier| overlap(&earlier.field, &variable.field)) {
            return Err(TemplateError::BoundTwice);
        }
    }
    let last = template.segments.len();
    let colon =
        |segment: &Segment| matches!(segment, Segment::Literal(text) if text.contains("%3A"));
    match template.variables.last() {
        Some(variable)
            if variable.segments.end == last && template.segments.last().is_some_and(colon) =>
        {
            Err(TemplateError::Colon)
        }
        _ => Ok(()),
    }
}

/// Whether one is the other, or lies within it.
fn overlap(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn is_field_path(text: &str) -> bool {
    text.split('.').all(|part| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}
