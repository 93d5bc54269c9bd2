//! Whether the edge can do its work: it knows who is there, and the contracts of
//! all of them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::{sync::Notify, time::Instant};

/// How long an application that cannot be loaded is waited for, and how long for
/// one at all. A fetch takes milliseconds; what takes longer is broken, and must
/// not take the others' way in with it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of one application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// Instances alive by the last view.
    pub instances: usize,
    /// Whether its contracts are in use.
    pub loaded: bool,
    /// Why its latest contracts are not in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether there is nothing to wait for: loaded, or refused for good.
    #[serde(skip)]
    settled: bool,
    #[serde(skip)]
    first_seen: Option<Instant>,
}

/// What is known of everyone; cheap to clone, clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    draining: AtomicBool,
    changed: Notify,
    view: Mutex<View>,
}

#[derive(Debug, Default)]
struct View {
    known_since: Option<Instant>,
    applications: BTreeMap<String, Application>,
}

/// As `/readyz` shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether requests should be sent here.
    pub ready: bool,
    /// Whether the registry has answered.
    pub registry_known: bool,
    /// Applications by name.
    pub applications: BTreeMap<String, Application>,
}

impl Readiness {
    /// Ready when the registry has answered, there is somebody to serve, and
    /// everybody seen is loaded, until the edge is about to end. An application
    /// whose contracts are refused is not waited for, and nobody is for longer
    /// than ten seconds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.shared.draining.load(Relaxed) && self.view().is_complete()
    }

    /// Returns when the edge is ready.
    pub(crate) async fn ready(&self) {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            if self.is_ready() {
                return;
            }
            // Either something changes, or patience ends.
            let _ = tokio::time::timeout(PATIENCE, changed).await;
        }
    }

    /// Everything, for people.
    #[must_use]
    pub fn report(&self) -> Report {
        let ready = self.is_ready();
        let view = self.view();
        let registry_known = view.known_since.is_some();
        Report { ready, registry_known, applications: view.applications.clone() }
    }

    pub(crate) fn drain(&self) {
        self.shared.draining.store(true, Relaxed);
    }

    /// Takes a view of who is there. Those who are gone stay known.
    pub(crate) fn see(&self, known: bool, instances: &BTreeMap<&str, usize>) {
        self.change(|view| {
            if known {
                view.known_since.get_or_insert_with(Instant::now);
            }
            for application in view.applications.values_mut() {
                application.instances = 0;
            }
            for (name, count) in instances {
                view.application(name).instances = *count;
            }
        });
    }

    pub(crate) fn loaded(&self, app: &str) {
        self.change(|view| {
            let application = view.application(app);
            application.loaded = true;
            application.settled = true;
            application.problem = None;
        });
    }

    pub(crate) fn refused(&self, app: &str, problem: String) {
        self.change(|view| {
            let application = view.application(app);
            application.settled = true;
            application.problem = Some(problem);
        });
    }

    pub(crate) fn failed(&self, app: &str, problem: String) {
        self.change(|view| view.application(app).problem = Some(problem));
    }

    fn change(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.view());
        self.shared.changed.notify_waiters();
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.shared.view.lock().expect("nothing panics while it is held")
    }
}

impl View {
    fn is_complete(&self) -> bool {
        let patient = |since: Option<Instant>| since.is_none_or(|at| at.elapsed() < PATIENCE);
        let waiting = match self.applications.is_empty() {
            true => patient(self.known_since),
            false => {
                let mut all = self.applications.values();
                all.any(|known| !known.settled && patient(known.first_seen))
            }
        };
        self.known_since.is_some() && !waiting
    }

    fn application(&mut self, app: &str) -> &mut Application {
        let application = self.applications.entry(app.to_owned()).or_default();
        application.first_seen.get_or_insert_with(Instant::now);
        application
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(apps: &[(&str, usize)]) -> Readiness {
        let readiness = Readiness::default();
        readiness.see(true, &apps.iter().copied().collect());
        readiness
    }

    #[tokio::test]
    async fn ready_means_that_everyone_seen_is_loaded() {
        let readiness = Readiness::default();
        readiness.see(false, &BTreeMap::new());
        assert!(!readiness.is_ready());
        readiness.see(true, &BTreeMap::from([("a", 2), ("b", 1)]));
        readiness.failed("a", "does not answer".to_owned());
        readiness.loaded("b");
        assert!(!readiness.is_ready());
        readiness.loaded("a");
        assert!(readiness.is_ready());
        readiness.see(true, &BTreeMap::from([("b", 1)]));
        assert!(readiness.is_ready());
        assert_eq!(readiness.report().applications["a"].instances, 0);
        readiness.drain();
        assert!(!readiness.is_ready());
    }

    #[tokio::test]
    async fn who_is_refused_takes_nothing_from_the_others() {
        let readiness = seen(&[("a", 1), ("b", 1)]);
        readiness.loaded("b");
        readiness.refused("a", "conflict".to_owned());
        assert!(readiness.is_ready());
        assert!(!readiness.report().applications["a"].loaded);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_with_the_absent_and_the_broken_ends() {
        for apps in [&[][..], &[("a", 1)]] {
            let (readiness, begun) = (seen(apps), Instant::now());
            readiness.ready().await;
            assert_eq!(begun.elapsed().as_secs(), PATIENCE.as_secs());
        }
    }
}
