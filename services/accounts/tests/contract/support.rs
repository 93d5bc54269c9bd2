//! What every test of this service needs: two replicas of it on one fresh
//! database, people who call them, and what a refusal says.

use std::{fmt::Debug, future::Future, time::Duration};

use accounts::{Bank, Config};
use durable::testing::backends;
use mesh::{
    Channel, status,
    testing::{Mesh, Running},
};
use titan::{
    accounts::v1::{
        Account, CloseAccountRequest, CreateAccountRequest, CreateTransferRequest,
        DepositMoneyRequest, Entry, FreezeAccountRequest, GetAccountRequest, GetTransferRequest,
        ListAccountsRequest, ListEntriesRequest, Transfer, UnfreezeAccountRequest,
        WithdrawMoneyRequest,
        accounts_service_client::AccountsServiceClient,
        transfer::{Failure, State},
        transfers_service_client::TransfersServiceClient,
    },
    money::v1::Money,
};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Status};

/// Two replicas on one database.
pub(crate) struct Service {
    replicas: [Replica; 2],
}

struct Replica {
    mesh: Mesh,
    bank: Bank,
    _running: Running,
}

/// A user who calls one of the replicas.
#[derive(Clone)]
pub(crate) struct Person {
    accounts: AccountsServiceClient<Channel>,
    transfers: TransfersServiceClient<Channel>,
}

/// Runs a test on a fresh database of every kind.
pub(crate) async fn everywhere(test: impl AsyncFn(Service)) {
    for backend in backends().await {
        let mut replicas = Vec::new();
        for _ in 0..2 {
            let store = backend.open(accounts::MIGRATIONS).await;
            let bank = Bank::open(store).await.unwrap();
            let mesh = Mesh::new().await;
            let routes = bank.routes(&Config::default());
            let running = mesh.serve("accounts", titan::DESCRIPTORS, routes).await;
            replicas.push(Replica { mesh, bank, _running: running });
        }
        let Ok(replicas) = replicas.try_into() else { unreachable!("there are two") };
        test(Service { replicas }).await;
    }
}

