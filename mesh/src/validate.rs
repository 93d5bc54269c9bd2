//! The rules of a contract (`buf.validate`), compiled once into a program that
//! checks a message as it lies on the wire: one pass, no decoding, and no
//! allocation as long as nothing is wrong.
//!
//! The meaning is protovalidate's. What a program cannot carry out (CEL,
//! predefined rules, `any`) refuses to compile, since a rule that is silently
//! not enforced is worse than none.

mod bytes;
mod compile;
mod few;
mod format;
mod number;
mod path;
mod pattern;
mod plan;
mod requirements;
mod rules;
mod run;
mod text;
mod time;
mod uri;
pub(crate) mod wire;

use std::{sync::Arc, time::SystemTime};

use prost_reflect::MessageDescriptor;

pub use self::requirements::Requirement;
pub use crate::status::Violation;

/// Most violations that one check reports: enough for any form that a person
/// fills in, and a hostile list of a million bad items costs no more.
pub const MAX_VIOLATIONS: usize = 32;

/// A rule that cannot be enforced, or that does not fit the field it stands on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("validation rules of `{field}`: {problem}")]
pub struct CompileError {
    /// Full name of the field, oneof or message that carries the rule.
    pub field: String,
    /// What is wrong with the rule.
    pub problem: String,
}

/// Why a message is refused. Both are the caller's fault: `INVALID_ARGUMENT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The bytes are not an encoding of the message's type.
    #[error("malformed message at `{field}`: {problem}")]
    Malformed {
        /// Path of the field at fault; empty when the message itself is.
        field: String,
        /// What is wrong with the bytes.
        problem: &'static str,
    },
    /// The message breaks rules of its contract; at most [`MAX_VIOLATIONS`].
    #[error("{} rules are broken", .0.len())]
    Invalid(Vec<Violation>),
}

/// The rules of a message and of all that it contains.
#[derive(Debug)]
pub struct Program {
    plan: plan::Plan,
}

impl Program {
    /// Compiles the rules of `message`; `None` when neither it nor anything in
    /// it has any.
    ///
    /// The descriptor's pool must come from *encoded* descriptors: the types of
    /// prost-types drop options, and the rules with them.
    ///
    /// # Errors
    /// A rule that is not supported or that does not fit its field.
    pub fn compile(message: &MessageDescriptor) -> Result<Option<Arc<Self>>, CompileError> {
        let plan = compile::compile(message)?;
        Ok(plan.map(|plan| Arc::new(Self { plan })))
    }

    /// Checks an encoded message.
    ///
    /// Only what rules speak about is looked at: bytes in other fields are the
    /// decoder's business. As decoders do, the last value of a singular field
    /// wins, occurrences of a singular message merge, and packed and unpacked
    /// lists are equal.
    ///
    /// # Errors
    /// The broken rules, or that the bytes are not a message of this type.
    pub fn check(&self, message: &[u8]) -> Result<(), Rejection> {
        run::check(&self.plan, message, None)
    }

    /// [`Program::check`] at a given time, for rules such as `timestamp.lt_now`.
    ///
    /// # Errors
    /// As [`Program::check`].
    pub fn check_at(&self, message: &[u8], now: SystemTime) -> Result<(), Rejection> {
        run::check(&self.plan, message, Some(now))
    }
}

/// The rules of `message` and of all that it contains in words, in the order of
/// its fields; for people, the call path needs [`Program::compile`] only.
///
/// # Errors
/// As [`Program::compile`].
pub fn requirements(message: &MessageDescriptor) -> Result<Vec<Requirement>, CompileError> {
    let plan = compile::compile(message)?;
    Ok(plan.map(|plan| requirements::of(&plan, message)).unwrap_or_default())
}
