//! The contract `titan.inventory.v1.StockService`.

use durable::command::Command;
use titan::inventory::v1::{
    GetStockRequest, ReceiveStockRequest, Stock, stock_service_server::StockService,
};
use tonic::{Request, Response};

use super::{Answer, Grpc, wire};
use crate::{
    app::{Error, commands::ReceiveStock},
    domain::{ProductId, product::Refusal},
    store,
};

#[tonic::async_trait]
impl StockService for Grpc {
    async fn get_stock(&self, request: Request<GetStockRequest>) -> Answer<Stock> {
        let id = ProductId::of_stock(&request.get_ref().name);
        let stock = store::stock(&self.store, &id).await.map_err(Error::from)?;
        Ok(Response::new(stock.ok_or(Error::from(Refusal::Unknown(id)))?.into()))
    }

    async fn receive_stock(&self, request: Request<ReceiveStockRequest>) -> Answer<Stock> {
        let ReceiveStockRequest { name, quantity } = request.get_ref();
        let (product, by) = (ProductId::of_stock(name), wire::caller()?);
        let body = ReceiveStock { product, quantity: *quantity, by, at: (self.clock)() };
        Ok(Response::new(self.commands.receive(Command::of(&request, body)).await?))
    }
}
