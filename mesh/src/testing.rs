//! A mesh within a test: applications on ports of their own, tokens and proofs
//! that verify, and no registry.
//!
//! [`Mesh::new`] is over TCP. [`Mesh::simulated`] is over a network in memory, so
//! that with paused time (`#[tokio::test(start_paused = true)]`) hours pass in
//! milliseconds; its [`Link`]s fail as a test or a seed asks. A [`Peer`]
//! misbehaves at the level of HTTP/2, a [`Recorder`] tells which attempts arrived
//! where.

mod link;
mod memory;
mod peer;
mod recorder;
mod storm;
mod wire;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use self::memory::Book;
pub use self::{
    link::Link,
    memory::Faults,
    peer::{Peer, Reply, RunningPeer},
    recorder::{Arrival, End, Recorded, Recorder},
};

use crate::{
    App, Channel, Routes, Server, Settings,
    identity::{AUDIENCE, Claims, MeshKey, SigningKey, unix_now},
    net::{Network, Tcp},
    proto::{
        ListKeysRequest, ListKeysResponse,
        key_service_server::{KeyService, KeyServiceServer},
    },
};

const ISSUER: &str = "https://issuer.test";
const KEY_ISSUER: &str = "test-keys";

/// Applications of one test, which end with it.
#[derive(Debug)]
pub struct Mesh {
    key: SigningKey,
    mesh_key: [u8; 32],
    addresses: Mutex<Vec<(String, SocketAddr)>>,
    simulation: Option<Simulation>,
}

#[derive(Debug)]
struct Simulation {
    seed: u64,
    book: Arc<Book>,
}

impl Drop for Simulation {
    #[expect(clippy::print_stderr, reason = "a test that fails must tell how to repeat it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the simulated mesh had the seed {}", self.seed);
        }
    }
}

/// An application under test. It is cut off when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it serves.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
    book: Option<Arc<Book>>,
}

impl Running {
    /// Drains the application and waits for its end.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Running {
    /// Cuts the application off, as a crash does; returns when its port is closed.
    pub async fn kill(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
        // What the server had spawned ends a moment after it.
        while self.listens().await {
            tokio::task::yield_now().await;
        }
        if let Some(book) = &self.book {
            book.cut(|_, to| to == self.address);
        }
    }

