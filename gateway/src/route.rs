//! Paths of `google.api.http`: the template grammar, the tree that finds a rule
//! for a request, and the raw path it works on. Matching happens on the bytes
//! the client sent; decoding comes after the split, so that an escaped slash
//! never becomes a separator.

pub mod path;
pub mod template;
pub mod tree;

pub use path::{Path, PathError};
pub use template::{Segment, Template, TemplateError, Variable};
pub use tree::{Lookup, Tree, Verb};
