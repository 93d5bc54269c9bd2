//! PostgreSQL: `pg_dump` and `pg_restore`, in the snapshot of one transaction.

use std::{path::Path, process::Stdio, str::FromStr as _};

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::process::Command;

use super::{Copied, Error};

/// invalid_catalog_name: there is no database of this name.
const NO_DATABASE: &str = "3D000";

pub(super) async fn exists(url: &str) -> Result<bool, Error> {
    match connect(url).await {
        Ok(connection) => Ok(connection.close().await.map(|()| true)?),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NO_DATABASE) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn copy(url: &str, file: &Path) -> Result<Copied, Error> {
    let mut connection = connect(url).await?;
    let mut tx = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    // The end of the log and the archive are of the same moment.
    let snapshot: String =
        sqlx::query_scalar("SELECT pg_export_snapshot()").fetch_one(&mut *tx).await?;
    let position =
        sqlx::query_scalar("SELECT position FROM durable_sequencer").fetch_one(&mut *tx).await?;
    let mut dump = tool("pg_dump", url);
    dump.args(["--format=custom", "--no-owner", "--no-privileges"])
        .arg(format!("--snapshot={snapshot}"))
        .arg("--file")
        .arg(file);
    run("pg_dump", dump).await?;
    tx.rollback().await?;
    connection.close().await?;
    Ok(Copied { position })
}

pub(super) async fn restore(file: &Path, url: &str) -> Result<(), Error> {
    let mut list = Command::new("pg_restore");
    list.arg("--list").arg(file);
    run("pg_restore", list).await?;
    clear(url).await?;
    let mut restore = tool("pg_restore", url);
    restore.args(["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]);
    restore.arg(file);
    run("pg_restore", restore).await
}

/// The schema is as in a new database afterwards: one with another owner would
/// become a part of the next archive, which could not be restored then.
const EMPTY: &str = "DO $$
    DECLARE owner text := (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'public');
    BEGIN
        DROP SCHEMA public CASCADE;
        CREATE SCHEMA public;
        GRANT USAGE ON SCHEMA public TO PUBLIC;
        EXECUTE format('ALTER SCHEMA public OWNER TO %s', owner);
    END $$";

/// Empties a database that nobody else works in. Tables that came after the copy
/// must not stay: the migrations that made them would run again.
async fn clear(url: &str) -> Result<(), Error> {
    const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend'";
    let mut connection = connect(url).await?;
    let others: i64 = sqlx::query_scalar(OTHERS).fetch_one(&mut connection).await?;
    if others > 0 {
        return Err(Error::InUse);
    }
    sqlx::raw_sql(EMPTY).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnectOptions::from_str(url)?.connect().await
}

/// A program of PostgreSQL that is to connect. Other users of the machine see
/// its arguments, so the password is not among them.
fn tool(name: &str, url: &str) -> Command {
    let mut command = Command::new(name);
    let (url, password) = without_password(url);
    command.arg("--no-password").arg(format!("--dbname={url}"));
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    command
}

async fn run(tool: &'static str, mut command: Command) -> Result<(), Error> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let failed = |said| Error::Tool { tool, said };
    let output = command.output().await.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// The URL without its password, and the password.
fn without_password(url: &str) -> (String, Option<String>) {
    let whole = || (url.to_owned(), None);
    let Some((scheme, rest)) = url.split_once("://") else { return whole() };
    let authority = rest.find(['/', '?']).map_or(rest, |end| &rest[..end]);
    let Some((user, host)) = authority.rsplit_once('@') else { return whole() };
    let Some((user, password)) = user.split_once(':') else { return whole() };
    let password = percent_encoding::percent_decode_str(password).decode_utf8_lossy();
    let rest = &rest[authority.len()..];
    (format!("{scheme}://{user}@{host}{rest}"), Some(password.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_taken_out_of_a_url() {
        let cases = [
            ("postgres://a:b%40c@h:1/d?x=y", ("postgres://a@h:1/d?x=y", Some("b@c"))),
            ("postgres://a:b@h", ("postgres://a@h", Some("b"))),
            ("postgres://a@h/d", ("postgres://a@h/d", None)),
            ("postgres:///d?host=/tmp&x=a:b@c", ("postgres:///d?host=/tmp&x=a:b@c", None)),
        ];
        for (url, (bare, password)) in cases {
            assert_eq!(without_password(url), (bare.to_owned(), password.map(str::to_owned)));
        }
    }
}
