//! Asking the inventory service for prices, as a layer: a command to place an
//! order goes in, the same command with what is offered comes out.

use std::{
    mem,
    task::{Context, Poll},
};

use durable::command::Command;
use futures_util::future::BoxFuture;
use titan::inventory::v1::{BatchGetProductsRequest, Product};
use tonic::Code;
use tonic_types::StatusExt as _;
use tower::{Layer, Service};

use super::{Error, Shop, commands::PlaceOrder};
use crate::domain::{ProductId, order::Offer};

/// A command, and what is offered for it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) command: PlaceOrder,
    /// The product that is not there, when one is not. It is refused later on,
    /// where the answer of a repeated call is found: it may be gone by now.
    pub(crate) offers: Result<Vec<Offer>, ProductId>,
}

/// Asks before what is inside of it.
#[derive(Clone, Debug)]
pub(crate) struct AskLayer(pub(crate) Shop);

/// See [`AskLayer`].
#[derive(Clone, Debug)]
pub(crate) struct Ask<S> {
    shop: Shop,
    inner: S,
}

impl<S> Layer<S> for AskLayer {
    type Service = Ask<S>;

    fn layer(&self, inner: S) -> Ask<S> {
        Ask { shop: self.0.clone(), inner }
    }
}

impl<S> Service<Command<PlaceOrder>> for Ask<S>
where
    S: Service<Command<Asked>, Error = Error, Future: Send> + Clone + Send + 'static,
{
    type Response = S::Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<S::Response, Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, command: Command<PlaceOrder>) -> Self::Future {
        let shop = self.shop.clone();
        let clone = self.inner.clone();
        // The one that was ready is used; its clone has yet to become so.
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let Command { body: command, caller, key } = command;
            let offers = offers(shop, &command).await?;
            inner.call(Command { body: Asked { command, offers }, caller, key }).await
        })
    }
}

/// Asks within the deadline of the call that is being handled.
async fn offers(shop: Shop, command: &PlaceOrder) -> Result<Result<Vec<Offer>, ProductId>, Error> {
    let names: Vec<_> = command.wishes.iter().map(|wish| wish.product.to_string()).collect();
    match shop.products(BatchGetProductsRequest { names }).await {
        Ok(products) => Ok(Ok(products.into_iter().map(Offer::from).collect())),
        Err(status) if status.code() == Code::NotFound => {
            let missing = status.get_details_resource_info().map(|it| it.resource_name);
            Ok(Err(ProductId::named(&missing.unwrap_or_else(|| "such product".to_owned()))))
        }
        Err(status) => Err(Error::Inventory(Box::new(status))),
    }
}

impl From<Product> for Offer {
    fn from(it: Product) -> Self {
        Offer {
            product: ProductId::named(&it.name),
            title: it.title,
            price: it.price.unwrap_or_default().into(),
        }
    }
}
