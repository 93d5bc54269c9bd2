//! Generations: each set of tables that a projection has, which of them is live,
//! and how far each of them is. All changes of the set happen under one lock.

use super::{Projection, Table};
use crate::{Dialect, Error, Row, Store, Tx, log, params, store::Sql};

/// `projected` counts for each stream what an immediate projection has seen.
pub(crate) const TABLES: Sql = Sql::Both(
    "CREATE TABLE durable_projection (
        name {text} NOT NULL,
        generation {bigint} NOT NULL,
        version {bigint} NOT NULL,
        position {bigint} NOT NULL,
        live {bool} NOT NULL,
        tables {text} NOT NULL,
        PRIMARY KEY (name, generation)
    );
    CREATE UNIQUE INDEX durable_projection_live ON durable_projection (name) WHERE live;
    CREATE TABLE durable_projected (
        name {text} NOT NULL,
        generation {bigint} NOT NULL,
        stream {text} NOT NULL,
        version {bigint} NOT NULL,
        PRIMARY KEY (name, generation, stream)
    );",
);

/// How far a projection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The last position that the live tables hold.
    pub live: i64,
    /// The same of tables that are being made; `None` when there are none.
    pub building: Option<i64>,
    /// The last position of the log.
    pub end: i64,
}

/// One set of tables.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    pub(super) number: i64,
    pub(super) version: i64,
    pub(super) position: i64,
    pub(super) live: bool,
    /// Names of its tables, as queries use them.
    tables: Vec<String>,
}

const COLUMNS: &str = "generation, version, position, live, tables";

impl Generation {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let tables: String = row.get("tables")?;
        Ok(Self {
            number: row.get("generation")?,
            version: row.get("version")?,
            position: row.get("position")?,
            live: row.get("live")?,
            tables: tables.split(',').map(str::to_owned).collect(),
        })
    }
}

impl Table {
    /// Its name in a generation.
    pub(super) fn physical(&self, generation: i64) -> String {
        physical(self.name, generation)
    }
}

fn physical(table: &str, generation: i64) -> String {
    format!("{table}_{generation}")
}

/// All generations of a projection, the oldest first.
pub(super) async fn load<P: Projection>(store: &Store) -> Result<Vec<Generation>, Error> {
    let sql =
        format!("SELECT {COLUMNS} FROM durable_projection WHERE name = $1 ORDER BY generation");
    let rows = store.query(sql, params![P::NAME]).await?;
    rows.iter().map(Generation::from_row).collect()
}

/// The position of a generation, which nobody else can change until the
/// transaction ends; `None` when it was dropped.
pub(super) async fn lock<P: Projection>(tx: &mut Tx, number: i64) -> Result<Option<i64>, Error> {
    let only = match tx.dialect() {
        Dialect::Sqlite => "",
        // Appends that project into it hold the weaker FOR KEY SHARE.
        Dialect::Postgres => "FOR NO KEY UPDATE",
    };
    let sql = format!(
        "SELECT position FROM durable_projection WHERE name = $1 AND generation = $2 {only}"
    );
    let row = tx.query_one(sql, params![P::NAME, number]).await?;
    row.map(|row| row.get("position")).transpose()
}

pub(super) async fn move_to<P: Projection>(
    tx: &mut Tx,
    number: i64,
    position: i64,
) -> Result<(), Error> {
    let sql = "UPDATE durable_projection SET position = $3 WHERE name = $1 AND generation = $2";
    tx.execute(sql, params![P::NAME, number, position]).await?;
    Ok(())
}

/// All generations; until the transaction ends there are no others, and nobody
/// writes to any of them.
async fn lock_all<P: Projection>(tx: &mut Tx) -> Result<Vec<Generation>, Error> {
    let mut only = "";
    if tx.dialect() == Dialect::Postgres {
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended('projection ' || $1, 0))";
        tx.query(sql, params![P::NAME]).await?;
        only = "FOR UPDATE";
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM durable_projection WHERE name = $1 ORDER BY generation {only}"
    );
    let rows = tx.query(sql, params![P::NAME]).await?;
    rows.iter().map(Generation::from_row).collect()
}

