//! Sessions and their refresh tokens as rows. Of a token only its digest is
//! kept: who reads the database cannot refresh with what is found there.

use durable::{Row, Tx, params};

use super::{Store, locking, users::locked_user};
use crate::{
    domain::{
        Micros,
        secret::RefreshToken,
        session::{Presented, Refusal, Session, SessionId, Verdict},
        user::{User, UserId},
    },
    error::Error,
};

/// Live sessions of one user; the oldest ends when another begins. More devices
/// than anybody has, and a bound on what one password can fill the database with.
const MAX_SESSIONS_PER_USER: i64 = 100;

/// Rows deleted in one transaction, so that on SQLite a sweep does not keep
/// others from writing.
const SWEEP_ROWS: i64 = 500;

impl Store {
    /// Adds a session with its first token.
    pub(crate) async fn add_session(
        &self,
        session: &Session,
        token: &RefreshToken,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        tx.execute(
            "INSERT INTO sessions (id, user_id, created, expires) VALUES ($1, $2, $3, $4)",
            params![session.id.as_str(), session.user.as_str(), session.created, session.expires],
        )
        .await?;
        add_token(&mut tx, session, token).await?;
        // Ids grow with time.
        tx.execute(
            "UPDATE sessions SET ended = $1 WHERE ended IS NULL AND user_id = $2 AND id <= (
                SELECT id FROM sessions WHERE ended IS NULL AND user_id = $2
                ORDER BY id DESC LIMIT 1 OFFSET $3)",
            params![session.created, session.user.as_str(), MAX_SESSIONS_PER_USER],
        )
        .await?;
        Ok(tx.commit().await?)
    }

    /// Exchanges a refresh token for the next one and makes the session last
    /// until `expires`. A token that was spent before ends the session, which is
    /// committed although the call fails.
    pub(crate) async fn refresh_session(
        &self,
        presented: &RefreshToken,
        next: &RefreshToken,
        expires: Micros,
        at: Micros,
    ) -> Result<(Session, User), Error> {
        let mut tx = self.db.begin().await?;
        let (mut session, token) = find_token(&mut tx, presented).await?;
        match session.on_refresh(token, at) {
            Verdict::Refuse => Err(Refusal::RefreshTokenInvalid.into()),
            Verdict::End => {
                session.ended = Some(at);
                update(&mut tx, &session).await?;
                tx.commit().await?;
                Err(Refusal::RefreshTokenReused.into())
            }
            Verdict::Renew => {
                session.expires = expires;
                let user = locked_user(&mut tx, &session.user).await?;
                spend(&mut tx, presented, at).await?;
                add_token(&mut tx, &session, next).await?;
                update(&mut tx, &session).await?;
                tx.commit().await?;
                Ok((session, user))
            }
        }
    }

    /// Ends a session on behalf of a user.
    pub(crate) async fn end_session(
        &self,
        id: &SessionId,
        by: &UserId,
        at: Micros,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let sql = locking(&tx, "SELECT * FROM sessions WHERE id = $1");
        let row = tx.query_one(sql, params![id.as_str()]).await?;
        let mut session = session(&row.ok_or_else(|| Refusal::NotFound(id.clone()))?)?;
        session.end(by, at)?;
        update(&mut tx, &session).await?;
        Ok(tx.commit().await?)
    }

    /// Forgets tokens that ran out and sessions that were over at `before`.
    pub(crate) async fn sweep(&self, before: Micros, now: Micros) -> Result<(), Error> {
        let tokens = "DELETE FROM refresh_tokens WHERE digest IN (
                          SELECT digest FROM refresh_tokens WHERE expires <= $1 LIMIT $2)";
        self.delete_all(tokens, now).await?;
        for sessions in [
            "DELETE FROM sessions WHERE id IN (
                 SELECT id FROM sessions WHERE expires <= $1 LIMIT $2)",
            "DELETE FROM sessions WHERE id IN (
                 SELECT id FROM sessions WHERE ended <= $1 LIMIT $2)",
        ] {
            self.delete_all(sessions, before).await?;
        }
        Ok(())
    }

    async fn delete_all(&self, sql: &'static str, until: Micros) -> Result<(), Error> {
        loop {
            let mut tx = self.db.begin().await?;
            let deleted = tx.execute(sql, params![until, SWEEP_ROWS]).await?;
            tx.commit().await?;
            if deleted < SWEEP_ROWS.unsigned_abs() {
                return Ok(());
            }
        }
    }
}

