//! The registry: which instances of which application are alive.

use registry::{Config, Registry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Every setting is read here, so that a bad one is reported before a port opens.
    let mut settings = mesh::Settings::from_env("registry");
    // One thread is plenty for a few messages a second per instance, and a runtime
    // for each core would cost more memory than the table.
    settings.presume("workers", "0");
    let config = Config::read(&mut settings);
    let app = mesh::App::new(settings)?;
    let registry = Registry::new(config.lease);

    app.serve()
        .contracts(mesh::DESCRIPTORS)
        .routes(registry::service(registry.clone()))
        .task("leases", registry.keep())
        .until(mesh::signal::terminate())
        .await?;
    Ok(())
}
