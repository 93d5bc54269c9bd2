//! The tables of this service. Reads that a change rests on lock their row by
//! writing it to itself, the one row lock that both databases know: the later of
//! two racing changes waits, and then decides on what the first left. Locks are
//! taken in the order reservation, stock by name, so they cannot cross.

mod products;
mod reservations;
mod stock;

use durable::Migration;

pub(crate) use products::{PRODUCTS, list_products, lock_product, product, products, save_product};
pub(crate) use reservations::{
    RESERVATIONS, list_reservations, lock_reservation, reservation, save_reservation,
};
pub(crate) use stock::{insert_stock, lock_stock, save_stock, stock};

/// The tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration::new(1, "products", include_str!("../migrations/1_products.sql")),
    Migration::new(2, "stock", include_str!("../migrations/2_stock.sql")),
    Migration::new(3, "reservations", include_str!("../migrations/3_reservations.sql")),
];
