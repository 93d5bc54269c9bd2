//! Why an event was not applied, and whether that is the event's fault.

use std::error::Error as StdError;

use tonic::{Code, Status};

use super::HandlerError;
use crate::{Conflict, Error};

/// Why a transaction of effects did not commit.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{} at position {}", .0.kind, .0.position)]
    Handler(#[source] Refused),
    #[error(transparent)]
    Store(#[from] Error),
    #[error("another replica owns what this one owned")]
    Fenced,
}

/// An event that its handler refused.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub(super) struct Refused {
    pub(super) kind: String,
    pub(super) position: i64,
    /// Nothing is wrong with the event: the same will work later.
    pub(super) transient: bool,
    /// The same will never work.
    pub(super) permanent: bool,
    pub(super) source: HandlerError,
}

/// Whether the world and not the event is to blame: a database or a service that
/// is away, a transaction that lost against another one.
pub(super) fn is_transient(error: &(dyn StdError + 'static)) -> bool {
    any(error, |cause| {
        let store = cause.downcast_ref::<Error>().is_some_and(|error| {
            matches!(error, Error::Unavailable(_) | Error::Conflict(Conflict::Contention))
        });
        let status = cause.downcast_ref::<Status>().is_some_and(|status| {
            matches!(
                status.code(),
                Code::Unavailable
                    | Code::DeadlineExceeded
                    | Code::ResourceExhausted
                    | Code::Cancelled
            )
        });
        store || status
    })
}

/// Whether the event cannot be read, which no repetition changes.
pub(super) fn is_permanent(error: &(dyn StdError + 'static)) -> bool {
    any(error, |cause| {
        cause.is::<prost::DecodeError>()
            || matches!(cause.downcast_ref(), Some(Error::Corrupt { .. }))
    })
}

fn any(
    error: &(dyn StdError + 'static),
    matches: impl Fn(&(dyn StdError + 'static)) -> bool,
) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if matches(error) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] HandlerError);

    fn wrapped(error: impl Into<HandlerError>) -> Outer {
        Outer(error.into())
    }

    #[test]
    fn what_is_away_is_no_fault_of_an_event() {
        let away = [
            wrapped(Error::Unavailable(sqlx::Error::PoolTimedOut)),
            wrapped(Error::Conflict(Conflict::Contention)),
            wrapped(Status::unavailable("away")),
        ];
        for error in away {
            assert!(is_transient(&error) && !is_permanent(&error), "{error:?}");
        }
        let wrong = [wrapped("wrong"), wrapped(Status::not_found("x")), wrapped(Error::Broken)];
        for error in wrong {
            assert!(!is_transient(&error) && !is_permanent(&error), "{error:?}");
        }
    }

    #[test]
    fn an_event_that_cannot_be_read_never_will_be() {
        let source = <() as prost::Message>::decode(&[0xff_u8][..]).unwrap_err();
        assert!(is_permanent(&wrapped(Error::Corrupt { what: "event", source })));
    }
}
