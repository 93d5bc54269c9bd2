//! The accounts of each owner, kept in the transaction of every change: who has
//! the answer of a command finds it in the list.

use std::collections::BTreeMap;

use durable::{
    Error, Event as Logged, Row, Store,
    aggregate::{Aggregate as _, Recorded},
    list::{Field, Listing, Query},
    params,
    projection::{Projection, Table, Writer},
};
use prost::Name as _;
use titan::accounts::v1 as proto;

use crate::domain::{
    Account, AccountId, Currency, UserId,
    account::{Event, State},
};

/// The projection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accounts;

const OPEN: &str = "STATE_OPEN";
const FROZEN: &str = "STATE_FROZEN";
const CLOSED: &str = "STATE_CLOSED";

/// What a caller may filter by.
pub(crate) const LISTING: Listing = Listing {
    fields: &[
        Field::choice("state", "state", &[(OPEN, OPEN), (FROZEN, FROZEN), (CLOSED, CLOSED)]),
        Field::text("currency_code", "currency"),
        Field::time("create_time", "opened"),
    ],
    key: "name",
    order: "create_time desc",
};

const SELECT: &str = "SELECT name, owner, currency, balance, state, opened, version FROM accounts";

impl Projection for Accounts {
    const NAME: &'static str = "accounts";
    const VERSION: i64 = 1;
    const IMMEDIATE: bool = true;
    const TABLES: &'static [Table] = &[Table {
        name: "accounts",
        columns: "name {text} PRIMARY KEY,
                  owner {text} NOT NULL,
                  currency {text} NOT NULL,
                  balance {bigint} NOT NULL,
                  state {text} NOT NULL,
                  opened {bigint} NOT NULL,
                  version {bigint} NOT NULL",
        indexes: &["owner, opened, name"],
    }];

    fn types(&self) -> Vec<String> {
        vec![
            proto::AccountOpened::full_name(),
            proto::MoneyDeposited::full_name(),
            proto::MoneyWithdrawn::full_name(),
            proto::MoneySent::full_name(),
            proto::MoneyReceived::full_name(),
            proto::MoneyReturned::full_name(),
            proto::AccountFrozen::full_name(),
            proto::AccountUnfrozen::full_name(),
            proto::AccountClosed::full_name(),
        ]
    }

    async fn apply(&self, into: &mut Writer<'_>, events: &[Logged]) -> Result<(), Error> {
        // A row is the state of its account, so it is folded as the account is.
        let mut changed: BTreeMap<&str, Recorded<Account>> = BTreeMap::new();
        for logged in events {
            let unknown = || Error::UnreadableStream {
                stream: logged.stream.clone(),
                version: logged.version,
                problem: "it is no event of an account",
            };
            let event = Account::decode(logged)?.ok_or_else(unknown)?;
            let known = match changed.remove(&*logged.stream) {
                None if !matches!(event, Event::Opened { .. }) => {
                    let sql = format!(
                        "{} WHERE name = $1",
                        SELECT.replace("FROM accounts", "FROM {accounts}")
                    );
                    into.query(&sql, params![&logged.stream])
                        .await?
                        .first()
                        .map(read)
                        .transpose()?
                }
                known => known,
            };
            let state = match known {
                None => Account::begin(&event).ok_or_else(unknown)?,
                Some(Recorded { mut state, .. }) => {
                    state.evolve(&event);
                    state
                }
            };
            changed.insert(&logged.stream, Recorded { state, version: logged.version });
        }
        let rows = changed.values().flat_map(|Recorded { state: it, version }| {
            let state = match it.state {
                State::Open => OPEN,
                State::Frozen => FROZEN,
                State::Closed => CLOSED,
            };
            let (name, owner, currency) = (it.id.as_str(), it.owner.as_str(), it.currency.as_str());
            params![name, owner, currency, it.balance, state, it.opened, *version]
        });
        into.insert(
            "INSERT INTO {accounts} (name, owner, currency, balance, state, opened, version)",
            7,
            rows.collect(),
            "ON CONFLICT (name) DO UPDATE SET balance = excluded.balance, state = excluded.state,
             version = excluded.version",
        )
        .await
    }
}

/// A page of an owner's accounts, and the token of the next page.
pub(crate) async fn list_accounts(
    store: &Store,
    owner: &UserId,
    query: Query,
) -> Result<(Vec<Recorded<Account>>, String), Error> {
    let page = query.only("owner", owner.as_str()).fetch(store, SELECT).await?;
    let accounts = page.rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok((accounts, page.next_page_token))
}

fn read(row: &Row) -> Result<Recorded<Account>, Error> {
    let state = Account {
        id: AccountId::named(row.get::<String>("name")?),
        owner: UserId::named(row.get::<String>("owner")?),
        currency: Currency::new(row.get::<String>("currency")?),
        balance: row.get("balance")?,
        state: match &*row.get::<String>("state")? {
            FROZEN => State::Frozen,
            CLOSED => State::Closed,
            _ => State::Open,
        },
        opened: row.get("opened")?,
    };
    Ok(Recorded { state, version: row.get("version")? })
}
