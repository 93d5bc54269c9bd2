//! The raw database: the same rows in the same table, by `rusqlite` alone on one
//! thread, with prepared statements. It checks no version, it keeps count of them
//! in memory; nobody waits for it and nobody reads.

use std::{path::Path, time::Duration, time::Instant};

use prost::{Message as _, Name as _};
use rusqlite::Connection;

use super::{PAYLOAD, STREAMS, Ticked, micros, stream};

const INSERT: &str = "INSERT INTO durable_event
    (stream, version, type, data, time, traceparent, actor, correlation, causation)
    VALUES (?1, ?2, ?3, ?4, ?5, '', '', '', '')";

pub(super) struct Raw {
    connection: Connection,
    versions: Vec<i64>,
    next: usize,
    data: Vec<u8>,
}

impl Raw {
    /// On a file that has the tables.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let data = Ticked { padding: vec![7; PAYLOAD] }.encode_to_vec();
        Ok(Self { connection, versions: vec![0; STREAMS], next: 0, data })
    }

    /// One transaction with this many rows.
    pub(super) fn commit(&mut self, rows: usize) -> anyhow::Result<usize> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        {
            let mut insert = self.connection.prepare_cached(INSERT)?;
            for _ in 0..rows {
                let version = &mut self.versions[self.next % STREAMS];
                *version += 1;
                let kind = Ticked::full_name();
                insert.execute((stream(self.next), *version, kind, &self.data, 1_i64))?;
                self.next += 1;
            }
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(rows)
    }

    /// How long commits of one row take, in microseconds.
    pub(super) fn commits(&mut self, lasts: Duration) -> anyhow::Result<Vec<f64>> {
        let since = Instant::now();
        let mut took = Vec::new();
        while since.elapsed() < lasts {
            let one = Instant::now();
            self.commit(1)?;
            took.push(micros(one.elapsed()));
        }
        Ok(took)
    }
}
