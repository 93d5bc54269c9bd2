//! What each command does in its transaction.

use durable::{Tx, aggregate::Repository, command::Handler, saga::Sagas};
use titan::accounts::v1 as proto;

use super::{
    Error, MoveMoney, answer,
    commands::{Close, Deposit, Freeze, Open, Request, Withdraw},
};
use crate::{
    Bank,
    domain::{Account, Transfer},
};

type Answer = Result<proto::Account, Error>;

/// Handles what is asked of accounts.
#[derive(Clone, Debug)]
pub(crate) struct Accounts(pub(crate) Repository<Account>);

impl Handler<Open> for Accounts {
    type Answer = proto::Account;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: Open) -> Answer {
        let stream = it.account.to_string();
        let events = Account::open(it.account, it.owner, it.currency, it.at);
        Ok(answer::account(self.0.create_in(tx, &stream, events).await?))
    }
}

impl Handler<Deposit> for Accounts {
    type Answer = proto::Account;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: Deposit) -> Answer {
        let Deposit { account, amount, intent } = it;
        let account = self.0.update_in(tx, account.as_str(), |account| {
            account.state.deposit(&amount, account.version, &intent)
        });
        Ok(answer::account(account.await?))
    }
}

impl Handler<Withdraw> for Accounts {
    type Answer = proto::Account;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: Withdraw) -> Answer {
        let Withdraw { account, amount, intent } = it;
        let account = self.0.update_in(tx, account.as_str(), |account| {
            account.state.withdraw(&amount, account.version, &intent)
        });
        Ok(answer::account(account.await?))
    }
}

impl Handler<Close> for Accounts {
    type Answer = proto::Account;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: Close) -> Answer {
        let Close { account, intent } = it;
        let account = self.0.update_in(tx, account.as_str(), |account| {
            account.state.close(account.version, &intent)
        });
        Ok(answer::account(account.await?))
    }
}

impl Handler<Freeze> for Accounts {
    type Answer = proto::Account;
    type Error = Error;

    async fn handle(&self, tx: &mut Tx, it: Freeze) -> Answer {
        let account = self.0.update_in(tx, it.account.as_str(), |account| {
            if it.frozen { account.state.freeze() } else { Ok(account.state.unfreeze()) }
        });
        Ok(answer::account(account.await?))
    }
}

/// Handles what is asked of transfers.
#[derive(Clone, Debug)]
pub(crate) struct Transfers {
    accounts: Repository<Account>,
    transfers: Repository<Transfer>,
    sagas: Sagas,
}

impl Transfers {
    pub(crate) fn new(bank: &Bank) -> Self {
        let (accounts, transfers) = (bank.accounts.clone(), bank.transfers.clone());
        Transfers { accounts, transfers, sagas: bank.sagas.clone() }
    }
}

impl Handler<Request> for Transfers {
    type Answer = proto::Transfer;
    type Error = Error;

    /// The transfer and the saga that moves its money begin together. Asked for
    /// again, both are there.
    async fn handle(
        &self,
        tx: &mut Tx,
        Request(wanted): Request,
    ) -> Result<proto::Transfer, Error> {
        let source = self.accounts.load_in(tx, wanted.source.as_str()).await?;
        source.ok_or(Error::NoAccount)?.state.admit_owner(&wanted.by)?;
        let id = wanted.id.to_string();
        let transfer = self.transfers.upsert_in(tx, &id, |known| {
            Transfer::request(wanted.clone(), known.map(|known| &known.state))
        });
        let transfer = transfer.await?;
        self.sagas.start(tx, &id, &MoveMoney { transfer: id.clone() }).await?;
        Ok(transfer.state.into())
    }
}
