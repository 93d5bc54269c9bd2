//! From a method and a path to a rule. Matching happens on the bytes that the
//! client sent; decoding comes after the split, so that an escaped slash never
//! becomes a separator, and nothing is merged, resolved or stripped on the way:
//! what a policy in front of the edge saw is what is routed.

mod literals;
mod path;
mod tree;

use std::fmt;

pub use path::{MAX_BYTES, MAX_SEGMENTS, Path, PathError};
pub use tree::{Captures, Lookup, Match, Tree};

/// The HTTP method of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// One method, which may be a custom one.
    Named(Box<str>),
    /// The custom kind `*`: any method that no other rule of the path names.
    Any,
}

impl Method {
    /// A method by its name, or the custom kind `*`; none when it is no token
    /// (RFC 9110 §5.6.2).
    #[must_use]
    pub fn parse(kind: &str) -> Option<Method> {
        if kind == "*" {
            return Some(Method::Any);
        }
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        (!kind.is_empty() && kind.bytes().all(token)).then(|| Method::Named(kind.into()))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Method::Named(name) => formatter.write_str(name),
            Method::Any => formatter.write_str("*"),
        }
    }
}
