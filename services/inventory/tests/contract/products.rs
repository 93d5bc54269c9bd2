//! Products: who offers them, what they cost, who may say so.

use prost_types::FieldMask;
use titan::{
    inventory::v1::{
        BatchGetProductsRequest, CreateProductRequest, GetProductRequest, ListProductsRequest,
        Product, UpdateProductRequest,
    },
    money::v1::Money,
};
use tonic::Code;

use crate::support::{Products, everywhere, keyed, refusal, refused, violations, wanted};

fn update(
    product: &Product,
    title: &str,
    minor_units: i64,
    paths: &[&str],
) -> UpdateProductRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let (name, etag) = (product.name.clone(), product.etag.clone());
    UpdateProductRequest {
        product: Some(Product { name, etag, ..wanted(title, minor_units) }),
        update_mask: Some(FieldMask { paths }),
    }
}

#[tokio::test]
async fn a_product_has_the_price_and_the_seller_that_offered_it() {
    everywhere(async |service| {
        let made = service.offer(" Tea ", 0).await;
        assert_eq!((&*made.title, &*made.seller), ("Tea", "users/ada"));
        assert_eq!(made.price, wanted("", 1_250).price);
        assert_eq!(service.pieces(&made).await, (0, 0, 0));
        let request = GetProductRequest { name: made.name.clone() };
        let mut nobody = Products::new(service.nobody());
        assert_eq!(nobody.get_product(request).await.unwrap().into_inner(), made);
        let request = CreateProductRequest { product: Some(wanted("Tea", 1)) };
        assert_eq!(refused(nobody.create_product(request).await).0, Code::Unauthenticated);
        let request = GetProductRequest { name: "products/nothing".into() };
        let missing = refusal(Code::NotFound, "PRODUCT_NOT_FOUND");
        assert_eq!(refused(nobody.get_product(request).await), missing);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_product_is_refused_with_the_fields_at_fault() {
    everywhere(async |service| {
        let mut ada = service.seller();
        let price =
            |code: &str, minor_units| Some(Money { currency_code: code.into(), minor_units });
        for (product, expected) in [
            (wanted("", 1), &["product.title"][..]),
            (wanted("two\nlines", -1), &["product.title", "product.price.minor_units"]),
            (wanted("Tea", -1), &["product.price.minor_units"]),
            (wanted("Tea", 1_000_000_000_001), &["product.price.minor_units"]),
            (wanted("Tea", i64::MAX), &["product.price.minor_units"]),
            (Product { price: None, ..wanted("Tea", 1) }, &["product.price"]),
            (
                Product { price: price("XXX", 1), ..wanted("Tea", 1) },
                &["product.price.currency_code"],
            ),
            (Product { price: price("", 1), ..wanted("Tea", 1) }, &["product.price.currency_code"]),
        ] {
            let request = CreateProductRequest { product: Some(product.clone()) };
            assert_eq!(violations(ada.create_product(request).await), expected, "{product:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn its_seller_changes_title_and_price_and_nobody_else() {
    everywhere(async |service| {
        let mut ada = service.seller();
        let old = service.offer("Tea", 0).await;
        let request = update(&old, "Green tea", 999, &["price"]);
        let new = ada.update_product(request.clone()).await.unwrap().into_inner();
        assert_eq!((&*new.title, &new.price), ("Tea", &wanted("", 999).price));
        // Again, as after a lost answer, with the etag of before.
        assert_eq!(ada.update_product(request).await.unwrap().into_inner(), new);
        let stale = refusal(Code::Aborted, "ETAG_MISMATCH");
        let request = update(&old, "Green tea", 1, &["title"]);
        assert_eq!(refused(ada.update_product(request).await), stale);
        let mut eve = Products::new(service.as_user("eve", &["admin"]));
        let denied = refusal(Code::PermissionDenied, "NOT_SELLER");
        assert_eq!(refused(eve.update_product(update(&new, "Mine", 1, &["title"])).await), denied);
        let wrong = update(&new, "Tea", -1, &["price", "seller"]);
        let expected = ["update_mask", "product.price.minor_units"];
        assert_eq!(violations(ada.update_product(wrong).await), expected);
    })
    .await;
}

#[tokio::test]
async fn several_are_read_at_once_in_the_order_of_their_names() {
    everywhere(async |service| {
        let (tea, cup) = (service.offer("Tea", 0).await, service.offer("Cup", 0).await);
        let mut nobody = Products::new(service.nobody());
        let names = vec![cup.name.clone(), tea.name.clone()];
        let request = BatchGetProductsRequest { names: names.clone() };
        let both = nobody.batch_get_products(request).await.unwrap().into_inner();
        assert_eq!(both.products, [cup, tea]);
        let names = [names, vec!["products/nothing".into()]].concat();
        let answer = nobody.batch_get_products(BatchGetProductsRequest { names }).await;
        assert_eq!(refused(answer), refusal(Code::NotFound, "PRODUCT_NOT_FOUND"));
        let request = ListProductsRequest { order_by: "title".into(), ..Default::default() };
        let list = nobody.list_products(request).await.unwrap().into_inner().products;
        let titles: Vec<_> = list.iter().map(|product| &*product.title).collect();
        assert_eq!(titles, ["Cup", "Tea"]);
    })
    .await;
}

#[tokio::test]
async fn an_offer_repeated_under_its_key_is_one_product() {
    everywhere(async |service| {
        let mut ada = service.seller();
        let mut offer = async |title: &str| {
            let request = CreateProductRequest { product: Some(wanted(title, 1)) };
            ada.create_product(keyed("offer-1", request)).await
        };
        let first = offer("Tea").await.unwrap().into_inner();
        assert_eq!(offer("Tea").await.unwrap().into_inner(), first);
        let reused = refusal(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
        assert_eq!(refused(offer("Coffee").await), reused);
    })
    .await;
}
