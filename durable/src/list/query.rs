//! A list request that was understood, as SQL.

use super::{Kind, filter::Condition, order::By, token};
use crate::{Dialect, Error, Row, Store, Value};

/// A query for one page.
#[derive(Debug)]
pub struct Query {
    conditions: Vec<Condition>,
    order: Vec<By>,
    after: Option<Vec<Value>>,
    binding: Vec<u8>,
    size: usize,
}

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Its rows.
    pub rows: Vec<Row>,
    /// `next_page_token`: empty on the last page.
    pub next_page_token: String,
}

impl Query {
    pub(super) fn new(
        conditions: Vec<Condition>,
        order: Vec<By>,
        after: Option<Vec<Value>>,
        binding: Vec<u8>,
        size: usize,
    ) -> Self {
        Self { conditions, order, after, binding, size }
    }

    /// Restricts it to rows whose `column` is `value`: those of a parent, or
    /// those that the caller may see.
    #[must_use]
    pub fn only(mut self, column: &'static str, value: impl Into<Value>) -> Self {
        self.conditions.push(Condition::equal(column, value.into()));
        self
    }

    /// Reads the page. `select` is a SELECT without WHERE, and has the columns
    /// of the order among its own.
    ///
    /// # Errors
    /// As [`Store::query`].
    pub async fn fetch(self, store: &Store, select: &'static str) -> Result<Page, Error> {
        let (order, binding, size) = (self.order.clone(), self.binding.clone(), self.size);
        let (sql, params) = self.sql(select, store.dialect());
        let mut rows = store.query(sql, params).await?;
        // One more than the page has: it tells whether there is another page.
        let more = rows.len() > size;
        rows.truncate(size);
        let next_page_token = match rows.last() {
            Some(last) if more => token::encode(&binding, &key_of(last, &order)?),
            _ => String::new(),
        };
        Ok(Page { rows, next_page_token })
    }

    fn sql(self, select: &str, dialect: Dialect) -> (String, Vec<Value>) {
        let mut params = Vec::new();
        let mut conditions: Vec<String> =
            self.conditions.into_iter().map(|it| it.sql(dialect, &mut params)).collect();
        if let Some(after) = self.after {
            conditions.push(beyond(&self.order, after, &mut params));
        }
        let filter = match conditions.as_slice() {
            [] => String::new(),
            conditions => format!("WHERE {}", conditions.join(" AND ")),
        };
        let order: Vec<String> = self.order.iter().map(By::sql).collect();
        let order = order.join(", ");
        params.push(i64::try_from(self.size + 1).unwrap_or(i64::MAX).into());
        let limit = params.len();
        (format!("{select} {filter} ORDER BY {order} LIMIT ${limit}"), params)
    }
}

impl By {
    fn sql(&self) -> String {
        let direction = if self.descending { "DESC" } else { "ASC" };
        format!("{} {direction}", self.column)
    }

    fn value(&self, row: &Row) -> Result<Value, Error> {
        Ok(match self.kind {
            Kind::Text | Kind::Choice(_) => row.get::<String>(self.column)?.into(),
            Kind::Int | Kind::Time => row.get::<i64>(self.column)?.into(),
            Kind::Bool => row.get::<bool>(self.column)?.into(),
        })
    }
}

fn key_of(row: &Row, order: &[By]) -> Result<Vec<Value>, Error> {
    order.iter().map(|by| by.value(row)).collect()
}

/// Rows after the given one: `a > x OR (a = x AND (b < y OR …))`. Row values,
/// `(a, b) > (x, y)`, know only one direction for all columns.
fn beyond(order: &[By], after: Vec<Value>, params: &mut Vec<Value>) -> String {
    let mut condition = String::new();
    for (by, value) in order.iter().zip(after).rev() {
        params.push(value);
        let (column, place) = (by.column, params.len());
        let compare = if by.descending { "<" } else { ">" };
        condition = match condition.as_str() {
            "" => format!("{column} {compare} ${place}"),
            inner => format!("({column} {compare} ${place} OR ({column} = ${place} AND {inner}))"),
        };
    }
    condition
}
