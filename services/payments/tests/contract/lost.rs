//! Payments whose process died while the provider was asked, and whose caller never
//! asks again: what became of them is learnt, and no card is charged twice, whoever
//! else is at work on them at that moment.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use durable::{
    Store, params,
    task::Worker,
    testing::{Backend, backends},
    time,
};
use mesh::testing::{Mesh, Running};
use payments::{
    Config, Provider,
    domain::{Outcome, Terms},
    provider::{Booking, Call, Simulated, Unavailable},
};
use titan::payments::v1::{booking::Kind, payment::State};
use tokio::{sync::Semaphore, task::JoinSet};
use tonic::async_trait;

use crate::support::{Client, booked, capture, create, get, paid_by, refund};

/// Longer than an answer is waited for.
const LATER: i64 = 31 * 1_000_000;

/// Where a question to the provider is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It does not reach the provider.
    Before,
    /// It was answered.
    After,
}

/// The built-in provider behind a gate.
struct Gated {
    inner: Simulated,
    place: Place,
    /// A permit for each question that has come to the gate.
    held: Semaphore,
    /// A permit for each that may pass.
    open: Semaphore,
}

impl Gated {
    fn new(store: &Store, place: Place) -> Arc<Self> {
        let inner = Simulated::new(store.clone(), Duration::ZERO);
        Arc::new(Self { inner, place, held: Semaphore::new(0), open: Semaphore::new(0) })
    }

    async fn pass(&self, place: Place) {
        if self.place == place {
            self.held.add_permits(1);
            self.open.acquire().await.unwrap().forget();
        }
    }

    async fn until_held(&self) {
        self.held.acquire().await.unwrap().forget();
    }
}

#[async_trait]
impl Provider for Gated {
    async fn authorize(&self, call: Call<'_>, terms: &Terms) -> Result<Outcome, Unavailable> {
        self.pass(Place::Before).await;
        let outcome = self.inner.authorize(call, terms).await;
        self.pass(Place::After).await;
        outcome
    }

    async fn capture(&self, call: Call<'_>, terms: &Terms) -> Result<Outcome, Unavailable> {
        self.pass(Place::Before).await;
        let outcome = self.inner.capture(call, terms).await;
        self.pass(Place::After).await;
        outcome
    }

    async fn undo(&self, call: Call<'_>, terms: &Terms) -> Result<Outcome, Unavailable> {
        self.pass(Place::Before).await;
        let outcome = self.inner.undo(call, terms).await;
        self.pass(Place::After).await;
        outcome
    }

    async fn bookings(&self, charge: &str) -> Result<Vec<Booking>, Unavailable> {
        self.inner.bookings(charge).await
    }
}

/// The service on a fresh database.
struct Service {
    backend: Backend,
    store: Store,
    orders: Client,
    _running: Running,
    /// That of the workers.
    clock: Arc<AtomicI64>,
}

async fn services() -> Vec<Service> {
    let mut services = Vec::new();
    for backend in backends().await {
        let store = backend.open(payments::MIGRATIONS).await;
        let provider = Arc::new(Simulated::new(store.clone(), Duration::ZERO));
        let (orders, _running) = serve(&store, provider).await;
        let clock = Arc::new(AtomicI64::new(time::now()));
        services.push(Service { backend, store, orders, _running, clock });
    }
    services
}

/// A process of the service, and one that calls it.
async fn serve(store: &Store, provider: Arc<dyn Provider>) -> (Client, Running) {
    let mesh = Mesh::new().await;
    let routes = payments::routes(store.clone(), provider, &Config::default());
    let running = mesh.serve("payments", titan::DESCRIPTORS, routes).await;
    (Client::new(mesh.app("orders").channel("payments")), running)
}

impl Service {
    /// Makes a call to a process that dies when its question to the provider is at
    /// `place`.
    async fn die_in(&self, place: Place, call: impl AsyncFnOnce(Client)) {
        let provider = Gated::new(&self.store, place);
        let (client, running) = serve(&self.store, provider.clone()).await;
        tokio::select! {
            () = call(client) => panic!("{}: it was answered", self.backend.name),
            () = provider.until_held() => {}
        }
        running.kill().await;
    }

    /// Workers in so many processes, until the set is dropped.
    fn work(&self, processes: usize, provider: &Arc<Gated>) -> JoinSet<()> {
        let mut workers = JoinSet::new();
        for _ in 0..processes {
            let clock = self.clock.clone();
            let worker = Worker::with_clock(self.store.clone(), move || clock.load(SeqCst));
            let provider = provider.clone();
            let worker = payments::settling_lost(worker, self.store.clone(), provider);
            workers.spawn(worker.run());
        }
        workers
    }

    /// Whatever was asked by now is asked for too long.
    fn pass(&self) {
        self.clock.store(time::now() + LATER, SeqCst);
    }

    async fn state(&self, id: &str) -> State {
        get(&mut self.orders.clone(), id).await.unwrap().state()
    }

    /// Waits until nothing is promised any more.
    async fn until_settled(&self) {
        let sql = "SELECT count(*) AS n FROM durable_task";
        let open = async || -> i64 {
            let row = self.store.query_one(sql, params![]).await.unwrap();
            row.unwrap().get("n").unwrap()
        };
        while open().await > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Kinds of what the provider has booked for a payment.
    async fn booked(&self, id: &str) -> Vec<Kind> {
        let booked = booked(&mut self.orders.clone(), id).await;
        assert!(booked.iter().all(|(_, minor)| *minor == 1_250), "{booked:?}");
        booked.into_iter().map(|(kind, _)| kind).collect()
    }
}

/// What is done meanwhile by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// The caller asks again.
    Again,
    Refund,
}

