//! Contracts as the call path reads them: one record per method, compiled from
//! the descriptors at start, so that nothing on the way of a call looks at a
//! descriptor again.

mod cache;
mod explain;
mod hash_key;
mod hedge;
mod limits;
mod options;
mod paths;

use std::{sync::Arc, time::Duration};

use prost_reflect::{DescriptorPool, MethodDescriptor};
use prost_types::method_options::IdempotencyLevel;

pub use self::{
    explain::{Explanation, Sources, explain},
    hash_key::{FieldKey, HashKey},
    hedge::Hedge,
    limits::{Amount, Limit, limits},
    options::Source,
};
use self::{options::Options, paths::Paths};
use crate::{
    Criticality, proto,
    server::overload::usual::Usual,
    telemetry::{client::Called, metrics::MethodMetrics},
    validate::{self, Program},
};

/// Most attempts that a contract may ask for (gRFC A6 caps at the same).
const MAX_ATTEMPTS: u32 = 5;

/// The methods of a set of contracts, by path.
#[derive(Debug, Default)]
pub struct Contracts {
    methods: Paths<Arc<Method>>,
}

/// One method as the call path needs it.
#[derive(Debug)]
pub struct Method {
    /// `/titan.projects.v1.ProjectsService/GetProject`.
    pub path: String,
    /// `titan.projects.v1.ProjectsService`.
    pub service: String,
    /// `GetProject`.
    pub name: String,
    /// Longest time for the whole call; `None` for calls that may last.
    pub deadline: Option<Duration>,
    /// What a repetition does, as the contract promises.
    pub idempotency: Idempotency,
    /// How a failed call is repeated.
    pub retry: Retry,
    /// When a call that is late is made once more; `None` where it is not.
    pub hedge: Option<Hedge>,
    /// Who may call.
    pub access: Access,
    /// How much a call matters where no caller says it.
    pub criticality: Criticality,
    /// What an instance is chosen by; `None` where the quickest is called.
    pub hash_key: Option<HashKey>,
    /// Whether the caller streams messages.
    pub client_streaming: bool,
    /// Whether the server streams messages.
    pub server_streaming: bool,
    /// Checks a request message; `None` when its type has no rules.
    pub request: Option<Arc<Program>>,
    pub(crate) served: MethodMetrics,
    pub(crate) called: Called,
    /// How long it takes here.
    pub(crate) usual: Usual,
}

/// `idempotency_level` of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Nothing is promised: a request that may have arrived is not repeated.
    Unknown,
    /// A repetition has no further effect.
    Idempotent,
    /// The method only reads.
    NoSideEffects,
}

impl Idempotency {
    /// Whether a request that may have arrived may be sent again.
    #[must_use]
    pub fn repeatable(self) -> bool {
        self != Self::Unknown
    }
}

/// Repetition of failed calls, `titan.mesh.v1.Retry` with its defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// All attempts, the first included; default 2.
    pub max_attempts: u32,
    /// Bound of the first wait; default 25 ms.
    pub initial_backoff: Duration,
    /// Bound of any wait; default 250 ms.
    pub max_backoff: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 2,
            initial_backoff: Duration::from_millis(25),
            max_backoff: Duration::from_millis(250),
        }
    }
}

/// Who may call a method, `titan.mesh.v1.Access`. The default admits nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Anyone.
    pub public: bool,
    /// Any user.
    pub authenticated: bool,
    /// Users with one of these roles.
    pub roles: Vec<String>,
    /// Users with one of these scopes.
    pub scopes: Vec<String>,
    /// Applications by name; `*` for any.
    pub services: Vec<String>,
}

/// A contract that the mesh cannot carry out.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The descriptor set does not decode.
    #[error("the descriptor set is unreadable")]
    Descriptors(#[from] prost_reflect::DescriptorError),
    /// A policy says something impossible.
    #[error("{method}: {mistake}")]
    Policy {
        /// The method's path.
        method: String,
        /// What is wrong with it.
        mistake: String,
    },
    /// A validation rule that cannot be checked.
    #[error("{method}: a rule of its request cannot be checked")]
    Rules {
        /// The method's path.
        method: String,
        /// Which rule, and why.
        source: validate::CompileError,
    },
}

