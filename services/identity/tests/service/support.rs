//! A running identity service with a clock that stands still until it is moved.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use durable::testing::{Backend, backends};
use identity::{Config, Identity, MIGRATIONS};
use mesh::{
    Channel, Settings, status,
    testing::{Mesh, Running},
};
use titan::identity::v1::{
    CreateSessionRequest, CreateUserRequest, Session, User,
    sessions_service_client::SessionsServiceClient, users_service_client::UsersServiceClient,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The second in which every test begins.
pub(crate) const BEGIN: i64 = 1_800_000_000;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A clock that is moved by hand; clones are the same clock.
#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(BEGIN * 1_000_000)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn seconds(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::SeqCst) / 1_000_000).unwrap()
    }

    pub(crate) fn reader(&self) -> identity::Clock {
        let clock = self.0.clone();
        Arc::new(move || clock.load(Ordering::SeqCst))
    }
}

pub(crate) fn config(pairs: &[(&str, &str)]) -> Config {
    let mut settings = Settings::from_pairs("identity", pairs);
    let config = Config::read(&mut settings);
    settings.finish().unwrap();
    config
}

/// A replica on a database.
pub(crate) async fn open(backend: &Backend, config: Config, clock: &Clock) -> Identity {
    let store = backend.open(MIGRATIONS).await;
    Identity::open_at(store, config, clock.reader()).await.unwrap()
}

pub(crate) struct Service {
    pub(crate) mesh: Mesh,
    pub(crate) identity: Identity,
    pub(crate) clock: Clock,
    _running: Running,
}

impl Service {
    pub(crate) async fn start(backend: &Backend, pairs: &[(&str, &str)]) -> Self {
        let clock = Clock::new();
        let identity = open(backend, config(pairs), &clock).await;
        let mesh = Mesh::new().await;
        let routes = identity::routes(identity.clone());
        let running = mesh.serve("identity", titan::DESCRIPTORS, routes).await;
        Self { mesh, identity, clock, _running: running }
    }

    /// For somebody without a token.
    pub(crate) fn users(&self) -> UsersServiceClient<Channel> {
        UsersServiceClient::new(self.mesh.channel("identity"))
    }

    pub(crate) fn users_as(&self, user: &str, roles: &[&str]) -> UsersServiceClient<Channel> {
        UsersServiceClient::new(self.mesh.channel_as("identity", id(user), roles))
    }

    pub(crate) fn sessions(&self) -> SessionsServiceClient<Channel> {
        SessionsServiceClient::new(self.mesh.channel("identity"))
    }

    pub(crate) fn sessions_as(&self, user: &str) -> SessionsServiceClient<Channel> {
        SessionsServiceClient::new(self.mesh.channel_as("identity", id(user), &[]))
    }

    /// Registers `{name}@example.org`.
    pub(crate) async fn register(&self, name: &str) -> User {
        let request = CreateUserRequest {
            email: format!("{name}@example.org"),
            password: PASSWORD.to_owned(),
            ..CreateUserRequest::default()
        };
        self.users().create_user(request).await.unwrap().into_inner()
    }

    /// Signs `{name}@example.org` in.
    pub(crate) async fn sign_in(&self, name: &str, password: &str) -> Result<Session, Status> {
        let (email, password) = (format!("{name}@example.org"), password.to_owned());
        let request = CreateSessionRequest { email, password };
        Ok(self.sessions().create_session(request).await?.into_inner())
    }
}

/// The id in `users/{id}`.
fn id(user: &str) -> &str {
    user.strip_prefix("users/").unwrap_or(user)
}

/// Runs a test on a service on every database.
pub(crate) async fn on_every_database(test: impl AsyncFn(Service)) {
    with_settings(&[], test).await;
}

pub(crate) async fn with_settings(pairs: &[(&str, &str)], test: impl AsyncFn(Service)) {
    for backend in backends().await {
        println!("on {}", backend.name);
        test(Service::start(&backend, pairs).await).await;
    }
}

/// Asserts how a call was refused.
#[track_caller]
pub(crate) fn refused<T>(answer: Result<T, Status>, code: Code, reason: &str) -> Status {
    let Err(status) = answer else { panic!("the call should have been refused") };
    let found = status::reason(&status);
    assert_eq!((status.code(), found.as_deref()), (code, Some(reason)), "{status:?}");
    status
}

/// The fields that a refusal names.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    let violations = status.get_details_bad_request().unwrap().field_violations;
    violations.into_iter().map(|violation| violation.field).collect()
}
