//! What the end of a call tells of the instance that served it. A caller's
//! mistake, a caller that went away and a refusal of our own tell nothing: a
//! breaker that counted them would open on healthy instances.

use h2::Reason;
use tonic::Code;

/// What a call has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The instance has done its work, whatever the answer was.
    Served,
    /// It failed by a fault that is not the caller's.
    Failed,
    /// It has too much to do: a reason to call others, not to give it up.
    Overloaded,
    /// The deadline passed; whose fault it was depends on how much time there
    /// was.
    Late,
    /// Nothing.
    Silent,
}

impl Verdict {
    /// By the status that the server has sent.
    pub(crate) fn of_code(code: Code) -> Self {
        match code {
            Code::Unavailable | Code::Internal | Code::DataLoss => Self::Failed,
            Code::ResourceExhausted => Self::Overloaded,
            Code::DeadlineExceeded => Self::Late,
            // These come after work, as OK does.
            Code::Ok
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange => Self::Served,
            // These are said before any work, so that their speed is no merit;
            // and UNKNOWN that a server sends is what its handler made of it.
            Code::InvalidArgument
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::Unimplemented
            | Code::Unknown
            | Code::Cancelled => Self::Silent,
        }
    }

    /// By what became of the stream; `None` when the connection itself is gone,
    /// which is one failure however many calls were on it.
    pub(crate) fn of_error(error: &h2::Error) -> Option<Self> {
        if error.is_go_away() && error.is_remote() {
            // An orderly end is what a drain looks like.
            let orderly = error.reason() == Some(Reason::NO_ERROR);
            return Some(if orderly { Self::Silent } else { Self::Overloaded });
        }
        if !error.is_reset() {
            return None;
        }
        if !error.is_remote() && !error.is_library() {
            return Some(Self::Silent);
        }
        Some(match error.reason() {
            Some(Reason::REFUSED_STREAM | Reason::ENHANCE_YOUR_CALM) => Self::Overloaded,
            Some(Reason::CANCEL | Reason::NO_ERROR) => Self::Silent,
            _ => Self::Failed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_faults_of_the_server_are_failures() {
        let all = (0..17).map(Code::from_i32);
        let failures: Vec<Code> =
            all.filter(|code| Verdict::of_code(*code) == Verdict::Failed).collect();
        assert_eq!(failures, [Code::Internal, Code::Unavailable, Code::DataLoss]);
    }

    #[test]
    fn exhaustion_is_load_and_a_cancellation_is_nothing() {
        assert_eq!(Verdict::of_code(Code::ResourceExhausted), Verdict::Overloaded);
        assert_eq!(Verdict::of_code(Code::Cancelled), Verdict::Silent);
        assert_eq!(Verdict::of_code(Code::PermissionDenied), Verdict::Silent);
    }
}
