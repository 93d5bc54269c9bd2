//! Moves pages from the write-ahead log into the database, beside the writer.
//!
//! SQLite would do it within some unlucky commit, with two more fsyncs. Here
//! another thread does most of it, while commits go on; but it never catches up
//! with a writer that does not rest, and only a log that was moved as a whole
//! begins anew. So beyond a size the writer moves the rest itself.

use std::{
    cell::Cell,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use rusqlite::Connection;

use crate::Error;

/// Pages in the log from which on it is worth moving them; SQLite's own default.
const SOFT: i32 = 1_000;
/// Pages, 32 MiB, at which the writer moves what is left.
const HARD: i32 = 8_000;

thread_local! {
    /// Pages in the log after the last commit of this thread.
    static PAGES: Cell<i32> = const { Cell::new(0) };
}

/// The writer's side.
pub(super) struct Checkpoints {
    path: String,
    /// Pages in the log when the helper was woken last.
    woken_at: i32,
    /// Started when it is needed first: most stores of a test never do.
    helper: Option<Helper>,
}

struct Helper {
    wake: SyncSender<()>,
    thread: thread::JoinHandle<()>,
}

impl Checkpoints {
    /// Takes the place of SQLite's own on this connection.
    pub(super) fn on(connection: &Connection, path: String) -> Self {
        connection.wal_hook(Some(|_, pages| {
            PAGES.set(pages);
            Ok(())
        }));
        Self { path, woken_at: 0, helper: None }
    }

    /// To be called after a commit, when its callers have their answers.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let pages = PAGES.get();
        // The log began anew.
        if pages < self.woken_at {
            self.woken_at = 0;
        }
        if pages >= HARD {
            checkpoint(connection);
            PAGES.set(0);
        } else if pages - self.woken_at >= SOFT {
            self.woken_at = pages;
            // When it has yet to begin with the last one, it sees these pages too.
            if let Some(helper) = self.helper() {
                let _ = helper.wake.try_send(());
            }
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
        if let Some(Helper { wake, thread }) = self.helper.take() {
            drop(wake);
            let _ = thread.join();
        }
    }
}

impl Helper {
    fn start(path: &str) -> Result<Self, Error> {
        let connection = super::connect::writer(path)?;
        let (wake, woken) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || help(&connection, &woken))
            .map_err(sqlx::Error::Io)?;
        Ok(Self { wake, thread })
    }
}

fn help(connection: &Connection, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        checkpoint(connection);
    }
}

/// PASSIVE waits for nobody: neither for readers nor for the writer.
fn checkpoint(connection: &Connection) {
    let moved = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = moved {
        tracing::warn!(%error, "cannot move the write-ahead log into the database");
    }
}