    async fn listens(&self) -> bool {
        match &self.book {
            Some(book) => book.listens(self.address),
            None => tokio::net::TcpStream::connect(self.address).await.is_ok(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mesh {
    /// A mesh that knows the issuer of its tokens and nobody else.
    ///
    /// # Panics
    /// When the test's machine has no randomness.
    pub async fn new() -> Self {
        Self::over(None).await
    }

    /// A mesh over a network in memory. With paused time, nothing in it waits for
    /// the machine. The seed decides every fault, and all that the mesh itself
    /// draws in this thread; it is printed when the test panics. Only the order in
    /// which tokio polls what is ready at the same moment is not drawn from it.
    ///
    /// Every process has a host of its own, `10.0.0.1` and so on; a process that
    /// states a port at `listen` gets it there, and any other address as it is.
    ///
    /// # Panics
    /// When the test's machine has no randomness.
    ///
    /// # Examples
    /// ```
    /// # use mesh::{Routes, testing::Mesh};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let mesh = Mesh::simulated(42).await;
    /// let shop = mesh.serve("shop", mesh::DESCRIPTORS, Routes::new()).await;
    /// mesh.links(shop.address).black_hole();
    /// # }
    /// ```
    pub async fn simulated(seed: u64) -> Self {
        fastrand::seed(seed);
        Self::over(Some(Simulation { seed, book: Book::new(seed) })).await
    }

    async fn over(simulation: Option<Simulation>) -> Self {
        let mesh_key = std::array::from_fn(|_| fastrand::u8(..));
        let key = SigningKey::generate().expect("randomness");
        let mesh = Self { key, mesh_key, addresses: Mutex::default(), simulation };
        let keys = Keys(Arc::new(ListKeysResponse { keys: vec![mesh.key.public()] }));
        let routes = Routes::new().add(KeyServiceServer::new(keys));
        let running = mesh.serve_app(&mesh.app(KEY_ISSUER), crate::DESCRIPTORS, routes).await;
        // Serves to the end of the test's runtime.
        std::mem::forget(running);
        mesh
    }

    /// A process of this mesh. It can call the applications that were started
    /// before it.
    ///
    /// # Panics
    /// Never in a test that is inside a runtime.
    pub fn app(&self, name: &'static str) -> App {
        self.app_with(name, &[])
    }

    /// A process with further settings.
    ///
    /// # Panics
    /// When a setting is wrong.
    pub fn app_with(&self, name: &'static str, pairs: &[(&str, &str)]) -> App {
        let endpoints = self.endpoints();
        // In a simulation, instances fail because a test wants them to.
        let log = if self.simulation.is_some() { "error" } else { "warn" };
        let mut all = vec![
            ("static_endpoints", endpoints.as_str()),
            ("token_keys", KEY_ISSUER),
            ("token_issuer", ISSUER),
            ("log", log),
        ];
        all.extend_from_slice(pairs);
        let key = MeshKey::new(&self.mesh_key).expect("the key is long enough");
        // A test's runtime may have a paused clock, which no worker's shares.
        App::assemble(Settings::from_pairs(name, &all), Some(key), self.network(name), 0)
            .expect("the settings are right")
    }

    fn network(&self, name: &str) -> Arc<dyn Network> {
        match &self.simulation {
            Some(simulation) => simulation.book.host(name),
            None => Arc::new(Tcp),
        }
    }

    fn book(&self) -> &Arc<Book> {
        let simulation = self.simulation.as_ref();
        &simulation.expect("only a simulated mesh has links that fail on request").book
    }

    /// The way from one application to an address, in a simulated mesh. A caller
    /// without an application of its own ([`channel`](Self::channel)) is `test`.
    ///
    /// # Panics
    /// When the mesh is not simulated.
    pub fn link(&self, caller: &str, to: SocketAddr) -> Link {
        Link::new(self.book().clone(), Some(caller), to)
    }

    /// The ways from everybody to an address, in a simulated mesh, but for callers
    /// whose own [`link`](Self::link) was changed.
    ///
    /// # Panics
    /// When the mesh is not simulated.
    pub fn links(&self, to: SocketAddr) -> Link {
        Link::new(self.book().clone(), None, to)
    }

    /// Faults drawn from the seed, upon the ways to these addresses: cut and refused
    /// connections, black holes, latency, jitter, little bandwidth. Returns when the
    /// time is over and every way is healed. Dropped before, it leaves what it did.
    ///
    /// # Panics
    /// When the mesh is not simulated.
    pub async fn storm(&self, addresses: &[SocketAddr], lasts: Duration) {
        storm::blow(self.book(), addresses, lasts).await;
    }

    /// The faults that were carried out so far: a test of faults that counts none
    /// has tested nothing.
    ///
    /// # Panics
    /// When the mesh is not simulated.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.book().pages().faults
    }

    /// Puts a misbehaving server in the place of an application's instance.
    ///
    /// # Panics
    /// When there is no port for it.
    pub async fn peer(&self, name: &str, peer: Peer) -> RunningPeer {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = self.network(name).listen(anywhere).expect("a port is free");
        let address = listener.local_addr().expect("it was just bound");
        self.know(name, address);
        peer.serve(name, listener, address)
    }

    fn know(&self, name: &str, address: SocketAddr) {
        let entry = (name.to_owned(), address);
        self.addresses.lock().expect("no test panics while it is held").push(entry);
    }

    fn endpoints(&self) -> String {
        let addresses = self.addresses.lock().expect("no test panics while it is held");
        let pairs: Vec<String> =
            addresses.iter().map(|(app, address)| format!("{app}={address}")).collect();
        pairs.join(",")
    }

    /// Serves routes as an application on a port of its own.
    ///
    /// # Panics
    /// When the application cannot serve.
    pub async fn serve(
        &self,
        name: &'static str,
        contracts: &'static [u8],
        routes: Routes,
    ) -> Running {
        self.serve_app(&self.app(name), contracts, routes).await
    }

    /// Serves routes as a process that was made before.
    ///
    /// # Panics
    /// When the application cannot serve.
    pub async fn serve_app(&self, app: &App, contracts: &'static [u8], routes: Routes) -> Running {
        self.start(app.name(), app.serve().contracts(contracts).routes(routes)).await
    }

    /// Starts a server as it was put together.
    ///
    /// # Panics
    /// When the application cannot serve.
    pub async fn start(&self, name: &str, server: Server) -> Running {
        let (listening, bound) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = server.tell(listening);
        let task = tokio::spawn(async move {
            let stopped = async { _ = stopped.await };
            server.until(stopped).await.expect("the application serves");
        });
        let address = bound.await.expect("the application serves");
        self.know(name, address);
        let book = self.simulation.as_ref().map(|simulation| simulation.book.clone());
        Running { address, stop: Some(stop), task, book }
    }

    /// A channel to an application for somebody outside: no proof, no token.
    ///
    /// # Panics
    /// When the application was not started.
    pub fn channel(&self, name: &str) -> Channel {
        let endpoints = self.endpoints();
        let pairs = [("static_endpoints", endpoints.as_str()), ("log", "warn")];
        let settings = Settings::from_pairs("test", &pairs);
        let app = App::over(self.network("test"), settings).expect("the settings are right");
        app.channel(name)
    }

    /// A channel to an application for a user.
    ///
    /// # Panics
    /// When the application was not started.
    pub fn channel_as(&self, name: &str, user: &str, roles: &[&str]) -> Channel {
        let token = self.token(user, roles);
        self.channel(name).with_token(&token).expect("a token can stand in a header")
    }

    /// An access token that this mesh accepts, for ten minutes.
    #[must_use]
    pub fn token(&self, user: &str, roles: &[&str]) -> String {
        self.token_for(user, roles, Duration::from_secs(600))
    }

    /// An access token with another life; zero for one that has run out.
    #[must_use]
    pub fn token_for(&self, user: &str, roles: &[&str], life: Duration) -> String {
        let now = unix_now();
        self.key.sign(&Claims {
            iss: ISSUER.to_owned(),
            sub: user.to_owned(),
            aud: AUDIENCE.to_owned(),
            exp: if life.is_zero() { now - 3_600 } else { now + life.as_secs() },
            iat: now,
            nbf: None,
            jti: format!("{:016x}", fastrand::u64(..)),
            sid: None,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            scope: String::new(),
        })
    }
}

struct Keys(Arc<ListKeysResponse>);

#[tonic::async_trait]
impl KeyService for Keys {
    async fn list_keys(
        &self,
        _: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        Ok(Response::new((*self.0).clone()))
    }
}
