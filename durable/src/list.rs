//! Standard List methods (AIP-132, 158, 160): page tokens, filters and orders
//! from outside, turned into SQL through a whitelist of fields.
//!
//! Pages are found by key, not by offset: the token says after which row the
//! next page begins, so a page costs the same wherever it is, and rows that
//! come or go in between shift nothing.
//!
//! ```no_run
//! use durable::list::{Field, Listing, Request};
//!
//! const PROJECTS: Listing = Listing {
//!     fields: &[
//!         Field::text("title", "title"),
//!         Field::choice("state", "state", &[("STATE_ACTIVE", "active")]),
//!         Field::time("create_time", "create_time"),
//!     ],
//!     key: "id",
//!     order: "create_time desc",
//! };
//!
//! # async fn list(store: durable::Store) -> Result<(), tonic::Status> {
//! let request = Request { filter: "state = STATE_ACTIVE", ..Request::default() };
//! let query = PROJECTS.query(request)?.only("tenant", "acme");
//! let page = query.fetch(&store, "SELECT * FROM project").await?;
//! # Ok(())
//! # }
//! ```

mod field;
mod filter;
mod order;
mod query;
mod token;

use mesh::status;
use tonic::Status;

pub use field::{Field, Kind};
pub use filter::{Comparison, Filter, Operator};
pub use query::{Page, Query};

/// Rows of a page when the caller does not say.
pub const DEFAULT_PAGE_SIZE: i32 = 50;
/// Rows of a page at most; a larger wish gets this many (AIP-158).
pub const MAX_PAGE_SIZE: i32 = 1_000;

/// What can be listed, and how.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Fields that a caller may name. Their columns are NOT NULL, since a null
    /// is neither before nor after anything.
    pub fields: &'static [Field],
    /// A column whose values are unique text, `NOT NULL`; breaks ties.
    pub key: &'static str,
    /// The order when the caller gives none, as they would write it.
    pub order: &'static str,
}

/// The part of a List request that is the same everywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'r> {
    /// `page_size`: 50 when zero, at most 1000.
    pub page_size: i32,
    /// `page_token`: empty for the first page.
    pub page_token: &'r str,
    /// `filter`
    pub filter: &'r str,
    /// `order_by`
    pub order_by: &'r str,
    /// `parent`, and whatever else decides which rows there are. A token is
    /// good only for the parent that it was made for.
    pub parent: &'r str,
}

impl Listing {
    /// Understands a request.
    ///
    /// # Errors
    /// INVALID_ARGUMENT that names every field at fault: `page_size`,
    /// `page_token`, `filter`, `order_by`.
    pub fn query(&self, request: Request<'_>) -> Result<Query, Status> {
        let mut violations = Vec::new();
        let mut note = |path: &str, rule: &str, problem: String| {
            violations.push(status::field(path, rule, problem));
        };
        if request.page_size < 0 {
            note("page_size", "int32.gte", "must not be negative".to_owned());
        }
        let filter = Filter::parse(request.filter).and_then(|filter| filter.bind(self.fields));
        let filter = filter.map_err(|problem| note("filter", "filter", problem)).ok();
        let text = if request.order_by.trim().is_empty() { self.order } else { request.order_by };
        let order = order::parse(text, self);
        let order = order.map_err(|problem| note("order_by", "order_by", problem)).ok();
        let binding = token::binding(&request, self);
        let after = match &order {
            Some(order) if !request.page_token.is_empty() => {
                let kinds: Vec<_> = order.iter().map(|by| by.kind).collect();
                token::decode(request.page_token, &binding, &kinds)
                    .map_err(|problem| note("page_token", "page_token", problem.to_owned()))
                    .ok()
            }
            _ => None,
        };
        match (filter, order, violations.is_empty()) {
            (Some(filter), Some(order), true) => {
                let size = page_size(request.page_size);
                Ok(Query::new(filter, order, after, binding, size))
            }
            _ => Err(status::invalid(violations)),
        }
    }
}

fn page_size(wish: i32) -> usize {
    let size = if wish == 0 { DEFAULT_PAGE_SIZE } else { wish.min(MAX_PAGE_SIZE) };
    usize::try_from(size).unwrap_or_default()
}
