//! Whether the edge can do its work: it knows who is there, and the contracts of
//! all of them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use serde::Serialize;
use tokio::sync::watch;

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
}

/// What is known of everyone; cheap to clone, clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    draining: AtomicBool,
    /// Turns true once, when everything that was seen is known.
    complete: watch::Sender<bool>,
    view: Mutex<View>,
}

#[derive(Debug, Default)]
struct View {
    known: bool,
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
    /// Ready once the registry's view is known and every application in it is
    /// loaded, until the edge is about to end. An application that comes later
    /// does not make the edge unready for the others, and one whose contracts
    /// are refused is waited for by nobody.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.shared.complete.borrow() && !self.shared.draining.load(Relaxed)
    }

    /// Returns when the edge is ready for the first time.
    pub(crate) async fn complete(&self) {
        let mut complete = self.shared.complete.subscribe();
        // The sender is this readiness's own.
        let _ = complete.wait_for(|complete| *complete).await;
    }

    /// Everything, for people.
    #[must_use]
    pub fn report(&self) -> Report {
        let ready = self.is_ready();
        let view = self.view();
        Report { ready, registry_known: view.known, applications: view.applications.clone() }
    }

    pub(crate) fn drain(&self) {
        self.shared.draining.store(true, Relaxed);
    }

    /// Takes a view of who is there. Those who are gone stay known.
    pub(crate) fn see(&self, known: bool, instances: &BTreeMap<&str, usize>) {
        let mut view = self.view();
        view.known = known;
        for application in view.applications.values_mut() {
            application.instances = 0;
        }
        for (name, count) in instances {
            view.applications.entry((*name).to_owned()).or_default().instances = *count;
        }
        self.look(&view);
    }

    pub(crate) fn loaded(&self, app: &str) {
        let mut view = self.view();
        let application = view.applications.entry(app.to_owned()).or_default();
        application.loaded = true;
        application.settled = true;
        application.problem = None;
        self.look(&view);
    }

    pub(crate) fn refused(&self, app: &str, problem: String) {
        let mut view = self.view();
        let application = view.applications.entry(app.to_owned()).or_default();
        application.settled = true;
        application.problem = Some(problem);
        self.look(&view);
    }

    pub(crate) fn failed(&self, app: &str, problem: String) {
        self.view().applications.entry(app.to_owned()).or_default().problem = Some(problem);
    }

    fn look(&self, view: &View) {
        if view.known && view.applications.values().all(|known| known.settled) {
            self.shared.complete.send_replace(true);
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.shared.view.lock().expect("nothing panics while it is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_everyone_seen_is_loaded() {
        let readiness = Readiness::default();
        assert!(!readiness.is_ready());
        readiness.see(true, &BTreeMap::from([("a", 2), ("b", 1)]));
        assert!(!readiness.is_ready());
        readiness.failed("a", "does not answer".to_owned());
        readiness.loaded("b");
        assert!(!readiness.is_ready());
        readiness.loaded("a");
        assert!(readiness.is_ready());
        readiness.drain();
        assert!(!readiness.is_ready());
    }

    #[test]
    fn who_comes_later_or_is_refused_takes_nothing_from_the_others() {
        let readiness = Readiness::default();
        readiness.see(true, &BTreeMap::from([("a", 1)]));
        readiness.refused("a", "conflict".to_owned());
        assert!(readiness.is_ready());
        readiness.see(true, &BTreeMap::from([("b", 1)]));
        assert!(readiness.is_ready());
        assert_eq!(readiness.report().applications["a"].instances, 0);
        assert!(!readiness.report().applications["b"].loaded);
    }
}
