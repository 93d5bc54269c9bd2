//! The applications of the system in the order in which they start, each with
//! its settings. Everything that an application is told by the supervisor is on
//! this page.

use std::{
    fmt::Display,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// The applications in the order in which they start.
pub(crate) const NAMES: &[&str] = &[
    REGISTRY,
    "identity",
    "accounts",
    "inventory",
    "payments",
    "shipping",
    "orders",
    "projects",
    "applicants",
    EDGE,
];

/// Tells the others where everyone is; everything needs it.
pub(crate) const REGISTRY: &str = "registry";

/// Serves REST and gRPC to the outside.
pub(crate) const EDGE: &str = "gateway";

/// What the settings of this run are made from.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Where the registry serves. Fixed for the run: after a restart everyone
    /// finds it again where it was.
    pub registry: SocketAddr,
    /// Where the registry serves its admin pages; nobody could ask it.
    pub registry_admin: SocketAddr,
    /// Where the edge listens.
    pub edge: SocketAddr,
    /// URL of a database with `{app}` in it.
    pub database: String,
    /// File with the key of the mesh.
    pub mesh_key: PathBuf,
    /// How long a process may take to end its calls.
    pub drain_timeout: Duration,
    /// Where traces go, if the command line says so.
    pub otlp: Option<String>,
}

/// An application: the program of that name, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Application {
    /// Its name, which is also its program's.
    pub name: &'static str,
    /// Its settings, by their names in the environment.
    pub settings: Vec<(&'static str, String)>,
}

/// Every application, in the order in which they start. They end in the reverse
/// order, so that nobody loses a service that it still calls.
pub(crate) fn applications(place: &Place) -> Vec<Application> {
    NAMES
        .iter()
        .map(|&name| match name {
            REGISTRY => Application::new(name, place)
                .with("TITAN_LISTEN", place.registry)
                .with("TITAN_ADMIN_LISTEN", place.registry_admin),
            EDGE => Application::member(name, place)
                .with("TITAN_LISTEN", place.edge)
                .with("TITAN_ADMIN_LISTEN", "127.0.0.1:0"),
            _ => Application::member(name, place)
                .with("TITAN_LISTEN", "127.0.0.1:0")
                .with("TITAN_ADMIN_LISTEN", "127.0.0.1:0")
                // All processes of one application share its database.
                .with("TITAN_DATABASE", place.database.replace("{app}", name)),
        })
        .collect()
}

impl Application {
    /// What every process is told.
    fn new(name: &'static str, place: &Place) -> Self {
        let app = Self { name, settings: Vec::new() }
            .with("TITAN_MESH_KEY_FILE", place.mesh_key.display())
            .with("TITAN_LOG_FORMAT", "json")
            // The supervisor's own patience depends on it.
            .with("TITAN_DRAIN_TIMEOUT", format_args!("{}ms", place.drain_timeout.as_millis()))
            // However the supervisor dies, its processes notice and drain.
            .with("TITAN_EXIT_ON_STDIN_EOF", "1");
        match &place.otlp {
            Some(endpoint) => app.with("TITAN_OTLP_ENDPOINT", endpoint),
            None => app,
        }
    }

    /// What every process is told that finds others through the registry and
    /// serves users by the tokens that identity issues.
    fn member(name: &'static str, place: &Place) -> Self {
        Self::new(name, place)
            .with("TITAN_REGISTRY", place.registry)
            .with("TITAN_TOKEN_KEYS", "identity")
            .with("TITAN_TOKEN_ISSUER", url(place.edge))
    }

    fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.settings.push((name, format!("{value}")));
        self
    }
}

/// Variables that belong to one process: a value that the supervisor itself was
/// started with must not reach all of them.
pub(crate) const OWN_VARIABLES: [&str; 7] = [
    "TITAN_LISTEN",
    "TITAN_ADMIN_LISTEN",
    "TITAN_REGISTRY",
    "TITAN_DATABASE",
    "TITAN_TOKEN_KEYS",
    "TITAN_TOKEN_ISSUER",
    "TITAN_TOKEN",
];

