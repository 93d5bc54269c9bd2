//! The edge of a mesh.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Every setting is read here, so that a bad one is reported before a port opens.
    let mut settings = mesh::Settings::from_env("gateway");
    let config = gateway::Config::read(&mut settings);
    let app = mesh::App::new(settings)?;

    gateway::Gateway::bind(app, config)?.until(mesh::signal::terminate()).await;
    Ok(())
}
