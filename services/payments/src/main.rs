//! The payments service as a process.

use std::sync::Arc;

use durable::Store;
use mesh::{App, Settings, signal};
use payments::{Config, MIGRATIONS, provider::Simulated};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Every setting is read here, so that a bad one is reported before a port opens.
    let mut settings = Settings::from_env("payments");
    let config = Config::read(&mut settings);
    let app = App::new(settings)?;
    let store = Store::open(app.database(), MIGRATIONS).await?;

    let provider = Arc::new(Simulated::new(store.clone(), config.simulated_delay));

    app.serve()
        .contracts(titan::DESCRIPTORS)
        .routes(payments::routes(store, provider, &config))
        .until(signal::terminate())
        .await?;
    Ok(())
}