/// The session of a token. Both stay as they are until the transaction ends, so
/// that of two who present the same token one finds it spent.
async fn find_token(tx: &mut Tx, token: &RefreshToken) -> Result<(Session, Presented), Error> {
    let sql = locking(
        tx,
        "SELECT s.id, s.user_id, s.created, s.expires, s.ended, t.spent,
                t.expires AS token_expires
         FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id
         WHERE t.digest = $1",
    );
    let row = tx.query_one(sql, params![token.digest()]).await?;
    let row = row.ok_or(Refusal::RefreshTokenInvalid)?;
    let presented = Presented { spent: row.get("spent")?, expires: row.get("token_expires")? };
    Ok((session(&row)?, presented))
}

async fn spend(tx: &mut Tx, token: &RefreshToken, at: Micros) -> Result<(), Error> {
    let sql = "UPDATE refresh_tokens SET spent = $1 WHERE digest = $2";
    tx.execute(sql, params![at, token.digest()]).await?;
    Ok(())
}

async fn add_token(tx: &mut Tx, session: &Session, token: &RefreshToken) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO refresh_tokens (digest, session_id, expires) VALUES ($1, $2, $3)",
        params![token.digest(), session.id.as_str(), session.expires],
    )
    .await?;
    Ok(())
}

async fn update(tx: &mut Tx, session: &Session) -> Result<(), Error> {
    tx.execute(
        "UPDATE sessions SET expires = $1, ended = $2 WHERE id = $3",
        params![session.expires, session.ended, session.id.as_str()],
    )
    .await?;
    Ok(())
}

fn session(row: &Row) -> Result<Session, Error> {
    Ok(Session {
        id: SessionId::new(row.get::<String>("id")?),
        user: UserId::new(row.get::<String>("user_id")?),
        created: row.get("created")?,
        expires: row.get("expires")?,
        ended: row.get("ended")?,
    })
}

/// What callers cannot see, since it takes a hundred passwords or a month.
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use durable::testing::backends;

    use super::*;
    use crate::{
        domain::{
            secret::{PasswordHash, REFRESH_TOKEN_BYTES},
            user::{Email, Profile},
        },
        store::MIGRATIONS,
    };

    const LIFETIME: Duration = Duration::from_micros(1000);

    async fn with_ada(backend: &durable::testing::Backend) -> Store {
        let store = Store::new(backend.open(MIGRATIONS).await);
        let profile = Profile { email: Email::new("ada@example.org"), ..Profile::default() };
        let ada = User::register(UserId::new("ada"), profile, 0);
        store.add_user(&ada, &PasswordHash::new(String::new())).await.unwrap();
        store
    }

    fn token(number: u8) -> RefreshToken {
        RefreshToken::new([number; REFRESH_TOKEN_BYTES])
    }

    async fn begin(store: &Store, number: u8, at: Micros) {
        let id = SessionId::new(format!("{number:03}"));
        let session = Session::open(id, UserId::new("ada"), LIFETIME, at);
        store.add_session(&session, &token(number)).await.unwrap();
    }

    async fn count(store: &Store, sql: &'static str) -> i64 {
        store.db.query_one(sql, params![]).await.unwrap().unwrap().get("n").unwrap()
    }

    #[tokio::test]
    async fn the_oldest_session_ends_when_a_user_has_too_many() {
        for backend in backends().await {
            let store = with_ada(&backend).await;
            for number in 0..102 {
                begin(&store, number, 0).await;
            }
            for (number, live) in [(0, false), (1, false), (2, true), (101, true)] {
                let next = token(number + 102);
                let refreshed = store.refresh_session(&token(number), &next, 1000, 1).await;
                assert_eq!(refreshed.is_ok(), live, "session {number} on {}", backend.name);
            }
        }
    }

    #[tokio::test]
    async fn what_is_over_is_forgotten_and_what_lives_is_not() {
        const SESSIONS: &str = "SELECT COUNT(*) AS n FROM sessions";
        const TOKENS: &str = "SELECT COUNT(*) AS n FROM refresh_tokens";
        for backend in backends().await {
            let store = with_ada(&backend).await;
            for number in 0..3 {
                begin(&store, number, 0).await;
            }
            store.end_session(&SessionId::new("000"), &UserId::new("ada"), 10).await.unwrap();
            store.refresh_session(&token(1), &token(101), 2000, 500).await.unwrap();

            store.sweep(9, 999).await.unwrap();
            assert_eq!((count(&store, SESSIONS).await, count(&store, TOKENS).await), (3, 4));
            store.sweep(10, 999).await.unwrap();
            assert_eq!((count(&store, SESSIONS).await, count(&store, TOKENS).await), (2, 3));
            store.sweep(1000, 1000).await.unwrap();
            assert_eq!((count(&store, SESSIONS).await, count(&store, TOKENS).await), (1, 1));
            store.refresh_session(&token(101), &token(102), 3000, 1001).await.unwrap();
        }
    }
}
