//! Moves pages from the write-ahead log into the database, beside the writer.
//!
//! SQLite would do it within some unlucky commit, with two more fsyncs. Here
//! another thread does most of it, while commits go on. Only a log that was moved
//! as a whole begins anew, and a commit into a log that grows takes twice as long
//! as one that writes over what is there, since the file's length has to reach the
//! disk as well. So as soon as little is left, the writer moves it itself.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use rusqlite::Connection;

use crate::Error;

/// Pages in the log from which on it is worth moving them; SQLite's own default.
const SOFT: i32 = 1_000;
/// Pages that the writer moves itself, so that the log begins anew: a millisecond.
const REST: i32 = 250;
/// Pages, 32 MiB, at which the writer moves what is left, however much.
const HARD: i32 = 8_000;
/// The helper is at work.
const MOVING: i32 = -1;

thread_local! {
    /// Pages in the log after the last commit of this thread.
    static PAGES: Cell<i32> = const { Cell::new(0) };
}

/// The writer's side.
pub(super) struct Checkpoints {
    path: String,
    /// Pages in the log after the commit before.
    before: i32,
    /// Pages in the log when the writer had moved what it could.
    finished: i32,
    /// Started when it is needed first: most stores of a test never do.
    helper: Option<Helper>,
}

struct Helper {
    wake: SyncSender<()>,
    /// Pages of the log that it has moved, or [`MOVING`].
    moved: Arc<AtomicI32>,
    thread: thread::JoinHandle<()>,
}

impl Checkpoints {
    /// Takes the place of SQLite's own on this connection.
    pub(super) fn on(connection: &Connection, path: String) -> Self {
        connection.wal_hook(Some(|_, pages| {
            PAGES.set(pages);
            Ok(())
        }));
        Self { path, before: 0, finished: 0, helper: None }
    }

    /// To be called after a commit, when its callers have their answers.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let pages = PAGES.get();
        if pages < self.before {
            // The log began anew.
            self.finished = 0;
            self.know(0);
        }
        self.before = pages;
        // It did not begin anew, since somebody read it just then: tried again soon.
        let enough = if self.finished > 0 { REST } else { SOFT };
        if pages - self.finished < enough {
            return;
        }
        let moved = self.helper().map_or(0, |helper| helper.moved.load(Relaxed));
        let nearly = moved > 0 && (0..=REST).contains(&(pages - moved));
        if nearly || pages >= HARD {
            // The next commit begins a new log.
            checkpoint(connection);
            self.finished = pages;
            self.know(0);
        } else if moved != MOVING
            && let Some(helper) = self.helper()
        {
            helper.moved.store(MOVING, Relaxed);
            // It waits for nothing else, so there is room.
            let _ = helper.wake.try_send(());
        }
    }

    /// Corrects what the helper said, unless it is about to say more.
    fn know(&self, moved: i32) {
        if let Some(helper) = &self.helper
            && helper.moved.load(Relaxed) != MOVING
        {
            helper.moved.store(moved, Relaxed);
        }
    }

    fn helper(&mut self) -> Option<&Helper> {
        if self.helper.is_none() {
            match Helper::start(&self.path) {
                Ok(helper) => self.helper = Some(helper),
                // The writer moves all of it, later.
                Err(error) => tracing::warn!(
                    error = mesh::status::chain(&error),
                    "no checkpoints beside the writer"
                ),
            }
        }
        self.helper.as_ref()
    }
}

impl Drop for Checkpoints {
    /// Waits for it: when a store says to be closed, its files are.
    fn drop(&mut self) {
        if let Some(Helper { wake, thread, .. }) = self.helper.take() {
            drop(wake);
            let _ = thread.join();
        }
    }
}

impl Helper {
    fn start(path: &str) -> Result<Self, Error> {
        let connection = super::connect::writer(path)?;
        let (wake, woken) = sync_channel(1);
        let moved = Arc::new(AtomicI32::new(0));
        let told = moved.clone();
        let thread = thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || help(&connection, &woken, &told))
            .map_err(sqlx::Error::Io)?;
        Ok(Self { wake, moved, thread })
    }
}

fn help(connection: &Connection, woken: &Receiver<()>, moved: &AtomicI32) {
    while woken.recv().is_ok() {
        moved.store(checkpoint(connection), Relaxed);
    }
}

/// PASSIVE waits for nobody: neither for readers nor for the writer, and not for
/// who does the same in another process. Returns how many pages of the log have
/// been moved by now, as far as is known.
fn checkpoint(connection: &Connection) -> i32 {
    let moved = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2));
    let moved: i32 = moved.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot move the write-ahead log into the database");
        0
    });
    moved.max(0)
}
