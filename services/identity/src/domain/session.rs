//! A session lasts from signing in to signing out. Its refresh token is good
//! once: using it yields the next. Whoever presents a spent one shows that two
//! parties hold the session, and since nobody can tell which of them is the
//! thief, it ends for both (RFC 9700 §4.14.2).

use std::{fmt, time::Duration};

use super::{Micros, user::UserId};

/// Names a session; written as `sessions/{id}`. The id is also the `sid` of the
/// session's access tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionId(String);

impl SessionId {
    /// The session of this id.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id without `sessions/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sessions/{}", self.0)
    }
}

/// A signed-in user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// Who signed in.
    pub user: UserId,
    /// When.
    pub created: Micros,
    /// When it ends by itself unless it is refreshed before.
    pub expires: Micros,
    /// When it was ended.
    pub ended: Option<Micros>,
}

/// What is known of a refresh token that somebody presents.
#[derive(Clone, Copy, Debug)]
pub struct Presented {
    /// When it was used.
    pub spent: Option<Micros>,
    /// When it ends by itself.
    pub expires: Micros,
}

/// What becomes of a session whose refresh token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on with a new token.
    Renew,
    /// Nothing: the token or the session is over.
    Refuse,
    /// It ends: the token was spent before.
    End,
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Address and password do not belong together; whether the address is known
    /// is not said.
    #[error("e-mail address or password is wrong")]
    BadCredentials,
    /// Too many wrong passwords.
    #[error("too many failed attempts to sign in")]
    TooManyAttempts {
        /// When another attempt is worth it.
        retry_after: Duration,
    },
    /// The refresh token is unknown, has run out, or its session has ended.
    #[error("the refresh token is not valid")]
    RefreshTokenInvalid,
    /// The refresh token was used before; the session has ended.
    #[error("the refresh token was used before, so the session has ended")]
    RefreshTokenReused,
    /// There is no such session.
    #[error("there is no {0}")]
    NotFound(SessionId),
    /// Somebody else's session.
    #[error("only its user may end a session")]
    NotYours,
}

impl Session {
    /// A new session that lasts `lifetime` without being refreshed.
    #[must_use]
    pub fn open(id: SessionId, user: UserId, lifetime: Duration, at: Micros) -> Self {
        Self { id, user, created: at, expires: at + super::micros(lifetime), ended: None }
    }

    /// What becomes of the session when this refresh token of it is presented.
    #[must_use]
    pub fn on_refresh(&self, token: Presented, at: Micros) -> Verdict {
        if self.ended.is_some() || token.expires <= at {
            // Also for a spent token: once it has run out it is worth nothing to a thief.
            Verdict::Refuse
        } else if token.spent.is_some() {
            Verdict::End
        } else {
            Verdict::Renew
        }
    }

    /// Ends the session on behalf of a user. Ending it again changes nothing.
    ///
    /// # Errors
    /// [`Refusal::NotYours`].
    pub fn end(&mut self, by: &UserId, at: Micros) -> Result<(), Refusal> {
        if *by != self.user {
            return Err(Refusal::NotYours);
        }
        self.ended.get_or_insert(at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        let lifetime = Duration::from_micros(100);
        Session::open(SessionId::new("s"), UserId::new("ada"), lifetime, 1000)
    }

    #[test]
    fn a_refresh_token_is_good_once_and_its_second_use_ends_the_session() {
        let ended = Session { ended: Some(1010), ..session() };
        for (session, spent, at, verdict) in [
            (session(), None, 1099, Verdict::Renew),
            (session(), None, 1100, Verdict::Refuse),
            (session(), Some(1010), 1099, Verdict::End),
            (session(), Some(1010), 1100, Verdict::Refuse),
            (ended.clone(), None, 1020, Verdict::Refuse),
            (ended, Some(1005), 1020, Verdict::Refuse),
        ] {
            let token = Presented { spent, expires: session.expires };
            assert_eq!(session.on_refresh(token, at), verdict, "{session:?} {token:?} at {at}");
        }
    }

    #[test]
    fn a_session_is_ended_by_its_user_and_keeps_the_first_date() {
        let mut session = session();
        assert_eq!(session.end(&UserId::new("eve"), 1010), Err(Refusal::NotYours));
        assert_eq!(session.ended, None);
        session.end(&UserId::new("ada"), 1020).unwrap();
        session.end(&UserId::new("ada"), 1030).unwrap();
        assert_eq!(session.ended, Some(1020));
    }
}
