//! The projects service as a process.

use durable::{
    Store,
    upkeep::{Kept, Upkeep},
};
use mesh::{App, Settings, signal};
use projects::{Config, MIGRATIONS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Every setting is read here, so that a bad one is reported before a port opens.
    let mut settings = Settings::from_env("projects");
    let config = Config::read(&mut settings);
    let kept = Kept::read(&mut settings);
    let app = App::new(settings)?;
    let store = Store::open(app.database(), MIGRATIONS).await?;
    let upkeep = Upkeep::new(store.clone(), kept);

    app.serve()
        .contracts(titan::DESCRIPTORS)
        .routes(projects::routes(store, &config))
        .task("upkeep", upkeep.run())
        .until(signal::terminate())
        .await?;
    Ok(())
}
