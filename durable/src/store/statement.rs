//! A statement of PostgreSQL with its parameters.

use std::{borrow::Cow, ops::ControlFlow};

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, PgExecutor, Postgres, postgres::PgArguments, query::Query};

use crate::{Error, Row, Value};

pub(super) type Text = Cow<'static, str>;

/// Sees one row after the other and says when it has seen enough.
pub(crate) type Visitor<'a> = dyn FnMut(Row) -> Result<ControlFlow<()>, Error> + Send + 'a;

/// The text is the program's own: a literal, or put together from literals and
/// whitelisted columns. What comes from outside is always a parameter.
fn bind(sql: Text, params: Vec<Value>) -> Query<'static, Postgres, PgArguments> {
    let query = sqlx::query(AssertSqlSafe(sql));
    params.into_iter().fold(query, |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Blob(value) => query.bind(value),
        Value::Bool(value) => query.bind(value),
        Value::Real(value) => query.bind(value),
    })
}

/// Runs a statement and returns its rows.
pub(super) async fn query(
    connection: impl PgExecutor<'_>,
    sql: Text,
    params: Vec<Value>,
) -> Result<Vec<Row>, Error> {
    let rows = bind(sql, params).fetch_all(connection).await?;
    Ok(rows.into_iter().map(Row::from).collect())
}

/// Shows each row to `visit` until it has enough.
pub(super) async fn scan(
    connection: impl PgExecutor<'_>,
    sql: Text,
    params: Vec<Value>,
    visit: &mut Visitor<'_>,
) -> Result<(), Error> {
    let mut rows = bind(sql, params).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        if visit(Row::from(row))?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Runs a statement and returns how many rows it touched.
pub(super) async fn execute(
    connection: &mut sqlx::PgConnection,
    sql: Text,
    params: Vec<Value>,
) -> Result<u64, Error> {
    Ok(bind(sql, params).execute(connection).await?.rows_affected())
}
