//! Commands: one transaction each, refused before it where they are wrong in
//! themselves, and once only when their caller names them.

use std::time::Duration;

use durable::{
    Error, Expected, Migration, Store, Tx,
    command::{self, Command, IDEMPOTENCY_KEY},
    params,
    testing::backends,
};
use mesh::{Caller, User};
use prost::{Message, Name};
use tonic::{Code, Request, Status};
use tower::{Service, ServiceBuilder, ServiceExt as _};

const ORDERS: &[Migration] =
    &[Migration::new(1, "orders", "CREATE TABLE placed (item {text} NOT NULL);")];

#[derive(Clone, PartialEq, Message)]
struct PlaceOrderRequest {
    #[prost(string, tag = "1")]
    item: String,
}

impl Name for PlaceOrderRequest {
    const NAME: &'static str = "PlaceOrderRequest";
    const PACKAGE: &'static str = "test";
}

#[derive(Clone, PartialEq, Message)]
struct Order {
    #[prost(int64, tag = "1")]
    number: i64,
}

impl Name for Order {
    const NAME: &'static str = "Order";
    const PACKAGE: &'static str = "test";
}

#[derive(Clone)]
struct PlaceOrder {
    item: String,
}

impl command::Validate for PlaceOrder {
    type Error = Refusal;

    fn validate(&self) -> Result<(), Refusal> {
        if self.item.is_empty() { Err(Refusal::NoItem) } else { Ok(()) }
    }
}

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("an order needs an item")]
    NoItem,
    #[error("sold out")]
    SoldOut,
    #[error("{0} may not order")]
    Forbidden(String),
    #[error(transparent)]
    Store(#[from] Error),
}

#[derive(Clone)]
struct PlaceOrderHandler;

impl command::Handler<PlaceOrder> for PlaceOrderHandler {
    type Answer = Order;
    type Error = Refusal;

    /// The order's number is how many there are, so a second effect would show.
    async fn handle(&self, tx: &mut Tx, command: PlaceOrder) -> Result<Order, Refusal> {
        tx.execute("INSERT INTO placed (item) VALUES ($1)", params![&command.item]).await?;
        let row = tx.query_one("SELECT count(*) AS n FROM placed", params![]).await?.unwrap();
        let order = Order { number: row.get("n")? };
        tx.append("orders/1", Expected::Any, vec![durable::NewEvent::of(&order)]).await?;
        match command.item.as_str() {
            "unicorn" => Err(Refusal::SoldOut),
            "bomb" => panic!("a handler that panics"),
            _ => Ok(order),
        }
    }
}

/// Everybody may order but Eve.
#[derive(Clone)]
struct NotEve;

impl command::Authorize<PlaceOrder> for NotEve {
    type Error = Refusal;

    async fn authorize(&self, caller: &Caller, _: &PlaceOrder) -> Result<(), Refusal> {
        match caller.actor() {
            eve if eve == "users/eve" => Err(Refusal::Forbidden(eve)),
            _ => Ok(()),
        }
    }
}

type Stack = tower::util::BoxCloneService<Command<PlaceOrder>, Order, Refusal>;

