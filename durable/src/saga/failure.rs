//! What the failure of an action means for its saga: that it certainly did not
//! happen, or that nobody knows. A time-out is not a failure.

use std::{error::Error as StdError, fmt};

use mesh::status;
use tonic::{Code, Status};

use super::machine::Outcome;

/// Why an action or a compensation did not succeed. Made of a [`Status`] by `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It certainly did not happen and never will under this key. Before the
    /// pivot the saga compensates.
    Refused(Refusal),
    /// It may have happened. It is repeated under the same key, which finds out.
    Unknown(String),
}

/// Why a participant refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// UPPER_SNAKE, as in `ErrorInfo.reason`: `CARD_DECLINED`.
    pub reason: String,
    /// For humans.
    pub message: String,
}

impl Refusal {
    /// The reason of a saga that turned back because somebody asked for it.
    pub const CANCELLED: &str = "CANCELLED";
    /// The reason of one that turned back because a step gave no answer.
    pub const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";
}

impl Failure {
    /// A refusal that the action itself decides on.
    #[must_use]
    pub fn refused(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Refused(Refusal { reason: reason.into(), message: message.into() })
    }

    /// Anything that leaves open whether it happened, with its chain of causes.
    #[must_use]
    pub fn unknown(error: &(dyn StdError + 'static)) -> Self {
        Self::Unknown(status::chain(error))
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Refused(_) => Outcome::Refused,
            Self::Unknown(_) => Outcome::Unknown,
        }
    }
}

/// Whether an answer with this code says that the call had no effect. The other
/// codes are also those of proxies, of deadlines and of servers that died half
/// way. ABORTED says "redo it", and RESOURCE_EXHAUSTED "later": the call is
/// repeated after them.
fn certainly_not_done(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::OutOfRange
            | Code::Unimplemented
    )
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let code = status.code();
        if !certainly_not_done(code) {
            return Self::Unknown(format!("{code:?}: {}", status.message()));
        }
        let reason = status::reason(&status).unwrap_or_else(|| upper_snake(code));
        Self::refused(reason, status.message())
    }
}

/// The reason of a status that names none: its code.
fn upper_snake(code: Code) -> String {
    let mut text = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(formatter),
            Self::Unknown(why) => formatter.write_str(why),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason, self.message)
    }
}

impl Refusal {
    /// The inverse of its text, as it is stored.
    pub(super) fn parse(text: &str) -> Self {
        let (reason, message) = text.split_once(": ").unwrap_or(("", text));
        Self { reason: reason.to_owned(), message: message.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_exclude_an_effect_are_refusals() {
        let cases = [
            (Code::InvalidArgument, true),
            (Code::FailedPrecondition, true),
            (Code::NotFound, true),
            (Code::AlreadyExists, true),
            (Code::PermissionDenied, true),
            (Code::Unauthenticated, true),
            (Code::OutOfRange, true),
            (Code::Unimplemented, true),
            (Code::Cancelled, false),
            (Code::Unknown, false),
            (Code::DeadlineExceeded, false),
            (Code::ResourceExhausted, false),
            (Code::Aborted, false),
            (Code::Internal, false),
            (Code::Unavailable, false),
            (Code::DataLoss, false),
        ];
        for (code, refused) in cases {
            let failure = Failure::from(Status::new(code, "why"));
            assert_eq!(matches!(failure, Failure::Refused(_)), refused, "{code:?}");
        }
    }

    #[test]
    fn a_refusal_keeps_the_reason_that_the_participant_gave() {
        let declined = status::refuse(Code::FailedPrecondition, "CARD_DECLINED", "no funds");
        assert_eq!(Failure::from(declined), Failure::refused("CARD_DECLINED", "no funds"));
        let bare = Status::not_found("no such product");
        assert_eq!(Failure::from(bare), Failure::refused("NOT_FOUND", "no such product"));
    }

    #[test]
    fn a_stored_refusal_reads_as_it_was() {
        let refusal = Refusal { reason: "OUT_OF_STOCK".into(), message: "only 3: sorry".into() };
        assert_eq!(Refusal::parse(&refusal.to_string()), refusal);
    }
}
