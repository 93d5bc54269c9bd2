//! Stock in a table whose checks say again what the domain keeps: no count is
//! negative, and no piece is lost.

use durable::{Error, Row, Store, Tx, params};

use crate::domain::{ProductId, Stock};

/// The stock of a product, as it is.
pub(crate) async fn stock(store: &Store, id: &ProductId) -> Result<Option<Stock>, Error> {
    let sql = "SELECT * FROM stock WHERE product = $1";
    store.query_one(sql, params![id.as_str()]).await?.as_ref().map(read).transpose()
}

/// Stores the stock of a new product.
pub(crate) async fn insert_stock(tx: &mut Tx, it: &Stock) -> Result<(), Error> {
    let Stock { product, seller, available, reserved, sold, received, updated } = it;
    tx.execute(
        "INSERT INTO stock (product, seller, available, reserved, sold, received, updated)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![product.as_str(), seller, *available, *reserved, *sold, *received, *updated],
    )
    .await?;
    Ok(())
}

/// The stock of a product, to be changed.
pub(crate) async fn lock_stock(tx: &mut Tx, id: &ProductId) -> Result<Option<Stock>, Error> {
    let sql = "UPDATE stock SET updated = updated WHERE product = $1 RETURNING *";
    tx.query_one(sql, params![id.as_str()]).await?.as_ref().map(read).transpose()
}

/// Stores what the stock is now.
pub(crate) async fn save_stock(tx: &mut Tx, it: &Stock) -> Result<(), Error> {
    let Stock { product, available, reserved, sold, received, updated, .. } = it;
    tx.execute(
        "UPDATE stock SET available = $2, reserved = $3, sold = $4, received = $5, updated = $6
         WHERE product = $1",
        params![product.as_str(), *available, *reserved, *sold, *received, *updated],
    )
    .await?;
    Ok(())
}

fn read(row: &Row) -> Result<Stock, Error> {
    Ok(Stock {
        product: ProductId::named(&row.get::<String>("product")?),
        seller: row.get("seller")?,
        available: row.get("available")?,
        reserved: row.get("reserved")?,
        sold: row.get("sold")?,
        received: row.get("received")?,
        updated: row.get("updated")?,
    })
}
