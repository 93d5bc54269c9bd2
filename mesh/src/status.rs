//! Refusals as `google.rpc.Status` with typed details (AIP-193): a code for
//! machines, a reason for programs, a message for people, and for bad input the
//! fields at fault.

use std::{error::Error, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// `domain` of every `ErrorInfo` that the mesh and its services send.
pub const DOMAIN: &str = "titan";

/// Longest message that is sent; HTTP/2 peers refuse header blocks that are
/// large, and a stream reset says less than a shortened message.
pub(crate) const MAX_MESSAGE_BYTES: usize = 2 * 1024;

/// A field at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field by its names in the contract: `project.title`.
    pub field: String,
    /// The rule that was broken: `string.max_len`.
    pub rule: String,
    /// What is wrong, for people.
    pub description: String,
}

/// Names a field at fault.
pub fn field(
    path: impl Into<String>,
    rule: impl Into<String>,
    description: impl Into<String>,
) -> Violation {
    Violation { field: path.into(), rule: rule.into(), description: description.into() }
}

/// A refusal with an `ErrorInfo`. `reason` is `UPPER_SNAKE_CASE` and never
/// changes, since programs compare it.
pub fn refuse(code: Code, reason: &'static str, message: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info(reason, DOMAIN, []);
    Status::with_error_details(code, shorten(message.into()), details)
}

/// A refusal that is about one resource: an `ErrorInfo` as [`refuse`] gives it,
/// and a `ResourceInfo` with the resource's type and name.
pub fn refuse_resource(
    code: Code,
    reason: &'static str,
    kind: &'static str,
    name: impl Into<String>,
    message: impl Into<String>,
) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, []);
    details.set_resource_info(kind, name, "", "");
    Status::with_error_details(code, shorten(message.into()), details)
}

/// INVALID_ARGUMENT with a `BadRequest` that names every field at fault.
#[must_use]
pub fn invalid(violations: Vec<Violation>) -> Status {
    let message = match violations.as_slice() {
        [only] => format!("{}: {}", only.field, only.description),
        several => format!("{} fields are invalid", several.len()),
    };
    let mut details = ErrorDetails::new();
    for violation in violations {
        details.add_bad_request_violation(violation.field, violation.description);
    }
    details.set_error_info("INVALID_FIELDS", DOMAIN, []);
    Status::with_error_details(Code::InvalidArgument, shorten(message), details)
}

/// RESOURCE_EXHAUSTED with a `RetryInfo`: the call may be repeated after
/// `retry_after`, and at the edge that becomes the `Retry-After` header.
pub fn exhausted(
    reason: &'static str,
    message: impl Into<String>,
    retry_after: Duration,
) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, []);
    details.set_retry_info(Some(retry_after));
    Status::with_error_details(Code::ResourceExhausted, shorten(message.into()), details)
}

/// INTERNAL for a cause that is none of the caller's business: the whole chain
/// goes to the log, the caller gets the trace id to ask about it.
pub fn internal(error: &(dyn Error + 'static)) -> Status {
    tracing::error!(error = chain(error), "internal error");
    let message = match crate::call::trace_id() {
        Some(id) => format!("internal error; trace {id}"),
        None => "internal error".to_owned(),
    };
    refuse(Code::Internal, "INTERNAL", message)
}

/// An error and its causes on one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Many libraries repeat their source in their own text.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// The reason in a status's `ErrorInfo`, when it has one.
#[must_use]
pub fn reason(status: &Status) -> Option<String> {
    Some(status.get_details_error_info()?.reason)
}

fn shorten(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        let mut end = MAX_MESSAGE_BYTES;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_its_reason() {
        let status = refuse(Code::NotFound, "PROJECT_NOT_FOUND", "no such project");
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(reason(&status).as_deref(), Some("PROJECT_NOT_FOUND"));
    }

    #[test]
    fn a_refusal_names_the_resource_that_it_is_about() {
        let kind = "projects.titan/Project";
        let status = refuse_resource(Code::NotFound, "PROJECT_NOT_FOUND", kind, "projects/1", "");
        assert_eq!(reason(&status).as_deref(), Some("PROJECT_NOT_FOUND"));
        let resource = status.get_details_resource_info().unwrap();
        assert_eq!((&*resource.resource_type, &*resource.resource_name), (kind, "projects/1"));
    }

    #[test]
    fn every_field_at_fault_is_named() {
        let status = invalid(vec![
            field("project.title", "string.min_len", "must not be empty"),
            field("page_size", "int32.gte", "must not be negative"),
        ]);
        let fields: Vec<String> = status
            .get_details_bad_request()
            .unwrap()
            .field_violations
            .into_iter()
            .map(|violation| violation.field)
            .collect();
        assert_eq!(fields, ["project.title", "page_size"]);
    }

    #[test]
    fn exhaustion_says_when_to_come_back() {
        let status = exhausted("TOO_MANY_LOGINS", "slow down", Duration::from_secs(7));
        let retry = status.get_details_retry_info().unwrap();
        assert_eq!(retry.retry_delay, Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let status = refuse(Code::Internal, "X", "ü".repeat(MAX_MESSAGE_BYTES));
        assert!(status.message().len() <= MAX_MESSAGE_BYTES + '…'.len_utf8());
    }
}
