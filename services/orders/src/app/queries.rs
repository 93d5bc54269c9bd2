//! Questions. They read what is committed, change nothing and lock nothing.

use durable::{Event, Store, aggregate::Recorded, list::Query, log};
use tonic::Status;

use super::Error;
use crate::{
    domain::{
        Order, OrderId,
        order::{Asker, Refusal},
    },
    store,
};

/// What is this order?
#[derive(Clone, Debug)]
pub(crate) struct GetOrder {
    pub(crate) by: Asker,
    pub(crate) order: OrderId,
}

/// Which orders are there?
#[derive(Debug)]
pub(crate) struct ListOrders {
    pub(crate) by: Asker,
    pub(crate) query: Query,
}

/// What has happened to this order?
#[derive(Debug)]
pub(crate) struct ListOrderEvents<'r> {
    pub(crate) by: Asker,
    pub(crate) order: OrderId,
    pub(crate) page_size: i32,
    pub(crate) page_token: &'r str,
}

impl GetOrder {
    /// To a stranger it is refused and not denied to exist: its name cannot be
    /// guessed.
    pub(crate) async fn run(self, store: &Store) -> Result<Recorded<Order>, Error> {
        let order = store::order(store, &self.order).await?.ok_or(Refusal::NoOrder)?;
        order.state.admits(&self.by)?;
        Ok(order)
    }
}

impl ListOrders {
    /// A page of those that the caller may see, and the token of the next page.
    pub(crate) async fn run(self, store: &Store) -> Result<(Vec<Recorded<Order>>, String), Error> {
        let Asker { user, runs_shop } = &self.by;
        let of = if *runs_shop { None } else { Some(user.as_ref().ok_or(Refusal::NotCustomer)?) };
        Ok(store::list(store, of, self.query).await?)
    }
}

impl ListOrderEvents<'_> {
    /// A page of events, the first first, and the token of the next page.
    pub(crate) async fn run(self, store: &Store) -> Result<(Vec<Event>, String), Status> {
        let Self { by, order, page_size, page_token } = self;
        GetOrder { by, order: order.clone() }.run(store).await?;
        log::history(store, order.as_str(), page_size, page_token).await
    }
}
