//! Why a text or a message is refused, and where.

use thiserror::Error;

/// Which kind of mistake a client made; stable, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The text is not JSON (RFC 8259, with RFC 7493's strictness).
    InvalidJson,
    /// Longer, deeper or more numerous than the limits allow.
    LimitExceeded,
    /// No field of this name.
    UnknownField,
    /// A field or a key is given twice.
    DuplicateField,
    /// A value of another JSON type than the field takes.
    InvalidType,
    /// A value that the field cannot hold.
    InvalidValue,
    /// Two fields that exclude each other, or two parts of a request that give
    /// the same field.
    Conflict,
    /// No query parameter of this name.
    UnknownParameter,
    /// A body where the rule has none.
    UnexpectedBody,
}

impl Reason {
    /// As it stands in `google.rpc.BadRequest.FieldViolation.reason`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::InvalidJson => "INVALID_JSON",
            Reason::LimitExceeded => "LIMIT_EXCEEDED",
            Reason::UnknownField => "UNKNOWN_FIELD",
            Reason::DuplicateField => "DUPLICATE_FIELD",
            Reason::InvalidType => "INVALID_TYPE",
            Reason::InvalidValue => "INVALID_VALUE",
            Reason::Conflict => "CONFLICT",
            Reason::UnknownParameter => "UNKNOWN_PARAMETER",
            Reason::UnexpectedBody => "UNEXPECTED_BODY",
        }
    }
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Problem {
    /// Something else than JSON's grammar has here.
    #[error("not JSON")]
    Syntax,
    /// The text ends within a value.
    #[error("the text ends too early")]
    End,
    /// Something stands behind the value.
    #[error("something follows the value")]
    Trailing,
    /// A byte below 0x20 in a string.
    #[error("a control character in a string must be escaped")]
    Control,
    /// A backslash with something else than JSON has behind it.
    #[error("not an escape of JSON")]
    Escape,
    /// Half of a surrogate pair.
    #[error("half of a surrogate pair")]
    Surrogate,
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// Longer than [`crate::Limits::input`].
    #[error("the text is too long")]
    InputLimit,
    /// Would become longer than [`crate::Limits::output`].
    #[error("the message would be too large")]
    OutputLimit,
    /// Deeper than [`crate::Limits::depth`].
    #[error("nested too deep")]
    DepthLimit,
    /// More than [`crate::Limits::elements`].
    #[error("too many values")]
    ElementLimit,
    /// `Any`s within `Any`s whose `@type` comes late: each is searched for it.
    #[error("`@type` comes too late in nested values")]
    AnyLimit,
    /// No field of this name.
    #[error("no such field")]
    UnknownField,
    /// The field was there already, maybe under its other name.
    #[error("given twice")]
    Duplicate,
    /// The key was there already.
    #[error("the key is given twice")]
    DuplicateKey,
    /// Another field of the same oneof was there already.
    #[error("another field of its oneof is given")]
    Oneof,
    /// An object was expected.
    #[error("expected an object")]
    WantsObject,
    /// An array was expected.
    #[error("expected an array")]
    WantsArray,
    /// A string was expected.
    #[error("expected a string")]
    WantsString,
    /// A number was expected.
    #[error("expected a number")]
    WantsNumber,
    /// `true` or `false` was expected.
    #[error("expected true or false")]
    WantsBool,
    /// A name or number of an enum's value was expected.
    #[error("expected the name or number of a value")]
    WantsEnum,
    /// `null` in a list or map, or as the whole text.
    #[error("null is no value here")]
    Null,
    /// A fraction, or no number at all.
    #[error("not an integer")]
    NotInteger,
    /// Not a number.
    #[error("not a number")]
    NotNumber,
    /// Neither `true` nor `false`, in a key, path or query.
    #[error("neither `true` nor `false`")]
    NotBool,
    /// Too large or too small for the field.
    #[error("out of range")]
    Range,
    /// Neither of base64's alphabets.
    #[error("not base64")]
    Base64,
    /// No value of the enum has this name or number.
    #[error("not a value of the enum")]
    UnknownEnum,
    /// Not RFC 3339 with upper-case letters, or outside the years 1 to 9999.
    #[error("not a time such as 2026-01-31T12:00:00Z")]
    Timestamp,
    /// Not seconds with an `s`, or beyond 10,000 years.
    #[error("not a duration such as 1.5s")]
    Duration,
    /// Not a comma-separated list of lowerCamelCase paths.
    #[error("not a field mask such as title,owner.displayName")]
    FieldMask,
    /// An `Any` without `@type`.
    #[error("`@type` is missing")]
    AnyWithoutType,
    /// An `Any` of a type that the schema does not have.
    #[error("the schema has no such type")]
    UnknownType,
    /// An `Any` of a well-known type without `value`.
    #[error("`value` is missing")]
    AnyWithoutValue,
    /// The field's type has no notation as plain text.
    #[error("cannot be given as text")]
    NoText,
}

