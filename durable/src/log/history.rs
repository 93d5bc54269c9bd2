//! The events of one stream for people to read, page by page.

use std::sync::LazyLock;

use tonic::Status;

use super::Event;
use crate::{
    Store,
    list::{Field, Listing, Request},
};

const HISTORY: Listing =
    Listing { fields: &[Field::int("version", "version")], key: "stream", order: "version" };

/// On PostgreSQL an event has no position until the sequencer has seen it.
static SELECT: LazyLock<String> = LazyLock::new(|| {
    let columns = Event::COLUMNS.replacen("position", "coalesce(position, 0) AS position", 1);
    format!("SELECT {columns} FROM durable_event")
});

/// A page of what happened to `stream`, the first first, and the token of the
/// next page: `page_size` and `page_token` as callers of List methods send them.
/// An event that the sequencer has not numbered yet has position zero.
///
/// # Errors
/// INVALID_ARGUMENT that names the field at fault, and those of the store.
pub async fn history(
    store: &Store,
    stream: &str,
    page_size: i32,
    page_token: &str,
) -> Result<(Vec<Event>, String), Status> {
    let request = Request { page_size, page_token, parent: stream, ..Request::default() };
    let query = HISTORY.query(request)?.only("stream", stream);
    let page = query.fetch(store, SELECT.as_str()).await?;
    let events = page.rows.iter().map(Event::from_row).collect::<Result<_, _>>()?;
    Ok((events, page.next_page_token))
}
