//! The applicants service owns who applies for what.

mod app;
mod config;
pub mod domain;
mod grpc;
mod store;

use durable::{Store, feed::Feed, time};
use mesh::{Channel, Routes};
use titan::applicants::v1::{
    applicants_service_server::ApplicantsServiceServer,
    submissions_service_server::SubmissionsServiceServer,
};
use uuid::Uuid;

pub use config::Config;
pub use store::MIGRATIONS;

/// What the service serves from a store that was opened with [`MIGRATIONS`]: its
/// contracts, and the feed of what happened to submissions. `projects` leads to
/// the projects service.
pub fn routes(store: Store, projects: Channel, config: &Config) -> Routes {
    let feed = Feed::new(store.clone()).heartbeat(config.feed_heartbeat);
    let most = i64::from(config.max_submissions_per_project);
    let commands = app::Commands::new(&store, app::Projects::new(projects), most);
    let grpc = grpc::Grpc { commands, store, clock: time::now, ids: Uuid::now_v7 };
    Routes::new()
        .add(SubmissionsServiceServer::new(grpc.clone()))
        .add(ApplicantsServiceServer::new(grpc))
        .merge(feed.into_routes())
}

/// Keeps what is copied from `projects` true: follows its feed until dropped, at
/// any point without harm. To run beside [`routes`], in every replica.
pub async fn follow(store: Store, projects: Channel) {
    app::follow(store, projects, time::now).await;
}
