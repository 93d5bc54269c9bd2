//! Reservations in a table. Their lines never change and are nowhere searched, so
//! they are kept as the message that they came in.

use durable::{
    Error, Row, Store, Tx,
    list::{Field, Listing, Query},
    params,
};
use prost::Message as _;
use titan::inventory::v1 as proto;

use crate::domain::{
    ProductId, Reservation, ReservationId,
    reservation::{Line, State},
};

const HELD: &str = "STATE_HELD";
const CONFIRMED: &str = "STATE_CONFIRMED";
const COMMITTED: &str = "STATE_COMMITTED";
const RELEASED: &str = "STATE_RELEASED";
const EXPIRED: &str = "STATE_EXPIRED";

/// What a caller may filter by.
pub(crate) const RESERVATIONS: Listing = Listing {
    fields: &[
        Field::choice(
            "state",
            "state",
            &[
                (HELD, HELD),
                (CONFIRMED, CONFIRMED),
                (COMMITTED, COMMITTED),
                (RELEASED, RELEASED),
                (EXPIRED, EXPIRED),
            ],
        ),
        Field::time("create_time", "created"),
        Field::time("update_time", "updated"),
    ],
    key: "name",
    order: "create_time desc",
};

/// A reservation, as it is.
pub(crate) async fn reservation(
    store: &Store,
    id: &ReservationId,
) -> Result<Option<Reservation>, Error> {
    let sql = "SELECT * FROM reservations WHERE name = $1";
    let row = store.query_one(sql, params![id.as_str()]).await?;
    row.as_ref().map(read).transpose().map(Option::flatten)
}

/// A page of reservations, and the token of the next page.
pub(crate) async fn list_reservations(
    store: &Store,
    query: Query,
) -> Result<(Vec<Reservation>, String), Error> {
    let page = query.fetch(store, "SELECT * FROM reservations").await?;
    let reservations = page.rows.iter().map(read).filter_map(Result::transpose);
    Ok((reservations.collect::<Result<_, _>>()?, page.next_page_token))
}

/// Reads a reservation to be changed, or takes its name when there is none: of
/// two that race for a name, the later one waits and then finds what the first
/// left. The row that is taken goes with the transaction if that is refused.
pub(crate) async fn lock_reservation(
    tx: &mut Tx,
    id: &ReservationId,
) -> Result<Option<Reservation>, Error> {
    let sql = "INSERT INTO reservations (name, state, expires, created, updated, version)
               VALUES ($1, '', 0, 0, 0, 0)
               ON CONFLICT (name) DO UPDATE SET version = reservations.version RETURNING *";
    let row = tx.query_one(sql, params![id.as_str()]).await?;
    row.as_ref().map(read).transpose().map(Option::flatten)
}

/// Stores what a locked reservation is now.
pub(crate) async fn save_reservation(tx: &mut Tx, it: &Reservation) -> Result<(), Error> {
    let (state, expires) = match it.state {
        State::Held { until } => (HELD, until),
        State::Confirmed => (CONFIRMED, 0),
        State::Committed => (COMMITTED, 0),
        State::Released => (RELEASED, 0),
        State::Expired => (EXPIRED, 0),
    };
    let lines = it.lines.iter().map(Into::into).collect();
    let lines = proto::StockSold { lines, ..Default::default() }.encode_to_vec();
    tx.execute(
        "UPDATE reservations SET state = $2, lines = $3, expires = $4, created = $5,
         updated = $6, version = $7 WHERE name = $1",
        params![it.id.as_str(), state, lines, expires, it.created, it.updated, it.version],
    )
    .await?;
    Ok(())
}

/// A row; `None` when its name was only just taken.
fn read(row: &Row) -> Result<Option<Reservation>, Error> {
    let state = match &*row.get::<String>("state")? {
        HELD => State::Held { until: row.get("expires")? },
        CONFIRMED => State::Confirmed,
        COMMITTED => State::Committed,
        EXPIRED => State::Expired,
        RELEASED => State::Released,
        _ => return Ok(None),
    };
    let lines: Vec<u8> = row.get("lines")?;
    let lines = proto::StockSold::decode(lines.as_slice())
        .map_err(|source| Error::Corrupt { what: "reservation", source })?;
    let line = |line: proto::ReservationLine| {
        let product = ProductId::named(&line.product);
        Line { product, quantity: line.quantity }
    };
    Ok(Some(Reservation {
        id: ReservationId::named(&row.get::<String>("name")?),
        lines: lines.lines.into_iter().map(line).collect(),
        state,
        created: row.get("created")?,
        updated: row.get("updated")?,
        version: row.get("version")?,
    }))
}
