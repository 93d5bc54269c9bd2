//! A method's policy with where each part of it comes from, for people who ask
//! why a call was treated as it was. It is compiled by what compiles the policies
//! that run.

use prost_reflect::MethodDescriptor;

use super::{ContractError, Method, options::Options, options::Source};
use crate::{
    proto,
    validate::{self, Requirement},
};

/// A method's policy and where it comes from.
#[derive(Debug)]
pub struct Explanation {
    /// The record that the call path would use.
    pub method: Method,
    /// Who says each part of it.
    pub sources: Sources,
    /// How it is served over HTTP beside its rule; for edges.
    pub http: Option<proto::Http>,
    /// What is asked of each request message, outermost fields first.
    pub requirements: Vec<Requirement>,
}

/// Who says what in a [`Method`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Of [`Method::deadline`].
    pub deadline: Source,
    /// Of [`Method::idempotency`].
    pub idempotency: Source,
    /// Of `max_attempts` in [`Method::retry`].
    pub max_attempts: Source,
    /// Of `initial_backoff` in [`Method::retry`].
    pub initial_backoff: Source,
    /// Of `max_backoff` in [`Method::retry`].
    pub max_backoff: Source,
    /// Of [`Method::hedge`]; of its absence, when the contract forbids it.
    pub hedge: Source,
    /// Of [`Method::access`].
    pub access: Source,
    /// Of [`Method::criticality`].
    pub criticality: Source,
    /// Of [`Method::hash_key`].
    pub hash_key: Source,
    /// Of [`Explanation::http`].
    pub http: Source,
}

impl Explanation {
    /// How often a call is made at most when it may have been processed, and who
    /// says so: once, whatever the contract's `retry`, unless the method's
    /// idempotency allows repetition.
    #[must_use]
    pub fn attempts(&self) -> (u32, Source) {
        if self.method.idempotency.repeatable() {
            (self.method.retry.max_attempts, self.sources.max_attempts)
        } else {
            (1, self.sources.idempotency)
        }
    }
}

/// Explains a method.
///
/// Its pool must come from *encoded* descriptors: the types of prost-types drop
/// the options that policies are.
///
/// # Errors
/// A policy or a rule that the mesh cannot carry out; no process would serve it.
pub fn explain(descriptor: &MethodDescriptor) -> Result<Explanation, ContractError> {
    let (policy, origins) = Options::of(descriptor.parent_pool()).policy(descriptor)?;
    let retry = policy.retry.unwrap_or_default();
    let of_retry = |stated: bool| if stated { origins.retry } else { Source::Mesh };
    let options = descriptor.method_descriptor_proto().options.as_ref();
    let level = options.and_then(|options| options.idempotency_level);
    let sources = Sources {
        deadline: origins.deadline,
        idempotency: if level.is_some() { Source::Method } else { Source::Mesh },
        max_attempts: of_retry(retry.max_attempts != 0),
        initial_backoff: of_retry(retry.initial_backoff.is_some()),
        max_backoff: of_retry(retry.max_backoff.is_some()),
        hedge: origins.hedge,
        access: origins.access,
        criticality: origins.criticality,
        hash_key: origins.hash_key,
        http: origins.http,
    };
    let http = policy.http;
    let method = Method::compile(descriptor, policy)?;
    let requirements = validate::requirements(&descriptor.input())
        .map_err(|source| ContractError::Rules { method: method.path.clone(), source })?;
    Ok(Explanation { method, sources, http, requirements })
}