impl Contracts {
    /// Compiles the methods of encoded `FileDescriptorSet`s.
    ///
    /// # Errors
    /// A set that does not decode, and any policy or rule that the mesh cannot
    /// carry out: a rule is never silently ignored.
    pub fn load(descriptor_sets: &[&[u8]]) -> Result<Self, ContractError> {
        let mut pool = DescriptorPool::decode(crate::DESCRIPTORS)?;
        for set in descriptor_sets {
            pool.decode_file_descriptor_set(*set)?;
        }
        let options = Options::of(&pool);
        let mut methods = Paths::default();
        for descriptor in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>())
        {
            let (policy, _) = options.policy(&descriptor)?;
            let method = Method::compile(&descriptor, policy)?;
            methods.insert(method.path.clone(), Arc::new(method));
        }
        Ok(Self { methods })
    }

    /// The method at a path such as `/titan.projects.v1.ProjectsService/GetProject`.
    #[must_use]
    pub fn method(&self, path: &str) -> Option<&Arc<Method>> {
        self.methods.get(path)
    }

    /// Every method, in no order.
    pub fn methods(&self) -> impl Iterator<Item = &Arc<Method>> {
        self.methods.values()
    }

    /// Gives an access rule to the methods of a service that have none; whether
    /// there is such a service.
    pub(crate) fn admit(&mut self, service: &str, access: &Access) -> bool {
        let methods = self.methods.values_mut().filter(|method| method.service == service);
        let mut known = false;
        for method in methods {
            known = true;
            if method.access == Access::default()
                && let Some(method) = Arc::get_mut(method)
            {
                method.access = access.clone();
            }
        }
        known
    }

    /// Adds the methods of others; a method that both know is kept as it is.
    pub(crate) fn extended(&self, other: &Self) -> Self {
        let mut methods = self.methods.clone();
        for (path, method) in &other.methods {
            methods.entry(path.clone()).or_insert_with(|| method.clone());
        }
        Self { methods }
    }

    /// These and the methods of others, whose word is newer. A method whose policy
    /// for callers stays the same keeps its record, and thereby its counters.
    pub(crate) fn renewed(&self, other: &Self) -> Self {
        let mut methods = self.methods.clone();
        for (path, method) in &other.methods {
            let known = methods.entry(path.clone()).or_insert_with(|| method.clone());
            if !known.is_called_like(method) {
                *known = method.clone();
            }
        }
        Self { methods }
    }
}

impl Method {
    /// Whether nothing that a caller goes by tells them apart.
    fn is_called_like(&self, other: &Self) -> bool {
        let policy = |method: &Self| {
            let Self { deadline, idempotency, retry, hedge, criticality, .. } = *method;
            let streaming = (method.client_streaming, method.server_streaming);
            (deadline, idempotency, retry, hedge, criticality, streaming)
        };
        policy(self) == policy(other) && self.hash_key == other.hash_key
    }

    fn compile(
        descriptor: &MethodDescriptor,
        policy: proto::Policy,
    ) -> Result<Self, ContractError> {
        let service = descriptor.parent_service().full_name().to_owned();
        let path = path(descriptor);
        let wrong = |mistake: String| ContractError::Policy { method: path.clone(), mistake };

        let deadline = duration(policy.deadline, "deadline").map_err(wrong)?;
        let retry = compile_retry(policy.retry).map_err(wrong)?;
        let hedge = policy.hedge.map(|hedge| Hedge::compile(&hedge, descriptor)).transpose();
        let hedge = hedge.map_err(wrong)?.flatten();
        let hash_key = policy.hash_key.as_ref();
        let hash_key = hash_key.map(|key| HashKey::compile(key, descriptor)).transpose();
        let hash_key = hash_key.map_err(wrong)?;
        let request = Program::compile(&descriptor.input())
            .map_err(|source| ContractError::Rules { method: path.clone(), source })?;
        Ok(Self {
            service,
            name: descriptor.name().to_owned(),
            deadline: deadline.filter(|deadline| !deadline.is_zero()),
            idempotency: idempotency(descriptor),
            retry,
            hedge,
            criticality: Criticality::of_policy(&policy).unwrap_or_default(),
            hash_key,
            access: policy.access.map(Access::from).unwrap_or_default(),
            client_streaming: descriptor.is_client_streaming(),
            server_streaming: descriptor.is_server_streaming(),
            request,
            served: MethodMetrics::default(),
            called: Called::default(),
            usual: Usual::default(),
            path,
        })
    }
}

