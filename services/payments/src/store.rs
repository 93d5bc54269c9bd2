//! Payments in a table, and what happened to them in the log, both written in one
//! transaction.

use durable::{
    Expected, Migration, NewEvent, Row, Store, Tx,
    list::{Field, Listing, Query},
    params,
};
use titan::{money::v1::Money as WireMoney, payments::v1 as proto};

use crate::domain::{Event, Money, Payment, PaymentId, State, Terms};

/// The tables of this service, and those of the provider that is built in.
pub const MIGRATIONS: &[Migration] = &[
    Migration::new(1, "payments", include_str!("../migrations/1_payments.sql")),
    Migration::new(2, "simulated", include_str!("../migrations/2_simulated.sql")),
];

/// States and what is stored for them, which is also what the contract calls them.
const STATES: [(State, &str); 8] = [
    (State::Authorizing, "STATE_AUTHORIZING"),
    (State::Authorized, "STATE_AUTHORIZED"),
    (State::Capturing, "STATE_CAPTURING"),
    (State::Captured, "STATE_CAPTURED"),
    (State::Undoing, "STATE_UNDOING"),
    (State::Refunded, "STATE_REFUNDED"),
    (State::Voided, "STATE_VOIDED"),
    (State::Declined, "STATE_DECLINED"),
];

/// What a caller may filter by.
pub(crate) const LISTING: Listing = Listing {
    fields: &[
        Field::choice(
            "state",
            "state",
            &[
                (STATES[0].1, STATES[0].1),
                (STATES[1].1, STATES[1].1),
                (STATES[2].1, STATES[2].1),
                (STATES[3].1, STATES[3].1),
                (STATES[4].1, STATES[4].1),
                (STATES[5].1, STATES[5].1),
                (STATES[6].1, STATES[6].1),
                (STATES[7].1, STATES[7].1),
            ],
        ),
        Field::text("customer", "customer"),
        Field::time("create_time", "created"),
        Field::time("update_time", "updated"),
    ],
    key: "name",
    order: "create_time desc",
};

/// A payment, as it is.
pub(crate) async fn get(store: &Store, id: &PaymentId) -> Result<Option<Payment>, durable::Error> {
    let sql = "SELECT * FROM payments WHERE name = $1";
    let row = store.query_one(sql, params![id.as_str()]).await?;
    row.as_ref().map(read).transpose().map(Option::flatten)
}

/// A page of payments, of one customer or of all, and the token of the next page.
pub(crate) async fn list(
    store: &Store,
    customer: Option<String>,
    query: Query,
) -> Result<(Vec<Payment>, String), durable::Error> {
    let query = match customer {
        Some(customer) => query.only("customer", customer),
        None => query,
    };
    let page = query.fetch(store, "SELECT * FROM payments").await?;
    let payments = page.rows.iter().map(read).filter_map(Result::transpose);
    Ok((payments.collect::<Result<_, _>>()?, page.next_page_token))
}

/// Reads a payment to be changed, or takes its name when there is none: of two
/// that race for a name, the later one waits and then finds what the first left.
/// The row that is taken goes with the transaction if that is refused.
pub(crate) async fn lock(tx: &mut Tx, id: &PaymentId) -> Result<Option<Payment>, durable::Error> {
    let sql = "INSERT INTO payments (name, customer, currency, amount, card, state, captured,
                   refunded, decline_reason, created, updated, version)
               VALUES ($1, '', '', 0, '', '', 0, 0, '', 0, 0, 0)
               ON CONFLICT (name) DO UPDATE SET version = payments.version RETURNING *";
    let row = tx.query_one(sql, params![id.as_str()]).await?;
    row.as_ref().map(read).transpose().map(Option::flatten)
}

/// Writes what a locked payment is now.
pub(crate) async fn save(tx: &mut Tx, payment: &Payment) -> Result<(), durable::Error> {
    let state = STATES.iter().find(|(state, _)| *state == payment.state).map_or("", |it| it.1);
    let terms = payment.terms.as_ref();
    let Payment { id, captured, refunded, decline_reason, created, updated, version, .. } = payment;
    tx.execute(
        "UPDATE payments SET customer = $2, currency = $3, amount = $4, card = $5, state = $6,
         captured = $7, refunded = $8, decline_reason = $9, created = $10, updated = $11,
         version = $12 WHERE name = $1",
        params![
            id.as_str(),
            terms.map_or("", |terms| &terms.customer),
            terms.map_or("", |terms| &terms.amount.currency),
            terms.map_or(0, |terms| terms.amount.minor),
            terms.map_or("", |terms| &terms.card),
            state,
            *captured,
            *refunded,
            decline_reason.as_str(),
            *created,
            *updated,
            *version
        ],
    )
    .await?;
    Ok(())
}

/// Appends what happened to the log.
pub(crate) async fn tell(tx: &mut Tx, it: &Payment, event: Event) -> Result<(), durable::Error> {
    let payment = it.id.as_str().to_owned();
    let terms = it.terms.as_ref();
    let amount = |minor| {
        let currency_code = terms.map_or_else(String::new, |terms| terms.amount.currency.clone());
        Some(WireMoney { currency_code, minor_units: minor })
    };
    let event = match event {
        Event::Authorized => NewEvent::of(&proto::PaymentAuthorized {
            payment,
            customer: terms.map_or_else(String::new, |terms| terms.customer.clone()),
            amount: amount(terms.map_or(0, |terms| terms.amount.minor)),
        }),
        Event::Declined => {
            let reason = it.decline_reason.clone();
            NewEvent::of(&proto::PaymentDeclined { payment, reason })
        }
        Event::Captured => {
            NewEvent::of(&proto::PaymentCaptured { payment, amount: amount(it.captured) })
        }
        Event::Voided => NewEvent::of(&proto::PaymentVoided { payment }),
        Event::Refunded => {
            NewEvent::of(&proto::PaymentRefunded { payment, amount: amount(it.refunded) })
        }
    };
    // The row is locked, so nobody else appends to its stream.
    tx.append(it.id.as_str(), Expected::Any, vec![event]).await?;
    Ok(())
}

/// A row; `None` when its name was only just taken.
fn read(row: &Row) -> Result<Option<Payment>, durable::Error> {
    let state: String = row.get("state")?;
    let Some((state, _)) = STATES.iter().find(|(_, text)| *text == state) else { return Ok(None) };
    let customer: String = row.get("customer")?;
    let terms = if customer.is_empty() {
        None
    } else {
        let amount = Money { currency: row.get("currency")?, minor: row.get("amount")? };
        Some(Terms { customer, amount, card: row.get("card")? })
    };
    Ok(Some(Payment {
        id: PaymentId::named(&row.get::<String>("name")?),
        terms,
        state: *state,
        captured: row.get("captured")?,
        refunded: row.get("refunded")?,
        decline_reason: row.get("decline_reason")?,
        created: row.get("created")?,
        updated: row.get("updated")?,
        version: row.get("version")?,
    }))
}
