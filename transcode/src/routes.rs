//! The rules of many methods, and the one that a request leads to.

use std::sync::Arc;

use prost_reflect::MethodDescriptor;
use thiserror::Error;

use crate::{
    bind::{Binding, BindingError, Rule},
    route::{Captures, Lookup, Method, Path, Tree},
    schema::Schema,
};

/// Why a rule is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RouteError {
    /// A rule that does not follow google/api/http.proto.
    #[error("the HTTP rule of `{method}` {error}")]
    Binding {
        /// Full name of the method.
        method: String,
        /// What is wrong with it.
        error: BindingError,
    },
    /// Two rules answer to the same requests.
    #[error("`{later}` and `{earlier}` both answer to {method} {template}, the latter as {other}")]
    Conflict {
        /// Full name of the method that has the requests already.
        earlier: String,
        /// Full name of the method that claims them as well.
        later: String,
        /// HTTP method.
        method: Method,
        /// Path template of the later one.
        template: String,
        /// Path template of the earlier one.
        other: String,
    },
}

/// A rule and what it leads to.
#[derive(Debug)]
pub struct Route<T> {
    /// What the caller knows of the method and the rule.
    pub target: T,
    /// How requests map to it.
    pub binding: Binding,
    rpc: Arc<str>,
}

/// What a method and a path lead to.
#[derive(Debug)]
pub enum Found<'r, T> {
    /// A rule, and what its variables captured.
    Route(&'r Route<T>, Captures<'r>),
    /// Rules for other methods, which are these; see [`Lookup::NotAllowed`].
    NotAllowed(Vec<Box<str>>),
    /// Nothing.
    Nothing,
}

/// All rules.
#[derive(Debug)]
pub struct Routes<T> {
    schema: Arc<Schema>,
    routes: Vec<Route<T>>,
    tree: Tree,
}

impl<T> Routes<T> {
    /// No rules yet, of messages of this schema.
    #[must_use]
    pub fn new(schema: Arc<Schema>) -> Routes<T> {
        Routes { schema, routes: Vec::new(), tree: Tree::default() }
    }

    /// Adds the rules of a method: those of the last rule in `config`, a service
    /// configuration, that selects it, or else its annotation. "All service
    /// configuration rules follow "last one wins" order." `target` is asked for
    /// what each rule leads to.
    ///
    /// # Errors
    /// When a rule is none, or answers to the same requests as an earlier one.
    /// Those before it stay.
    pub fn add(
        &mut self,
        method: &MethodDescriptor,
        config: &[Rule],
        target: impl Fn(&Binding) -> T,
    ) -> Result<(), RouteError> {
        let rpc: Arc<str> = method.full_name().into();
        let refused = |error| RouteError::Binding { method: rpc.to_string(), error };
        let selected = config.iter().rfind(|rule| rule.selects(&rpc)).cloned();
        let rule = match selected {
            Some(rule) => Some(rule),
            None => Rule::of(method).map_err(|error| refused(error.into()))?,
        };
        for rule in rule.iter().flat_map(Rule::all) {
            let binding = Binding::compile(&self.schema, method, rule).map_err(refused)?;
            let target = target(&binding);
            self.insert(Route { target, binding, rpc: rpc.clone() })?;
        }
        Ok(())
    }

    fn insert(&mut self, route: Route<T>) -> Result<(), RouteError> {
        let (method, template) = (route.binding.method(), route.binding.template());
        self.tree.insert(method, template, self.routes.len()).map_err(|earlier| {
            let earlier = &self.routes[earlier];
            RouteError::Conflict {
                earlier: earlier.rpc.to_string(),
                later: route.rpc.to_string(),
                method: method.clone(),
                template: template.to_string(),
                other: earlier.binding.template().to_string(),
            }
        })?;
        self.routes.push(route);
        Ok(())
    }

    /// All rules, in the order that they were added.
    #[must_use]
    pub fn all(&self) -> &[Route<T>] {
        &self.routes
    }

    /// Finds the rule for a request.
    #[must_use]
    pub fn find<'r>(&'r self, method: &str, path: Path<'r>) -> Found<'r, T> {
        match self.tree.find(method, &path) {
            Lookup::Found(found) => {
                let route = &self.routes[found.rule];
                Found::Route(route, Captures::new(route.binding.template(), path, found))
            }
            Lookup::NotAllowed(methods) => Found::NotAllowed(methods),
            Lookup::NotFound => Found::Nothing,
        }
    }

    /// The work that finding a rule takes; see [`Tree::steps`].
    #[must_use]
    pub fn steps(&self, method: &str, path: &Path<'_>) -> u32 {
        self.tree.steps(method, path)
    }
}

impl<T> Route<T> {
    /// Full name of the method.
    #[must_use]
    pub fn rpc(&self) -> &str {
        &self.rpc
    }
}
