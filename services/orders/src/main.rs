//! The orders service as a process.

use durable::{
    Store,
    upkeep::{Kept, Upkeep},
};
use mesh::{App, Settings, signal};
use orders::{Config, MIGRATIONS, Orders, Shop};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Every setting is read here, so that a bad one is reported before a port opens.
    let mut settings = Settings::from_env("orders");
    let config = Config::read(&mut settings);
    let kept = Kept::read(&mut settings);
    let app = App::new(settings)?;
    let store = Store::open(app.database(), MIGRATIONS).await?;
    let upkeep = Upkeep::new(store.clone(), kept);
    let orders = Orders::open(store, Shop::of(&app), &config).await?;

    app.serve()
        .contracts(titan::DESCRIPTORS)
        .routes(orders.routes())
        .task("place orders", orders.work())
        .task("upkeep", upkeep.run())
        .until(signal::terminate())
        .await?;
    Ok(())
}
