//! The contracts of `titan.identity.v1`, and `titan.mesh.v1.KeyService`: parse,
//! decide, answer.

mod keys;
mod sessions;
mod users;
mod wire;

use std::fmt::Display;

use mesh::status::{self, exhausted, refuse, refuse_resource};
use tonic::{Code, Status};

use crate::{
    app::Identity,
    domain::{session, user},
    error::Error,
};

/// Answers calls.
#[derive(Clone)]
pub(crate) struct Grpc {
    pub(crate) identity: Identity,
}

/// The user whose token came with the call.
fn caller() -> Result<user::Caller, Status> {
    let caller = mesh::call::caller();
    let id = user::UserId::new(&caller.user()?.id);
    Ok(user::Caller { id, admin: caller.has_role(user::ADMIN) })
}

fn not_found(
    reason: &'static str,
    kind: &'static str,
    name: &impl Display,
    refusal: &impl Display,
) -> Status {
    refuse_resource(Code::NotFound, reason, kind, name.to_string(), refusal.to_string())
}

/// The table from errors to codes.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::User(refusal) => refusal.into(),
            Error::Session(refusal) => refusal.into(),
            Error::Busy { retry_after } => exhausted("BUSY", error.to_string(), retry_after),
            Error::Store(error) => error.into(),
            Error::NoKey => refuse(Code::Unavailable, "NO_SIGNING_KEY", error.to_string()),
            Error::Preferences(_)
            | Error::Key(_)
            | Error::Hash(_)
            | Error::Interrupted(_)
            | Error::PasswordFile { .. }
            | Error::PasswordLength { .. }
            | Error::Random => status::internal(&error),
        }
    }
}

impl From<user::Refusal> for Status {
    fn from(refusal: user::Refusal) -> Self {
        let (code, reason) = match refusal {
            user::Refusal::EmailTaken => (Code::AlreadyExists, "EMAIL_TAKEN"),
            user::Refusal::NotFound(ref id) => {
                return not_found("USER_NOT_FOUND", "identity.titan/User", id, &refusal);
            }
            user::Refusal::NotYours => (Code::PermissionDenied, "NOT_OWNER"),
            user::Refusal::Stale => (Code::Aborted, "ETAG_MISMATCH"),
        };
        refuse(code, reason, refusal.to_string())
    }
}

impl From<session::Refusal> for Status {
    fn from(refusal: session::Refusal) -> Self {
        let (code, reason) = match refusal {
            session::Refusal::TooManyAttempts { retry_after } => {
                return exhausted("TOO_MANY_ATTEMPTS", refusal.to_string(), retry_after);
            }
            session::Refusal::BadCredentials => (Code::Unauthenticated, "BAD_CREDENTIALS"),
            session::Refusal::RefreshTokenInvalid => {
                (Code::Unauthenticated, "REFRESH_TOKEN_INVALID")
            }
            session::Refusal::RefreshTokenReused => (Code::Unauthenticated, "REFRESH_TOKEN_REUSED"),
            session::Refusal::NotFound(ref id) => {
                return not_found("SESSION_NOT_FOUND", "identity.titan/Session", id, &refusal);
            }
            session::Refusal::NotYours => (Code::PermissionDenied, "NOT_OWNER"),
        };
        refuse(code, reason, refusal.to_string())
    }
}
