//! The edge's settings, beside those that every process of the mesh has.

use std::{net::SocketAddr, time::Duration};

use mesh::Settings;

use crate::edge::Limits;

/// What is set.
#[derive(Clone, Debug)]
pub struct Config {
    /// `listen`: where the edge serves; default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// `cors_origins`: origins whose pages may read answers; `*` for all,
    /// default none but the edge's own.
    pub cors_origins: Vec<String>,
    /// `max_body_bytes`: largest body of a REST request that becomes one message;
    /// default 4 MiB, which is what services accept. Streams have no such limit.
    pub max_body_bytes: usize,
    /// `max_connections`: connections at once; default 10,000.
    pub max_connections: usize,
    /// `max_streams`: requests at once on one HTTP/2 connection; default 250.
    pub max_streams: u32,
    /// `drain_timeout`: for running requests to end; default 25 s.
    pub drain_timeout: Duration,
    /// `idle_timeout`: longest silence of a client that streams a body, and
    /// longest time in which one takes nothing of an answer; default 30 s.
    pub idle_timeout: Duration,
    /// `trace_ratio`: share of the traces begun here that are recorded.
    pub trace_ratio: f64,
    /// `applications`: who is behind the edge, in a mesh without a registry.
    pub applications: Vec<String>,
}

impl Config {
    /// Reads the settings; mistakes are reported by [`mesh::App::new`] with all
    /// others.
    pub fn read(settings: &mut Settings) -> Config {
        let config = Config {
            listen: settings.get("listen", SocketAddr::from(([127, 0, 0, 1], 8080))),
            cors_origins: settings.get("cors_origins", Vec::new()),
            max_body_bytes: settings.get("max_body_bytes", 4 << 20),
            max_connections: settings.get("max_connections", 10_000),
            max_streams: settings.get("max_streams", 250),
            drain_timeout: settings.get("drain_timeout", Duration::from_secs(25)),
            idle_timeout: settings.get("idle_timeout", Duration::from_secs(30)),
            trace_ratio: settings.get("trace_ratio", 1.0),
            applications: settings.get("applications", Vec::new()),
        };
        let origins = config.cors_origins.iter().all(|origin| is_origin(origin));
        settings.require("cors_origins", origins, "must be `*` or origins: https://example.org");
        let connections = config.max_connections > 0 && config.max_streams > 0;
        settings.require("max_connections", connections, "and max_streams must not be zero");
        config
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_body_bytes: self.max_body_bytes,
            max_connections: self.max_connections,
            max_streams: self.max_streams,
            drain_timeout: self.drain_timeout,
            idle_timeout: self.idle_timeout,
        }
    }
}

/// Browsers send an origin without a path (RFC 6454 §6.2); one with a slash at
/// its end would never match.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for good in ["*", "https://a.example", "http://localhost:3000"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in ["", "a.example", "https://a.example/", "https://", "ftp://a"] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
