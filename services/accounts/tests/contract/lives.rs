//! From opening to closing: whose an account is, what it is and what it was.

use titan::accounts::v1::account::State;
use tonic::Code;

use crate::support::{everywhere, refusal, refused, units};

#[tokio::test]
async fn an_account_is_opened_empty_for_its_owner() {
    everywhere(async |service| {
        let ada = service.user("ada");
        let account = ada.open_in("EUR").await.unwrap();
        assert_eq!((account.owner.as_str(), account.state()), ("users/ada", State::Open));
        assert_eq!((units(&account), account.currency_code.as_str()), (0, "EUR"));
        assert_eq!(ada.get(&account.name).await.unwrap(), account);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_currency_and_what_is_no_name_is_refused() {
    everywhere(async |service| {
        let ada = service.user("ada");
        for currency in ["", "eur", "EURO"] {
            let (code, _) = refused(ada.open_in(currency).await);
            assert_eq!(code, Code::InvalidArgument, "{currency}");
        }
        let none = refused(ada.get("accounts/none").await);
        assert_eq!(none, refusal(Code::NotFound, "ACCOUNT_NOT_FOUND"));
        assert_eq!(refused(ada.get("accounts/No").await).0, Code::InvalidArgument);
    })
    .await;
}

#[tokio::test]
async fn an_account_is_its_owners_business() {
    everywhere(async |service| {
        let (ada, bob) = (service.user("ada"), service.user("bob"));
        let account = ada.open(50).await;
        let not_owner = refusal(Code::PermissionDenied, "NOT_OWNER");
        assert_eq!(refused(bob.get(&account).await), not_owner);
        assert_eq!(refused(bob.deposit(&account, 1).await), not_owner);
        assert_eq!(refused(bob.withdraw(&account, 1).await), not_owner);
        assert_eq!(refused(bob.close(&account, "").await), not_owner);
        assert_eq!(refused(bob.statement(&account, 0, "", "").await), not_owner);
        assert_eq!(bob.list(0, "").await.unwrap(), vec![]);
        assert_eq!(refused(service.nobody().get(&account).await).0, Code::Unauthenticated);
        assert_eq!(refused(ada.freeze(&account).await).0, Code::PermissionDenied);
        assert_eq!(units(&ada.get(&account).await.unwrap()), 50);
    })
    .await;
}

#[tokio::test]
async fn whoever_has_an_answer_finds_it_in_the_list_of_any_replica() {
    everywhere(async |service| {
        let (ada, elsewhere) = (service.user("ada"), service.at(1, "ada", &[]));
        let mut newest = Vec::new();
        for cents in [10, 20, 30] {
            let name = ada.open(cents).await;
            let account = ada.get(&name).await.unwrap();
            newest.insert(0, account);
            assert_eq!(elsewhere.list(2, "").await.unwrap(), newest);
        }
        ada.withdraw(&newest[0].name, 30).await.unwrap();
        newest[0] = ada.close(&newest[0].name, "").await.unwrap();
        assert_eq!(elsewhere.list(0, "").await.unwrap(), newest);
        let open = elsewhere.list(0, "state = STATE_OPEN").await.unwrap();
        assert_eq!(open, newest[1..]);
    })
    .await;
}

#[tokio::test]
async fn an_account_is_closed_when_it_is_empty_and_for_good() {
    everywhere(async |service| {
        let ada = service.user("ada");
        let account = ada.open(5).await;
        let full = refused(ada.close(&account, "").await);
        assert_eq!(full, refusal(Code::FailedPrecondition, "ACCOUNT_NOT_EMPTY"));
        let empty = ada.withdraw(&account, 5).await.unwrap();
        let closed = ada.close(&account, &empty.etag).await.unwrap();
        assert_eq!(closed.state(), State::Closed);
        // Repeated with the etag of before, since its answer may have been lost.
        assert_eq!(ada.close(&account, &empty.etag).await.unwrap(), closed);
        let refused = refused(ada.deposit(&account, 1).await);
        assert_eq!(refused, refusal(Code::FailedPrecondition, "ACCOUNT_CLOSED"));
    })
    .await;
}

#[tokio::test]
async fn no_money_moves_on_a_frozen_account() {
    everywhere(async |service| {
        let (ada, admin) = (service.user("ada"), service.admin());
        let account = ada.open(5).await;
        let frozen = admin.freeze(&account).await.unwrap();
        assert_eq!((frozen.state(), units(&frozen)), (State::Frozen, 5));
        assert_eq!(admin.freeze(&account).await.unwrap(), frozen);
        let no = refusal(Code::FailedPrecondition, "ACCOUNT_FROZEN");
        assert_eq!(refused(ada.deposit(&account, 1).await), no);
        assert_eq!(refused(ada.withdraw(&account, 1).await), no);
        assert_eq!(refused(ada.close(&account, "").await), no);
        admin.unfreeze(&account).await.unwrap();
        assert_eq!(units(&ada.withdraw(&account, 5).await.unwrap()), 0);
    })
    .await;
}

#[tokio::test]
async fn the_balance_at_any_past_time_is_known() {
    everywhere(async |service| {
        let _busy = service.work();
        let ada = service.user("ada");
        let account = ada.open_in("EUR").await.unwrap();
        let mut last = account.clone();
        for cents in [10, 20, 40] {
            last = ada.deposit(&account.name, cents).await.unwrap();
        }
        let statement = ada.statement(&account.name, 0, "", &last.etag).await.unwrap();
        for (entry, balance) in statement.iter().rev().zip([10, 30, 70]) {
            let then = ada.get_at(&account.name, entry.create_time).await.unwrap();
            assert_eq!(units(&then), balance);
            let mut before = entry.create_time.unwrap();
            before.nanos -= 1_000;
            if before.nanos < 0 {
                before = prost_types::Timestamp { seconds: before.seconds - 1, nanos: 999_999_000 };
            }
            let before = ada.get_at(&account.name, Some(before)).await.unwrap();
            assert_eq!(units(&before), balance - entry.amount.as_ref().unwrap().minor_units);
        }
        let long_ago = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
        let never = refused(ada.get_at(&account.name, long_ago).await);
        assert_eq!(never, refusal(Code::NotFound, "ACCOUNT_NOT_FOUND"));
    })
    .await;
}
