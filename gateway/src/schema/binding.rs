//! The rules of `google.api.http`: which requests call a method, and which part
//! of a request becomes which field. A rule that http.proto does not allow is
//! refused when it is loaded, so that no request has to find out.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};
use thiserror::Error;

use super::policy::extension;
use crate::route::{Template, TemplateError, Verb};

/// Why a rule is refused.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum BindingError {
    /// No method and path.
    #[error("has no pattern")]
    NoPattern,
    /// A custom kind that is not an HTTP method.
    #[error("has the custom kind `{0}`, which is not an HTTP method")]
    Kind(String),
    /// A template that does not parse.
    #[error("has the path `{template}`, which {error}")]
    Template {
        /// Its text.
        template: String,
        /// What is wrong with it.
        error: TemplateError,
    },
    /// A variable that is not a singular scalar field of the request.
    #[error("binds the path variable `{0}`, which is no singular scalar field of the request")]
    Variable(String),
    /// A body that is not a field of the request.
    #[error("has the body `{0}`, which is no field of the request")]
    Body(String),
    /// A response body that is not a field of the response.
    #[error("has the response body `{0}`, which is no field of the response")]
    ResponseBody(String),
    /// An additional binding with additional bindings.
    #[error("nests additional bindings")]
    Nested,
}

/// What the HTTP body of a request becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Nothing: a body is refused.
    None,
    /// `*`: the request message, but for what the path says.
    Whole,
    /// One field of the request message.
    Field(FieldDescriptor),
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Binding {
    /// HTTP method.
    pub verb: Verb,
    /// Path.
    pub template: Template,
    /// The fields of the template's variables, from the request message down.
    pub variables: Vec<Vec<FieldDescriptor>>,
    /// What the body becomes.
    pub body: Body,
    /// The field that becomes the response's body; the whole message when none.
    pub response_body: Option<FieldDescriptor>,
}

/// The rules of a method; none when it has no HTTP binding.
///
/// # Errors
/// When a rule is not one that http.proto allows.
pub fn of(method: &MethodDescriptor) -> Result<Vec<Binding>, BindingError> {
    let Some(rule) = extension(&method.options(), "google.api.http") else {
        return Ok(Vec::new());
    };
    let mut bindings = vec![binding(&rule, method)?];
    for additional in additional(&rule) {
        if !self::additional(&additional).is_empty() {
            return Err(BindingError::Nested);
        }
        bindings.push(binding(&additional, method)?);
    }
    Ok(bindings)
}

fn additional(rule: &DynamicMessage) -> Vec<DynamicMessage> {
    let rules = rule.get_field_by_name("additional_bindings");
    let rules = rules.as_deref().and_then(Value::as_list).unwrap_or_default();
    rules.iter().filter_map(Value::as_message).cloned().collect()
}

fn binding(rule: &DynamicMessage, method: &MethodDescriptor) -> Result<Binding, BindingError> {
    let (verb, text) = pattern(rule)?;
    let template = Template::parse(&text)
        .map_err(|error| BindingError::Template { template: text.clone(), error })?;
    let input = method.input();
    let variables = template
        .variables
        .iter()
        .map(|variable| {
            variable_fields(&input, &variable.field)
                .ok_or_else(|| BindingError::Variable(variable.field.clone()))
        })
        .collect::<Result<_, _>>()?;
    Ok(Binding {
        verb,
        template,
        variables,
        body: body(&text_field(rule, "body"), &input)?,
        response_body: response_body(text_field(rule, "response_body"), &method.output())?,
    })
}

fn pattern(rule: &DynamicMessage) -> Result<(Verb, String), BindingError> {
    for name in ["get", "put", "post", "delete", "patch"] {
        if rule.has_field_by_name(name) {
            let method = name.to_ascii_uppercase().parse().expect("they are HTTP methods");
            return Ok((Verb::Exact(method), text_field(rule, name)));
        }
    }
    let custom = super::policy::child(rule, "custom").ok_or(BindingError::NoPattern)?;
    let kind = text_field(&custom, "kind");
    let verb = match kind.as_str() {
        "*" => Verb::Any,
        name => Verb::Exact(name.parse().map_err(|_| BindingError::Kind(kind.clone()))?),
    };
    Ok((verb, text_field(&custom, "path")))
}

fn text_field(message: &DynamicMessage, name: &str) -> String {
    let value = message.get_field_by_name(name);
    value.as_deref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn variable_fields(input: &MessageDescriptor, path: &str) -> Option<Vec<FieldDescriptor>> {
    let mut fields: Vec<FieldDescriptor> = Vec::new();
    for name in path.split('.') {
        let message = match fields.last() {
            None => input.clone(),
            Some(parent) => parent.kind().as_message()?.clone(),
        };
        let field = message.get_field_by_name(name)?;
        if field.is_list() || field.is_map() {
            return None;
        }
        fields.push(field);
    }
    let scalar = !matches!(fields.last()?.kind(), Kind::Message(_));
    scalar.then_some(fields)
}

fn body(name: &str, input: &MessageDescriptor) -> Result<Body, BindingError> {
    match name {
        "" => Ok(Body::None),
        "*" => Ok(Body::Whole),
        name => input
            .get_field_by_name(name)
            .map(Body::Field)
            .ok_or_else(|| BindingError::Body(name.to_owned())),
    }
}

fn response_body(
    name: String,
    output: &MessageDescriptor,
) -> Result<Option<FieldDescriptor>, BindingError> {
    if name.is_empty() {
        return Ok(None);
    }
    output.get_field_by_name(&name).map(Some).ok_or(BindingError::ResponseBody(name))
}