/// What a process does beside answering, until it is dropped.
pub(crate) struct Busy(Vec<JoinHandle<()>>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Service {
    /// Lets both replicas move money and keep statements, as their processes do.
    pub(crate) fn work(&self) -> Busy {
        let work = |replica: &Replica| {
            let bank = replica.bank.clone();
            [tokio::spawn(bank.clone().project()), tokio::spawn(bank.transfer())]
        };
        Busy(self.replicas.iter().flat_map(work).collect())
    }

    /// A user at the first replica.
    pub(crate) fn user(&self, id: &str) -> Person {
        self.at(0, id, &[])
    }

    /// A user at one of the replicas.
    pub(crate) fn at(&self, replica: usize, id: &str, roles: &[&str]) -> Person {
        Person::on(self.replicas[replica].mesh.channel_as("accounts", id, roles))
    }

    /// One who may freeze.
    pub(crate) fn admin(&self) -> Person {
        self.at(0, "root", &["admin"])
    }

    /// Nobody in particular.
    pub(crate) fn nobody(&self) -> Person {
        Person::on(self.replicas[0].mesh.channel("accounts"))
    }
}

pub(crate) fn euros(minor_units: i64) -> Option<Money> {
    Some(Money { currency_code: "EUR".into(), minor_units })
}

/// What is on an account.
pub(crate) fn units(account: &Account) -> i64 {
    account.balance.as_ref().unwrap().minor_units
}

impl Person {
    fn on(channel: Channel) -> Self {
        let accounts = AccountsServiceClient::new(channel.clone());
        Person { accounts, transfers: TransfersServiceClient::new(channel) }
    }

    pub(crate) async fn open_in(&self, currency: &str) -> Result<Account, Status> {
        let account = Account { currency_code: currency.into(), ..Account::default() };
        let request = CreateAccountRequest { account: Some(account) };
        Ok(self.accounts.clone().create_account(request).await?.into_inner())
    }

    /// An account with so many cents on it; its name.
    pub(crate) async fn open(&self, cents: i64) -> String {
        let account = self.open_in("EUR").await.unwrap();
        if cents > 0 {
            self.deposit(&account.name, cents).await.unwrap();
        }
        account.name
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Account, Status> {
        self.get_at(name, None).await
    }

    pub(crate) async fn get_at(
        &self,
        name: &str,
        read_time: Option<prost_types::Timestamp>,
    ) -> Result<Account, Status> {
        let request = GetAccountRequest { name: name.into(), read_time };
        Ok(self.accounts.clone().get_account(request).await?.into_inner())
    }

    pub(crate) async fn list(&self, page_size: i32, filter: &str) -> Result<Vec<Account>, Status> {
        let (mut accounts, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListAccountsRequest { page_size, page_token, filter: filter.into() };
            let page = self.accounts.clone().list_accounts(request).await?.into_inner();
            accounts.extend(page.accounts);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(accounts);
            }
        }
    }

    pub(crate) async fn deposit(&self, name: &str, cents: i64) -> Result<Account, Status> {
        let etag = String::new();
        self.deposit_as(DepositMoneyRequest { name: name.into(), amount: euros(cents), etag }).await
    }

    pub(crate) async fn deposit_as(
        &self,
        request: impl tonic::IntoRequest<DepositMoneyRequest>,
    ) -> Result<Account, Status> {
        Ok(self.accounts.clone().deposit_money(request).await?.into_inner())
    }

    pub(crate) async fn withdraw(&self, name: &str, cents: i64) -> Result<Account, Status> {
        self.withdraw_seen(name, cents, "").await
    }

    pub(crate) async fn withdraw_seen(
        &self,
        name: &str,
        cents: i64,
        etag: &str,
    ) -> Result<Account, Status> {
        let etag = etag.into();
        let request = WithdrawMoneyRequest { name: name.into(), amount: euros(cents), etag };
        Ok(self.accounts.clone().withdraw_money(request).await?.into_inner())
    }

    /// As a client does that wants to know: under a key, and again after an
    /// answer that leaves the outcome open, as a busy machine gives.
    pub(crate) async fn withdraw_surely(
        &self,
        number: usize,
        name: &str,
        cents: i64,
    ) -> Result<Account, Status> {
        loop {
            let (amount, etag) = (euros(cents), String::new());
            let wanted = WithdrawMoneyRequest { name: name.into(), amount, etag };
            let request = once(&format!("withdrawal-{number}"), wanted);
            match self.accounts.clone().withdraw_money(request).await {
                Err(status) if open_to_repetition(status.code()) => {}
                answer => return Ok(answer?.into_inner()),
            }
        }
    }

    pub(crate) async fn close(&self, name: &str, etag: &str) -> Result<Account, Status> {
        let request = CloseAccountRequest { name: name.into(), etag: etag.into() };
        Ok(self.accounts.clone().close_account(request).await?.into_inner())
    }

    pub(crate) async fn freeze(&self, name: &str) -> Result<Account, Status> {
        let request = FreezeAccountRequest { name: name.into() };
        Ok(self.accounts.clone().freeze_account(request).await?.into_inner())
    }

    pub(crate) async fn unfreeze(&self, name: &str) -> Result<Account, Status> {
        let request = UnfreezeAccountRequest { name: name.into() };
        Ok(self.accounts.clone().unfreeze_account(request).await?.into_inner())
    }

    /// A statement, page by page, that holds what an etag stands for.
    pub(crate) async fn statement(
        &self,
        parent: &str,
        page_size: i32,
        filter: &str,
        etag: &str,
    ) -> Result<Vec<Entry>, Status> {
        let (mut entries, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListEntriesRequest {
                parent: parent.into(),
                page_size,
                page_token,
                filter: filter.into(),
                etag: etag.into(),
            };
            let page = self.accounts.clone().list_entries(request).await?.into_inner();
            entries.extend(page.entries);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(entries);
            }
        }
    }

    pub(crate) async fn transfer(
        &self,
        id: &str,
        source: &str,
        destination: &str,
        amount: Option<Money>,
    ) -> Result<Transfer, Status> {
        let (source, destination) = (source.into(), destination.into());
        let transfer = Transfer { source, destination, amount, ..Transfer::default() };
        let request =
            CreateTransferRequest { transfer: Some(transfer), transfer_id: id.to_owned() };
        Ok(self.transfers.clone().create_transfer(request).await?.into_inner())
    }

    pub(crate) async fn transferred(&self, id: &str) -> Result<Transfer, Status> {
        let request = GetTransferRequest { name: format!("transfers/{id}") };
        Ok(self.transfers.clone().get_transfer(request).await?.into_inner())
    }

    /// Where a transfer ends, and why.
    pub(crate) async fn end_of(&self, id: &str) -> (State, Failure) {
        within(async {
            loop {
                let transfer = self.transferred(id).await.unwrap();
                if transfer.state() != State::Pending {
                    return (transfer.state(), transfer.failure());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
}

/// A request under an idempotency key.
pub(crate) fn once<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("idempotency-key", key.parse().unwrap());
    request
}

/// Fails a test that would hang.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it happens within a minute")
}

fn open_to_repetition(code: Code) -> bool {
    matches!(code, Code::DeadlineExceeded | Code::Unavailable | Code::Aborted)
}

/// The code of a refusal, and its reason.
#[track_caller]
pub(crate) fn refused<T: Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    (status.code(), status::reason(&status).unwrap_or_default())
}

/// A refusal as [`refused`] tells it.
pub(crate) fn refusal(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}
