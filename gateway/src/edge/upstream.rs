//! The way to the applications: a channel of the mesh for each, opened when it
//! is first needed. The edge calls for outsiders, so it does not prove its own
//! name: what is open to services only stays closed.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use http::Response;
use mesh::{App, Channel, Forwarded, ResponseBody};
use tonic::Status;

use crate::schema::Rpc;

/// Channels by application. Workers share the table but no lock: it is copied
/// when an application is called for the first time.
#[derive(Debug)]
pub(super) struct Upstream {
    app: App,
    channels: ArcSwap<HashMap<String, Channel>>,
}

impl Upstream {
    pub(super) fn new(app: App) -> Upstream {
        Upstream { app, channels: ArcSwap::default() }
    }

    /// Makes a call to a method's application.
    ///
    /// # Errors
    /// UNAVAILABLE when no instance answers, DEADLINE_EXCEEDED when its time is
    /// over.
    pub(super) fn call(
        &self,
        rpc: &Rpc,
        call: Forwarded,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Status>> + Send + use<> {
        // The name is looked up once for each method of a snapshot.
        rpc.channel.get_or_init(|| self.channel(&rpc.app)).forward(call)
    }

    fn channel(&self, app: &str) -> Channel {
        if let Some(channel) = self.channels.load().get(app) {
            return channel.clone();
        }
        let opened = self.app.channel(app).for_outsiders();
        // Of two that open one at once the first stays.
        self.channels.rcu(|channels| {
            let mut channels = HashMap::clone(channels);
            channels.entry(app.to_owned()).or_insert_with(|| opened.clone());
            Arc::new(channels)
        });
        self.channels.load().get(app).cloned().unwrap_or(opened)
    }
}