fn path(descriptor: &MethodDescriptor) -> String {
    format!("/{}/{}", descriptor.parent_service().full_name(), descriptor.name())
}

fn idempotency(descriptor: &MethodDescriptor) -> Idempotency {
    let proto = descriptor.method_descriptor_proto();
    match proto.options.as_ref().map(prost_types::MethodOptions::idempotency_level) {
        Some(IdempotencyLevel::NoSideEffects) => Idempotency::NoSideEffects,
        Some(IdempotencyLevel::Idempotent) => Idempotency::Idempotent,
        _ => Idempotency::Unknown,
    }
}

fn duration(value: Option<prost_types::Duration>, field: &str) -> Result<Option<Duration>, String> {
    value
        .map(|value| Duration::try_from(value).map_err(|_| format!("{field} is negative")))
        .transpose()
}

fn compile_retry(policy: Option<proto::Retry>) -> Result<Retry, String> {
    let defaults = Retry::default();
    let Some(policy) = policy else {
        return Ok(defaults);
    };
    if policy.max_attempts > MAX_ATTEMPTS {
        return Err(format!("retry.max_attempts is over {MAX_ATTEMPTS}"));
    }
    let initial = duration(policy.initial_backoff, "retry.initial_backoff")?;
    let max = duration(policy.max_backoff, "retry.max_backoff")?;
    Ok(Retry {
        max_attempts: match policy.max_attempts {
            0 => defaults.max_attempts,
            attempts => attempts,
        },
        initial_backoff: initial.unwrap_or(defaults.initial_backoff),
        max_backoff: max.unwrap_or(defaults.max_backoff),
    })
}

impl From<proto::Access> for Access {
    fn from(access: proto::Access) -> Self {
        Self {
            public: access.public,
            authenticated: access.authenticated,
            roles: access.roles,
            scopes: access.scopes,
            services: access.services,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = "/titan.mesh.v1.RegistryService";

    #[test]
    fn a_method_takes_what_it_does_not_say_from_its_service() {
        let contracts = Contracts::load(&[]).unwrap();
        let register = contracts.method("/titan.mesh.v1.RegistryService/Register").unwrap();
        assert_eq!(register.deadline, Some(Duration::from_secs(2)));
        assert_eq!(register.access.services, ["*"]);
        assert_eq!(register.idempotency, Idempotency::Idempotent);
        assert_eq!(register.retry, Retry::default());
        assert_eq!(register.criticality, Criticality::Critical);
    }

    #[test]
    fn a_deadline_of_zero_means_that_the_call_may_last() {
        let contracts = Contracts::load(&[]).unwrap();
        let watch = contracts.method("/titan.mesh.v1.RegistryService/Watch").unwrap();
        assert_eq!(watch.deadline, None);
        assert!(watch.server_streaming && !watch.client_streaming);
    }

    #[test]
    fn a_newer_contract_counts_and_what_it_leaves_alone_is_kept() {
        let [old, mut new] = [(); 2].map(|()| Contracts::load(&[]).unwrap());
        let [changed, kept] = ["Register", "Watch"].map(|name| format!("{REGISTRY}/{name}"));
        let method = Arc::get_mut(new.methods.get_mut(&changed).unwrap()).unwrap();
        method.deadline = Some(Duration::from_secs(7));
        let renewed = old.renewed(&new);
        let is_of = |contracts: &Contracts, path: &str| {
            Arc::ptr_eq(renewed.method(path).unwrap(), contracts.method(path).unwrap())
        };
        assert!(is_of(&new, &changed) && is_of(&old, &kept));
    }

    #[test]
    fn garbage_is_refused() {
        assert!(matches!(Contracts::load(&[b"\xff\xff"]), Err(ContractError::Descriptors(_))));
    }
}
