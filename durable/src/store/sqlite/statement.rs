//! Statements on a connection of this thread, prepared once.

use std::sync::Arc;

use rusqlite::{
    CachedStatement, Connection, ToSql,
    types::{ToSqlOutput, Value as Stored, ValueRef},
};

use crate::{Error, Row, Value};

/// A row that was copied out of SQLite.
pub(crate) struct LocalRow {
    /// Of all rows of an answer.
    columns: Arc<[String]>,
    values: Vec<Stored>,
}

impl LocalRow {
    /// The value of a column.
    pub(crate) fn value(&self, column: &str) -> Result<&Stored, sqlx::Error> {
        let place = self.columns.iter().position(|name| name == column);
        let place = place.ok_or_else(|| sqlx::Error::ColumnNotFound(column.to_owned()))?;
        Ok(&self.values[place])
    }
}

/// Runs a statement and returns its rows.
pub(crate) fn query(
    connection: &Connection,
    sql: &str,
    params: &[Value],
) -> Result<Vec<Row>, Error> {
    let mut statement = prepare(connection, sql, params)?;
    let columns: Arc<[String]> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut answer = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let values = (0..columns.len()).map(|place| row.get(place)).collect::<Result<_, _>>()?;
        answer.push(Row::from(LocalRow { columns: columns.clone(), values }));
    }
    Ok(answer)
}

/// Runs a statement to its end and returns how many rows it changed.
pub(crate) fn execute(connection: &Connection, sql: &str, params: &[Value]) -> Result<u64, Error> {
    let mut statement = prepare(connection, sql, params)?;
    let reads = statement.readonly();
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(if reads { 0 } else { connection.changes() })
}

fn prepare<'c>(
    connection: &'c Connection,
    sql: &str,
    params: &[Value],
) -> Result<CachedStatement<'c>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    for place in 1..=statement.parameter_count() {
        // `$2` is a name to SQLite, which counts names as they appear.
        let number = statement.parameter_name(place).and_then(|name| name.get(1..)?.parse().ok());
        let number: usize = number.unwrap_or(place);
        match params.get(number - 1) {
            Some(value) => statement.raw_bind_parameter(place, value)?,
            None => return Err(rusqlite::Error::InvalidParameterCount(number, params.len()).into()),
        }
    }
    Ok(statement)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self {
            Self::Int(value) => value.map(ValueRef::Integer),
            Self::Text(value) => value.as_ref().map(|text| ValueRef::Text(text.as_bytes())),
            Self::Blob(value) => value.as_deref().map(ValueRef::Blob),
            Self::Bool(value) => value.map(|value| ValueRef::Integer(value.into())),
            Self::Real(value) => value.map(ValueRef::Real),
        };
        Ok(ToSqlOutput::Borrowed(value.unwrap_or(ValueRef::Null)))
    }
}
