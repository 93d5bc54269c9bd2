//! Commands: what may be asked to happen, as plain values, and the layers that
//! each of them passes on its way to its handler.

use durable::command::{self, Command, Handler, handler};
use prost::Message;
use titan::accounts::v1 as proto;
use tower::{ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};

use super::{
    Error,
    handlers::{Accounts, Transfers},
};
use crate::{
    Bank,
    domain::{AccountId, Currency, Micros, Money, Transfer, UserId, account::Intent},
};

/// Opens an account.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) account: AccountId,
    pub(crate) owner: UserId,
    pub(crate) currency: Currency,
    pub(crate) at: Micros,
}

/// Pays cash in.
#[derive(Clone, Debug)]
pub(crate) struct Deposit {
    pub(crate) account: AccountId,
    pub(crate) amount: Money,
    pub(crate) intent: Intent,
}

/// Takes cash out.
#[derive(Clone, Debug)]
pub(crate) struct Withdraw {
    pub(crate) account: AccountId,
    pub(crate) amount: Money,
    pub(crate) intent: Intent,
}

/// Closes an account.
#[derive(Clone, Debug)]
pub(crate) struct Close {
    pub(crate) account: AccountId,
    pub(crate) intent: Intent,
}

/// Keeps money from moving, or lets it move again.
#[derive(Clone, Debug)]
pub(crate) struct Freeze {
    pub(crate) account: AccountId,
    pub(crate) frozen: bool,
}

/// Begins a transfer.
#[derive(Clone, Debug)]
pub(crate) struct Request(pub(crate) Transfer);

/// A command's way to its handler. The answer is a message of the contract, since
/// that is what is kept and given again when a call is repeated.
type Way<C, A = proto::Account> = BoxCloneSyncService<Command<C>, A, Error>;

/// The ways of all commands.
#[derive(Clone)]
pub(crate) struct Commands {
    open: Way<Open>,
    deposit: Way<Deposit>,
    withdraw: Way<Withdraw>,
    close: Way<Close>,
    freeze: Way<Freeze>,
    request: Way<Request, proto::Transfer>,
}

impl Commands {
    pub(crate) fn new(bank: &Bank) -> Self {
        let accounts = Accounts(bank.accounts.clone());
        Self {
            open: way(bank, accounts.clone()),
            deposit: way(bank, accounts.clone()),
            withdraw: way(bank, accounts.clone()),
            close: way(bank, accounts.clone()),
            freeze: way(bank, accounts),
            request: way(bank, Transfers::new(bank)),
        }
    }

    pub(crate) async fn open(&self, it: Command<Open>) -> Answer {
        self.open.clone().oneshot(it).await
    }

    pub(crate) async fn deposit(&self, it: Command<Deposit>) -> Answer {
        self.deposit.clone().oneshot(it).await
    }

    pub(crate) async fn withdraw(&self, it: Command<Withdraw>) -> Answer {
        self.withdraw.clone().oneshot(it).await
    }

    pub(crate) async fn close(&self, it: Command<Close>) -> Answer {
        self.close.clone().oneshot(it).await
    }

    pub(crate) async fn freeze(&self, it: Command<Freeze>) -> Answer {
        self.freeze.clone().oneshot(it).await
    }

    pub(crate) async fn request(&self, it: Command<Request>) -> Result<proto::Transfer, Error> {
        self.request.clone().oneshot(it).await
    }
}

type Answer = Result<proto::Account, Error>;

fn way<C, A, H>(bank: &Bank, to: H) -> Way<C, A>
where
    C: Clone + Send + Sync + 'static,
    A: Message + Default + 'static,
    H: Handler<C, Answer = A, Error = Error>,
{
    // Outermost first.
    let way = ServiceBuilder::new()
        .layer(command::trace())
        .layer(command::transaction(bank.store.clone()))
        // Within it: an answer is kept when its effect is.
        .layer(command::idempotent())
        .service(handler(to));
    Way::new(way)
}
