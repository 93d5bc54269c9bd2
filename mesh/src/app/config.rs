//! What is set about a process itself: where it serves, whom it asks, and how much
//! of the calls it takes.

use std::net::SocketAddr;

use crate::{
    channel::subset::Standpoint,
    identity::DEFAULT_ISSUER,
    resolver::{DEFAULT_WEIGHT, Listed, MAX_WEIGHT},
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
    /// Instances by application.
    pub(super) static_endpoints: Vec<(String, Listed)>,
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

fn static_endpoints(settings: &mut Settings) -> Vec<(String, Listed)> {
    let entries: Vec<String> = settings.get("static_endpoints", Vec::new());
    let listed: Vec<_> = entries.iter().filter_map(|entry| static_endpoint(entry)).collect();
    let whole = listed.len() == entries.len();
    let form =
        "must be a list of app=host:port, each with ;zone=name and ;weight=0 to 1000 if need be";
    settings.require("static_endpoints", whole, form);
    listed
}

/// `app=host:port;zone=a;weight=50`, of which all but the address may be left out.
fn static_endpoint(entry: &str) -> Option<(String, Listed)> {
    let (app, instance) = entry.split_once('=')?;
    let mut parts = instance.split(';').map(str::trim);
    let mut listed = Listed::at(parts.next()?.to_owned());
    for part in parts {
        match part.split_once('=')? {
            ("zone", zone) => zone.clone_into(&mut listed.zone),
            ("weight", weight) => {
                listed.weight = weight.parse().ok().filter(|weight| *weight <= MAX_WEIGHT)?;
            }
            _ => return None,
        }
    }
    Some((app.trim().to_owned(), listed))
}

fn weight(settings: &mut Settings) -> u32 {
    let weight = settings.get("weight", DEFAULT_WEIGHT);
    settings.require("weight", weight <= MAX_WEIGHT, "must be from 0 to 1000 (100 is ordinary)");
    weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_is_written_down_may_have_a_zone_and_a_weight() {
        let text = "shop=10.0.0.1:80; zone=a;weight=50, shop=10.0.0.2:80, bank=[::1]:1;weight=0";
        let mut settings = Settings::from_pairs("test", &[("static_endpoints", text)]);
        let listed = static_endpoints(&mut settings);
        settings.finish().unwrap();
        let told: Vec<_> = listed
            .iter()
            .map(|(app, one)| (&app[..], &one.target.address[..], &one.zone[..], one.weight))
            .collect();
        assert_eq!(
            told,
            [
                ("shop", "10.0.0.1:80", "a", 50),
                ("shop", "10.0.0.2:80", "", DEFAULT_WEIGHT),
                ("bank", "[::1]:1", "", 0),
            ]
        );
    }

    #[test]
    fn what_is_no_instance_is_refused() {
        for text in ["shop", "shop=a:1;zone", "shop=a:1;weight=1001", "shop=a:1;wait=2"] {
            let mut settings = Settings::from_pairs("test", &[("static_endpoints", text)]);
            assert_eq!(static_endpoints(&mut settings), [], "{text}");
            settings.finish().unwrap_err();
        }
    }
}
