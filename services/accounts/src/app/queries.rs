//! Questions. They read what is committed, change nothing and lock nothing.

use std::time::Duration;

use durable::{aggregate::Recorded, list::Query};

use super::Error;
use crate::{
    Bank,
    domain::{Account, AccountId, Etag, Micros, Transfer, TransferId, UserId},
    store::{self, Entry},
};

/// How long a statement is waited for: a part of the method's deadline, and far
/// more than a projection that runs ever takes.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is, or was, this account?
#[derive(Clone, Debug)]
pub(crate) struct GetAccount {
    pub(crate) by: UserId,
    pub(crate) account: AccountId,
    pub(crate) at: Option<Micros>,
}

/// Which accounts has this user?
#[derive(Debug)]
pub(crate) struct ListAccounts {
    pub(crate) by: UserId,
    pub(crate) query: Query,
}

/// What moved on this account?
#[derive(Debug)]
pub(crate) struct ListEntries {
    pub(crate) by: UserId,
    pub(crate) account: AccountId,
    /// A state that the statement must hold.
    pub(crate) seen: Option<Etag>,
    pub(crate) query: Query,
}

/// Where is this transfer?
#[derive(Clone, Debug)]
pub(crate) struct GetTransfer {
    pub(crate) by: UserId,
    pub(crate) transfer: TransferId,
}

impl GetAccount {
    pub(crate) async fn run(self, bank: &Bank) -> Result<Recorded<Account>, Error> {
        let name = self.account.as_str();
        let account = match self.at {
            None => bank.accounts.load(name).await?,
            Some(at) => bank.accounts.at(name, at).await?,
        };
        let account = account.ok_or(Error::NoAccount)?;
        account.state.admit_owner(&self.by)?;
        Ok(account)
    }
}

impl ListAccounts {
    /// A page of them, and the token of the next page.
    pub(crate) async fn run(self, bank: &Bank) -> Result<(Vec<Recorded<Account>>, String), Error> {
        Ok(store::list_accounts(&bank.store, &self.by, self.query).await?)
    }
}

impl ListEntries {
    /// A page of the statement, and the token of the next page.
    pub(crate) async fn run(self, bank: &Bank) -> Result<(Vec<Entry>, String), Error> {
        let Self { by, account, seen, query } = self;
        GetAccount { by, account: account.clone(), at: None }.run(bank).await?;
        if let Some(Etag(version)) = seen {
            bank.entries.wait(account.as_str(), version, PATIENCE).await?;
        }
        Ok(store::list_entries(&bank.store, &account, query).await?)
    }
}

impl GetTransfer {
    pub(crate) async fn run(self, bank: &Bank) -> Result<Transfer, Error> {
        let transfer = bank.transfers.load(self.transfer.as_str()).await?;
        let transfer = transfer.ok_or(Error::NoTransfer)?.state;
        transfer.admit(&self.by)?;
        Ok(transfer)
    }
}
