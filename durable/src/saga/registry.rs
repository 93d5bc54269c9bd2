//! The definitions that a process knows, by name and version, and which of them
//! new sagas begin with.

use std::{
    any::{TypeId, type_name},
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use super::script::Script;

/// Filled when a process starts, read from then on.
#[derive(Default)]
pub(super) struct Registry(RwLock<Known>);

#[derive(Default)]
struct Known {
    scripts: HashMap<(String, u32), Arc<dyn Script>>,
    /// The newest version by the type of its data.
    newest: HashMap<TypeId, (&'static str, u32)>,
}

/// What a saga begins with.
pub(super) struct Beginning {
    pub(super) name: &'static str,
    pub(super) version: u32,
    pub(super) step: &'static str,
    /// There is no way back even from the first step.
    pub(super) pivoted: bool,
}

impl Registry {
    /// # Panics
    /// When name and version are taken, or the type of data is another
    /// definition's.
    pub(super) fn add<D: 'static>(
        &self,
        name: &'static str,
        version: u32,
        script: Arc<dyn Script>,
    ) {
        // Nothing that holds it panics halfway through a change but these asserts.
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.scripts.insert((name.to_owned(), version), script);
        assert!(before.is_none(), "saga {name} in version {version} is defined twice");
        let newest = known.newest.entry(TypeId::of::<D>()).or_insert((name, version));
        let data = type_name::<D>();
        assert!(newest.0 == name, "sagas {name} and {} have the same data {data}", newest.0);
        newest.1 = newest.1.max(version);
    }

    pub(super) fn script(&self, name: &str, version: u32) -> Option<Arc<dyn Script>> {
        self.read().scripts.get(&(name.to_owned(), version)).cloned()
    }

    /// # Panics
    /// When no definition has this type of data.
    pub(super) fn beginning<D: 'static>(&self) -> Beginning {
        let known = self.read();
        let newest = known.newest.get(&TypeId::of::<D>());
        let (name, version) =
            *newest.unwrap_or_else(|| panic!("no saga is defined over {}", type_name::<D>()));
        let script = &known.scripts[&(name.to_owned(), version)];
        let pivoted = script.plan().pivot == 0;
        Beginning { name, version, step: script.step_name(0), pivoted }
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
