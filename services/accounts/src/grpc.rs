//! The contracts `titan.accounts.v1.AccountsService` and `TransfersService`:
//! parse, decide, answer.

mod wire;

use durable::{command::Command, list};
use titan::accounts::v1::{
    self as proto, CloseAccountRequest, CreateAccountRequest, CreateTransferRequest,
    DepositMoneyRequest, FreezeAccountRequest, GetAccountRequest, GetTransferRequest,
    ListAccountsRequest, ListAccountsResponse, ListEntriesRequest, ListEntriesResponse,
    UnfreezeAccountRequest, WithdrawMoneyRequest, accounts_service_server::AccountsService,
    transfers_service_server::TransfersService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    Bank,
    app::{
        self, Commands,
        commands::{self, Close, Deposit, Freeze, Open, Withdraw},
        queries::{GetAccount, GetTransfer, ListAccounts, ListEntries},
    },
    domain::{
        AccountId, Currency, Etag, Micros, Transfer, TransferId, account::Intent, transfer::State,
    },
    store,
};

/// Answers calls.
#[derive(Clone)]
pub(crate) struct Grpc {
    pub(crate) commands: Commands,
    pub(crate) bank: Bank,
    /// The time; injected, since the domain has no clock.
    pub(crate) clock: fn() -> Micros,
    /// New ids, unique and growing with time.
    pub(crate) ids: fn() -> Uuid,
}

type Answer<T = proto::Account> = Result<Response<T>, Status>;

/// Who asks, and what they have seen.
fn intent(etag: &str) -> Result<Intent, Status> {
    Ok(Intent { by: wire::caller()?, seen: Etag::given(etag) })
}

#[tonic::async_trait]
impl AccountsService for Grpc {
    async fn create_account(&self, request: Request<CreateAccountRequest>) -> Answer {
        let wanted = request.get_ref().account.clone().unwrap_or_default();
        let body = Open {
            account: AccountId::unique((self.ids)()),
            owner: wire::caller()?,
            currency: Currency::new(wanted.currency_code),
            at: (self.clock)(),
        };
        Ok(Response::new(self.commands.open(Command::of(&request, body)).await?))
    }

    async fn get_account(&self, request: Request<GetAccountRequest>) -> Answer {
        let request = request.into_inner();
        let at = wire::read_time(request.read_time.as_ref())?;
        let account = AccountId::named(request.name);
        let query = GetAccount { by: wire::caller()?, account, at };
        Ok(Response::new(app::account(query.run(&self.bank).await?)))
    }

    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Answer<ListAccountsResponse> {
        let request = request.get_ref();
        let by = wire::caller()?;
        let query = store::ACCOUNTS.query(list::Request {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: "",
            parent: by.as_str(),
        })?;
        let (accounts, next_page_token) = ListAccounts { by, query }.run(&self.bank).await?;
        let accounts = accounts.into_iter().map(app::account).collect();
        Ok(Response::new(ListAccountsResponse { accounts, next_page_token }))
    }

    async fn deposit_money(&self, request: Request<DepositMoneyRequest>) -> Answer {
        let wanted = request.get_ref();
        let account = AccountId::named(&wanted.name);
        let amount = wire::amount("amount", wanted.amount.as_ref())?;
        let body = Deposit { account, amount, intent: intent(&wanted.etag)? };
        Ok(Response::new(self.commands.deposit(Command::of(&request, body)).await?))
    }

    async fn withdraw_money(&self, request: Request<WithdrawMoneyRequest>) -> Answer {
        let wanted = request.get_ref();
        let account = AccountId::named(&wanted.name);
        let amount = wire::amount("amount", wanted.amount.as_ref())?;
        let body = Withdraw { account, amount, intent: intent(&wanted.etag)? };
        Ok(Response::new(self.commands.withdraw(Command::of(&request, body)).await?))
    }

    async fn close_account(&self, request: Request<CloseAccountRequest>) -> Answer {
        let wanted = request.get_ref();
        let account = AccountId::named(&wanted.name);
        let body = Close { account, intent: intent(&wanted.etag)? };
        Ok(Response::new(self.commands.close(Command::of(&request, body)).await?))
    }

    async fn freeze_account(&self, request: Request<FreezeAccountRequest>) -> Answer {
        let body = Freeze { account: AccountId::named(&request.get_ref().name), frozen: true };
        Ok(Response::new(self.commands.freeze(Command::of(&request, body)).await?))
    }

    async fn unfreeze_account(&self, request: Request<UnfreezeAccountRequest>) -> Answer {
        let body = Freeze { account: AccountId::named(&request.get_ref().name), frozen: false };
        Ok(Response::new(self.commands.freeze(Command::of(&request, body)).await?))
    }

    async fn list_entries(
        &self,
        request: Request<ListEntriesRequest>,
    ) -> Answer<ListEntriesResponse> {
        let request = request.get_ref();
        let query = store::ENTRIES.query(list::Request {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: "",
            parent: &request.parent,
        })?;
        let account = AccountId::named(&request.parent);
        let (by, seen) = (wire::caller()?, Etag::given(&request.etag));
        let list = ListEntries { by, account, seen, query };
        let (entries, next_page_token) = list.run(&self.bank).await?;
        let entries = entries.into_iter().map(Into::into).collect();
        Ok(Response::new(ListEntriesResponse { entries, next_page_token }))
    }
}

#[tonic::async_trait]
impl TransfersService for Grpc {
    async fn create_transfer(
        &self,
        request: Request<CreateTransferRequest>,
    ) -> Answer<proto::Transfer> {
        let wanted = request.get_ref().transfer.clone().unwrap_or_default();
        let body = commands::Request(Transfer {
            id: TransferId::new(&request.get_ref().transfer_id),
            by: wire::caller()?,
            source: AccountId::named(wanted.source),
            destination: AccountId::named(wanted.destination),
            amount: wire::amount("transfer.amount", wanted.amount.as_ref())?,
            requested: (self.clock)(),
            state: State::Requested,
        });
        Ok(Response::new(self.commands.request(Command::of(&request, body)).await?))
    }

    async fn get_transfer(&self, request: Request<GetTransferRequest>) -> Answer<proto::Transfer> {
        let transfer = TransferId::named(request.into_inner().name);
        let query = GetTransfer { by: wire::caller()?, transfer };
        Ok(Response::new(query.run(&self.bank).await?.into()))
    }
}
