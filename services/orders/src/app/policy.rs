//! Who may give a command on an order. Asked before its transaction, which is
//! sound since an order's customer never changes.

use durable::{Store, command::Authorize};
use mesh::Caller;

use super::{
    Error,
    commands::{CancelOrder, ConfirmOrder},
};
use crate::{
    domain::{
        Order, OrderId, UserId,
        order::{Asker, Refusal},
    },
    store,
};

/// The role of those who run the shop.
const ADMIN: &str = "admin";

/// Who a caller is to an order. A service that calls in a user's name is that
/// user; which services may call in their own, the contract says.
pub(crate) fn asker(caller: &Caller) -> Asker {
    let user = caller.user.as_ref().map(|user| UserId::new(&user.id));
    let service = user.is_none() && caller.service.is_some();
    Asker { user, runs_shop: service || caller.has_role(ADMIN) }
}

/// Admits whom the order admits.
#[derive(Clone, Debug)]
pub(crate) struct Policy(pub(crate) Store);

impl Policy {
    async fn check(
        &self,
        caller: &Caller,
        id: &OrderId,
        rule: fn(&Order, &Asker) -> Result<(), Refusal>,
    ) -> Result<(), Error> {
        match store::order(&self.0, id).await? {
            Some(order) => Ok(rule(&order.state, &asker(caller))?),
            // Its handler will not find it either.
            None => Ok(()),
        }
    }
}

impl Authorize<ConfirmOrder> for Policy {
    type Error = Error;

    async fn authorize(&self, caller: &Caller, command: &ConfirmOrder) -> Result<(), Error> {
        self.check(caller, &command.order, Order::is_paid_by).await
    }
}

impl Authorize<CancelOrder> for Policy {
    type Error = Error;

    async fn authorize(&self, caller: &Caller, command: &CancelOrder) -> Result<(), Error> {
        self.check(caller, &command.order, Order::admits).await
    }
}
