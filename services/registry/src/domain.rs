//! Who is alive: a table of instances, each under a lease that it must renew.
//! Pure; the time comes in as an argument and must not go backwards.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Most instances that are held. A view is one message: at some 500 bytes each
/// it stays well below the 4 MiB that gRPC clients accept.
pub const MAX_INSTANCES: usize = 4_000;

/// What names an instance. The application is part of it, so that no application
/// can renew or remove another's instance by guessing its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The application that it belongs to.
    pub app: String,
    /// Its id, unique to one start of its process.
    pub id: String,
}

/// Why an instance is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The table holds [`MAX_INSTANCES`] others.
    #[error("the registry is full")]
    Full,
}

/// Instances under leases, by application and id. `T` is what is told of one.
#[derive(Debug)]
pub struct Table<T> {
    lease: Duration,
    entries: BTreeMap<Key, Entry<T>>,
    version: u64,
    /// From here on everyone who lives had the time to register.
    settles: Instant,
    /// When [`Table::expire`] last ran.
    looked: Instant,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    expires: Instant,
}

impl<T: PartialEq + Clone> Table<T> {
    /// An empty table that starts now.
    #[must_use]
    pub fn new(lease: Duration, now: Instant) -> Self {
        Self { lease, entries: BTreeMap::new(), version: 0, settles: now + lease, looked: now }
    }

    /// Adds an instance, or renews its lease and replaces what is told of it.
    ///
    /// # Errors
    /// [`Error::Full`] when it is new and there is no room.
    pub fn register(&mut self, key: Key, value: T, now: Instant) -> Result<(), Error> {
        let expires = now + self.lease;
        let full = self.entries.len() >= MAX_INSTANCES;
        match self.entries.get_mut(&key) {
            Some(entry) => {
                entry.expires = expires;
                if entry.value == value {
                    return Ok(());
                }
                entry.value = value;
            }
            None if full => return Err(Error::Full),
            None => {
                self.entries.insert(key, Entry { value, expires });
            }
        }
        self.version += 1;
        Ok(())
    }

    /// Removes an instance; one that is not there is no mistake.
    pub fn deregister(&mut self, key: &Key) {
        if self.entries.remove(key).is_some() {
            self.version += 1;
        }
    }

