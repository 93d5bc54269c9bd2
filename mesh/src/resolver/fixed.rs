//! Instances that were given and do not change.

use std::collections::HashMap;

use tokio::sync::watch;

use super::{Listed, Resolver, View};

/// Fixed instances by application, and another resolver for the others.
pub(crate) struct Fixed {
    views: HashMap<String, watch::Sender<View>>,
    others: Box<dyn Resolver>,
}

impl Fixed {
    pub(crate) fn new(
        instances: impl IntoIterator<Item = (String, Listed)>,
        others: Box<dyn Resolver>,
    ) -> Self {
        let mut views: HashMap<String, View> = HashMap::new();
        for (app, listed) in instances {
            let view = views.entry(app).or_default();
            view.known = true;
            view.instances.push(listed);
        }
        let views = views.into_iter().map(|(app, view)| (app, watch::Sender::new(view)));
        Self { views: views.collect(), others }
    }
}

impl Resolver for Fixed {
    fn watch(&self, app: &str) -> watch::Receiver<View> {
        match self.views.get(app) {
            Some(view) => view.subscribe(),
            None => self.others.watch(app),
        }
    }
}

/// Knows no instance of anything: a process without a registry.
pub(crate) struct Nothing {
    view: watch::Sender<View>,
}

impl Default for Nothing {
    fn default() -> Self {
        Self { view: watch::Sender::new(View { known: true, instances: Vec::new() }) }
    }
}

impl Resolver for Nothing {
    fn watch(&self, _: &str) -> watch::Receiver<View> {
        self.view.subscribe()
    }
}
