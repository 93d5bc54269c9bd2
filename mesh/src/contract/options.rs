//! The options of `titan.mesh.v1` on a method and on its service, and which of
//! the two decides.

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, ExtensionDescriptor, MethodDescriptor};

use super::{ContractError, hedge, path};
use crate::{Criticality, proto};

/// Who says a part of a method's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The method itself.
    Method,
    /// Its service, for every method that says nothing else.
    Service,
    /// Neither: it is what the mesh does then.
    Mesh,
}

/// Who says each part of a policy as a contract writes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origins {
    pub(super) deadline: Source,
    pub(super) retry: Source,
    pub(super) access: Source,
    pub(super) criticality: Source,
    pub(super) hash_key: Source,
    pub(super) hedge: Source,
    pub(super) http: Source,
}

/// The extensions that carry policies; absent where nobody has imported them.
pub(super) struct Options {
    defaults: Option<ExtensionDescriptor>,
    policy: Option<ExtensionDescriptor>,
}

impl Options {
    pub(super) fn of(pool: &DescriptorPool) -> Self {
        Self {
            defaults: pool.get_extension_by_name("titan.mesh.v1.defaults"),
            policy: pool.get_extension_by_name("titan.mesh.v1.policy"),
        }
    }

    /// The method's own policy over its service's, field by field.
    pub(super) fn policy(
        &self,
        method: &MethodDescriptor,
    ) -> Result<(proto::Policy, Origins), ContractError> {
        let wrong = |mistake| ContractError::Policy { method: path(method), mistake };
        let service = method.parent_service().options();
        let defaults = read(&service, self.defaults.as_ref()).map_err(wrong)?;
        let own = read(&method.options(), self.policy.as_ref()).map_err(wrong)?;

        let (criticality, of_criticality) = over(class(&own), class(&defaults));
        let (deadline, of_deadline) = over(own.deadline, defaults.deadline);
        let (retry, of_retry) = over(own.retry, defaults.retry);
        let (access, of_access) = over(own.access, defaults.access);
        let (hash_key, of_hash_key) = over(own.hash_key, defaults.hash_key);
        // What a service wants for its methods holds for those that can have it.
        let of_service = defaults.hedge.filter(|_| hedge::unfit(method).is_none());
        let (hedge, of_hedge) = over(own.hedge, of_service);
        let criticality = criticality.unwrap_or_default();
        let (http, of_http) = over(own.http, defaults.http);
        let origins = Origins {
            deadline: of_deadline,
            retry: of_retry,
            access: of_access,
            criticality: of_criticality,
            hash_key: of_hash_key,
            hedge: of_hedge,
            http: of_http,
        };
        Ok((proto::Policy { deadline, retry, access, criticality, hash_key, hedge, http }, origins))
    }
}

fn class(policy: &proto::Policy) -> Option<i32> {
    Criticality::of_policy(policy).map(|_| policy.criticality)
}

fn over<T>(own: Option<T>, default: Option<T>) -> (Option<T>, Source) {
    match (own, default) {
        (Some(own), _) => (Some(own), Source::Method),
        (None, Some(default)) => (Some(default), Source::Service),
        (None, None) => (None, Source::Mesh),
    }
}

/// An absent option says nothing. One that is no policy is refused: descriptors
/// may come from another process, whose definition of the option is its own.
fn read(
    options: &DynamicMessage,
    extension: Option<&ExtensionDescriptor>,
) -> Result<proto::Policy, String> {
    let Some(extension) = extension.filter(|extension| options.has_extension(extension)) else {
        return Ok(proto::Policy::default());
    };
    let value = options.get_extension(extension);
    let encoded = value.as_message().map(DynamicMessage::encode_to_vec);
    encoded
        .and_then(|bytes| proto::Policy::decode(bytes.as_slice()).ok())
        .ok_or_else(|| format!("{} is no titan.mesh.v1.Policy", extension.full_name()))
}