    /// Removes the instances whose lease has run out. To be called when
    /// [`Table::next_look`] says so.
    ///
    /// When the call comes very late, this process was stopped and could hear
    /// nobody's renewal: everyone gets a new lease instead, and the table is as
    /// unsettled as after a start.
    pub fn expire(&mut self, now: Instant) {
        let late = now.saturating_duration_since(self.looked) > self.lease / 2;
        self.looked = now;
        if late {
            self.settles = now + self.lease;
            for entry in self.entries.values_mut() {
                entry.expires = entry.expires.max(now + self.lease);
            }
            return;
        }
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.expires > now);
        if self.entries.len() != before {
            self.version += 1;
        }
    }

    /// When [`Table::expire`] has something to do, and at least every quarter of
    /// a lease, by which it notices that the process was stopped.
    #[must_use]
    pub fn next_look(&self, now: Instant) -> Instant {
        let leases = self.entries.values().map(|entry| entry.expires);
        let settles = Some(self.settles).filter(|_| !self.settled(now));
        let at_least = self.looked + self.lease / 4;
        leases.chain(settles).fold(at_least, Instant::min)
    }

    /// Grows with every change of what [`Table::instances`] yields.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether the table has been there for a lease, so that who is not in it is
    /// not alive.
    #[must_use]
    pub fn settled(&self, now: Instant) -> bool {
        now >= self.settles
    }

    /// How long an instance lives without a renewal.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// The instances, by application and id.
    pub fn instances(&self) -> impl Iterator<Item = &T> {
        self.entries.values().map(|entry| &entry.value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const LEASE: Duration = Duration::from_secs(3);

    fn key(app: &str, id: &str) -> Key {
        Key { app: app.to_owned(), id: id.to_owned() }
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    /// Looks as often as it asks for, as the timer does.
    fn look_until<T: PartialEq + Clone>(table: &mut Table<T>, mut now: Instant, end: Instant) {
        while now < end {
            now = table.next_look(now).max(now + Duration::from_millis(1)).min(end);
            table.expire(now);
        }
    }

    #[test]
    fn an_instance_that_is_not_renewed_disappears_with_its_lease() {
        let start = Instant::now();
        let mut table = Table::new(LEASE, start);
        table.register(key("a", "1"), 1, start).unwrap();
        look_until(&mut table, start, after(start, 2_999));
        assert_eq!(table.instances().count(), 1);
        look_until(&mut table, after(start, 2_999), after(start, 3_000));
        assert_eq!(table.instances().count(), 0);
    }

    #[test]
    fn a_renewal_is_no_change_but_other_contents_are() {
        let start = Instant::now();
        let mut table = Table::new(LEASE, start);
        table.register(key("a", "1"), 1, start).unwrap();
        let version = table.version();
        table.register(key("a", "1"), 1, after(start, 1_000)).unwrap();
        assert_eq!(table.version(), version);
        table.register(key("a", "1"), 2, after(start, 2_000)).unwrap();
        assert!(table.version() > version);
        assert_eq!(table.instances().copied().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn removing_a_stranger_changes_nothing() {
        let start = Instant::now();
        let mut table = Table::new(LEASE, start);
        table.register(key("a", "1"), 1, start).unwrap();
        let version = table.version();
        table.deregister(&key("b", "1"));
        assert_eq!((table.version(), table.instances().count()), (version, 1));
    }

    #[test]
    fn it_is_settled_after_one_lease() {
        let start = Instant::now();
        let table = Table::<u8>::new(LEASE, start);
        assert!(!table.settled(after(start, 2_999)));
        assert!(table.settled(after(start, 3_000)));
    }

    #[test]
    fn a_registry_that_was_stopped_forgets_nobody_when_it_goes_on() {
        let start = Instant::now();
        let mut table = Table::new(LEASE, start);
        table.register(key("a", "1"), 1, start).unwrap();
        look_until(&mut table, start, after(start, 2_500));

        let resumed = after(start, 60_000);
        table.expire(resumed);
        assert_eq!(table.instances().count(), 1);
        assert!(!table.settled(resumed), "others may have been missed meanwhile");

        look_until(&mut table, resumed, after(resumed, 3_000));
        assert_eq!(table.instances().count(), 0, "it did not renew");
        assert!(table.settled(after(resumed, 3_000)));
    }

    #[test]
    fn a_full_table_refuses_the_new_and_renews_the_old() {
        let start = Instant::now();
        let mut table = Table::new(LEASE, start);
        for id in 0..MAX_INSTANCES {
            table.register(key("a", &id.to_string()), id, start).unwrap();
        }
        assert_eq!(table.register(key("a", "more"), 0, start), Err(Error::Full));
        table.register(key("a", "7"), 7, start).unwrap();
    }

    #[derive(Clone, Debug)]
    enum Step {
        Register(u8, u8),
        Deregister(u8),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..6_u8, 0..3_u8).prop_map(|(id, value)| Step::Register(id, value)),
            (0..6_u8).prop_map(Step::Deregister),
            (0..2_000_u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Against a model without any cleverness: an instance is there exactly
        /// as long as less than a lease has passed since it was last heard of,
        /// and the version moves exactly when the contents do.
        #[test]
        fn the_living_are_those_heard_of_within_a_lease(
            steps in prop::collection::vec(step(), 0..80),
        ) {
            let mut now = Instant::now();
            let mut table = Table::new(LEASE, now);
            let mut heard: BTreeMap<Key, (u8, Instant)> = BTreeMap::new();
            for step in steps {
                let (version, before) = (table.version(), contents(&table));
                match step {
                    Step::Register(id, value) => {
                        let key = key("app", &id.to_string());
                        heard.insert(key.clone(), (value, now));
                        table.register(key, value, now).unwrap();
                    }
                    Step::Deregister(id) => {
                        let key = key("app", &id.to_string());
                        heard.remove(&key);
                        table.deregister(&key);
                    }
                    Step::Wait(ms) => {
                        let end = now + Duration::from_millis(ms);
                        look_until(&mut table, now, end);
                        now = end;
                    }
                }
                heard.retain(|_, (_, at)| now < *at + LEASE);
                let expected: Vec<u8> = heard.values().map(|(value, _)| *value).collect();
                prop_assert_eq!(&contents(&table), &expected);
                if contents(&table) == before {
                    // Equal contents may hide one instance in place of another.
                    prop_assert!(table.version() >= version);
                } else {
                    prop_assert!(table.version() > version);
                }
            }
        }
    }

    fn contents(table: &Table<u8>) -> Vec<u8> {
        table.instances().copied().collect()
    }
}
