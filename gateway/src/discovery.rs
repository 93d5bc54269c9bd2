//! Finds out who is behind the edge. Watches the registry; for an application
//! whose contracts are new it fetches them by server reflection, builds a
//! snapshot with them, and swaps it in. What cannot be used leaves everything as
//! it was. An application that goes away stays known, so that its clients hear
//! "unavailable" and not "no such path".

mod fetch;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use mesh::{App, Backoff, Instances, proto::Instance};
use tokio::{sync::watch, task::JoinSet};

use self::fetch::FetchError;
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
    /// Fetches and waits, at most one for an application, so that one that does
    /// not answer holds up nobody else.
    work: JoinSet<Work>,
    busy: HashSet<String>,
    backoffs: HashMap<String, Backoff>,
}

/// What has ended.
#[derive(Debug)]
enum Work {
    Fetch(Box<Instance>, Result<Source, FetchError>),
    Wait(String),
}

impl Discovery {
    pub(crate) fn new(app: App, live: Live, readiness: Readiness) -> Discovery {
        Discovery {
            app,
            live,
            readiness,
            accepted: BTreeMap::new(),
            refused: BTreeMap::new(),
            work: JoinSet::new(),
            busy: HashSet::new(),
            backoffs: HashMap::new(),
        }
    }

    /// Follows the registry until it is dropped.
    pub(crate) async fn run(mut self, mut instances: watch::Receiver<Instances>) {
        let mut told = true;
        loop {
            let view = instances.borrow_and_update().clone();
            self.look(&view);
            tokio::select! {
                // When nobody tells any more, what is known stays.
                changed = instances.changed(), if told => told = changed.is_ok(),
                Some(done) = self.work.join_next() => match done {
                    Ok(done) => self.take(done),
                    Err(error) => tracing::error!(%error, "a fetch of contracts failed"),
                },
                else => std::future::pending().await,
            }
        }
    }

    /// Begins to fetch what is new.
    fn look(&mut self, view: &Instances) {
        let mut apps: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
        // An edge is a member of the mesh too, and nobody's upstream.
        let others = view.instances.iter().filter(|instance| instance.app != self.app.name());
        for instance in others {
            apps.entry(&instance.app).or_default().push(instance);
        }
        let counts = apps.iter().map(|(app, all)| (*app, all.len())).collect();
        self.readiness.see(view.known, &counts);
        for (app, instances) in apps {
            let Some(instance) = self.news(&instances).cloned() else { continue };
            if self.busy.insert(app.to_owned()) {
                let mesh = self.app.clone();
                self.work.spawn(async move {
                    let fetched = fetch::source(&mesh, &instance).await;
                    Work::Fetch(Box::new(instance), fetched)
                });
            }
        }
    }

    fn take(&mut self, done: Work) {
        match done {
            Work::Fetch(instance, Ok(source)) => {
                self.busy.remove(&instance.app);
                self.backoffs.remove(&instance.app);
                self.consider(instance.descriptor_hash, source);
            }
            Work::Fetch(instance, Err(error)) => {
                let wait = self.failed(&instance.app, &error);
                let app = instance.app;
                self.work.spawn(async move {
                    tokio::time::sleep(wait).await;
                    Work::Wait(app)
                });
            }
            Work::Wait(app) => {
                self.busy.remove(&app);
            }
        }
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

    fn failed(&mut self, app: &str, error: &FetchError) -> Duration {
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
