//! A call that its caller may repeat: the answer is stored under the caller's
//! key in the transaction of the effect, and given again when the call comes
//! again. A refused command stores nothing, so it may be tried again.
//!
//! Keys belong to a caller and a method. Callers that nobody knows share one
//! space, in which only who repeats the very same request gets its answer.

use std::{
    mem,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use prost::Message;
use tower::{Layer, Service};

use super::{Done, Key, Work};
use crate::{Dialect, Error, Tx, params, time};

/// Longer than any client or queue between repeats a call.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_KEY_BYTES: usize = 128;
/// Each new key takes away up to four expired ones: more than come in, so that
/// the table shrinks to its live rows, and few enough not to be felt.
const PURGED: i64 = 4;

/// Makes commands with a key idempotent for 24 hours.
#[must_use]
pub fn idempotent() -> IdempotentLayer {
    IdempotentLayer { lifetime: LIFETIME }
}

/// See [`idempotent()`].
#[derive(Clone, Copy, Debug)]
pub struct IdempotentLayer {
    lifetime: Duration,
}

/// See [`idempotent()`].
#[derive(Clone, Debug)]
pub struct Idempotent<S> {
    lifetime: Duration,
    inner: S,
}

impl IdempotentLayer {
    /// For how long an answer is kept.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }
}

impl<S> Layer<S> for IdempotentLayer {
    type Service = Idempotent<S>;

    fn layer(&self, inner: S) -> Idempotent<S> {
        Idempotent { lifetime: self.lifetime, inner }
    }
}

impl<C, R, S> Service<Work<C>> for Idempotent<S>
where
    C: Send + 'static,
    R: Message + Default + 'static,
    S: Service<Work<C>, Response = Done<R>, Error: From<Error> + Send, Future: Send>
        + Clone
        + Send
        + 'static,
{
    type Response = Done<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Done<R>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut work: Work<C>) -> Self::Future {
        let lifetime = self.lifetime;
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let Some(key) = work.key.clone() else { return inner.call(work).await };
            let slot = Slot { caller: work.caller.actor(), key };
            if let Some(answer) = slot.claim(&mut work.tx, lifetime).await? {
                return Ok(Done { answer, tx: work.tx });
            }
            let mut done = inner.call(work).await?;
            slot.fill(&mut done.tx, &done.answer).await?;
            Ok(done)
        })
    }
}

/// The row of one caller's key.
struct Slot {
    caller: String,
    key: Key,
}

impl Slot {
    /// Takes the key, or returns the answer that is stored under it. A second
    /// call with the key waits here until the transaction of the first ends.
    async fn claim<R>(&self, tx: &mut Tx, lifetime: Duration) -> Result<Option<R>, Error>
    where
        R: Message + Default,
    {
        let Key { command, text, request } = &self.key;
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if text.is_empty() || text.len() > MAX_KEY_BYTES || !printable {
            return Err(Error::IdempotencyKeyInvalid);
        }
        let now = time::now();
        let lifetime = i64::try_from(lifetime.as_micros()).unwrap_or(i64::MAX);
        let claimed = tx
            .execute(
                "INSERT INTO durable_idempotency (caller, command, key, request, expire_time)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (caller, command, key) DO UPDATE
                 SET request = excluded.request, answer = NULL, expire_time = excluded.expire_time
                 WHERE durable_idempotency.expire_time <= $6",
                params![&self.caller, command, text, request, now.saturating_add(lifetime), now],
            )
            .await?;
        if claimed == 0 {
            return self.stored(tx).await.map(Some);
        }
        purge(tx, now).await?;
        Ok(None)
    }

    async fn stored<R: Message + Default>(&self, tx: &mut Tx) -> Result<R, Error> {
        let Key { command, text, request } = &self.key;
        let sql = "SELECT request, answer FROM durable_idempotency
            WHERE caller = $1 AND command = $2 AND key = $3";
        let row = tx.query_one(sql, params![&self.caller, command, text]).await?;
        // Gone only when it expired and was purged in this very moment.
        let row = row.ok_or(crate::Conflict::Contention)?;
        if row.get::<Vec<u8>>("request")? != *request {
            return Err(Error::IdempotencyKeyReused);
        }
        let answer: Option<Vec<u8>> = row.get("answer")?;
        R::decode(answer.unwrap_or_default().as_slice())
            .map_err(|source| Error::Corrupt { what: "answer", source })
    }

    async fn fill<R: Message>(&self, tx: &mut Tx, answer: &R) -> Result<(), Error> {
        let sql = "UPDATE durable_idempotency SET answer = $4
            WHERE caller = $1 AND command = $2 AND key = $3";
        let Key { command, text, .. } = &self.key;
        tx.execute(sql, params![&self.caller, command, text, answer.encode_to_vec()]).await?;
        Ok(())
    }
}

/// After the claim, never before: it waits for nobody's row, so two commands
/// cannot wait for each other.
async fn purge(tx: &mut Tx, now: i64) -> Result<(), Error> {
    let skip = match tx.dialect() {
        Dialect::Sqlite => "",
        Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
    };
    let sql = format!(
        "DELETE FROM durable_idempotency WHERE (caller, command, key) IN (
            SELECT caller, command, key FROM durable_idempotency
            WHERE expire_time <= $1 ORDER BY expire_time LIMIT $2 {skip})"
    );
    tx.execute(sql, params![now, PURGED]).await?;
    Ok(())
}
