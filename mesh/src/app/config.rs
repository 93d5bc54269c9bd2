//! What is set about a process itself: where it serves, whom it asks, and how much
//! of the calls it takes.

use std::net::SocketAddr;

use crate::{
    channel::subset::Standpoint,
    identity::DEFAULT_ISSUER,
    resolver::{DEFAULT_WEIGHT, MAX_WEIGHT},
    settings::Settings,
};

/// What is set about the process itself.
pub(super) struct Config {
    pub(super) listen: SocketAddr,
    pub(super) admin_listen: SocketAddr,
    pub(super) advertise: Option<String>,
    pub(super) workers: usize,
    pub(super) database: String,
    pub(super) registry: Option<String>,
    pub(super) static_endpoints: Vec<(String, String)>,
    pub(super) token_keys: Option<String>,
    pub(super) token_issuer: String,
    pub(super) weight: u32,
    pub(super) standpoint: Standpoint,
}

impl Config {
    pub(super) fn read(settings: &mut Settings, workers: usize) -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let default_database = format!("sqlite:.titan/data/{}.db", settings.app());
        Self {
            listen: settings.get("listen", anywhere),
            admin_listen: settings.get("admin_listen", anywhere),
            advertise: settings.optional("advertise"),
            workers: settings.get("workers", workers),
            database: settings.get("database", default_database),
            registry: settings.optional("registry"),
            static_endpoints: static_endpoints(settings),
            token_keys: settings.optional("token_keys"),
            token_issuer: settings.get("token_issuer", DEFAULT_ISSUER.to_owned()),
            weight: weight(settings),
            standpoint: Standpoint::read(settings),
        }
    }
}

fn static_endpoints(settings: &mut Settings) -> Vec<(String, String)> {
    let entries: Vec<String> = settings.get("static_endpoints", Vec::new());
    let pairs: Vec<(String, String)> = entries
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(app, address)| (app.trim().to_owned(), address.trim().to_owned()))
        .collect();
    let whole = pairs.len() == entries.len();
    settings.require("static_endpoints", whole, "must be a list of app=host:port");
    pairs
}

fn weight(settings: &mut Settings) -> u32 {
    let weight = settings.get("weight", DEFAULT_WEIGHT);
    settings.require("weight", weight <= MAX_WEIGHT, "must be from 0 to 1000 (100 is ordinary)");
    weight
}
