//! What a method's contract says beside its types, read from
//! `titan.mesh.v1.policy` and `titan.mesh.v1.defaults`: who may call, for the
//! documentation (the services enforce it), and the deadline, which the edge
//! enforces as well so that a client always gets an answer.

use std::time::Duration;

use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage, Value};

/// A method's policy, with its service's defaults applied field by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Longest time of a call; none when the contract states zero or nothing.
    pub deadline: Option<Duration>,
    /// Who may call.
    pub access: Access,
}

/// Who may call a method; any one rule admits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Anyone.
    pub public: bool,
    /// Any user.
    pub authenticated: bool,
    /// Users with one of these roles.
    pub roles: Vec<String>,
    /// Users whose token has one of these scopes.
    pub scopes: Vec<String>,
    /// Processes of the mesh, which do not come through the edge.
    pub services: Vec<String>,
}

impl Policy {
    /// Reads the policy of a method.
    #[must_use]
    pub fn of(method: &MethodDescriptor) -> Policy {
        let own = extension(&method.options(), "titan.mesh.v1.policy");
        let defaults = extension(&method.parent_service().options(), "titan.mesh.v1.defaults");
        let field = |name: &str| {
            let of = |policy: &Option<DynamicMessage>| child(policy.as_ref()?, name);
            of(&own).or_else(|| of(&defaults))
        };
        Policy {
            deadline: field("deadline").and_then(|deadline| duration(&deadline)),
            access: field("access").map(|access| Access::of(&access)).unwrap_or_default(),
        }
    }
}

impl Access {
    /// Whether a bearer token makes a difference.
    #[must_use]
    pub fn wants_token(&self) -> bool {
        self.authenticated || !self.roles.is_empty() || !self.scopes.is_empty()
    }

    fn of(access: &DynamicMessage) -> Access {
        let flag = |name: &str| {
            access.get_field_by_name(name).and_then(|value| value.as_bool()).unwrap_or_default()
        };
        Access {
            public: flag("public"),
            authenticated: flag("authenticated"),
            roles: texts(access, "roles"),
            scopes: texts(access, "scopes"),
            services: texts(access, "services"),
        }
    }
}

/// The value of a message-typed option by the full name of its extension.
pub(crate) fn extension(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let pool = options.descriptor().parent_pool().clone();
    let extension = pool.get_extension_by_name(name)?;
    if extension.containing_message() != options.descriptor() || !options.has_extension(&extension)
    {
        return None;
    }
    options.get_extension(&extension).as_message().cloned()
}

/// A message-typed field that is set.
pub(crate) fn child(message: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    if !message.has_field_by_name(name) {
        return None;
    }
    message.get_field_by_name(name)?.as_message().cloned()
}

/// The strings of a repeated field.
pub(crate) fn texts(message: &DynamicMessage, name: &str) -> Vec<String> {
    let value = message.get_field_by_name(name);
    let values = value.as_deref().and_then(Value::as_list).unwrap_or_default();
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn duration(message: &DynamicMessage) -> Option<Duration> {
    let seconds = message.get_field_by_name("seconds")?.as_i64()?;
    let nanos = message.get_field_by_name("nanos")?.as_i32()?;
    let duration = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
    (!duration.is_zero()).then_some(duration)
}
