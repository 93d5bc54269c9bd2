//! What a method's contract says beside its types, read from
//! `titan.mesh.v1.policy` and `titan.mesh.v1.defaults`: who may call, for the
//! documentation (the services enforce it), and the deadline, which the edge
//! enforces as well so that a client always gets an answer. What it says of HTTP is
//! for the edge alone.

use std::time::Duration;

use http::HeaderValue;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage, Value};

/// A method's policy, with its service's defaults applied field by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Longest time of a call; none when the contract states zero or nothing.
    pub deadline: Option<Duration>,
    /// Who may call.
    pub access: Access,
    /// For how long answers may be kept, when the contract says so.
    pub cache: Option<Cache>,
    /// Whether the body of a POST may be a form.
    pub form: bool,
}

/// For a unary call whose contract states none: nobody waits longer for a page,
/// and a client that does not say so must not hold a connection for ever.
const DEFAULT: Duration = Duration::from_secs(60);

/// How long a REST call of a method may take when its client asks for no less. How
/// long a stream takes is a matter of its length; its contract may say.
pub(crate) fn allowance(contract: Option<Duration>, unary: bool) -> Option<Duration> {
    contract.or(unary.then_some(DEFAULT))
}

/// For how long answers to GET and HEAD may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// `Cache-Control`.
    pub rule: HeaderValue,
    /// Whether others than who asked may keep them.
    pub shared: bool,
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
        let http = field("http");
        let form = |http: &DynamicMessage| flag(http, "form");
        Policy {
            cache: http.as_ref().and_then(|http| Cache::of(&child(http, "cache")?)),
            form: http.as_ref().is_some_and(form),
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
        Access {
            public: flag(access, "public"),
            authenticated: flag(access, "authenticated"),
            roles: texts(access, "roles"),
            scopes: texts(access, "scopes"),
            services: texts(access, "services"),
        }
    }
}

impl Cache {
    /// Nothing where the option is none as the mesh knows it.
    fn of(cache: &DynamicMessage) -> Option<Cache> {
        let cache = mesh::proto::Cache::decode(cache.encode_to_vec().as_slice()).ok()?;
        let rule = HeaderValue::try_from(cache.control());
        let rule = rule.expect("words and digits are a header value");
        Some(Cache { shared: rule.as_bytes().starts_with(b"public"), rule })
    }
}

fn flag(message: &DynamicMessage, name: &str) -> bool {
    message.get_field_by_name(name).and_then(|value| value.as_bool()).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A method's policy with this text as its own.
    fn policy(text: &str) -> Policy {
        let contract = format!(
            "syntax = \"proto3\"; package a; import \"titan/mesh/v1/options.proto\";
             message M {{}}
             service S {{ rpc Do(M) returns (M) {{ option (titan.mesh.v1.policy) = {{ {text} }}; }} }}"
        );
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.proto"), contract).unwrap();
        let includes = [folder.path(), std::path::Path::new("../proto")];
        let mut compiler = protox::Compiler::new(includes).unwrap();
        compiler.include_imports(true).open_file("a.proto").unwrap();
        let set = compiler.encode_file_descriptor_set();
        let pool = prost_reflect::DescriptorPool::decode(set.as_slice()).unwrap();
        Policy::of(&pool.get_service_by_name("a.S").unwrap().methods().next().unwrap())
    }

    #[test]
    fn a_cache_rule_says_for_how_long_and_for_whom() {
        for (text, rule, shared) in [
            ("max_age: {seconds: 60}", "public, max-age=60", true),
            ("max_age: {seconds: 60, nanos: 9}", "public, max-age=60", true),
            ("", "public, no-cache", true),
            ("max_age: {seconds: 60} private: true", "private, max-age=60", false),
            ("private: true", "private, no-cache", false),
            ("max_age: {seconds: 60} no_store: true", "no-store", false),
        ] {
            let cache = policy(&format!("http: {{cache: {{{text}}}}}")).cache.unwrap();
            assert_eq!((cache.rule, cache.shared), (rule.parse().unwrap(), shared), "{text}");
        }
        let none = policy("http: {}");
        assert_eq!((none.cache, none.form), (None, false));
        assert!(policy("http: {form: true}").form);
    }
}
