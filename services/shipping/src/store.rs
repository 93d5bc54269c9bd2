//! Shipments in a table, and what happened to them in the log, both written in
//! one transaction. What was packed never changes and is nowhere searched, so it
//! is kept as the message that it came in.

use durable::{
    Expected, Migration, NewEvent, Row, Store, Tx,
    list::{Field, Listing, Query},
    params,
};
use prost::Message as _;
use titan::shipping::v1 as proto;

use crate::domain::{Event, Parcel, Shipment, ShipmentId, State};

/// The tables of this service.
pub const MIGRATIONS: &[Migration] =
    &[Migration::new(1, "shipments", include_str!("../migrations/1_shipments.sql"))];

const PREPARED: &str = "STATE_PREPARED";
const HANDED_OVER: &str = "STATE_HANDED_OVER";
const CANCELLED: &str = "STATE_CANCELLED";
/// A row that was claimed and is not committed: nobody else sees it.
const NEW: &str = "";

/// What a caller may filter by.
pub(crate) const LISTING: Listing = Listing {
    fields: &[
        Field::choice(
            "state",
            "state",
            &[(PREPARED, PREPARED), (HANDED_OVER, HANDED_OVER), (CANCELLED, CANCELLED)],
        ),
        Field::text("customer", "customer"),
        Field::time("create_time", "created"),
        Field::time("update_time", "updated"),
    ],
    key: "name",
    order: "create_time desc",
};

/// A shipment, as it is.
pub(crate) async fn get(
    store: &Store,
    id: &ShipmentId,
) -> Result<Option<Shipment>, durable::Error> {
    let sql = "SELECT * FROM shipments WHERE name = $1";
    let row = store.query_one(sql, params![id.as_str()]).await?;
    row.as_ref().map(read).transpose().map(Option::flatten)
}

/// A page of shipments, of one customer or of all, and the token of the next page.
pub(crate) async fn list(
    store: &Store,
    customer: Option<String>,
    query: Query,
) -> Result<(Vec<Shipment>, String), durable::Error> {
    let query = match customer {
        Some(customer) => query.only("customer", customer),
        None => query,
    };
    let page = query.fetch(store, "SELECT * FROM shipments").await?;
    let shipments = page.rows.iter().map(read).filter_map(Result::transpose);
    Ok((shipments.collect::<Result<_, _>>()?, page.next_page_token))
}

/// Reads a shipment to be changed, or takes its name when there is none: of two
/// that race for a name, the later one waits and then finds what the first left.
/// The row that is taken goes with the transaction if that is refused.
pub(crate) async fn lock(tx: &mut Tx, id: &ShipmentId) -> Result<Option<Shipment>, durable::Error> {
    let sql = "INSERT INTO shipments (name, customer, state, tracking, created, updated, version)
               VALUES ($1, '', $2, '', 0, 0, 0)
               ON CONFLICT (name) DO UPDATE SET version = shipments.version RETURNING *";
    let row = tx.query_one(sql, params![id.as_str(), NEW]).await?;
    row.as_ref().map(read).transpose().map(Option::flatten)
}

/// Writes what a locked shipment is now.
pub(crate) async fn save(tx: &mut Tx, shipment: &Shipment) -> Result<(), durable::Error> {
    let (state, tracking) = match &shipment.state {
        State::Prepared(_) => (PREPARED, ""),
        State::HandedOver { tracking, .. } => (HANDED_OVER, tracking.as_str()),
        State::Cancelled { .. } => (CANCELLED, ""),
    };
    let parcel = shipment.parcel().cloned().map(proto::Shipment::from);
    let customer = parcel.as_ref().map_or("", |parcel| parcel.customer.as_str());
    let Shipment { id, created, updated, version, .. } = shipment;
    tx.execute(
        "UPDATE shipments SET customer = $2, parcel = $3, state = $4, tracking = $5,
         created = $6, updated = $7, version = $8 WHERE name = $1",
        params![
            id.as_str(),
            customer,
            parcel.as_ref().map(prost::Message::encode_to_vec),
            state,
            tracking,
            *created,
            *updated,
            *version
        ],
    )
    .await?;
    Ok(())
}

/// Appends what happened to the log.
pub(crate) async fn tell(
    tx: &mut Tx,
    shipment: &Shipment,
    event: Event,
) -> Result<(), durable::Error> {
    let name = shipment.id.as_str().to_owned();
    let event = match event {
        Event::Prepared { customer } => {
            NewEvent::of(&proto::ShipmentPrepared { shipment: name, customer })
        }
        Event::HandedOver { tracking } => {
            let tracking_code = tracking;
            NewEvent::of(&proto::ShipmentHandedOver { shipment: name, tracking_code })
        }
        Event::Cancelled => NewEvent::of(&proto::ShipmentCancelled { shipment: name }),
    };
    // Each state is told by one event, so the stream counts as the row does.
    let expected = match shipment.version {
        1 => Expected::NoStream,
        version => Expected::Exact(version - 1),
    };
    tx.append(shipment.id.as_str(), expected, vec![event]).await?;
    Ok(())
}

/// A row; `None` when its name was only just taken.
fn read(row: &Row) -> Result<Option<Shipment>, durable::Error> {
    let parcel = |bytes: Vec<u8>| {
        let parcel = proto::Shipment::decode(bytes.as_slice());
        parcel
            .map(Parcel::from)
            .map_err(|source| durable::Error::Corrupt { what: "parcel", source })
    };
    let parcel = row.get::<Option<Vec<u8>>>("parcel")?.map(parcel).transpose()?;
    let state = match (&*row.get::<String>("state")?, parcel) {
        (NEW, _) => return Ok(None),
        (PREPARED, Some(parcel)) => State::Prepared(parcel),
        (HANDED_OVER, Some(parcel)) => State::HandedOver { parcel, tracking: row.get("tracking")? },
        (_, parcel) => State::Cancelled { parcel },
    };
    Ok(Some(Shipment {
        id: ShipmentId::named(&row.get::<String>("name")?),
        state,
        created: row.get("created")?,
        updated: row.get("updated")?,
        version: row.get("version")?,
    }))
}
