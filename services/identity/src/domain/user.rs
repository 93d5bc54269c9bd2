//! A person who may sign in: what is kept of them and who may see or change it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::Micros;

/// The role that may do everything here.
pub const ADMIN: &str = "admin";

/// Most characters of a display name, as in the contract.
const MAX_DISPLAY_NAME_CHARS: usize = 100;

/// Names a user; written as `users/{id}`. The id is also the `sub` of the user's
/// tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(String);

impl UserId {
    /// The user of this id.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id without `users/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "users/{}", self.0)
    }
}

/// An e-mail address in lower case: one mailbox, one user. Strictly the part
/// before the @ might differ by case (RFC 5321 §2.4); no provider lets it, and
/// two users `ada@` and `Ada@` would be a trap.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// Takes an address; the contract has checked its form.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn mailbox(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

impl fmt::Debug for Email {
    /// Without the address: a log must not become a list of customers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

/// A person who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub id: UserId,
    /// The name to sign in with.
    pub email: Email,
    /// The name to show to others.
    pub display_name: String,
    /// Settings that clients keep.
    pub preferences: BTreeMap<String, String>,
    /// Roles that access rules name.
    pub roles: BTreeSet<String>,
    /// When they registered.
    pub created: Micros,
    /// When they last changed.
    pub updated: Micros,
    /// Counts the user's states; the first is 1.
    pub version: i64,
}

/// What somebody says of themselves when they register.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// The name to sign in with.
    pub email: Email,
    /// The name to show to others; may be empty.
    pub display_name: String,
    /// Settings that clients keep.
    pub preferences: BTreeMap<String, String>,
}

/// New values; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The name to show to others.
    pub display_name: Option<String>,
    /// All preferences from now on.
    pub preferences: Option<BTreeMap<String, String>>,
    /// All roles from now on.
    pub roles: Option<BTreeSet<String>>,
    /// The state that the change was meant for; `None` = whichever it is.
    pub seen: Option<String>,
}

/// Why a user is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The address belongs to somebody.
    #[error("a user with this e-mail address exists")]
    EmailTaken,
    /// There is no such user.
    #[error("there is no {0}")]
    NotFound(UserId),
    /// Somebody else's account.
    #[error("only administrators may see or change other users")]
    NotYours,
    /// The caller has seen an older state.
    #[error("the user has changed since it was read")]
    Stale,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user.
    pub id: UserId,
    /// Whether they have the role [`ADMIN`].
    pub admin: bool,
}

impl Caller {
    /// Whether they may see and change this user. Answered before it is known
    /// whether there is such a user, so that nobody can find out.
    ///
    /// # Errors
    /// [`Refusal::NotYours`].
    pub fn may_touch(&self, user: &UserId) -> Result<(), Refusal> {
        if self.admin || self.id == *user { Ok(()) } else { Err(Refusal::NotYours) }
    }
}

impl User {
    /// A new user without roles.
    #[must_use]
    pub fn register(id: UserId, profile: Profile, at: Micros) -> Self {
        Self {
            id,
            display_name: shown(profile.display_name, &profile.email),
            email: profile.email,
            preferences: profile.preferences,
            roles: BTreeSet::new(),
            created: at,
            updated: at,
            version: 1,
        }
    }

    /// The user as an administrator.
    #[must_use]
    pub fn made_admin(mut self) -> Self {
        self.roles.insert(ADMIN.to_owned());
        self
    }

    /// Gives the user new values. Returns whether anything is new: a call that
    /// is repeated after its answer was lost succeeds with its old etag, since
    /// the state is as asked for (RFC 9110 §13.1.1).
    ///
    /// # Errors
    /// [`Refusal::Stale`].
    pub fn change(&mut self, change: Change, at: Micros) -> Result<bool, Refusal> {
        let mut next = self.clone();
        if let Some(display_name) = change.display_name {
            next.display_name = shown(display_name, &next.email);
        }
        if let Some(preferences) = change.preferences {
            next.preferences = preferences;
        }
        if let Some(roles) = change.roles {
            next.roles = roles;
        }
        if next == *self {
            return Ok(false);
        }
        if change.seen.is_some_and(|seen| seen != self.etag()) {
            return Err(Refusal::Stale);
        }
        next.version += 1;
        next.updated = at.max(self.updated + 1);
        *self = next;
        Ok(true)
    }

    /// Stands for the present state. Opaque to callers.
    #[must_use]
    pub fn etag(&self) -> String {
        self.version.to_string()
    }
}

/// The name to show; the part of the address before the @ when there is none.
fn shown(name: String, email: &Email) -> String {
    if name.trim().is_empty() {
        email.mailbox().chars().take(MAX_DISPLAY_NAME_CHARS).collect()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> User {
        let profile = Profile {
            email: Email::new("Ada@Example.org"),
            display_name: String::new(),
            preferences: BTreeMap::new(),
        };
        User::register(UserId::new("1"), profile, 10)
    }

    fn renamed(name: &str) -> Change {
        Change { display_name: Some(name.to_owned()), ..Change::default() }
    }

    #[test]
    fn an_address_is_kept_in_lower_case_and_names_who_has_no_name() {
        let ada = ada();
        assert_eq!(ada.email.as_str(), "ada@example.org");
        assert_eq!(ada.display_name, "ada");
        assert_eq!(format!("{:?}", ada.email), "Email(…)");
    }

    #[test]
    fn a_change_is_a_new_state_and_says_so() {
        let mut ada = ada();
        assert_eq!(ada.change(renamed("Countess"), 20), Ok(true));
        assert_eq!((ada.display_name.as_str(), ada.updated, ada.version), ("Countess", 20, 2));
        assert_eq!(ada.change(renamed(" "), 20), Ok(true));
        assert_eq!((ada.display_name.as_str(), ada.updated), ("ada", 21));
    }

    #[test]
    fn a_change_to_what_is_already_so_changes_nothing_whatever_was_seen() {
        let mut ada = ada();
        let repeated = Change { seen: Some("0".to_owned()), ..renamed("ada") };
        assert_eq!(ada.change(repeated, 20), Ok(false));
        assert_eq!(ada.etag(), "1");
    }

    #[test]
    fn a_change_meant_for_an_older_state_is_refused() {
        let mut ada = ada();
        let seen = Some(ada.etag());
        assert_eq!(ada.change(Change { seen: seen.clone(), ..renamed("A") }, 20), Ok(true));
        let late = Change { seen, ..renamed("B") };
        assert_eq!(ada.change(late, 30), Err(Refusal::Stale));
        assert_eq!(ada.display_name, "A");
    }

    #[test]
    fn only_administrators_touch_others() {
        let caller = |id: &str, admin| Caller { id: UserId::new(id), admin };
        for (by, allowed) in
            [(caller("1", false), true), (caller("2", false), false), (caller("2", true), true)]
        {
            assert_eq!(by.may_touch(&UserId::new("1")).is_ok(), allowed);
        }
    }
}
