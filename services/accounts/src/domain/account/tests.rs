//! The rules of an account.

use super::*;

fn euros(units: i64) -> Money {
    Money::new(units, Currency::new("EUR")).unwrap()
}

fn ada() -> Intent {
    Intent { by: UserId::new("ada"), seen: None }
}

fn holding(units: i64) -> Account {
    let opened = Account::open(AccountId::new("1"), UserId::new("ada"), Currency::new("EUR"), 7);
    let mut account = Account::begin(&opened[0]).unwrap();
    if units > 0 {
        let events = account.deposit(&euros(units), 1, &ada()).unwrap();
        happen(&mut account, &events);
    }
    account
}

fn happen(account: &mut Account, events: &[Event]) {
    events.iter().for_each(|event| account.evolve(event));
}

fn transfer() -> TransferId {
    TransferId::new("t")
}

#[test]
fn cash_goes_in_and_out() {
    let mut account = holding(30);
    let out = account.withdraw(&euros(30), 2, &ada()).unwrap();
    happen(&mut account, &out);
    assert_eq!(account.balance, 0);
}

#[test]
fn nothing_overdraws_an_account() {
    let account = holding(30);
    let by = UserId::new("ada");
    assert_eq!(account.withdraw(&euros(31), 2, &ada()), Err(Refusal::InsufficientFunds));
    assert_eq!(account.send(&transfer(), &by, &euros(31)), Err(Refusal::InsufficientFunds));
}

#[test]
fn an_account_holds_what_can_be_told_exactly() {
    let full = holding(MAX_UNITS);
    assert_eq!(full.deposit(&euros(1), 2, &ada()), Err(Refusal::BalanceLimit));
    assert_eq!(full.receive(&transfer(), &euros(1)), Err(Refusal::BalanceLimit));
}

#[test]
fn only_its_owner_moves_what_is_on_it_and_anyone_sends_to_it() {
    let account = holding(30);
    let bob = Intent { by: UserId::new("bob"), seen: None };
    assert_eq!(account.deposit(&euros(1), 2, &bob), Err(Refusal::NotOwner));
    assert_eq!(account.withdraw(&euros(1), 2, &bob), Err(Refusal::NotOwner));
    assert_eq!(account.send(&transfer(), &bob.by, &euros(1)), Err(Refusal::NotOwner));
    assert_eq!(account.close(2, &bob), Err(Refusal::NotOwner));
    assert!(account.receive(&transfer(), &euros(1)).is_ok());
}

#[test]
fn another_currency_does_not_fit() {
    let account = holding(30);
    let yen = Money::new(5, Currency::new("JPY")).unwrap();
    assert_eq!(account.deposit(&yen, 2, &ada()), Err(Refusal::CurrencyMismatch));
    assert_eq!(account.withdraw(&yen, 2, &ada()), Err(Refusal::CurrencyMismatch));
    assert_eq!(account.send(&transfer(), &ada().by, &yen), Err(Refusal::CurrencyMismatch));
    assert_eq!(account.receive(&transfer(), &yen), Err(Refusal::CurrencyMismatch));
}

#[test]
fn what_was_meant_for_another_state_is_refused() {
    let account = holding(30);
    let stale = Intent { seen: Some(Etag(1)), ..ada() };
    assert_eq!(account.deposit(&euros(1), 2, &stale), Err(Refusal::Stale));
    assert_eq!(account.withdraw(&euros(1), 2, &stale), Err(Refusal::Stale));
    assert_eq!(holding(0).close(2, &stale), Err(Refusal::Stale));
    assert!(account.withdraw(&euros(1), 1, &stale).is_ok());
    assert_eq!(Etag::given("nonsense"), Some(Etag(-1)));
}

#[test]
fn a_frozen_account_takes_only_back() {
    let mut account = holding(30);
    let events = account.freeze().unwrap();
    happen(&mut account, &events);
    assert_eq!(account.freeze(), Ok(vec![]));
    assert_eq!(account.deposit(&euros(1), 3, &ada()), Err(Refusal::Frozen));
    assert_eq!(account.withdraw(&euros(1), 3, &ada()), Err(Refusal::Frozen));
    assert_eq!(account.send(&transfer(), &ada().by, &euros(1)), Err(Refusal::Frozen));
    assert_eq!(account.receive(&transfer(), &euros(1)), Err(Refusal::Frozen));
    assert_eq!(account.close(3, &ada()), Err(Refusal::Frozen));
    let back = account.take_back(&transfer(), &euros(5));
    happen(&mut account, &back);
    let thawed = account.unfreeze();
    happen(&mut account, &thawed);
    assert_eq!((account.balance, account.state), (35, State::Open));
    assert_eq!(account.unfreeze(), vec![]);
}

#[test]
fn an_account_is_closed_empty_and_once() {
    assert_eq!(holding(30).close(2, &ada()), Err(Refusal::NotEmpty));
    let mut account = holding(0);
    let events = account.close(1, &ada()).unwrap();
    happen(&mut account, &events);
    assert_eq!(account.close(2, &Intent { seen: Some(Etag(1)), ..ada() }), Ok(vec![]));
    assert_eq!(account.freeze(), Err(Refusal::Closed));
    assert_eq!(account.unfreeze(), vec![]);
    assert_eq!(account.deposit(&euros(1), 2, &ada()), Err(Refusal::Closed));
    assert_eq!(account.receive(&transfer(), &euros(1)), Err(Refusal::Closed));
}

#[test]
fn what_comes_back_to_a_closed_account_can_be_taken_out() {
    let mut account = holding(0);
    let events = account.close(1, &ada()).unwrap();
    happen(&mut account, &events);
    let back = account.take_back(&transfer(), &euros(5));
    happen(&mut account, &back);
    let out = account.withdraw(&euros(5), 3, &ada()).unwrap();
    happen(&mut account, &out);
    assert_eq!((account.balance, account.state), (0, State::Closed));
}

#[test]
fn no_account_begins_in_the_middle() {
    assert_eq!(Account::begin(&Event::Closed(AccountId::new("1"))), None);
}
