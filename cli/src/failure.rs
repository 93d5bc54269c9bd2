//! How the command ends: what it says on standard error, and its exit code.

use std::process::ExitCode;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde::Serialize;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::pb;

use crate::output::{Colours, Paint, complain};

/// The call was made and refused. Its code decides the exit code, as it does
/// with grpcurl: 64 and the code, so that it cannot be taken for anything else.
const REFUSED: u8 = 64;

/// A call was refused.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message())]
pub(crate) struct Refused(
    /// By this status.
    pub Status,
);

/// Says what went wrong, if anything did, and gives the exit code: 0 for
/// success, 1 for failure, 64 plus the code for a refused call. (Usage errors
/// end with 2, before this.)
pub(crate) fn exit_code(done: anyhow::Result<()>) -> ExitCode {
    let Err(error) = done else { return ExitCode::SUCCESS };
    let label = Colours::of_stderr().paint(Paint::Red, "error:");
    let Some(Refused(status)) = error.downcast_ref() else {
        complain(format_args!("{label} {error:#}"));
        return ExitCode::FAILURE;
    };
    complain(format_args!("{label} {}: {}", name(status.code()), status.message()));
    complain(typed(status));
    let code = u8::try_from(i32::from(status.code())).unwrap_or_default();
    ExitCode::from(REFUSED + code)
}

/// The `google.rpc.Status` in JSON, with every detail whose type is known.
fn typed(status: &Status) -> String {
    #[derive(Serialize)]
    struct Typed<'a> {
        code: i32,
        message: &'a str,
        details: Vec<Value>,
    }
    let details = pb::Status::decode(status.details()).unwrap_or_default().details;
    let pool = DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).unwrap_or_default();
    let typed = Typed {
        code: status.code().into(),
        message: status.message(),
        details: details.iter().map(|detail| described(&pool, detail)).collect(),
    };
    serde_json::to_string_pretty(&typed).unwrap_or_default()
}

fn described(pool: &DescriptorPool, detail: &prost_types::Any) -> Value {
    let known = || {
        let name = detail.type_url.rsplit('/').next()?;
        let descriptor = pool.get_message_by_name(name)?;
        let message = DynamicMessage::decode(descriptor, detail.value.as_slice()).ok()?;
        serde_json::to_value(&message).ok()
    };
    let mut described = known().unwrap_or_else(|| json!({"value": STANDARD.encode(&detail.value)}));
    described["@type"] = Value::from(detail.type_url.as_str());
    described
}

/// The code as the specification of gRPC writes it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use mesh::status::{field, invalid};

    use super::*;

    #[test]
    fn the_exit_code_tells_how_it_ended() {
        let of = |done| format!("{:?}", exit_code(done));
        assert_eq!(of(Ok(())), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(of(Err(anyhow!("x"))), format!("{:?}", ExitCode::FAILURE));
        let refused = Err(Refused(Status::not_found("x")).into());
        assert_eq!(of(refused), format!("{:?}", ExitCode::from(69)));
    }

    #[test]
    fn known_details_are_shown_by_their_fields() {
        let status = invalid(vec![field("project.title", "string.min_len", "must not be empty")]);
        let typed: Value = serde_json::from_str(&typed(&status)).unwrap();
        assert_eq!(typed["code"], 3);
        let details = typed["details"].as_array().unwrap();
        let fields = details
            .iter()
            .find(|detail| detail["@type"] == "type.googleapis.com/google.rpc.BadRequest")
            .unwrap();
        assert_eq!(fields["fieldViolations"][0]["field"], "project.title");
    }

    #[test]
    fn details_of_unknown_types_are_shown_as_they_came() {
        let any = prost_types::Any { type_url: "x/y.Z".to_owned(), value: vec![1, 2] };
        let details = pb::Status { code: 5, message: "gone".to_owned(), details: vec![any] };
        let details = details.encode_to_vec().into();
        let typed = typed(&Status::with_details(Code::NotFound, "gone", details));
        let typed: Value = serde_json::from_str(&typed).unwrap();
        assert_eq!(typed["details"][0], json!({"@type": "x/y.Z", "value": "AQI="}));
    }
}
