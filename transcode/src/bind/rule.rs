//! `google.api.HttpRule` as a method has it: an annotation in its contract, or a
//! rule of a service configuration that overrides it.

use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage as _, Value};
use thiserror::Error;

use crate::route::Method;

/// One rule, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which methods it is for; in an annotation it means nothing.
    pub selector: String,
    /// HTTP method.
    pub method: Method,
    /// Path template.
    pub path: String,
    /// What the body becomes: a field of the request, `*`, or nothing.
    pub body: String,
    /// The field of the response that becomes its body; all of it when empty.
    pub response_body: String,
    /// Further rules for the same method; they have none of their own.
    pub additional_bindings: Vec<Rule>,
}

/// Why something is no rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleError {
    /// No method and path.
    #[error("has no pattern")]
    NoPattern,
    /// A custom kind that is not an HTTP method.
    #[error("has the custom kind `{0}`, which is not an HTTP method")]
    Kind(String),
    /// An additional binding with additional bindings.
    #[error("nests additional bindings")]
    Nested,
}

impl Rule {
    /// A rule without a selector, a body or more bindings.
    #[must_use]
    pub fn new(method: Method, path: &str) -> Rule {
        Rule {
            selector: String::new(),
            method,
            path: path.to_owned(),
            body: String::new(),
            response_body: String::new(),
            additional_bindings: Vec::new(),
        }
    }

    /// The annotation of a method; none when it has no HTTP binding.
    ///
    /// # Errors
    /// When the annotation is not one that http.proto allows.
    pub fn of(method: &MethodDescriptor) -> Result<Option<Rule>, RuleError> {
        let pool = method.parent_pool();
        let Some(extension) = pool.get_extension_by_name("google.api.http") else {
            return Ok(None);
        };
        let options = method.options();
        if extension.containing_message() != options.descriptor()
            || !options.has_extension(&extension)
        {
            return Ok(None);
        }
        options.get_extension(&extension).as_message().map(Rule::read).transpose()
    }

    /// The rules of a service configuration, from its `google.api.Http`.
    ///
    /// # Errors
    /// When one of them is not one that http.proto allows.
    pub fn of_config(http: &DynamicMessage) -> Result<Vec<Rule>, RuleError> {
        messages(http, "rules").iter().map(Rule::read).collect()
    }

    /// Reads a `google.api.HttpRule`.
    fn read(rule: &DynamicMessage) -> Result<Rule, RuleError> {
        let mut read = Rule::read_one(rule)?;
        for additional in messages(rule, "additional_bindings") {
            if !messages(&additional, "additional_bindings").is_empty() {
                return Err(RuleError::Nested);
            }
            read.additional_bindings.push(Rule::read_one(&additional)?);
        }
        Ok(read)
    }

    fn read_one(rule: &DynamicMessage) -> Result<Rule, RuleError> {
        let (method, path) = pattern(rule)?;
        Ok(Rule {
            selector: text(rule, "selector"),
            method,
            path,
            body: text(rule, "body"),
            response_body: text(rule, "response_body"),
            additional_bindings: Vec::new(),
        })
    }

    /// Whether it is for a method: its selector is a list of full names, of which
    /// one may end in `.*`.
    #[must_use]
    pub fn selects(&self, method: &str) -> bool {
        self.selector.split(',').map(str::trim).any(|selector| match selector.strip_suffix('*') {
            Some(prefix) => {
                (prefix.is_empty() || prefix.ends_with('.')) && method.starts_with(prefix)
            }
            None => selector == method,
        })
    }

    /// Itself and its additional bindings.
    pub fn all(&self) -> impl Iterator<Item = &Rule> {
        std::iter::once(self).chain(&self.additional_bindings)
    }
}

fn pattern(rule: &DynamicMessage) -> Result<(Method, String), RuleError> {
    for name in ["get", "put", "post", "delete", "patch"] {
        if rule.has_field_by_name(name) {
            return Ok((Method::Named(name.to_ascii_uppercase().into()), text(rule, name)));
        }
    }
    if !rule.has_field_by_name("custom") {
        return Err(RuleError::NoPattern);
    }
    let custom = rule.get_field_by_name("custom");
    let custom = custom.as_deref().and_then(Value::as_message).ok_or(RuleError::NoPattern)?;
    let kind = text(custom, "kind");
    let method = Method::parse(&kind).ok_or(RuleError::Kind(kind))?;
    Ok((method, text(custom, "path")))
}

fn text(message: &DynamicMessage, name: &str) -> String {
    let value = message.get_field_by_name(name);
    value.as_deref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn messages(message: &DynamicMessage, name: &str) -> Vec<DynamicMessage> {
    let value = message.get_field_by_name(name);
    let values = value.as_deref().and_then(Value::as_list).unwrap_or_default();
    values.iter().filter_map(Value::as_message).cloned().collect()
}
