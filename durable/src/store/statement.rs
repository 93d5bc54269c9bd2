//! A statement with its parameters, for whichever database.

use std::{borrow::Cow, ops::ControlFlow};

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Database, Encode, Executor, Type, query::Query};

use crate::{Error, Row, Value};

pub(super) type Text = Cow<'static, str>;

/// The text is the program's own: a literal, or put together from literals and
/// whitelisted columns. What comes from outside is always a parameter.
fn bind<DB>(sql: Text, params: Vec<Value>) -> Query<'static, DB, DB::Arguments>
where
    DB: Database,
    Option<i64>: Encode<'static, DB> + Type<DB>,
    Option<String>: Encode<'static, DB> + Type<DB>,
    Option<Vec<u8>>: Encode<'static, DB> + Type<DB>,
    Option<bool>: Encode<'static, DB> + Type<DB>,
    Option<f64>: Encode<'static, DB> + Type<DB>,
{
    let query = sqlx::query(AssertSqlSafe(sql));
    params.into_iter().fold(query, |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Blob(value) => query.bind(value),
        Value::Bool(value) => query.bind(value),
        Value::Real(value) => query.bind(value),
    })
}

macro_rules! for_each_database {
    ($($module:ident: $database:ty;)*) => {$(
        pub(super) mod $module {
            use super::*;

            pub(in crate::store) async fn query<'c, E>(
                connection: E,
                sql: Text,
                params: Vec<Value>,
            ) -> Result<Vec<Row>, Error>
            where
                E: Executor<'c, Database = $database>,
            {
                let rows = bind::<$database>(sql, params).fetch_all(connection).await?;
                Ok(rows.into_iter().map(Row::from).collect())
            }

            pub(in crate::store) async fn scan<'c, E>(
                connection: E,
                sql: Text,
                params: Vec<Value>,
                visit: &mut Visitor<'_>,
            ) -> Result<(), Error>
            where
                E: Executor<'c, Database = $database>,
            {
                let mut rows = bind::<$database>(sql, params).fetch(connection);
                while let Some(row) = rows.try_next().await? {
                    if visit(Row::from(row))?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
        }
    )*};
}

/// Sees one row after the other and says when it has seen enough.
pub(crate) type Visitor<'a> = dyn FnMut(Row) -> Result<ControlFlow<()>, Error> + Send + 'a;

for_each_database! {
    sqlite: sqlx::Sqlite;
    postgres: sqlx::Postgres;
}

/// Runs a statement on PostgreSQL and returns how many rows it touched.
pub(super) async fn execute(
    connection: &mut sqlx::PgConnection,
    sql: Text,
    params: Vec<Value>,
) -> Result<u64, Error> {
    Ok(bind::<sqlx::Postgres>(sql, params).execute(connection).await?.rows_affected())
}
