//! The accounts service as a process.

use accounts::{Bank, Config, MIGRATIONS};
use durable::{
    Store,
    upkeep::{Kept, Upkeep},
};
use mesh::{App, Settings, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Every setting is read here, so that a bad one is reported before a port opens.
    let mut settings = Settings::from_env("accounts");
    let config = Config::read(&mut settings);
    let kept = Kept::read(&mut settings);
    let app = App::new(settings)?;
    let store = Store::open(app.database(), MIGRATIONS).await?;
    let upkeep = Upkeep::new(store.clone(), kept);
    let bank = Bank::open(store).await?;

    app.serve()
        .contracts(titan::DESCRIPTORS)
        .routes(bank.routes(&config))
        .task("project statements", bank.clone().project())
        .task("move money", bank.transfer())
        .task("upkeep", upkeep.run())
        .until(signal::terminate())
        .await?;
    Ok(())
}
