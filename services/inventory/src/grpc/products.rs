//! The contract `titan.inventory.v1.ProductsService`.

use durable::{command::Command, list};
use titan::inventory::v1::{
    BatchGetProductsRequest, BatchGetProductsResponse, CreateProductRequest, GetProductRequest,
    ListProductsRequest, ListProductsResponse, Product as WireProduct, UpdateProductRequest,
    products_service_server::ProductsService,
};
use tonic::{Request, Response};

use super::{Answer, Grpc, wire};
use crate::{
    app::{
        Error,
        commands::{OfferProduct, ReviseProduct},
    },
    domain::{Product, ProductId, product::Refusal},
    store::{self, PRODUCTS},
};

#[tonic::async_trait]
impl ProductsService for Grpc {
    async fn create_product(&self, request: Request<CreateProductRequest>) -> Answer<WireProduct> {
        let wanted = request.get_ref().product.clone().unwrap_or_default();
        let (title, price) = wire::offer(wanted)?;
        let id = ProductId::new((self.ids)());
        let product = Product::offer(id, title, price, wire::caller()?, (self.clock)());
        let command = Command::of(&request, OfferProduct(product));
        Ok(Response::new(self.commands.offer(command).await?))
    }

    async fn get_product(&self, request: Request<GetProductRequest>) -> Answer<WireProduct> {
        let id = ProductId::named(&request.get_ref().name);
        let product = store::product(&self.store, &id).await.map_err(Error::from)?;
        Ok(Response::new(product.ok_or(Error::from(Refusal::Unknown(id)))?.into()))
    }

    async fn batch_get_products(
        &self,
        request: Request<BatchGetProductsRequest>,
    ) -> Answer<BatchGetProductsResponse> {
        let names = &request.get_ref().names;
        let ids: Vec<_> = names.iter().map(|name| ProductId::named(name)).collect();
        let found = store::products(&self.store, &ids).await.map_err(Error::from)?;
        let in_order = ids.into_iter().map(|id| {
            let product = found.iter().find(|product| product.id == id).cloned();
            product.map(WireProduct::from).ok_or(Error::from(Refusal::Unknown(id)))
        });
        let products = in_order.collect::<Result<_, _>>()?;
        Ok(Response::new(BatchGetProductsResponse { products }))
    }

    async fn list_products(
        &self,
        request: Request<ListProductsRequest>,
    ) -> Answer<ListProductsResponse> {
        let request = request.get_ref();
        let query = PRODUCTS.query(list::Request {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: &request.order_by,
            parent: "",
        })?;
        let page = store::list_products(&self.store, query).await;
        let (products, next_page_token) = page.map_err(Error::from)?;
        let products = products.into_iter().map(Into::into).collect();
        Ok(Response::new(ListProductsResponse { products, next_page_token }))
    }

    async fn update_product(&self, request: Request<UpdateProductRequest>) -> Answer<WireProduct> {
        let wanted = request.get_ref().product.clone().unwrap_or_default();
        let product = wire::product_in_body(&wanted.name)?;
        let (by, seen, at) = (wire::caller()?, wanted.etag.clone(), (self.clock)());
        let to = wire::revision(wanted, request.get_ref().update_mask.as_ref())?;
        let command = Command::of(&request, ReviseProduct { product, to, by, seen, at });
        Ok(Response::new(self.commands.revise(command).await?))
    }
}
