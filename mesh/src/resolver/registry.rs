//! The registry as a resolver: one watch per process, from which every channel
//! takes its part.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::watch, task::AbortHandle};
use tonic::Status;

use super::{DEFAULT_WEIGHT, Listed, MAX_WEIGHT, Resolver, Target, View};
use crate::{
    backoff::Backoff,
    call,
    channel::Channel,
    proto::{
        Instance, WatchRequest, WatchResponse, registry_service_client::RegistryServiceClient,
    },
};

/// All living instances of a mesh, as the registry last told them.
#[derive(Clone, Debug, Default)]
pub struct Instances {
    /// Whether the registry has answered at all.
    pub known: bool,
    /// The instances, by application and id.
    pub instances: Vec<Instance>,
}

/// Follows a registry. Cheap to clone; the last clone ends the watch.
#[derive(Clone, Debug)]
pub struct Registry {
    instances: watch::Receiver<Instances>,
    _task: Arc<AbortOnDrop>,
}

#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Registry {
    /// Begins to watch; must be called within a runtime.
    pub(crate) fn watch(channel: Channel) -> Self {
        let (sender, instances) = watch::channel(Instances::default());
        let task = tokio::spawn(call::detached(follow(channel, sender)));
        Self { instances, _task: Arc::new(AbortOnDrop(task.abort_handle())) }
    }

    /// Every living instance, and every change of that. While the registry is
    /// down, the last view stands.
    #[must_use]
    pub fn instances(&self) -> watch::Receiver<Instances> {
        self.instances.clone()
    }
}

impl Resolver for Registry {
    fn watch(&self, app: &str) -> watch::Receiver<View> {
        let mut all = self.instances.clone();
        // A channel may outlive its application and must not grow blind then.
        let watching = self.clone();
        let app = app.to_owned();
        let (sender, receiver) = watch::channel(part(&all.borrow_and_update(), &app));
        tokio::spawn(async move {
            let _watching = watching;
            loop {
                tokio::select! {
                    changed = all.changed() => if changed.is_err() { return },
                    () = sender.closed() => return,
                }
                let next = part(&all.borrow_and_update(), &app);
                sender.send_if_modified(|view| {
                    // An application that vanished altogether is more often a
                    // fault of the registry than the truth: calls to instances
                    // that are really gone fail by themselves.
                    let replace =
                        *view != next && !next.instances.is_empty() || view.known != next.known;
                    if replace {
                        *view = next;
                    }
                    replace
                });
            }
        });
        receiver
    }
}

fn part(all: &Instances, app: &str) -> View {
    let instances = all.instances.iter().filter(|instance| instance.app == app);
    View { known: all.known, instances: instances.map(listed).collect() }
}

fn listed(instance: &Instance) -> Listed {
    Listed {
        target: Target { address: instance.address.clone(), instance: instance.id.clone() },
        zone: instance.zone.clone(),
        // The registry may be somebody else's, so the bound is kept here too.
        weight: instance.weight.unwrap_or(DEFAULT_WEIGHT).min(MAX_WEIGHT),
    }
}

async fn follow(channel: Channel, sender: watch::Sender<Instances>) {
    // The upper bound keeps a restarted registry from waiting for its mesh; the
    // jitter keeps the mesh from arriving all at once.
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    let mut client = RegistryServiceClient::new(channel);
    loop {
        match follow_once(&mut client, &sender, &mut backoff).await {
            Ok(()) => tracing::debug!("the registry ended its watch"),
            Err(status) => tracing::debug!(%status, "the registry cannot be watched"),
        }
        tokio::time::sleep(backoff.wait()).await;
    }
}

async fn follow_once(
    client: &mut RegistryServiceClient<Channel>,
    sender: &watch::Sender<Instances>,
    backoff: &mut Backoff,
) -> Result<(), Status> {
    let mut views = client.watch(WatchRequest::default()).await?.into_inner();
    while let Some(view) = views.message().await? {
        backoff.reset();
        sender.send_modify(|known| take(known, view));
    }
    Ok(())
}

/// A registry that has just started does not know everyone yet: what it tells is
/// added, and nothing is removed for what it does not tell.
fn take(known: &mut Instances, view: WatchResponse) {
    known.known = true;
    if view.settled {
        known.instances = view.instances;
        return;
    }
    let mut merged: HashMap<String, Instance> =
        known.instances.drain(..).map(|instance| (instance.id.clone(), instance)).collect();
    for instance in view.instances {
        merged.insert(instance.id.clone(), instance);
    }
    known.instances = merged.into_values().collect();
    known.instances.sort_by(|a, b| (&a.app, &a.id).cmp(&(&b.app, &b.id)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(app: &str, id: &str) -> Instance {
        Instance { app: app.to_owned(), id: id.to_owned(), ..Instance::default() }
    }

    fn view(settled: bool, ids: &[&str]) -> WatchResponse {
        WatchResponse { settled, instances: ids.iter().map(|id| instance("shop", id)).collect() }
    }

    fn ids(known: &Instances) -> Vec<&str> {
        known.instances.iter().map(|instance| instance.id.as_str()).collect()
    }

    #[test]
    fn an_instance_that_states_no_weight_has_an_ordinary_share_and_zero_is_a_weight() {
        let weight = |weight| listed(&Instance { weight, ..instance("shop", "a") }).weight;
        assert_eq!(weight(None), 100);
        assert_eq!(weight(Some(0)), 0);
        assert_eq!(weight(Some(u32::MAX)), 1_000);
    }

    #[test]
    fn a_registry_that_has_just_started_removes_nobody() {
        let mut known = Instances::default();
        take(&mut known, view(true, &["a", "b"]));
        take(&mut known, view(false, &["c"]));
        assert_eq!(ids(&known), ["a", "b", "c"]);
        take(&mut known, view(true, &["b", "c"]));
        assert_eq!(ids(&known), ["b", "c"]);
    }
}