impl Problem {
    /// The kind of mistake that it is.
    #[must_use]
    pub fn reason(self) -> Reason {
        use Problem as P;
        match self {
            P::Syntax | P::End | P::Trailing | P::Control | P::Escape | P::Surrogate | P::Utf8 => {
                Reason::InvalidJson
            }
            P::InputLimit | P::OutputLimit | P::DepthLimit | P::ElementLimit | P::AnyLimit => {
                Reason::LimitExceeded
            }
            P::UnknownField => Reason::UnknownField,
            P::Duplicate | P::DuplicateKey => Reason::DuplicateField,
            P::Oneof => Reason::Conflict,
            P::WantsObject
            | P::WantsArray
            | P::WantsString
            | P::WantsNumber
            | P::WantsBool
            | P::WantsEnum
            | P::Null => Reason::InvalidType,
            _ => Reason::InvalidValue,
        }
    }
}

/// A text that is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem} at byte {position}, `{path}`")]
pub struct JsonError {
    /// What is wrong.
    pub problem: Problem,
    /// Where, by JSON names from the message down: `project.title`,
    /// `items[2].name`, `labels["a b"]`. Empty for the whole text.
    pub path: String,
    /// Where, in bytes from the beginning.
    pub position: usize,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum WireProblem {
    /// Not the encoding of any message.
    #[error("not an encoded message")]
    Malformed,
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// Longer than [`crate::Limits::input`].
    #[error("the message is too large")]
    InputLimit,
    /// Would become longer than [`crate::Limits::output`].
    #[error("the text would be too long")]
    OutputLimit,
    /// Deeper than [`crate::Limits::depth`].
    #[error("nested too deep")]
    DepthLimit,
    /// More than [`crate::Limits::elements`].
    #[error("too many values")]
    ElementLimit,
    /// Outside the years 1 to 9999, or a fraction outside one second.
    #[error("a timestamp out of range")]
    Timestamp,
    /// Beyond 10,000 years, or seconds and fraction of different sign.
    #[error("a duration out of range")]
    Duration,
    /// A path that would not survive lowerCamelCase.
    #[error("a field mask's path has no JSON notation")]
    FieldMask,
    /// NaN or infinity in a `google.protobuf.Value`.
    #[error("JSON has no such number")]
    NotFinite,
    /// An `Any` of a type that the schema does not have.
    #[error("the schema has no such type")]
    UnknownType,
}

/// A message that cannot be written as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem} at byte {position}, `{path}`")]
pub struct WireError {
    /// What is wrong.
    pub problem: WireProblem,
    /// Where, by JSON names from the message down.
    pub path: String,
    /// Where, in bytes from the beginning; the beginning of the enclosing
    /// message where its fields had to be rearranged.
    pub position: usize,
}

/// A problem and its place, on the way up; the path is found when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault<P> {
    pub(crate) problem: P,
    pub(crate) at: usize,
}
