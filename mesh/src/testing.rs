//! A mesh within a test: applications on ports of their own, tokens and proofs
//! that verify, and no registry.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use crate::{
    App, Channel, Routes, Server, Settings,
    identity::{AUDIENCE, Claims, MeshKey, SigningKey, unix_now},
    net::Tcp,
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
}

/// An application under test. It is cut off when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it serves.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
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
        while tokio::net::TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
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
        let mesh_key = std::array::from_fn(|_| fastrand::u8(..));
        let key = SigningKey::generate().expect("randomness");
        let mesh = Self { key, mesh_key, addresses: Mutex::default() };
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
        let mut all = vec![
            ("static_endpoints", endpoints.as_str()),
            ("token_keys", KEY_ISSUER),
            ("token_issuer", ISSUER),
            ("log", "warn"),
        ];
        all.extend_from_slice(pairs);
        let key = MeshKey::new(&self.mesh_key).expect("the key is long enough");
        // A test's runtime may have a paused clock, which no worker's shares.
        App::assemble(Settings::from_pairs(name, &all), Some(key), Arc::new(Tcp), 0)
            .expect("the settings are right")
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
        let entry = (name.to_owned(), address);
        self.addresses.lock().expect("no test panics while it is held").push(entry);
        Running { address, stop: Some(stop), task }
    }

    /// A channel to an application for somebody outside: no proof, no token.
    ///
    /// # Panics
    /// When the application was not started.
    pub fn channel(&self, name: &str) -> Channel {
        let endpoints = self.endpoints();
        let pairs = [("static_endpoints", endpoints.as_str()), ("log", "warn")];
        let app = App::new(Settings::from_pairs("test", &pairs)).expect("the settings are right");
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
