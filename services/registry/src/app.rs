//! The table in use: guarded by a lock, looked after by a timer, and published
//! to those who watch.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mesh::proto::Instance;
use tokio::{
    sync::{Notify, watch},
    time,
};

use crate::domain::{Error, Key, Table};

/// How long changes are gathered before watchers hear of them: a system that
/// starts is one or two views, not one for every process.
const GATHER: Duration = Duration::from_millis(10);

/// The living instances at one moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// By application and id.
    pub instances: Vec<Arc<Instance>>,
    /// False while the registry may not yet know everyone.
    pub settled: bool,
    version: u64,
}

/// The registry. A clone is the same registry.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: Mutex<Table<Arc<Instance>>>,
    changed: Notify,
    /// Holds one view: who is slow to read misses views, never the newest.
    views: watch::Sender<View>,
}

impl Registry {
    /// An empty registry whose first lease starts now.
    #[must_use]
    pub fn new(lease: Duration) -> Self {
        Self(Arc::new(Shared {
            table: Mutex::new(Table::new(lease, now())),
            changed: Notify::new(),
            views: watch::Sender::default(),
        }))
    }

    /// Adds an instance or renews its lease, whose length it returns.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn register(&self, instance: Instance) -> Result<Duration, Error> {
        let key = Key { app: instance.app.clone(), id: instance.id.clone() };
        let mut table = self.table();
        let version = table.version();
        table.register(key, Arc::new(instance), now())?;
        if table.version() != version {
            self.0.changed.notify_one();
        }
        Ok(table.lease())
    }

    /// Removes an instance.
    pub fn deregister(&self, key: &Key) {
        self.table().deregister(key);
        self.0.changed.notify_one();
    }

    /// The views from now on. The first is there at once and knows of everything
    /// that was registered before this call.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<View> {
        self.publish();
        self.0.views.subscribe()
    }

    /// Removes who is not renewed and tells the watchers what changed; for as
    /// long as it is polled.
    pub async fn keep(self) {
        loop {
            let wake = self.table().next_look(now());
            tokio::select! {
                () = time::sleep_until(wake.into()) => {}
                () = self.gathered() => {}
            }
            self.table().expire(now());
            self.publish();
        }
    }

    async fn gathered(&self) {
        self.0.changed.notified().await;
        time::sleep(GATHER).await;
    }

    fn publish(&self) {
        let table = self.table();
        let (version, settled) = (table.version(), table.settled(now()));
        self.0.views.send_if_modified(|view| {
            let news = view.version != version || view.settled != settled;
            if news {
                let instances = table.instances().cloned().collect();
                *view = View { instances, settled, version };
            }
            news
        });
    }

    fn table(&self) -> MutexGuard<'_, Table<Arc<Instance>>> {
        // Every change of the table is complete before anything can panic.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The runtime's clock, which tests pause.
fn now() -> Instant {
    time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(3);

    fn instance(app: &str, id: &str) -> Instance {
        Instance { app: app.to_owned(), id: id.to_owned(), ..Instance::default() }
    }

    fn kept() -> Registry {
        let registry = Registry::new(LEASE);
        tokio::spawn(registry.clone().keep());
        registry
    }

    fn ids(views: &mut watch::Receiver<View>) -> Vec<String> {
        views.borrow_and_update().instances.iter().map(|instance| instance.id.clone()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_watcher_sees_at_once_what_was_registered_before() {
        let registry = kept();
        registry.register(instance("a", "1")).unwrap();
        assert_eq!(ids(&mut registry.watch()), ["1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn changes_within_moments_are_one_view() {
        let registry = kept();
        let mut views = registry.watch();
        ids(&mut views);
        for id in ["1", "2", "3"] {
            registry.register(instance("a", id)).unwrap();
            time::sleep(Duration::from_millis(1)).await;
        }
        views.changed().await.unwrap();
        assert_eq!(ids(&mut views), ["1", "2", "3"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_died_is_gone_after_its_lease() {
        let registry = kept();
        registry.register(instance("a", "1")).unwrap();
        let started = time::Instant::now();
        let mut views = registry.watch();
        while !ids(&mut views).is_empty() {
            views.changed().await.unwrap();
        }
        assert!(started.elapsed() >= LEASE);
        assert!(started.elapsed() < LEASE + Duration::from_millis(20));
    }

    #[tokio::test(start_paused = true)]
    async fn watchers_are_told_when_it_has_settled() {
        let registry = kept();
        let mut views = registry.watch();
        assert!(!views.borrow_and_update().settled);
        let started = time::Instant::now();
        views.wait_for(|view| view.settled).await.unwrap();
        assert!(started.elapsed() >= LEASE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_watcher_gets_the_newest_view_only() {
        let registry = kept();
        let mut views = registry.watch();
        for id in ["1", "2", "3"] {
            registry.register(instance("a", id)).unwrap();
            time::sleep(Duration::from_millis(50)).await;
        }
        registry.deregister(&Key { app: "a".to_owned(), id: "2".to_owned() });
        time::sleep(Duration::from_millis(50)).await;
        assert_eq!(ids(&mut views), ["1", "3"]);
        assert!(!views.has_changed().unwrap());
    }
}
