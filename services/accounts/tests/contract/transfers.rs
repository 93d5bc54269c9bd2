//! Transfers: the money arrives or is where it was, and there is never more or
//! less of it.

use titan::accounts::v1::{entry::Kind, transfer::Failure, transfer::State};
use tonic::Code;

use crate::support::{euros, everywhere, refusal, refused, units, within};

#[tokio::test]
async fn money_goes_to_anybodys_account() {
    everywhere(async |service| {
        let _busy = service.work();
        let (ada, bob) = (service.user("ada"), service.at(1, "bob", &[]));
        let (from, to) = (ada.open(100).await, bob.open(0).await);
        let begun = ada.transfer("transfer-1", &from, &to, euros(60)).await.unwrap();
        assert_eq!(begun.name, "transfers/transfer-1");
        assert_eq!(ada.end_of("transfer-1").await, (State::Completed, Failure::Unspecified));
        let (left, came) = (ada.get(&from).await.unwrap(), bob.get(&to).await.unwrap());
        assert_eq!((units(&left), units(&came)), (40, 60));

        let statement = bob.statement(&to, 0, "", &came.etag).await.unwrap();
        assert_eq!(statement[0].kind(), Kind::TransferIn);
        assert_eq!(statement[0].transfer, begun.name);
        let strangers = refused(bob.transferred("transfer-1").await);
        assert_eq!(strangers, refusal(Code::PermissionDenied, "NOT_REQUESTER"));
    })
    .await;
}

