//! The shipping service as a process.

use durable::Store;
use mesh::{App, Settings, signal};
use shipping::{Config, MIGRATIONS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Every setting is read here, so that a bad one is reported before a port opens.
    let mut settings = Settings::from_env("shipping");
    let config = Config::read(&mut settings);
    let app = App::new(settings)?;
    let store = Store::open(app.database(), MIGRATIONS).await?;

    app.serve()
        .contracts(titan::DESCRIPTORS)
        .routes(shipping::routes(store, &config))
        .until(signal::terminate())
        .await?;
    Ok(())
}
