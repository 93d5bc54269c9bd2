//! Read models are a function of the log: made from it again, each is what it was,
//! byte for byte.

use accounts::Bank;
use durable::{Store, testing::made_anew};
use orders::{Config, Orders};

use crate::system::System;

/// Compares those of the shop and the bank, which nobody serves any more; the
/// rows that there were.
pub(super) fn agree(system: &System, template: Option<&str>) -> usize {
    let databases = system.path().join("data");
    let own = format!("sqlite:{}/{{app}}.db", databases.display());
    let url = |app| template.unwrap_or(&own).replace("{app}", app);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&url("orders"), orders::MIGRATIONS).await.unwrap();
        let app = mesh::App::new(mesh::Settings::from_pairs("journey", &[("log", "off")])).unwrap();
        let shop = orders::Shop::of(&app);
        let orders = Orders::open(store.clone(), shop, &Config::default()).await.unwrap();
        let listed = same("orders", made_anew(&store, orders.read_model()).await);
        store.close().await;

        let store = Store::open(&url("accounts"), accounts::MIGRATIONS).await.unwrap();
        let bank = Bank::open(store.clone()).await.unwrap();
        let accounts = same("accounts", made_anew(&store, bank.list()).await);
        let statements = same("statements", made_anew(&store, bank.statements()).await);
        store.close().await;
        listed + accounts + statements
    })
}

fn same(what: &str, (live, anew): (Vec<String>, Vec<String>)) -> usize {
    assert!(!live.is_empty(), "there are no {what}");
    assert_eq!(live, anew, "{what} are another when they are made from the log");
    live.len()
}
