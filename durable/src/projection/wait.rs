//! Reading one's own writes: a query waits until the live tables hold the event
//! that its caller knows of.

use std::time::Duration;

use tokio::time::timeout;

use super::{Projection, Projector, Shared};
use crate::{Error, params};

/// How soon is noticed what another process projected.
const POLL: Duration = Duration::from_millis(10);

impl<P: Projection> Projector<P> {
    /// Waits until the live tables hold everything up to a version of a stream,
    /// as a command answered it, for `within` at most.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`] (OUT_OF_RANGE) when the stream is not that long,
    /// [`Error::Behind`] (UNAVAILABLE) when the time is over.
    pub async fn wait(&self, stream: &str, version: i64, within: Duration) -> Result<(), Error> {
        let behind = |_| Error::Behind { projection: P::NAME };
        timeout(within, self.shared.until(stream, version)).await.map_err(behind)?
    }
}

impl<P: Projection> Shared<P> {
    async fn until(&self, stream: &str, version: i64) -> Result<(), Error> {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            // Before the look, so that what is projected after it is heard.
            moved.as_mut().enable();
            if self.holds(stream, version).await? {
                return Ok(());
            }
            let _ = timeout(POLL, moved).await;
        }
    }

    async fn holds(&self, stream: &str, version: i64) -> Result<bool, Error> {
        let sql = "SELECT position,
                (SELECT position FROM durable_projection WHERE name = $3 AND live) AS projected
            FROM durable_event WHERE stream = $1 AND version = $2";
        let row = self.store.query_one(sql, params![stream, version, P::NAME]).await?;
        let row = row.ok_or_else(|| Error::NoSuchVersion { stream: stream.to_owned(), version })?;
        // On PostgreSQL an event has no position until the sequencer has seen it.
        let position: Option<i64> = row.get("position")?;
        let projected: Option<i64> = row.get("projected")?;
        Ok(position.is_some_and(|position| projected.is_some_and(|it| it >= position)))
    }
}
