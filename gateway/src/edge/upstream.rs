//! The way to the applications: a channel of the mesh for each, opened when it
//! is first needed. The edge calls for outsiders, so it does not prove its own
//! name: what is open to services only stays closed.

use std::{collections::HashMap, sync::RwLock};

use http::{Request, Response};
use mesh::{App, Channel, ResponseBody};
use tonic::{Status, body::Body};
use tower::Service as _;

/// Channels by application.
#[derive(Debug)]
pub(super) struct Upstream {
    app: App,
    channels: RwLock<HashMap<String, Channel>>,
}

impl Upstream {
    pub(super) fn new(app: App) -> Upstream {
        Upstream { app, channels: RwLock::default() }
    }

    /// Makes a call to an application.
    ///
    /// # Errors
    /// UNAVAILABLE when no instance answers, DEADLINE_EXCEEDED when the time of
    /// the request's `grpc-timeout` is over.
    pub(super) async fn call(
        &self,
        app: &str,
        request: Request<Body>,
    ) -> Result<Response<ResponseBody>, Status> {
        self.channel(app).call(request).await
    }

    fn channel(&self, app: &str) -> Channel {
        const UNPOISONED: &str = "nothing panics while it is held";
        if let Some(channel) = self.channels.read().expect(UNPOISONED).get(app) {
            return channel.clone();
        }
        let open = || self.app.channel(app).for_outsiders();
        let mut channels = self.channels.write().expect(UNPOISONED);
        channels.entry(app.to_owned()).or_insert_with(open).clone()
    }
}
