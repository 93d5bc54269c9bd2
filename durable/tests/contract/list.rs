//! Lists: every row once, in order, however the pages are cut; nothing from
//! outside reaches the SQL.

use durable::{
    Migration, Store,
    list::{Field, Listing, Page, Request},
    params,
    testing::backends,
};
use tonic::Status;
use tonic_types::StatusExt as _;

const ITEMS: &[Migration] = &[Migration::new(
    1,
    "items",
    "CREATE TABLE item (
        id {text} PRIMARY KEY, title {text} NOT NULL, state {text} NOT NULL,
        created {bigint} NOT NULL, size {bigint} NOT NULL, open {bool} NOT NULL, owner {text} NOT NULL
    );",
)];

const LISTING: Listing = Listing {
    fields: &[
        Field::text("title", "title"),
        Field::choice(
            "state",
            "state",
            &[("STATE_ACTIVE", "active"), ("STATE_ARCHIVED", "archived")],
        ),
        Field::time("create_time", "created"),
        Field::int("size", "size"),
        Field::bool("open", "open"),
    ],
    key: "id",
    order: "create_time desc",
};

/// Twelve items: titles and times repeat, ids do not.
async fn fill(store: &Store) {
    let mut tx = store.begin().await.unwrap();
    for number in 0..12_i64 {
        let sql = "INSERT INTO item (id, title, state, created, size, open, owner)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let state = if number % 4 == 0 { "archived" } else { "active" };
        let title = ["alpha", "Beta", "ümlaut"][number as usize % 3];
        let id = format!("{number:02}");
        let owner = if number < 10 { "me" } else { "you" };
        tx.execute(
            sql,
            params![id, title, state, number / 2 * 1_000_000, number, number % 2 == 0, owner],
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
}

async fn fetch(store: &Store, request: Request<'_>) -> Result<Page, Status> {
    let query = LISTING.query(request)?.only("owner", "me");
    Ok(query.fetch(store, "SELECT * FROM item").await?)
}

fn ids(page: &Page) -> Vec<String> {
    page.rows.iter().map(|row| row.get("id").unwrap()).collect()
}

/// All ids, page by page.
async fn walk(store: &Store, request: Request<'_>) -> Vec<String> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = fetch(store, Request { page_token: &token, ..request }).await.unwrap();
        all.extend(ids(&page));
        token = page.next_page_token;
        if token.is_empty() {
            return all;
        }
    }
}

fn fields_at_fault(status: &Status) -> Vec<String> {
    let details = status.get_details_bad_request().unwrap();
    details.field_violations.into_iter().map(|violation| violation.field).collect()
}

#[tokio::test]
async fn pages_of_any_size_hold_every_row_once_in_order() {
    for backend in backends().await {
        let store = backend.open(ITEMS).await;
        fill(&store).await;
        for order_by in
            ["", "title", "title desc, create_time", "state, open desc, size", "size desc"]
        {
            let whole = walk(&store, Request { order_by, ..Request::default() }).await;
            assert_eq!(whole.len(), 10, "{} {order_by}", backend.name);
            for page_size in 1..=11 {
                let request = Request { order_by, page_size, ..Request::default() };
                assert_eq!(walk(&store, request).await, whole, "{} {order_by}", backend.name);
            }
        }
        let newest = walk(&store, Request::default()).await;
        assert_eq!(newest[..4], ["09", "08", "07", "06"]);
    }
}

#[tokio::test]
async fn both_databases_give_the_same_order() {
    let mut orders = Vec::new();
    for backend in backends().await {
        let store = backend.open(ITEMS).await;
        fill(&store).await;
        orders.push(walk(&store, Request { order_by: "title", ..Request::default() }).await);
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]), "{orders:?}");
}

#[tokio::test]
async fn filters_select() {
    let cases = [
        ("state = STATE_ARCHIVED", &["00", "04", "08"][..]),
        ("state != STATE_ACTIVE AND size > 0", &["04", "08"]),
        ("title : ALPH", &["00", "03", "06", "09"]),
        ("title = \"ümlaut\" AND open = true", &["02", "08"]),
        ("create_time >= 1970-01-01T00:00:04Z", &["08", "09"]),
        ("create_time < \"1970-01-01T00:00:00.000001Z\"", &["00", "01"]),
        ("title = \"x' OR '1'='1\"", &[]),
        ("title : \"%\"", &[]),
    ];
    for backend in backends().await {
        let store = backend.open(ITEMS).await;
        fill(&store).await;
        for (filter, expected) in cases {
            let request = Request { filter, order_by: "size", page_size: 2, ..Request::default() };
            assert_eq!(walk(&store, request).await, expected, "{} {filter}", backend.name);
        }
    }
}

#[tokio::test]
async fn a_token_is_bound_to_its_query() {
    for backend in backends().await {
        let store = backend.open(ITEMS).await;
        fill(&store).await;
        let first = Request { page_size: 2, filter: "size > 1", parent: "a", ..Request::default() };
        let token = fetch(&store, first).await.unwrap().next_page_token;
        let same = Request { page_token: &token, ..first };
        fetch(&store, Request { page_size: 3, ..same }).await.unwrap();
        let others = [
            Request { filter: "size > 2", ..same },
            Request { order_by: "size", ..same },
            Request { parent: "b", ..same },
            Request { page_token: "nonsense", ..same },
        ];
        for other in others {
            let refused = fetch(&store, other).await.unwrap_err();
            assert_eq!(fields_at_fault(&refused), ["page_token"], "{}", backend.name);
        }
    }
}

#[test]
fn every_mistake_is_named() {
    let request =
        Request { page_size: -1, filter: "colour = red", order_by: "colour", ..Request::default() };
    let refused = LISTING.query(request).unwrap_err();
    assert_eq!(fields_at_fault(&refused), ["page_size", "filter", "order_by"]);
    let mistakes =
        ["state = active", "state < STATE_ACTIVE", "size : 1", "size = x", "create_time > now"];
    for filter in mistakes {
        let refused = LISTING.query(Request { filter, ..Request::default() }).unwrap_err();
        assert_eq!(fields_at_fault(&refused), ["filter"], "{filter}");
    }
}