#[tokio::test]
async fn a_transfer_that_is_repeated_by_its_id_happens_once() {
    everywhere(async |service| {
        let _busy = service.work();
        let (ada, bob) = (service.user("ada"), service.user("bob"));
        let (from, to) = (ada.open(100).await, bob.open(0).await);
        let repeated = (0..8).map(|number| {
            let person = service.at(number % 2, "ada", &[]);
            let (from, to) = (from.clone(), to.clone());
            tokio::spawn(async move { person.transfer("transfer-1", &from, &to, euros(30)).await })
        });
        for one in repeated.collect::<Vec<_>>() {
            assert_eq!(within(one).await.unwrap().unwrap().name, "transfers/transfer-1");
        }
        assert_eq!(ada.end_of("transfer-1").await.0, State::Completed);
        let again = ada.transfer("transfer-1", &from, &to, euros(30)).await.unwrap();
        assert_eq!(again.state(), State::Completed);
        let other = refused(ada.transfer("transfer-1", &from, &to, euros(31)).await);
        assert_eq!(other, refusal(Code::AlreadyExists, "TRANSFER_EXISTS"));
        assert_eq!(units(&ada.get(&from).await.unwrap()), 70);
        assert_eq!(units(&bob.get(&to).await.unwrap()), 30);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_begun_is_refused_at_once() {
    everywhere(async |service| {
        let (ada, bob) = (service.user("ada"), service.user("bob"));
        let (from, to) = (ada.open(100).await, bob.open(0).await);
        let none = "accounts/none";
        let stolen = refused(bob.transfer("transfer-1", &from, &to, euros(1)).await);
        assert_eq!(stolen, refusal(Code::PermissionDenied, "NOT_OWNER"));
        let nowhere = refused(ada.transfer("transfer-1", none, &to, euros(1)).await);
        assert_eq!(nowhere, refusal(Code::NotFound, "ACCOUNT_NOT_FOUND"));
        for (id, destination, cents) in
            [("transfer-1", &from, 1), ("transfer-1", &to, 0), ("short", &to, 1)]
        {
            let wrong = refused(ada.transfer(id, &from, destination, euros(cents)).await);
            assert_eq!(wrong.0, Code::InvalidArgument, "{id} {cents}");
        }
        let never = refused(ada.transferred("transfer-1").await);
        assert_eq!(never, refusal(Code::NotFound, "TRANSFER_NOT_FOUND"));
    })
    .await;
}

#[tokio::test]
async fn a_refused_transfer_leaves_the_money_where_it_was() {
    everywhere(async |service| {
        let _busy = service.work();
        let (ada, bob, admin) = (service.user("ada"), service.user("bob"), service.admin());
        let from = ada.open(100).await;
        let (frozen, closed) = (bob.open(0).await, bob.open(0).await);
        admin.freeze(&frozen).await.unwrap();
        bob.close(&closed, "").await.unwrap();
        let yen = bob.open_in("JPY").await.unwrap().name;
        let poor = ada.open(5).await;
        let none = "accounts/none".to_owned();
        for (number, (source, destination, why, moved)) in [
            (&poor, &from, Failure::InsufficientFunds, false),
            (&from, &frozen, Failure::AccountFrozen, true),
            (&from, &closed, Failure::AccountClosed, true),
            (&from, &yen, Failure::CurrencyMismatch, true),
            (&from, &none, Failure::AccountNotFound, true),
        ]
        .into_iter()
        .enumerate()
        {
            let before = units(&ada.get(source).await.unwrap());
            let id = format!("transfer-{number}");
            ada.transfer(&id, source, destination, euros(60)).await.unwrap();
            assert_eq!(ada.end_of(&id).await, (State::Failed, why));
            let after = ada.get(source).await.unwrap();
            assert_eq!(units(&after), before, "{why:?}");
            // It had left, and came back: both stand in the statement.
            let lines = ada.statement(source, 0, "", &after.etag).await.unwrap();
            let name = format!("transfers/{id}");
            let kinds: Vec<_> =
                lines.iter().filter(|it| it.transfer == name).map(|it| it.kind()).collect();
            let both = vec![Kind::TransferReturned, Kind::TransferOut];
            assert_eq!(kinds, if moved { both } else { vec![] }, "{why:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn money_that_goes_in_circles_is_never_more_or_less() {
    const ACCOUNTS: usize = 4;
    const TRANSFERS: usize = 40;
    everywhere(async |service| {
        let _busy = service.work();
        let ada = service.user("ada");
        let mut accounts = Vec::new();
        for _ in 0..ACCOUNTS {
            accounts.push(ada.open(100).await);
        }
        let mut random = fastrand::Rng::with_seed(7);
        for number in 0..TRANSFERS {
            let from = random.usize(..ACCOUNTS);
            let to = (from + random.usize(1..ACCOUNTS)) % ACCOUNTS;
            let cents = random.i64(1..120);
            let person = service.at(number % 2, "ada", &[]);
            let id = format!("transfer-{number}");
            person.transfer(&id, &accounts[from], &accounts[to], euros(cents)).await.unwrap();
        }
        let mut ends = Vec::new();
        for number in 0..TRANSFERS {
            ends.push(ada.end_of(&format!("transfer-{number}")).await);
        }
        let completed = ends.iter().filter(|end| end.0 == State::Completed).count();
        assert!((1..TRANSFERS).contains(&completed), "both ends were seen: {completed}");
        assert!(ends.iter().all(|(state, why)| {
            *state == State::Completed || *why == Failure::InsufficientFunds
        }));
        let mut sum = 0;
        for account in &accounts {
            let now = ada.get(account).await.unwrap();
            let statement = ada.statement(account, 0, "", &now.etag).await.unwrap();
            assert_eq!(statement[0].balance, now.balance);
            assert!(statement.iter().all(|it| it.balance.as_ref().unwrap().minor_units >= 0));
            sum += units(&now);
        }
        assert_eq!(sum, 100 * ACCOUNTS as i64);
    })
    .await;
}

/// Whoever moves the money is ended anywhere, again and again, and its sagas are
/// taken over.
#[tokio::test]
async fn a_transfer_ends_though_its_workers_are_killed() {
    everywhere(async |service| {
        let ada = service.user("ada");
        let (from, to) = (ada.open(1_000).await, ada.open(0).await);
        let mut kills = 0;
        for number in 0..6 {
            let id = format!("transfer-{number}");
            ada.transfer(&id, &from, &to, euros(10)).await.unwrap();
            let busy = service.work();
            for _ in 0..40 * number {
                tokio::task::yield_now().await;
            }
            kills += u32::from(ada.transferred(&id).await.unwrap().state() == State::Pending);
            drop(busy);
        }
        assert!(kills > 0, "none was killed before its transfer had ended");
        let _busy = service.work();
        for number in 0..6 {
            assert_eq!(ada.end_of(&format!("transfer-{number}")).await.0, State::Completed);
        }
        assert_eq!(units(&ada.get(&from).await.unwrap()), 940);
        assert_eq!(units(&ada.get(&to).await.unwrap()), 60);
    })
    .await;
}
