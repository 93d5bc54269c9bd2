//! Events go into the archive before they may be removed. The file is on disk
//! first and the mark follows, so a crash between them finds the file again.

use std::{path::PathBuf, time::Duration};

use super::{PIECES, Upkeep, turn::Turn};
use crate::{
    Error, Event, archive, crash,
    log::{self, Limit},
};

/// A file is made when it is full, or when so much time has passed since the last
/// one: a quiet log makes one a day, not one a minute.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Of one file. It is made in memory.
const FULL: Limit = Limit { events: 10_000, bytes: 16 * 1024 * 1024 };

impl Upkeep {
    /// Archives what is old enough, and returns how many events that were.
    pub(super) async fn archive(&self, turn: &mut Turn) -> Result<u64, Error> {
        let mut archived = 0;
        let Some(folder) = &self.kept.archive else { return Ok(archived) };
        let most = i64::try_from(FULL.events).unwrap_or(i64::MAX);
        for _ in 0..PIECES {
            let after = turn.marks.archived;
            let old = self.before(self.kept.events);
            let reach = log::reach(&self.store, after, old, most).await?;
            let (events, until) = log::rest(&self.store, after, reach, FULL).await?;
            let full = until < reach || reach - after == most;
            if until <= after || !(full || self.is_time(turn)) {
                break;
            }
            let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
            turn.marks.archived = put(folder.clone(), events).await?.unwrap_or(until);
            turn.marks.archive_time = (self.now)();
            crash::point("upkeep.archived");
            if !turn.finish(self.store.begin().await?).await? {
                break;
            }
            archived += count;
        }
        Ok(archived)
    }

    fn is_time(&self, turn: &Turn) -> bool {
        let every = i64::try_from(EVERY.as_micros()).unwrap_or(i64::MAX);
        (self.now)().saturating_sub(turn.marks.archive_time) >= every
    }
}

/// The last position that the archive holds then; `None` when there was nothing to
/// put into it.
async fn put(folder: PathBuf, events: Vec<Event>) -> Result<Option<i64>, Error> {
    if events.is_empty() {
        return Ok(None);
    }
    let written = tokio::task::spawn_blocking(move || archive::put(&folder, &events)).await;
    // Only when the runtime ends.
    let last = written.map_err(|_| archive::Problem::Interrupted)??;
    Ok(Some(last))
}
