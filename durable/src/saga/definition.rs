//! A saga as its author declares it: a list of steps, where it stops turning
//! back, and what is changed at its ends.

use std::{collections::HashSet, fmt};

use futures_util::future::BoxFuture;
use prost::Message;

use super::{
    Step,
    machine::Plan,
    step::{Effect, Instance},
};
use crate::{Tx, consumer::HandlerError};

/// A kind of saga in one version. `D` is what an instance knows, a message that
/// is stored with it; `S` is what its actions reach the world through, such as
/// clients of other services. See the [module](super).
pub struct Definition<D, S> {
    pub(super) name: &'static str,
    pub(super) version: u32,
    pub(super) world: S,
    pub(super) steps: Vec<(&'static str, Step<D, S>)>,
    pub(super) pivot: Option<usize>,
    pub(super) completed: Option<Effect<D>>,
    pub(super) compensated: Option<Effect<D>>,
}

impl<D, S> Definition<D, S>
where
    D: Message + Default + Clone + 'static,
    S: Clone + Send + Sync + 'static,
{
    /// A definition without steps. Instances keep the version that they began
    /// with: a change of steps, of their names or of their order is a new
    /// version, and the old one stays defined until its last instance has ended.
    #[must_use]
    pub fn new(name: &'static str, version: u32, world: S) -> Self {
        Self {
            name,
            version,
            world,
            steps: Vec::new(),
            pivot: None,
            completed: None,
            compensated: None,
        }
    }

    /// The next step. Its name is a part of the keys of its calls.
    #[must_use]
    pub fn step(mut self, name: &'static str, step: Step<D, S>) -> Self {
        self.steps.push((name, step));
        self
    }

    /// From here on only forward: once the steps before this have been done, no
    /// failure and no wish turns the saga back.
    #[must_use]
    pub fn pivot(mut self) -> Self {
        self.pivot = Some(self.steps.len());
        self
    }

    /// Changes that commit with the last step: state, and events that tell of it.
    #[must_use]
    pub fn completed<F>(mut self, effect: F) -> Self
    where
        F: for<'a> Fn(&'a mut Tx, &'a Instance<D>) -> BoxFuture<'a, Result<(), HandlerError>>
            + Send
            + Sync
            + 'static,
    {
        self.completed = Some(std::sync::Arc::new(effect));
        self
    }

    /// Changes that commit with the last compensation. Also when a human decided
    /// that one of them was left out.
    #[must_use]
    pub fn compensated<F>(mut self, effect: F) -> Self
    where
        F: for<'a> Fn(&'a mut Tx, &'a Instance<D>) -> BoxFuture<'a, Result<(), HandlerError>>
            + Send
            + Sync
            + 'static,
    {
        self.compensated = Some(std::sync::Arc::new(effect));
        self
    }

    /// Steps before the pivot: all of them without one.
    pub(super) fn pivot_index(&self) -> usize {
        self.pivot.unwrap_or(self.steps.len())
    }

    pub(super) fn plan(&self) -> Plan {
        let pivot = self.pivot_index();
        let rules = self.steps.iter().enumerate();
        Plan { rules: rules.map(|(at, (_, step))| step.rule(at >= pivot)).collect(), pivot }
    }

    /// # Panics
    /// When the definition makes no sense, which shows when the program starts.
    pub(super) fn check(&self) {
        let name = self.name;
        assert!(!self.steps.is_empty(), "saga {name} has no steps");
        let mut names = HashSet::new();
        for (step, _) in &self.steps {
            assert!(names.insert(step), "saga {name} has two steps {step}");
        }
    }
}

impl<D, S> fmt::Debug for Definition<D, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<_> = self.steps.iter().map(|(name, _)| name).collect();
        formatter
            .debug_struct("Definition")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("steps", &steps)
            .field("pivot", &self.pivot)
            .finish_non_exhaustive()
    }
}
