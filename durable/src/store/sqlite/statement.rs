//! Statements on a connection of this thread, prepared once.

use std::{ops::ControlFlow, sync::Arc};

use rusqlite::{
    CachedStatement, Connection, ToSql,
    types::{ToSqlOutput, Value as Stored, ValueRef},
};

use crate::{Error, Row, Value};

/// Parameters from which on their names are not asked for: SQLite looks for each
/// from the first on, which for a thousand of them takes longer than the rest.
const MANY: usize = 16;

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

/// Shows each row to `visit` until it has enough.
pub(crate) fn each(
    connection: &Connection,
    sql: &str,
    params: &[Value],
    mut visit: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<ControlFlow<()>>,
) -> Result<(), Error> {
    let mut statement = prepare(connection, sql, params)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if visit(row)?.is_break() {
            break;
        }
    }
    Ok(())
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
    let ordered = statement.parameter_count() > MANY && in_order(sql);
    for place in 1..=statement.parameter_count() {
        let number = if ordered { place } else { number(&statement, place) };
        match params.get(number - 1) {
            Some(value) => statement.raw_bind_parameter(place, value)?,
            None => return Err(rusqlite::Error::InvalidParameterCount(number, params.len()).into()),
        }
    }
    Ok(statement)
}

/// Which parameter stands at a place: `$2` is a name to SQLite, which counts
/// names as they appear.
fn number(statement: &CachedStatement<'_>, place: usize) -> usize {
    let name = statement.parameter_name(place);
    name.and_then(|name| name.get(1..)?.parse().ok()).unwrap_or(place)
}

/// Whether the text alone tells that the parameters first appear as `$1`, `$2`, …
/// Where a literal or a comment might hide what looks like one, it does not.
fn in_order(sql: &str) -> bool {
    let unclear = |mark| sql.contains(mark);
    if ["'", "\"", "`", "[", "--", "/*"].into_iter().any(unclear) {
        return false;
    }
    let mut greatest = 0;
    sql.split('$').skip(1).all(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        match rest[..digits].parse::<usize>() {
            Ok(number) if number == greatest + 1 => {
                greatest = number;
                true
            }
            Ok(number) => number <= greatest,
            Err(_) => false,
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stand_for_their_numbers_wherever_they_appear() {
        let connection = Connection::open_in_memory().unwrap();
        let places = |order: &[usize]| {
            let places: Vec<_> = order.iter().map(|number| format!("${number}")).collect();
            format!("SELECT {}", places.join(" || ',' || "))
        };
        let params: Vec<Value> = (1..=40_i64).map(|n| Value::from(n.to_string())).collect();
        let forward: Vec<usize> = (1..=40).collect();
        let backward: Vec<usize> = (1..=40).rev().collect();
        for order in [forward, backward] {
            let wanted: Vec<_> = order.iter().map(ToString::to_string).collect();
            // With and without a literal between them.
            let sql = places(&order);
            let bare = sql.replace("',' ||", "$1 || $1 ||");
            let rows = query(&connection, &format!("{sql} AS text"), &params).unwrap();
            assert_eq!(rows[0].get::<String>("text").unwrap(), wanted.join(","));
            let rows = query(&connection, &format!("{bare} AS text"), &params).unwrap();
            assert_eq!(rows[0].get::<String>("text").unwrap(), wanted.join("11"));
        }
    }

    #[test]
    fn a_missing_parameter_is_refused() {
        let connection = Connection::open_in_memory().unwrap();
        let refused = query(&connection, "SELECT $1, $2", &[Value::from(1_i64)]);
        assert!(matches!(refused, Err(Error::Database(_))));
    }

    #[test]
    fn only_what_is_certainly_in_order_is_taken_to_be() {
        assert!(in_order("VALUES ($1, $2), ($3, $1)"));
        assert!(!in_order("VALUES ($2, $1)"));
        assert!(!in_order("VALUES ('$1', $2, $1)"));
        assert!(!in_order("VALUES ($1, $x)"));
    }
}