fn stack(store: &Store, lifetime: Duration) -> Stack {
    ServiceBuilder::new()
        .layer(command::trace())
        .layer(command::validate())
        .layer(command::authorize(NotEve))
        .layer(command::transaction(store.clone()))
        .layer(command::idempotent().lifetime(lifetime))
        .service(command::handler(PlaceOrderHandler))
        .boxed_clone()
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn place(item: &str, key: &str, user: &str) -> Command<PlaceOrder> {
    let mut request = Request::new(PlaceOrderRequest { item: item.into() });
    if !key.is_empty() {
        request.metadata_mut().insert(IDEMPOTENCY_KEY, key.parse().unwrap());
    }
    let mut command = Command::of(&request, PlaceOrder { item: item.into() });
    let user = User { id: user.into(), ..User::default() };
    command.caller = Caller { user: Some(user), service: None };
    command
}

async fn count(store: &Store, table: &'static str) -> i64 {
    let sql = format!("SELECT count(*) AS n FROM {table}");
    store.query_one(sql, params![]).await.unwrap().unwrap().get("n").unwrap()
}

#[tokio::test]
async fn a_command_commits_its_effect_and_its_event() {
    for backend in backends().await {
        let store = backend.open(ORDERS).await;
        let mut handler = stack(&store, DAY);
        let order = handler.ready().await.unwrap().call(place("tea", "", "ann")).await.unwrap();
        assert_eq!(order.number, 1);
        assert_eq!((count(&store, "placed").await, count(&store, "durable_event").await), (1, 1));
    }
}

#[tokio::test]
async fn a_wrong_or_refused_command_leaves_nothing() {
    for backend in backends().await {
        let store = backend.open(ORDERS).await;
        let handler = stack(&store, DAY);
        let wrong = handler.clone().oneshot(place("", "k", "ann")).await;
        assert!(matches!(wrong, Err(Refusal::NoItem)));
        let refused = handler.clone().oneshot(place("unicorn", "k", "ann")).await;
        assert!(matches!(refused, Err(Refusal::SoldOut)));
        let panicked = tokio::spawn(handler.clone().oneshot(place("bomb", "k", "ann"))).await;
        assert!(panicked.unwrap_err().is_panic());
        for table in ["placed", "durable_event", "durable_idempotency"] {
            assert_eq!(count(&store, table).await, 0, "{} {table}", backend.name);
        }
        // The key is still free for a command that succeeds.
        assert_eq!(handler.oneshot(place("tea", "k", "ann")).await.unwrap().number, 1);
    }
}

#[tokio::test]
async fn who_may_not_is_refused_before_a_transaction_is_begun() {
    for backend in backends().await {
        let store = backend.open(ORDERS).await;
        let handler = stack(&store, DAY);
        // On SQLite nobody else could begin one.
        let held = store.begin().await.unwrap();
        let refused = handler.clone().oneshot(place("tea", "k", "eve")).await;
        assert!(matches!(refused, Err(Refusal::Forbidden(who)) if who == "users/eve"));
        // What is wrong in itself is told before who may not.
        let wrong = handler.clone().oneshot(place("", "k", "eve")).await;
        assert!(matches!(wrong, Err(Refusal::NoItem)), "{}", backend.name);
        held.rollback().await.unwrap();
        assert_eq!(handler.oneshot(place("tea", "k", "ann")).await.unwrap().number, 1);
    }
}

#[tokio::test]
async fn a_stored_answer_is_not_given_to_who_may_not_have_it() {
    for backend in backends().await {
        let store = backend.open(ORDERS).await;
        // Stored for Eve while nobody stood in her way.
        let open = ServiceBuilder::new()
            .layer(command::transaction(store.clone()))
            .layer(command::idempotent())
            .service(command::handler(PlaceOrderHandler));
        assert_eq!(open.oneshot(place("tea", "k", "eve")).await.unwrap().number, 1);
        let refused = stack(&store, DAY).oneshot(place("tea", "k", "eve")).await;
        assert!(matches!(refused, Err(Refusal::Forbidden(_))), "{}", backend.name);
    }
}

#[tokio::test]
async fn a_repeated_command_gets_the_same_answer_and_no_second_effect() {
    for backend in backends().await {
        let store = backend.open(ORDERS).await;
        let handler = stack(&store, DAY);
        let first = handler.clone().oneshot(place("tea", "k", "ann")).await.unwrap();
        handler.clone().oneshot(place("tea", "other", "ann")).await.unwrap();
        let again = handler.oneshot(place("tea", "k", "ann")).await.unwrap();
        assert_eq!((first.number, again.number), (1, 1), "{}", backend.name);
        assert_eq!(count(&store, "placed").await, 2);
    }
}

#[tokio::test]
async fn a_key_for_another_request_is_refused() {
    for backend in backends().await {
        let store = backend.open(ORDERS).await;
        let handler = stack(&store, DAY);
        handler.clone().oneshot(place("tea", "k", "ann")).await.unwrap();
        let Err(Refusal::Store(error)) = handler.oneshot(place("coffee", "k", "ann")).await else {
            panic!("the key is taken");
        };
        let status = Status::from(error);
        assert_eq!(status.code(), Code::FailedPrecondition, "{}", backend.name);
        assert_eq!(mesh::status::reason(&status).as_deref(), Some("IDEMPOTENCY_KEY_REUSED"));
    }
}

#[tokio::test]
async fn keys_belong_to_their_caller() {
    for backend in backends().await {
        let store = backend.open(ORDERS).await;
        let handler = stack(&store, DAY);
        let ann = handler.clone().oneshot(place("tea", "k", "ann")).await.unwrap();
        let bob = handler.oneshot(place("coffee", "k", "bob")).await.unwrap();
        assert_eq!((ann.number, bob.number), (1, 2), "{}", backend.name);
    }
}

#[tokio::test]
async fn a_key_that_is_no_key_is_refused() {
    for backend in backends().await {
        let store = backend.open(ORDERS).await;
        let refused = stack(&store, DAY).oneshot(place("tea", &"k".repeat(129), "ann")).await;
        assert!(matches!(refused, Err(Refusal::Store(Error::IdempotencyKeyInvalid))));
    }
}

#[tokio::test]
async fn expired_keys_are_free_again_and_are_purged() {
    for backend in backends().await {
        let store = backend.open(ORDERS).await;
        let handler = stack(&store, Duration::ZERO);
        for number in 1..=2 {
            let order = handler.clone().oneshot(place("tea", "k", "ann")).await.unwrap();
            assert_eq!(order.number, number, "{}", backend.name);
        }
        for key in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            handler.clone().oneshot(place("tea", key, "ann")).await.unwrap();
        }
        assert!(count(&store, "durable_idempotency").await <= 2, "{}", backend.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn of_repeats_at_the_same_time_one_takes_effect() {
    for backend in backends().await {
        let stores = [backend.open(ORDERS).await, backend.open(ORDERS).await];
        let calls: Vec<_> = (0..10)
            .map(|number| {
                let handler = stack(&stores[number % 2], DAY);
                tokio::spawn(handler.oneshot(place("tea", "k", "ann")))
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap().number, 1, "{}", backend.name);
        }
        assert_eq!(count(&stores[0], "placed").await, 1, "{}", backend.name);
    }
}
