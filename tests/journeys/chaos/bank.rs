//! Accounts of one person, with money on them.

use serde_json::{Value, json};

use crate::{
    client::Client,
    shop::{number, text},
    system::System,
};

/// Enough that several transfers touch the same account at once.
const ACCOUNTS: usize = 4;
/// On each account at first; some transfers are for more.
pub(super) const DEPOSIT: i64 = 10_000;

pub(super) struct Bank {
    pub(super) owner: Client,
    pub(super) accounts: Vec<String>,
}

impl Bank {
    pub(super) fn open(system: &System) -> Self {
        let owner = system.client().sign_up("owner@example.com");
        let account = |_| {
            let account = owner.post("/v1/accounts", &json!({"currencyCode": "EUR"})).ok();
            let name = text(&account["name"]);
            let deposit = json!({"amount": euros(DEPOSIT)});
            owner.post(&format!("/v1/{name}:deposit"), &deposit).ok();
            name
        };
        let accounts = (0..ACCOUNTS).map(account).collect();
        Self { owner, accounts }
    }

    /// What is on an account.
    pub(super) fn balance(&self, account: &str) -> i64 {
        let account = self.owner.get(&format!("/v1/{account}")).ok();
        number(&account["balance"]["minorUnits"])
    }
}

pub(super) fn euros(minor_units: i64) -> Value {
    json!({"currencyCode": "EUR", "minorUnits": minor_units.to_string()})
}
