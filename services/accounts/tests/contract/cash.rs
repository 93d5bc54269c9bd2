//! Cash, in and out: repeated, raced and refused.

use titan::accounts::v1::DepositMoneyRequest;
use tonic::Code;

use crate::support::{euros, everywhere, once, refusal, refused, units, within};

#[tokio::test]
async fn cash_changes_the_balance_and_the_etag() {
    everywhere(async |service| {
        let ada = service.user("ada");
        let account = ada.open_in("EUR").await.unwrap();
        let in_ = ada.deposit(&account.name, 70).await.unwrap();
        let out = ada.withdraw(&account.name, 30).await.unwrap();
        assert_eq!((units(&in_), units(&out)), (70, 40));
        assert!(account.etag != in_.etag && in_.etag != out.etag);
        assert_eq!(ada.get(&account.name).await.unwrap(), out);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_move_is_refused_and_moves_nothing() {
    everywhere(async |service| {
        let ada = service.user("ada");
        let account = ada.open(50).await;
        let short = refused(ada.withdraw(&account, 51).await);
        assert_eq!(short, refusal(Code::FailedPrecondition, "INSUFFICIENT_FUNDS"));
        for cents in [0, -1] {
            assert_eq!(refused(ada.withdraw(&account, cents).await).0, Code::InvalidArgument);
            assert_eq!(refused(ada.deposit(&account, cents).await).0, Code::InvalidArgument);
        }
        let yen = titan::money::v1::Money { currency_code: "JPY".into(), minor_units: 5 };
        let yen = DepositMoneyRequest { name: account.clone(), amount: Some(yen), etag: "".into() };
        let other = refused(ada.deposit_as(yen).await);
        assert_eq!(other, refusal(Code::FailedPrecondition, "CURRENCY_MISMATCH"));
        assert_eq!(units(&ada.get(&account).await.unwrap()), 50);
    })
    .await;
}

#[tokio::test]
async fn a_deposit_under_one_key_is_made_once() {
    everywhere(async |service| {
        let (ada, elsewhere) = (service.user("ada"), service.at(1, "ada", &[]));
        let account = ada.open(0).await;
        let deposit = |cents| {
            let amount = euros(cents);
            once("k-1", DepositMoneyRequest { name: account.clone(), amount, etag: "".into() })
        };
        let first = ada.deposit_as(deposit(70)).await.unwrap();
        let second = elsewhere.deposit_as(deposit(70)).await.unwrap();
        assert_eq!(first, second);
        let other = refused(ada.deposit_as(deposit(71)).await);
        assert_eq!(other, refusal(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED"));
        assert_eq!(units(&ada.get(&account).await.unwrap()), 70);
    })
    .await;
}

#[tokio::test]
async fn what_was_meant_for_another_state_is_aborted() {
    everywhere(async |service| {
        let ada = service.user("ada");
        let account = ada.open(50).await;
        let seen = ada.get(&account).await.unwrap();
        ada.withdraw_seen(&account, 10, &seen.etag).await.unwrap();
        let stale = refused(ada.withdraw_seen(&account, 10, &seen.etag).await);
        assert_eq!(stale, refusal(Code::Aborted, "ETAG_MISMATCH"));
        let nonsense = refused(ada.withdraw_seen(&account, 10, "nonsense").await);
        assert_eq!(nonsense, refusal(Code::Aborted, "ETAG_MISMATCH"));
        assert_eq!(units(&ada.get(&account).await.unwrap()), 40);
    })
    .await;
}

#[tokio::test]
async fn racing_withdrawals_at_two_replicas_never_overdraw() {
    const PEOPLE: usize = 16;
    everywhere(async |service| {
        let ada = service.user("ada");
        let account = ada.open(80).await;
        let race = (0..PEOPLE).map(|number| {
            let (person, account) = (service.at(number % 2, "ada", &[]), account.clone());
            tokio::spawn(async move { person.withdraw_surely(number, &account, 10).await })
        });
        let (mut paid, mut short) = (Vec::new(), 0);
        for withdrawal in race.collect::<Vec<_>>() {
            match within(withdrawal).await.unwrap() {
                Ok(account) => paid.push(units(&account)),
                Err(status) => {
                    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
                    short += 1;
                }
            }
        }
        paid.sort_unstable();
        assert_eq!(paid, (0..8).map(|ten| ten * 10).collect::<Vec<_>>());
        assert_eq!(short, PEOPLE - 8);
        assert_eq!(units(&ada.get(&account).await.unwrap()), 0);
    })
    .await;
}

#[tokio::test]
async fn a_long_life_is_known_by_its_snapshots() {
    everywhere(async |service| {
        let ada = service.user("ada");
        let account = ada.open(0).await;
        for _ in 0..105 {
            ada.deposit(&account, 1).await.unwrap();
        }
        // Past the hundredth event; the other replica reads the snapshot.
        let elsewhere = service.at(1, "ada", &[]);
        assert_eq!(units(&elsewhere.withdraw(&account, 5).await.unwrap()), 100);
    })
    .await;
}
