//! Finds out who is behind the edge. Watches the registry; for an application
//! whose contracts are new it fetches them by server reflection, builds a
//! snapshot with them, and swaps it in. What cannot be used leaves everything as
//! it was. An application that goes away stays known, so that its clients hear
//! "unavailable" and not "no such path".

mod fetch;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use futures_util::future::join_all;
use mesh::{App, Backoff, Instances, proto::Instance};
use tokio::sync::watch;

use crate::{
    readiness::Readiness,
    schema::{Live, Snapshot, Source, is_exposed},
};

/// Waits after a failed fetch: short, since an instance that has just registered
/// may be a moment from serving; bounded, so that a service is never long
/// unreachable after it came back.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Keeps the live schema true to the mesh.
#[derive(Debug)]
pub(crate) struct Discovery {
    app: App,
    live: Live,
    readiness: Readiness,
    /// Contracts in use, and the hash that they were registered with.
    accepted: BTreeMap<String, (String, Source)>,
    /// Contracts that contradict those in use; tried again when those change.
    refused: BTreeMap<String, (String, Source)>,
    backoffs: HashMap<String, Backoff>,
}

/// What could not be fetched, to be tried again after the longest of the waits.
type Retry = Option<Duration>;

impl Discovery {
    pub(crate) fn new(app: App, live: Live, readiness: Readiness) -> Discovery {
        Discovery {
            app,
            live,
            readiness,
            accepted: BTreeMap::new(),
            refused: BTreeMap::new(),
            backoffs: HashMap::new(),
        }
    }

    /// Follows the registry until it is dropped.
    pub(crate) async fn run(mut self, mut instances: watch::Receiver<Instances>) {
        loop {
            let view = instances.borrow_and_update().clone();
            let retry = self.take(&view).await;
            let wait = async {
                match retry {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = instances.changed() => if changed.is_err() {
                    // Nobody tells any more: what is known stays.
                    return std::future::pending().await;
                },
                () = wait => {}
            }
        }
    }

    async fn take(&mut self, view: &Instances) -> Retry {
        let mut apps: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
        // An edge is a member of the mesh too, and nobody's upstream.
        let others = view.instances.iter().filter(|instance| instance.app != self.app.name());
        for instance in others {
            apps.entry(&instance.app).or_default().push(instance);
        }
        let counts = apps.iter().map(|(app, all)| (*app, all.len())).collect();
        self.readiness.see(view.known, &counts);
        let news: Vec<&Instance> = apps.values().filter_map(|all| self.news(all)).collect();
        let app = self.app.clone();
        let fetched = join_all(news.into_iter().map(|instance| {
            let app = app.clone();
            async move { (instance, fetch::source(&app, instance).await) }
        }));
        let mut retry: Retry = None;
        for (instance, fetched) in fetched.await {
            match fetched {
                Ok(source) => {
                    self.backoffs.remove(&instance.app);
                    self.consider(instance.descriptor_hash.clone(), source);
                }
                Err(error) => {
                    let wait = self.failed(&instance.app, &error);
                    retry = Some(retry.map_or(wait, |other| other.min(wait)));
                }
            }
        }
        retry
    }

    /// The instance to ask, if its contracts are not known yet. While a new
    /// version is rolled out, the youngest instance has it.
    fn news<'a>(&self, instances: &[&'a Instance]) -> Option<&'a Instance> {
        let time = |instance: &&&Instance| {
            instance.start_time.map(|time| (time.seconds, time.nanos)).unwrap_or_default()
        };
        let youngest = *instances.iter().max_by_key(time)?;
        let is_registered = !youngest.address.is_empty();
        let hides_all =
            is_registered && !youngest.services.iter().any(|service| is_exposed(service));
        if hides_all {
            self.readiness.loaded(&youngest.app);
            return None;
        }
        let known = |known: &BTreeMap<String, (String, Source)>| {
            known.get(&youngest.app).is_some_and(|(hash, _)| *hash == youngest.descriptor_hash)
        };
        let is_known = known(&self.accepted) || known(&self.refused);
        (!is_known).then_some(youngest)
    }

    fn failed(&mut self, app: &str, error: &fetch::FetchError) -> Duration {
        let backoff = self
            .backoffs
            .entry(app.to_owned())
            .or_insert_with(|| Backoff::new(BACKOFF.0, BACKOFF.1));
        tracing::warn!(app, %error, "cannot fetch contracts");
        self.readiness.failed(app, error.to_string());
        backoff.wait()
    }

    /// Uses new contracts, or keeps the old ones; then looks again at those that
    /// were refused, since what they contradicted may be gone.
    fn consider(&mut self, hash: String, source: Source) {
        let app = source.app().to_owned();
        self.refused.remove(&app);
        if !self.accept(hash, source) {
            return;
        }
        for (_, (hash, source)) in std::mem::take(&mut self.refused) {
            self.accept(hash, source);
        }
    }

    fn accept(&mut self, hash: String, source: Source) -> bool {
        let app = source.app().to_owned();
        let others = self.accepted.iter().filter(|(name, _)| **name != app);
        let mut sources: Vec<Source> = others.map(|(_, (_, source))| source.clone()).collect();
        sources.push(source.clone());
        match Snapshot::build(&sources) {
            Ok(snapshot) => {
                self.live.set(snapshot);
                self.tell_mesh(&source);
                tracing::info!(app, hash, "contracts loaded");
                self.readiness.loaded(&app);
                self.accepted.insert(app, (hash, source));
                true
            }
            Err(error) => {
                tracing::error!(app, hash, %error, "contracts refused; the old ones stay in use");
                self.readiness.refused(&app, error.to_string());
                self.refused.insert(app, (hash, source));
                false
            }
        }
    }

    /// The channels repeat, and count, by what a contract says of its methods.
    fn tell_mesh(&self, source: &Source) {
        if let Err(error) = self.app.know(&source.to_set()) {
            tracing::warn!(app = source.app(), %error, "the mesh cannot read a contract");
        }
    }
}

/// A view of applications that somebody has named, in a mesh without a registry.
pub(crate) fn fixed(applications: &[String]) -> Instances {
    let instance = |app: &String| Instance { app: app.clone(), ..Instance::default() };
    Instances { known: true, instances: applications.iter().map(instance).collect() }
}