/// Makes tables for this version when it has none.
pub(super) async fn prepare<P: Projection>(store: &Store) -> Result<(), Error> {
    // Most starts find them, and should not wait for who is projecting.
    if load::<P>(store).await?.iter().any(|it| it.version == P::VERSION) {
        return Ok(());
    }
    let mut tx = store.begin().await?;
    let there = lock_all::<P>(&mut tx).await?;
    let newest = there.iter().map(|it| it.version).max().unwrap_or(0);
    if newest > P::VERSION {
        // A newer program was here: this one asks its tables and makes none.
        tracing::warn!(projection = P::NAME, newest, known = P::VERSION, "a newer one is there");
    }
    if newest < P::VERSION {
        for old in there.iter().filter(|it| !it.live) {
            remove::<P>(&mut tx, old).await?;
        }
        add::<P>(&mut tx, &there).await?;
    }
    tx.commit().await
}

/// Makes one more set of tables for this version, unless one is being built.
pub(super) async fn rebuild<P: Projection>(store: &Store) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    let there = lock_all::<P>(&mut tx).await?;
    if !there.iter().any(|it| !it.live && it.version == P::VERSION) {
        add::<P>(&mut tx, &there).await?;
    }
    tx.commit().await
}

/// A new generation; live at once when there is no other to ask.
async fn add<P: Projection>(tx: &mut Tx, there: &[Generation]) -> Result<(), Error> {
    let number = there.last().map_or(1, |last| last.number + 1);
    let live = !there.iter().any(|it| it.live);
    for table in P::TABLES {
        let name = table.physical(number);
        let columns = Sql::Both(table.columns).render(tx.dialect());
        tx.batch(format!("CREATE TABLE {name} ({columns})")).await?;
        for (place, index) in table.indexes.iter().enumerate() {
            tx.batch(format!("CREATE INDEX {name}_{place} ON {name} ({index})")).await?;
        }
    }
    let tables: Vec<_> = P::TABLES.iter().map(|table| table.name).collect();
    tx.execute(
        "INSERT INTO durable_projection (name, generation, version, position, live, tables)
         VALUES ($1, $2, $3, 0, $4, $5)",
        params![P::NAME, number, P::VERSION, live, tables.join(",")],
    )
    .await?;
    if live {
        turn_views(tx, &[], number, &tables).await?;
    }
    tracing::info!(projection = P::NAME, version = P::VERSION, number, live, "made its tables");
    Ok(())
}

/// Lets queries find a generation that has caught up, and drops the one before;
/// `false` when the live one is still ahead of it.
pub(super) async fn swap<P: Projection>(store: &Store, number: i64) -> Result<bool, Error> {
    let mut tx = store.begin().await?;
    let there = lock_all::<P>(&mut tx).await?;
    let Some(built) = there.iter().find(|it| it.number == number && !it.live) else {
        tx.rollback().await?;
        return Ok(true);
    };
    if there.iter().any(|it| it.live && it.position > built.position) {
        tx.rollback().await?;
        return Ok(false);
    }
    let before: Vec<_> = there.iter().filter(|it| it.live).collect();
    let viewed: Vec<_> = before.iter().flat_map(|it| it.tables.clone()).collect();
    let tables: Vec<_> = built.tables.iter().map(String::as_str).collect();
    turn_views(&mut tx, &viewed, number, &tables).await?;
    for old in before {
        remove::<P>(&mut tx, old).await?;
    }
    let sql = "UPDATE durable_projection SET live = TRUE WHERE name = $1 AND generation = $2";
    tx.execute(sql, params![P::NAME, number]).await?;
    tx.commit().await?;
    tracing::info!(projection = P::NAME, number, position = built.position, "is live");
    Ok(true)
}

async fn turn_views(
    tx: &mut Tx,
    before: &[String],
    number: i64,
    tables: &[&str],
) -> Result<(), Error> {
    for view in before {
        tx.batch(format!("DROP VIEW IF EXISTS {view}")).await?;
    }
    for table in tables {
        let physical = physical(table, number);
        tx.batch(format!("CREATE VIEW {table} AS SELECT * FROM {physical}")).await?;
    }
    Ok(())
}

async fn remove<P: Projection>(tx: &mut Tx, old: &Generation) -> Result<(), Error> {
    for table in &old.tables {
        tx.batch(format!("DROP TABLE IF EXISTS {}", physical(table, old.number))).await?;
    }
    for table in ["durable_projected", "durable_projection"] {
        let sql = format!("DELETE FROM {table} WHERE name = $1 AND generation = $2");
        tx.execute(sql, params![P::NAME, old.number]).await?;
    }
    Ok(())
}

pub(super) async fn progress<P: Projection>(store: &Store) -> Result<Progress, Error> {
    let there = load::<P>(store).await?;
    let of = |live| there.iter().filter(move |it| it.live == live).map(|it| it.position);
    let (live, building) = (of(true).max().unwrap_or(0), of(false).max());
    Ok(Progress { live, building, end: log::end(store).await? })
}
