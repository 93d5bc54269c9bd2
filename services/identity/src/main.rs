//! The identity service.

use durable::{
    Store,
    upkeep::{Kept, Upkeep},
};
use identity::{Config, Identity, MIGRATIONS};
use mesh::{App, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Every setting is read here, so that a bad one is reported before a port opens.
    let mut settings = Settings::from_env("identity");
    let config = Config::read(&mut settings);
    let kept = Kept::read(&mut settings);
    let app = App::new(settings)?;
    let store = Store::open(app.database(), MIGRATIONS).await?;
    let upkeep = Upkeep::new(store.clone(), kept);
    let identity = Identity::open(store, config).await?;

    app.serve()
        .contracts(titan::DESCRIPTORS)
        .routes(identity::routes(identity.clone()))
        .task("keep", identity.keep())
        .task("upkeep", upkeep.run())
        .until(mesh::signal::terminate())
        .await?;
    Ok(())
}
