//! Databases for tests: SQLite always, PostgreSQL when its server is on the
//! `PATH`, so that every test of stored state runs on both; and what tests of
//! services ask of their answers.
//!
//! ```no_run
//! # async fn example() {
//! for backend in durable::testing::backends().await {
//!     let store = backend.open(&[]).await;
//!     // …
//! }
//! # }
//! ```

mod answers;
mod postgres;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

pub use answers::{keyed, refusal, refused, told_before, violations};
pub use postgres::{Server, Stop};

use crate::{
    Dialect, Migration, Store, params,
    projection::{Projection, Projector},
};

/// A fresh, empty database.
#[derive(Debug)]
pub struct Backend {
    /// `sqlite` or `postgres`; for messages of assertions.
    pub name: &'static str,
    /// What [`Store::open`] takes. Opening it twice is like two processes.
    pub url: String,
    /// Removed with the backend.
    _folder: Option<Folder>,
}

impl Backend {
    /// Opens the database.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(&self, migrations: &[Migration]) -> Store {
        Store::open(&self.url, migrations).await.expect("a fresh database opens")
    }
}

/// A fresh database of every kind there is on this machine. PostgreSQL runs
/// once per test process, in a temporary folder, without a port, and ends with
/// the process, however that ends. `TITAN_TEST_BACKENDS=all` demands it.
///
/// # Panics
/// When PostgreSQL is demanded and absent, or is there and does not start.
pub async fn backends() -> Vec<Backend> {
    let mut backends = vec![sqlite()];
    match postgres::server() {
        Some(server) => {
            let url = server.create_database().await;
            backends.push(Backend { name: "postgres", url, _folder: None });
        }
        None => refuse_if_demanded(),
    }
    backends
}

fn refuse_if_demanded() {
    let demanded = std::env::var("TITAN_TEST_BACKENDS").is_ok_and(|value| value == "all");
    assert!(!demanded, "TITAN_TEST_BACKENDS=all, but initdb and postgres are not there");
}

/// A PostgreSQL server of the test's own, which it may stop; `None` where there is
/// none on this machine.
///
/// # Panics
/// As [`backends`].
#[must_use]
pub fn postgres() -> Option<Server> {
    let server = postgres::start(postgres::Sync::Never);
    if server.is_none() {
        refuse_if_demanded();
    }
    server
}

/// A PostgreSQL server whose commits are on the disk, as in production, for who
/// measures; `None` where there is none on this machine.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn synchronous_postgres() -> Option<Server> {
    postgres::start(postgres::Sync::Always)
}

/// A fresh SQLite database.
#[must_use]
pub fn sqlite() -> Backend {
    let folder = Folder::new("sqlite");
    let url = format!("sqlite:{}", folder.path().join("data/test.db").display());
    Backend { name: "sqlite", url, _folder: Some(folder) }
}

/// What the tables of a projection hold, a line for each row, as the live ones
/// have it and as it is when they are made anew from the first event. Nobody else
/// writes to the store meanwhile.
///
/// # Panics
/// When the database or the projection fails.
pub async fn made_anew<P: Projection>(
    store: &Store,
    projector: &Projector<P>,
) -> (Vec<String>, Vec<String>) {
    projector.catch_up().await.expect("the live tables catch up");
    let live = lines::<P>(store).await;
    projector.rebuild().await.expect("the tables can be made anew");
    projector.catch_up().await.expect("the new tables catch up");
    let progress = projector.progress().await.expect("a projection tells how far it is");
    assert_eq!(progress.building, None, "the new tables are live");
    (live, lines::<P>(store).await)
}

/// Every column of every row, in the database's own words.
async fn lines<P: Projection>(store: &Store) -> Vec<String> {
    let mut lines = Vec::new();
    for table in P::TABLES {
        let name = table.name;
        let row = match store.dialect() {
            Dialect::Postgres => format!("CAST({name} AS TEXT)"),
            Dialect::Sqlite => {
                let sql = "SELECT group_concat('quote(' || name || ')', ' || '','' || ') AS row
                    FROM pragma_table_info($1)";
                let row = store.query_one(sql, params![name]).await.expect("a view has columns");
                row.expect("one row").get("row").expect("a text")
            }
        };
        let sql = format!("SELECT {row} AS line FROM {name} ORDER BY 1");
        let rows = store.query(sql, params![]).await.expect("a view can be read");
        let line = |row: &crate::Row| row.get::<String>("line").expect("a text");
        lines.extend(rows.iter().map(|row| format!("{name}: {}", line(row))));
    }
    lines
}

/// A temporary folder that is removed when it is dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new(purpose: &str) -> Self {
        let path = std::env::temp_dir().join(format!("titan-{purpose}-{}", unique()));
        std::fs::create_dir_all(&path).expect("the temporary folder is writable");
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A name that no other test has.
fn unique() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}-{:08x}", std::process::id(), fastrand::u32(..))
}
