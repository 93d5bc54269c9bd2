//! Statements: a line for each movement of money, projected from the log after
//! the commands, so that they pay nothing for it.

use std::collections::BTreeMap;

use durable::{
    Error, Event as Logged, Row, Store,
    aggregate::Aggregate as _,
    list::{Field, Listing, Query},
    params,
    projection::{Projection, Table, Writer},
};
use prost::Name as _;
use titan::accounts::v1 as proto;

use crate::domain::{
    Account, AccountId, Currency, Micros,
    account::{Cause, Event},
};

/// The projection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries;

/// A line of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// On which account.
    pub(crate) account: AccountId,
    /// The version of the account after it; tells the lines of an account apart.
    pub(crate) number: i64,
    pub(crate) movement: Movement,
    pub(crate) currency: Currency,
    /// Minor units; negative when they left.
    pub(crate) amount: i64,
    /// What was on the account afterwards.
    pub(crate) balance: i64,
    /// Name of the transfer, or empty.
    pub(crate) transfer: String,
    pub(crate) at: Micros,
}

/// What moved the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Movement {
    Deposit,
    Withdrawal,
    TransferOut,
    TransferIn,
    TransferReturned,
}

const KINDS: &[(&str, &str)] = &[
    ("KIND_DEPOSIT", "KIND_DEPOSIT"),
    ("KIND_WITHDRAWAL", "KIND_WITHDRAWAL"),
    ("KIND_TRANSFER_OUT", "KIND_TRANSFER_OUT"),
    ("KIND_TRANSFER_IN", "KIND_TRANSFER_IN"),
    ("KIND_TRANSFER_RETURNED", "KIND_TRANSFER_RETURNED"),
];

/// What a caller may filter by. Ordered by the place in the account's life, not
/// by the clock of whichever replica was asked.
pub(crate) const LISTING: Listing = Listing {
    fields: &[
        Field::choice("kind", "kind", KINDS),
        Field::time("create_time", "time"),
        Field::int("number", "number"),
    ],
    key: "name",
    order: "number desc",
};

impl Movement {
    fn of(cause: &Cause) -> (Self, String) {
        match cause {
            Cause::Deposit => (Movement::Deposit, String::new()),
            Cause::Withdrawal => (Movement::Withdrawal, String::new()),
            Cause::Sent(it) => (Movement::TransferOut, it.to_string()),
            Cause::Received(it) => (Movement::TransferIn, it.to_string()),
            Cause::Returned(it) => (Movement::TransferReturned, it.to_string()),
        }
    }

    fn stored(self) -> &'static str {
        KINDS[self as usize].1
    }

    fn read(text: &str) -> Self {
        match text {
            "KIND_DEPOSIT" => Movement::Deposit,
            "KIND_WITHDRAWAL" => Movement::Withdrawal,
            "KIND_TRANSFER_OUT" => Movement::TransferOut,
            "KIND_TRANSFER_IN" => Movement::TransferIn,
            _ => Movement::TransferReturned,
        }
    }
}

impl Projection for Entries {
    const NAME: &'static str = "entries";
    const VERSION: i64 = 1;
    const TABLES: &'static [Table] = &[
        Table {
            name: "entries",
            columns: "name {text} PRIMARY KEY,
                      account {text} NOT NULL,
                      number {bigint} NOT NULL,
                      kind {text} NOT NULL,
                      currency {text} NOT NULL,
                      amount {bigint} NOT NULL,
                      balance {bigint} NOT NULL,
                      transfer {text} NOT NULL,
                      time {bigint} NOT NULL",
            indexes: &["account, number, name"],
        },
        Table {
            name: "entry_balances",
            columns: "account {text} PRIMARY KEY, balance {bigint} NOT NULL",
            indexes: &[],
        },
    ];

    fn types(&self) -> Vec<String> {
        vec![
            proto::MoneyDeposited::full_name(),
            proto::MoneyWithdrawn::full_name(),
            proto::MoneySent::full_name(),
            proto::MoneyReceived::full_name(),
            proto::MoneyReturned::full_name(),
        ]
    }

    async fn apply(&self, into: &mut Writer<'_>, events: &[Logged]) -> Result<(), Error> {
        let mut balances = balances(into, events).await?;
        let mut rows = Vec::with_capacity(9 * events.len());
        for logged in events {
            let Some(Event::Moved { cause, amount, .. }) = Account::decode(logged)? else {
                continue;
            };
            let change = cause.change(amount.units());
            let balance = balances.entry(&logged.stream).or_default();
            *balance += change;
            let (movement, transfer) = Movement::of(&cause);
            rows.extend(params![
                format!("{}/entries/{}", logged.stream, logged.version),
                &logged.stream,
                logged.version,
                movement.stored(),
                amount.currency().as_str(),
                change,
                *balance,
                transfer,
                logged.time,
            ]);
        }
        let entries = "INSERT INTO {entries}
            (name, account, number, kind, currency, amount, balance, transfer, time)";
        into.insert(entries, 9, rows, "").await?;
        let rows = balances.iter().flat_map(|(account, balance)| params![*account, *balance]);
        into.insert(
            "INSERT INTO {entry_balances} (account, balance)",
            2,
            rows.collect(),
            "ON CONFLICT (account) DO UPDATE SET balance = excluded.balance",
        )
        .await
    }
}

/// What was on the accounts before these events.
async fn balances<'e>(
    into: &mut Writer<'_>,
    events: &'e [Logged],
) -> Result<BTreeMap<&'e str, i64>, Error> {
    let mut balances: BTreeMap<&str, i64> = BTreeMap::new();
    for logged in events {
        balances.insert(&logged.stream, 0);
    }
    for (account, balance) in &mut balances {
        let sql = "SELECT balance FROM {entry_balances} WHERE account = $1";
        if let Some(row) = into.query(sql, params![*account]).await?.first() {
            *balance = row.get("balance")?;
        }
    }
    Ok(balances)
}

/// A page of an account's statement, and the token of the next page.
pub(crate) async fn list_entries(
    store: &Store,
    account: &AccountId,
    query: Query,
) -> Result<(Vec<Entry>, String), Error> {
    let select = "SELECT name, account, number, kind, currency, amount, balance, transfer, time
        FROM entries";
    let page = query.only("account", account.as_str()).fetch(store, select).await?;
    let entries = page.rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok((entries, page.next_page_token))
}

fn read(row: &Row) -> Result<Entry, Error> {
    Ok(Entry {
        account: AccountId::named(row.get::<String>("account")?),
        number: row.get("number")?,
        movement: Movement::read(&row.get::<String>("kind")?),
        currency: Currency::new(row.get::<String>("currency")?),
        amount: row.get("amount")?,
        balance: row.get("balance")?,
        transfer: row.get("transfer")?,
        at: row.get("time")?,
    })
}
