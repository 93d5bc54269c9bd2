//! A private PostgreSQL server with a database for each application, where there
//! is one on the machine.

use durable::testing::{self, Server};

/// A running server; it ends with the test, however that ends.
pub struct Postgres(Server);

impl Postgres {
    /// Starts it and makes the databases, or `None` where there is no server.
    pub fn start(databases: &[&str]) -> Option<Self> {
        let server = testing::postgres()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(server.create(databases));
        Some(Self(server))
    }

    /// What `titan up --database` takes.
    pub fn url(&self) -> String {
        self.0.store_url("{app}")
    }
}
