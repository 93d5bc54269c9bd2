//! What happened to a saga, entry by entry.

use super::{Direction, Entry, Happening, Note, shortened};
use crate::{Error, Row, Store, Tx, params, time};

/// Adds to the history of a saga, after so many entries. One statement for all.
pub(in crate::saga) async fn note(
    tx: &mut Tx,
    saga: &str,
    after: i64,
    notes: &[Note],
) -> Result<(), Error> {
    let (mut values, mut row) = (String::new(), params![saga, time::now()]);
    for (number, note) in (after + 1..).zip(notes) {
        let at = row.len();
        let comma = if at == 2 { "" } else { ", " };
        let places = format!("${}, ${}, ${}, ${}, ${}", at + 1, at + 2, at + 3, at + 4, at + 5);
        values.push_str(&format!("{comma}($1, {places}, $2)"));
        let Note { step, direction, happening, detail } = note;
        let detail = shortened(detail);
        row.extend(params![number, step, direction.word(), happening.word(), detail]);
    }
    let sql = format!(
        "INSERT INTO durable_saga_history
            (saga, number, step, direction, happening, detail, time) VALUES {values}"
    );
    tx.execute(sql, row).await?;
    Ok(())
}

/// What happened to a saga, the first first.
pub(in crate::saga) async fn history(store: &Store, saga: &str) -> Result<Vec<Entry>, Error> {
    let sql = "SELECT number, step, direction, happening, detail, time
        FROM durable_saga_history WHERE saga = $1 ORDER BY number";
    let entry = |row: &Row| {
        Ok(Entry {
            number: row.get("number")?,
            step: row.get("step")?,
            direction: Direction::parse(&row.get::<String>("direction")?)?,
            happening: Happening::parse(&row.get::<String>("happening")?)?,
            detail: row.get("detail")?,
            time: row.get("time")?,
        })
    };
    store.query(sql, params![saga]).await?.iter().map(entry).collect()
}
