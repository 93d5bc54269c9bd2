//! Statements: every movement, once, in order, and never before it is waited for.

use titan::accounts::v1::entry::Kind;
use tonic::Code;

use crate::support::{everywhere, refusal, refused};

#[tokio::test]
async fn a_statement_holds_what_its_reader_has_done() {
    everywhere(async |service| {
        let _busy = service.work();
        let (ada, elsewhere) = (service.user("ada"), service.at(1, "ada", &[]));
        let account = ada.open(0).await;
        let mut lines = Vec::new();
        for cents in 1..=12 {
            let last = ada.deposit(&account, cents).await.unwrap();
            lines.insert(0, (cents, cents * (cents + 1) / 2));
            let statement = elsewhere.statement(&account, 5, "", &last.etag).await.unwrap();
            let told: Vec<_> = statement
                .iter()
                .map(|entry| {
                    let units = |money: &Option<titan::money::v1::Money>| {
                        money.as_ref().unwrap().minor_units
                    };
                    (units(&entry.amount), units(&entry.balance))
                })
                .collect();
            assert_eq!(told, lines);
        }
    })
    .await;
}

#[tokio::test]
async fn a_statement_is_filtered_and_named() {
    everywhere(async |service| {
        let _busy = service.work();
        let ada = service.user("ada");
        let account = ada.open(50).await;
        let last = ada.withdraw(&account, 20).await.unwrap();
        let filter = "kind = KIND_WITHDRAWAL";
        let out = ada.statement(&account, 0, filter, &last.etag).await.unwrap();
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].kind(), Kind::Withdrawal);
        assert_eq!(out[0].name, format!("{account}/entries/3"));
        let unknown = refused(ada.statement(&account, 0, "colour = red", "").await);
        assert_eq!(unknown.0, Code::InvalidArgument);
    })
    .await;
}

#[tokio::test]
async fn a_state_that_never_was_is_not_waited_for() {
    everywhere(async |service| {
        let _busy = service.work();
        let ada = service.user("ada");
        let account = ada.open(50).await;
        for etag in ["77", "nonsense"] {
            let never = refused(ada.statement(&account, 0, "", etag).await);
            assert_eq!(never, refusal(Code::OutOfRange, "VERSION_BEYOND_END"));
        }
    })
    .await;
}
