//! The read model of orders: a row for each, as its last event left it. Made of
//! the log in the transaction of each append, so that whoever has the answer of a
//! command finds its effect; and made anew whenever its version is raised.

use durable::{
    Error, Event as Logged, Row, Store,
    aggregate::{Aggregate, Recorded},
    list::{Field, Listing, Query},
    params,
    projection::{Projection, Table, Writer},
};
use prost::{Message as _, Name};
use titan::orders::v1::{self as proto, order::State as Wire};

use crate::domain::{Event, Fact, Order, OrderId, Placed, Reason, State, UserId};

const STATES: &[(&str, &str)] = &[
    ("STATE_PLACED", "STATE_PLACED"),
    ("STATE_PROCESSING", "STATE_PROCESSING"),
    ("STATE_CANCELLING", "STATE_CANCELLING"),
    ("STATE_COMPLETED", "STATE_COMPLETED"),
    ("STATE_CANCELLED", "STATE_CANCELLED"),
];

/// What a caller may filter and order by.
pub(crate) const LISTING: Listing = Listing {
    fields: &[
        Field::choice("state", "state", STATES),
        Field::text("customer", "customer"),
        Field::text("total.currency_code", "currency"),
        Field::int("total.minor_units", "total"),
        Field::time("create_time", "created"),
        Field::time("update_time", "updated"),
    ],
    key: "name",
    order: "create_time desc",
};

const SELECT: &str = "SELECT name, customer, state, currency, total, created, updated, version,
    confirmed, reason, detail, placed FROM orders";

/// The read model. `placed` is the event that an order began with, which holds
/// everything of it that never changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Orders;

impl Projection for Orders {
    const NAME: &'static str = "orders";
    const VERSION: i64 = 1;
    const IMMEDIATE: bool = true;
    const TABLES: &'static [Table] = &[Table {
        name: "orders",
        columns: "name {text} PRIMARY KEY,
            customer {text} NOT NULL,
            state {text} NOT NULL,
            currency {text} NOT NULL,
            total {bigint} NOT NULL,
            created {bigint} NOT NULL,
            updated {bigint} NOT NULL,
            version {bigint} NOT NULL,
            confirmed {bool} NOT NULL,
            reason {bigint} NOT NULL,
            detail {text} NOT NULL,
            placed {blob} NOT NULL",
        indexes: &["created, name", "customer, created, name", "state, created, name"],
    }];

    fn types(&self) -> Vec<String> {
        vec![
            proto::OrderPlaced::full_name(),
            proto::OrderConfirmed::full_name(),
            proto::OrderCancellationRequested::full_name(),
            proto::OrderCompleted::full_name(),
            proto::OrderCancelled::full_name(),
        ]
    }

    async fn apply(&self, into: &mut Writer<'_>, events: &[Logged]) -> Result<(), Error> {
        for logged in events {
            let Some(event) = Order::decode(logged)? else { continue };
            match &event.fact {
                Fact::Placed(placed) => insert(into, logged, &event, placed).await?,
                _ => update(into, logged.version, &event).await?,
            }
        }
        Ok(())
    }
}

async fn insert(
    into: &mut Writer<'_>,
    logged: &Logged,
    event: &Event,
    placed: &Placed,
) -> Result<(), Error> {
    let Placed { customer, total, .. } = placed;
    into.execute(
        "INSERT INTO {orders} (name, customer, state, currency, total, created, updated, version,
            confirmed, reason, detail, placed)
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, 0, '', $9)",
        params![
            event.order.as_str(),
            customer.as_str(),
            Wire::Placed.as_str_name(),
            total.currency.as_str(),
            total.units,
            event.at,
            logged.version,
            false,
            logged.data.to_vec()
        ],
    )
    .await?;
    Ok(())
}

async fn update(into: &mut Writer<'_>, version: i64, event: &Event) -> Result<(), Error> {
    let none = proto::CancelReason::Unspecified;
    let (state, reason, detail) = match &event.fact {
        Fact::Placed(_) => (Wire::Placed, none, ""),
        Fact::Confirmed => (Wire::Processing, none, ""),
        Fact::CancellationRequested { detail } => (Wire::Cancelling, none, detail.as_str()),
        Fact::Completed => (Wire::Completed, none, ""),
        Fact::Cancelled { reason, detail } => (Wire::Cancelled, (*reason).into(), detail.as_str()),
    };
    into.execute(
        "UPDATE {orders} SET state = $2, updated = $3, version = $4, confirmed = confirmed OR $5,
            reason = $6, detail = $7 WHERE name = $1",
        params![
            event.order.as_str(),
            state.as_str_name(),
            event.at,
            version,
            event.fact == Fact::Confirmed,
            reason as i32,
            detail
        ],
    )
    .await?;
    Ok(())
}

/// An order, as it is.
pub(crate) async fn order(store: &Store, id: &OrderId) -> Result<Option<Recorded<Order>>, Error> {
    let sql = format!("{SELECT} WHERE name = $1");
    store.query_one(sql, params![id.as_str()]).await?.as_ref().map(read).transpose()
}

/// A page of the orders of a customer, or of all, and the token of the next page.
pub(crate) async fn list(
    store: &Store,
    of: Option<&UserId>,
    query: Query,
) -> Result<(Vec<Recorded<Order>>, String), Error> {
    let query = match of {
        Some(customer) => query.only("customer", customer.as_str()),
        None => query,
    };
    let page = query.fetch(store, SELECT).await?;
    let orders = page.rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok((orders, page.next_page_token))
}

fn read(row: &Row) -> Result<Recorded<Order>, Error> {
    let corrupt = |source| Error::Corrupt { what: "placed order", source };
    let placed: Vec<u8> = row.get("placed")?;
    let placed = proto::OrderPlaced::decode(placed.as_slice()).map_err(corrupt)?;
    let state = match Wire::from_str_name(&row.get::<String>("state")?) {
        Some(Wire::Processing) => State::Processing,
        Some(Wire::Cancelling) => State::Cancelling { detail: row.get("detail")? },
        Some(Wire::Completed) => State::Completed,
        Some(Wire::Cancelled) => {
            State::Cancelled { reason: reason(row.get("reason")?), detail: row.get("detail")? }
        }
        Some(Wire::Placed | Wire::Unspecified) | None => State::Placed,
    };
    let order = Order {
        id: OrderId::stored(row.get("name")?),
        placed: placed.into(),
        state,
        confirmed: row.get("confirmed")?,
        created: row.get("created")?,
        updated: row.get("updated")?,
    };
    Ok(Recorded { state: order, version: row.get("version")? })
}

fn reason(number: i64) -> Reason {
    let number = i32::try_from(number).unwrap_or_default();
    proto::CancelReason::try_from(number).unwrap_or_default().into()
}
