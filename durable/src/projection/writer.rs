//! What a projection writes with: its own tables and nothing else, so that it
//! cannot have an effect that a second projection of the same log would repeat.

use std::fmt::Write as _;

use super::Table;
use crate::{Dialect, Error, Row, Tx, Value};

/// Rows of one statement at most; a power of two. The statement's text depends
/// on their number, so others are put together from powers of two, and a handful
/// of statements stays prepared. Larger ones gain nothing more.
const MAX_ROWS: usize = 256;
/// What SQLite binds to one statement is 32,766, PostgreSQL 65,535.
const MAX_PARAMS: usize = 32_766;

/// The tables of one generation of a projection, within a transaction.
#[derive(Debug)]
pub struct Writer<'w> {
    tx: &'w mut Tx,
    tables: &'static [Table],
    generation: i64,
}

impl<'w> Writer<'w> {
    pub(super) fn new(tx: &'w mut Tx, tables: &'static [Table], generation: i64) -> Self {
        Self { tx, tables, generation }
    }

    /// Which database this is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.tx.dialect()
    }

    /// Runs a statement, with the tables named in braces, and returns how many
    /// rows it touched.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn execute(&mut self, sql: &str, params: Vec<Value>) -> Result<u64, Error> {
        let sql = self.text(sql);
        self.tx.execute(sql, params).await
    }

    /// Runs a statement that answers rows, with the tables named in braces.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn query(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = self.text(sql);
        self.tx.query(sql, params).await
    }

    /// Inserts many rows with few statements, which is what makes a replay fast:
    /// `insert` names table and columns, `INSERT INTO {entries} (account, amount)`,
    /// and `rows` holds their values, one row of as many as `columns` after the
    /// other; `conflict` is what follows the values, `ON CONFLICT …` or nothing.
    ///
    /// # Errors
    /// As [`Tx::query`].
    ///
    /// # Panics
    /// When the values are not whole rows.
    pub async fn insert(
        &mut self,
        insert: &str,
        columns: usize,
        rows: Vec<Value>,
        conflict: &str,
    ) -> Result<(), Error> {
        assert!(columns > 0 && rows.len().is_multiple_of(columns), "the values are whole rows");
        let mut left = rows.len() / columns;
        let mut values = rows.into_iter();
        while left > 0 {
            let most = left.min(MAX_ROWS).min(MAX_PARAMS / columns).max(1);
            let count = 1 << most.ilog2();
            let sql = self.text(&format!("{insert} VALUES {} {conflict}", places(count, columns)));
            let params = values.by_ref().take(count * columns).collect();
            self.tx.execute(sql, params).await?;
            left -= count;
        }
        Ok(())
    }

    fn text(&self, sql: &str) -> String {
        let mut text = sql.to_owned();
        for table in self.tables {
            text = text.replace(&format!("{{{}}}", table.name), &table.physical(self.generation));
        }
        text
    }
}

/// `($1, $2), ($3, $4)`
fn places(rows: usize, columns: usize) -> String {
    // Every replay writes thousands of them: no text for each place.
    let mut text = String::with_capacity(rows * columns * "$1234, ".len());
    for place in 0..rows * columns {
        let (row, column) = (place / columns, place % columns);
        text.push_str(match (row, column) {
            (0, 0) => "(",
            (_, 0) => "), (",
            _ => ", ",
        });
        // Writing to a text does not fail.
        let _ = write!(text, "${}", place + 1);
    }
    text.push(')');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_places_of_its_own() {
        assert_eq!(places(2, 3), "($1, $2, $3), ($4, $5, $6)");
    }
}