/// Whether more than one process of an application may run: not where the
/// address is fixed.
pub(crate) fn may_be_replicated(app: &str) -> bool {
    app != REGISTRY && app != EDGE
}

/// Whether an application keeps state.
pub(crate) fn has_database(app: &str) -> bool {
    app != REGISTRY && app != EDGE
}

/// Where a program on this machine finds a server that listens on an address.
pub(crate) fn reachable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}

/// The same as a URL.
pub(crate) fn url(listen: SocketAddr) -> String {
    format!("http://{}", reachable(listen))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn place() -> Place {
        Place {
            registry: "127.0.0.1:20001".parse().unwrap(),
            registry_admin: "127.0.0.1:20002".parse().unwrap(),
            edge: "0.0.0.0:8080".parse().unwrap(),
            database: "sqlite:/state/data/{app}.db".to_owned(),
            mesh_key: "/state/mesh.key".into(),
            drain_timeout: Duration::from_secs(25),
            otlp: None,
        }
    }

    fn settings(place: &Place, app: &str) -> HashMap<&'static str, String> {
        let found = applications(place).into_iter().find(|found| found.name == app);
        found.unwrap().settings.into_iter().collect()
    }

    #[test]
    fn the_registry_starts_first_and_the_edge_last() {
        let names: Vec<_> = applications(&place()).iter().map(|app| app.name).collect();
        assert_eq!(names, NAMES);
        assert_eq!((names.first(), names.last()), (Some(&REGISTRY), Some(&EDGE)));
    }

    #[test]
    fn every_service_is_started() {
        let services = concat!(env!("CARGO_MANIFEST_DIR"), "/../services");
        for service in std::fs::read_dir(services).unwrap() {
            let name = service.unwrap().file_name().into_string().unwrap();
            assert!(NAMES.contains(&&*name), "services/{name} is missing in topology::NAMES");
        }
    }

    #[test]
    fn everyone_but_the_registry_finds_the_others_through_it() {
        for app in applications(&place()) {
            let settings: HashMap<_, _> = app.settings.into_iter().collect();
            let registry = settings.get("TITAN_REGISTRY").map(String::as_str);
            let expected = (app.name != REGISTRY).then_some("127.0.0.1:20001");
            assert_eq!(registry, expected, "{}", app.name);
            assert_eq!(settings["TITAN_EXIT_ON_STDIN_EOF"], "1");
            assert_eq!(settings["TITAN_DRAIN_TIMEOUT"], "25000ms");
            assert_eq!(settings["TITAN_MESH_KEY_FILE"], "/state/mesh.key");
        }
    }

    #[test]
    fn every_service_has_a_database_of_its_own() {
        let place = place();
        assert_eq!(
            settings(&place, "projects")["TITAN_DATABASE"],
            "sqlite:/state/data/projects.db"
        );
        assert_eq!(
            settings(&place, "identity")["TITAN_DATABASE"],
            "sqlite:/state/data/identity.db"
        );
        for app in [REGISTRY, EDGE] {
            assert!(!settings(&place, app).contains_key("TITAN_DATABASE"), "{app}");
        }
    }

    #[test]
    fn tokens_are_issued_by_the_edge_as_users_reach_it() {
        let issuer = settings(&place(), "identity").remove("TITAN_TOKEN_ISSUER").unwrap();
        assert_eq!(issuer, "http://127.0.0.1:8080");
    }

    #[test]
    fn traces_go_where_the_command_line_says() {
        assert!(!settings(&place(), "projects").contains_key("TITAN_OTLP_ENDPOINT"));
        let place = Place { otlp: Some("http://127.0.0.1:4317".to_owned()), ..place() };
        assert_eq!(settings(&place, "projects")["TITAN_OTLP_ENDPOINT"], "http://127.0.0.1:4317");
    }
}
