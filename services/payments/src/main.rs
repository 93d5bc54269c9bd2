//! The payments service as a process.

use std::sync::Arc;

use durable::{
    Store,
    upkeep::{Kept, Upkeep},
};
use mesh::{App, Settings, signal};
use payments::{Config, MIGRATIONS, Provider, provider::Simulated};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Every setting is read here, so that a bad one is reported before a port opens.
    let mut settings = Settings::from_env("payments");
    let config = Config::read(&mut settings);
    let kept = Kept::read(&mut settings);
    let app = App::new(settings)?;
    let store = Store::open(app.database(), MIGRATIONS).await?;
    let upkeep = Upkeep::new(store.clone(), kept).shorten(["payments/"]);

    let provider: Arc<dyn Provider> =
        Arc::new(Simulated::new(store.clone(), config.simulated_delay));

    app.serve()
        .contracts(titan::DESCRIPTORS)
        .routes(payments::routes(store.clone(), provider.clone(), &config))
        .task("settle lost payments", payments::settle_lost(store, provider))
        .task("upkeep", upkeep.run())
        .until(signal::terminate())
        .await?;
    Ok(())
}
