//! Between the wire and the domain: names, masks and messages.

use durable::time;
use mesh::{
    mask::Mask,
    status::{self, field},
};
use prost_types::FieldMask;
use titan::identity::v1 as proto;
use tonic::Status;

use crate::{
    app::SignedIn,
    domain::{
        session::SessionId,
        user::{self, Change, Email, User, UserId},
    },
};

/// The user of a resource name in the field `path`; `users/me` is the caller.
pub(super) fn user_id(
    path: &'static str,
    name: &str,
    caller: &user::Caller,
) -> Result<UserId, Status> {
    let id = name.strip_prefix("users/");
    match id.filter(|id| is_id(id)) {
        Some("me") => Ok(caller.id.clone()),
        Some(id) => Ok(UserId::new(id)),
        None => {
            let wrong = field(path, "string.pattern", "must be users/{user} or users/me");
            Err(status::invalid(vec![wrong]))
        }
    }
}

/// As the contract says where it can.
fn is_id(id: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&id.len()) && id.bytes().all(letter)
}

/// A text that both databases can keep: PostgreSQL has no null character.
pub(super) fn text(path: &'static str, text: String) -> Result<String, Status> {
    if text.contains('\0') {
        let wrong = field(path, "string.pattern", "must not contain the null character");
        return Err(status::invalid(vec![wrong]));
    }
    Ok(text)
}

/// An e-mail address.
pub(super) fn email(address: &str) -> Result<Email, Status> {
    Ok(Email::new(&text("email", address.to_owned())?))
}

/// The session of a resource name.
pub(super) fn session_id(name: &str) -> SessionId {
    // The contract has checked the form.
    SessionId::new(name.strip_prefix("sessions/").unwrap_or(name))
}

/// What an update changes.
pub(super) fn change(wanted: proto::User, mask: Option<&FieldMask>) -> Result<Change, Status> {
    let (mask, violations) = Mask::read(mask, &["display_name", "preferences"]);
    if !violations.is_empty() {
        return Err(status::invalid(violations));
    }
    let display_name = mask.pick("display_name", wanted.display_name);
    let preferences = mask.pick("preferences", wanted.preferences);
    Ok(Change {
        display_name: display_name.map(|name| text("user.display_name", name)).transpose()?,
        preferences: preferences.map(|preferences| preferences.into_iter().collect()),
        roles: None,
        seen: (!wanted.etag.is_empty()).then_some(wanted.etag),
    })
}

impl From<User> for proto::User {
    fn from(user: User) -> Self {
        Self {
            name: user.id.to_string(),
            email: user.email.as_str().to_owned(),
            etag: user.etag(),
            display_name: user.display_name,
            preferences: user.preferences.into_iter().collect(),
            roles: user.roles.into_iter().collect(),
            create_time: Some(time::to_proto(user.created)),
            update_time: Some(time::to_proto(user.updated)),
        }
    }
}

impl From<SignedIn> for proto::Session {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            name: signed_in.session.id.to_string(),
            user: signed_in.session.user.to_string(),
            access_token: signed_in.access_token,
            refresh_token: signed_in.refresh_token.expose().to_owned(),
            expire_time: Some(time::to_proto(signed_in.access_expires)),
            refresh_expire_time: Some(time::to_proto(signed_in.session.expires)),
        }
    }
}
