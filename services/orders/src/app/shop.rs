//! The other services of the shop, as this one calls them.

use mesh::{App, Channel};
use titan::{
    inventory::v1::{
        BatchGetProductsRequest, Product, products_service_client::ProductsServiceClient,
        reservations_service_client::ReservationsServiceClient,
    },
    payments::v1::payments_service_client::PaymentsServiceClient,
    shipping::v1::shipments_service_client::ShipmentsServiceClient,
};
use tonic::{IntoRequest, Status};

/// Where stock, payments and parcels are. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shop {
    pub(crate) products: ProductsServiceClient<Channel>,
    pub(crate) reservations: ReservationsServiceClient<Channel>,
    pub(crate) payments: PaymentsServiceClient<Channel>,
    pub(crate) shipments: ShipmentsServiceClient<Channel>,
}

impl Shop {
    /// The applications `inventory`, `payments` and `shipping`, as `app` reaches
    /// them.
    pub fn of(app: &App) -> Self {
        let inventory = app.channel("inventory");
        Shop {
            products: ProductsServiceClient::new(inventory.clone()),
            reservations: ReservationsServiceClient::new(inventory),
            payments: PaymentsServiceClient::new(app.channel("payments")),
            shipments: ShipmentsServiceClient::new(app.channel("shipping")),
        }
    }

    /// The products of these names, as they are now.
    pub(crate) async fn products(
        mut self,
        request: impl IntoRequest<BatchGetProductsRequest>,
    ) -> Result<Vec<Product>, Status> {
        Ok(self.products.batch_get_products(request).await?.into_inner().products)
    }
}
