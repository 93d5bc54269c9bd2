//! Products in a table.

use durable::{
    Error, Row, Store, Tx, Value,
    list::{Field, Listing, Query},
    params,
};

use crate::domain::{
    Money, Product, ProductId,
    product::{Price, Title},
};

/// What a caller may filter and order by.
pub(crate) const PRODUCTS: Listing = Listing {
    fields: &[
        Field::text("title", "title"),
        Field::text("seller", "seller"),
        Field::time("create_time", "created"),
        Field::time("update_time", "updated"),
    ],
    key: "name",
    order: "create_time desc",
};

/// A product, as it is.
pub(crate) async fn product(store: &Store, id: &ProductId) -> Result<Option<Product>, Error> {
    let sql = "SELECT * FROM products WHERE name = $1";
    store.query_one(sql, params![id.as_str()]).await?.as_ref().map(read).transpose()
}

/// Those of some products that there are, at one moment and in no order.
pub(crate) async fn products(store: &Store, ids: &[ProductId]) -> Result<Vec<Product>, Error> {
    let places: Vec<_> = (1..=ids.len()).map(|n| format!("${n}")).collect();
    let sql = format!("SELECT * FROM products WHERE name IN ({})", places.join(", "));
    let names = ids.iter().map(|id| Value::from(id.as_str())).collect();
    store.query(sql, names).await?.iter().map(read).collect()
}

/// A page of products, and the token of the next page.
pub(crate) async fn list_products(
    store: &Store,
    query: Query,
) -> Result<(Vec<Product>, String), Error> {
    let page = query.fetch(store, "SELECT * FROM products").await?;
    let products = page.rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok((products, page.next_page_token))
}

/// A product, to be changed.
pub(crate) async fn lock_product(tx: &mut Tx, id: &ProductId) -> Result<Option<Product>, Error> {
    let sql = "UPDATE products SET version = version WHERE name = $1 RETURNING *";
    tx.query_one(sql, params![id.as_str()]).await?.as_ref().map(read).transpose()
}

/// Stores what a product is now.
pub(crate) async fn save_product(tx: &mut Tx, product: &Product) -> Result<(), Error> {
    let Product { id, title, price, seller, created, updated, version } = product;
    let Money { currency, minor } = price.money();
    tx.execute(
        "INSERT INTO products (name, title, currency, price, seller, created, updated, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO UPDATE
         SET title = $2, currency = $3, price = $4, updated = $7, version = $8",
        params![
            id.as_str(),
            title.as_str(),
            currency,
            *minor,
            seller,
            *created,
            *updated,
            *version
        ],
    )
    .await?;
    Ok(())
}

fn read(row: &Row) -> Result<Product, Error> {
    let price = Money { currency: row.get("currency")?, minor: row.get("price")? };
    Ok(Product {
        id: ProductId::named(&row.get::<String>("name")?),
        title: Title::stored(row.get("title")?),
        price: Price::stored(price),
        seller: row.get("seller")?,
        created: row.get("created")?,
        updated: row.get("updated")?,
        version: row.get("version")?,
    })
}