#[tokio::test]
async fn a_charge_of_unknown_outcome_is_settled_and_made_once_in_every_interleaving() {
    let places = [Place::Before, Place::After];
    for service in services().await {
        for died in places {
            for held in places {
                for meanwhile in [Meanwhile::Nothing, Meanwhile::Again, Meanwhile::Refund] {
                    for captures in [false, true] {
                        interleave(&service, died, held, meanwhile, captures).await;
                    }
                }
            }
        }
    }
}

/// A process dies with its question at `died`; when the question is repeated it is
/// held up at `held`, until what is done meanwhile is done.
async fn interleave(
    service: &Service,
    died: Place,
    held: Place,
    meanwhile: Meanwhile,
    captures: bool,
) {
    let case = format!("{} {died:?} {held:?} {meanwhile:?} {captures}", service.backend.name);
    let id = case.to_lowercase().replace(' ', "-");
    let ask = async |mut client: Client| {
        let _ = match captures {
            true => capture(&mut client, &id).await,
            false => create(&mut client, &id, paid_by("card-ok")).await,
        };
    };
    if captures {
        create(&mut service.orders.clone(), &id, paid_by("card-ok")).await.unwrap();
    }
    service.die_in(died, ask).await;
    let waiting = if captures { State::Capturing } else { State::Authorizing };
    assert_eq!(service.state(&id).await, waiting, "{case}");

    let provider = Gated::new(&service.store, held);
    let _workers = service.work(2, &provider);
    service.pass();
    provider.until_held().await;
    match meanwhile {
        Meanwhile::Nothing => {}
        Meanwhile::Again => ask(service.orders.clone()).await,
        Meanwhile::Refund => drop(refund(&mut service.orders.clone(), &id).await.unwrap()),
    }
    provider.open.add_permits(Semaphore::MAX_PERMITS / 2);
    service.until_settled().await;

    let (state, booked) = (service.state(&id).await, service.booked(&id).await);
    match (meanwhile, captures) {
        (Meanwhile::Refund, _) => {
            let taken = booked.contains(&Kind::Capture);
            assert_eq!(state, if taken { State::Refunded } else { State::Voided }, "{case}");
            let expected: &[Kind] = match (taken, booked.is_empty()) {
                (true, _) => &[Kind::Authorize, Kind::Capture, Kind::Refund],
                (false, false) => &[Kind::Authorize, Kind::Release],
                // Nothing had reached the provider, and what came late was declined.
                (false, true) => &[],
            };
            assert_eq!(booked, expected, "{case}");
        }
        (_, true) => {
            assert_eq!(state, State::Captured, "{case}");
            assert_eq!(booked, [Kind::Authorize, Kind::Capture], "{case}");
        }
        (_, false) => {
            assert_eq!(state, State::Authorized, "{case}");
            assert_eq!(booked, [Kind::Authorize], "{case}");
        }
    }
}

#[tokio::test]
async fn what_is_being_undone_is_left_to_who_undoes_it() {
    for service in services().await {
        let mut orders = service.orders.clone();
        create(&mut orders, "undone", paid_by("card-ok")).await.unwrap();
        service
            .die_in(Place::Before, async |mut client| drop(refund(&mut client, "undone").await))
            .await;
        service
            .die_in(Place::Before, async |mut client| {
                drop(create(&mut client, "lost", paid_by("card-ok")).await);
            })
            .await;
        let provider = Gated::new(&service.store, Place::After);
        provider.open.add_permits(Semaphore::MAX_PERMITS / 2);
        let _workers = service.work(1, &provider);
        service.pass();
        service.until_settled().await;
        assert_eq!(service.state("lost").await, State::Authorized, "{}", service.backend.name);
        assert_eq!(service.state("undone").await, State::Undoing, "{}", service.backend.name);
        assert_eq!(service.booked("undone").await, [Kind::Authorize]);
        assert_eq!(refund(&mut orders, "undone").await.unwrap().state(), State::Voided);
    }
}

#[tokio::test]
async fn a_question_that_was_asked_a_moment_ago_is_not_repeated() {
    for service in services().await {
        let mut orders = service.orders.clone();
        create(&mut orders, "1", paid_by("card-ok")).await.unwrap();
        let provider = Gated::new(&service.store, Place::Before);
        let _workers = service.work(1, &provider);
        // The first question was answered; the task that was promised with it finds
        // the second, whose process is still alive for all that is known.
        service
            .die_in(Place::Before, async |mut client| drop(capture(&mut client, "1").await))
            .await;
        let captured = get(&mut orders, "1").await.unwrap().update_time.unwrap();
        let captured = time::from_proto(&captured).unwrap();
        let promised = captured + 30 * 1_000_000;
        service.clock.store(promised - 1, SeqCst);
        let sql = "SELECT due FROM durable_task";
        let due = async || -> i64 {
            let row = service.store.query_one(sql, params![]).await.unwrap();
            row.unwrap().get("due").unwrap()
        };
        while due().await != promised {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(provider.held.available_permits(), 0, "{}", service.backend.name);
        assert_eq!(service.state("1").await, State::Capturing, "{}", service.backend.name);
    }
}
