//! States that were kept, so that a long stream is folded from there.

use super::{Aggregate, Recorded, history::Source};
use crate::{Error, Tx, params, store::Sql};

/// One for each stream: the newest.
pub(crate) const TABLE: Sql = Sql::Both(
    "CREATE TABLE durable_snapshot (
        stream {text} PRIMARY KEY,
        version {bigint} NOT NULL,
        form {bigint} NOT NULL,
        data {blob} NOT NULL
    );",
);

/// The newest kept state of a stream, if there is one of today's form.
pub(super) async fn load<A: Aggregate>(
    source: &mut Source<'_>,
    stream: &str,
) -> Result<Option<Recorded<A>>, Error> {
    let Some(snapshots) = A::SNAPSHOTS else { return Ok(None) };
    let sql = "SELECT version, data FROM durable_snapshot WHERE stream = $1 AND form = $2";
    let rows = source.query(sql.to_owned(), params![stream, snapshots.form]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let state = (snapshots.read)(&row.get::<Vec<u8>>("data")?);
    let version = row.get("version")?;
    Ok(state.map(|state| Recorded { state, version }))
}

/// Whether a stream has passed the next multiple since `before`.
pub(super) fn is_due<A: Aggregate>(before: i64, recorded: &Recorded<A>) -> bool {
    A::SNAPSHOTS.is_some_and(|snapshots| {
        let every = snapshots.every.max(1);
        before / every != recorded.version / every
    })
}

/// Keeps a state when it is due.
pub(super) async fn keep<A: Aggregate>(
    tx: &mut Tx,
    stream: &str,
    before: i64,
    recorded: &Recorded<A>,
) -> Result<(), Error> {
    let Some(snapshots) = A::SNAPSHOTS else { return Ok(()) };
    if !is_due(before, recorded) {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO durable_snapshot (stream, version, form, data) VALUES ($1, $2, $3, $4)
         ON CONFLICT (stream) DO UPDATE
         SET version = excluded.version, form = excluded.form, data = excluded.data",
        params![stream, recorded.version, snapshots.form, (snapshots.write)(&recorded.state)],
    )
    .await?;
    Ok(())
}
