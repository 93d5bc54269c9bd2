//! From a rule and descriptors to a binding, or to what is wrong with the rule.

use std::sync::Arc;

use prost_reflect::{FieldDescriptor, MessageDescriptor, MethodDescriptor};
use thiserror::Error;

use super::{
    Binding, BodyRule, HTTP_BODY, ResponseRule, Rule, RuleError, Step, Top, Variable,
    given::{Given, Taken},
    json_path,
    mask::{self, Mask},
};
use crate::{
    program::{Kind, Label, Programs, Shape},
    route::Method,
    schema::{MessageId, Schema},
    template::{Template, TemplateError},
};

/// Why a rule is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BindingError {
    /// It is no rule by itself.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A template that does not parse.
    #[error("has the path `{template}`, which {error}")]
    Template {
        /// Its text.
        template: String,
        /// What is wrong with it.
        error: TemplateError,
    },
    /// A method whose requests have no body (RFC 9110 §9.3.1), with a body.
    #[error("gives {0} a body")]
    BodyOfGet(Method),
    /// A variable that is not a singular field of the request with a primitive
    /// type, or a wrapper of one.
    #[error("binds the path variable `{0}`, which is no singular scalar field of the request")]
    Variable(String),
    /// Two variables of one oneof.
    #[error("binds the path variable `{0}`, which another variable excludes")]
    Oneof(String),
    /// A variable that is the body, or within it where the body is no message.
    #[error("binds the path variable `{0}`, which is the body")]
    VariableIsBody(String),
    /// A body that is not a top-level field of the request.
    #[error("has the body `{0}`, which is no field of the request")]
    Body(String),
    /// A response body that is not a top-level field of the response.
    #[error("has the response body `{0}`, which is no field of the response")]
    ResponseBody(String),
    /// A message that is not among the compiled ones.
    #[error("uses the message `{0}`, which the schema does not have")]
    Message(String),
}

impl Binding {
    /// Compiles one rule of a method; its additional bindings are rules of their
    /// own ([`Rule::all`]).
    ///
    /// # Errors
    /// When http.proto does not allow the rule, or it does not fit the method.
    pub fn compile(
        schema: &Arc<Schema>,
        method: &MethodDescriptor,
        rule: &Rule,
    ) -> Result<Binding, BindingError> {
        let template = Template::parse(&rule.path)
            .map_err(|error| BindingError::Template { template: rule.path.clone(), error })?;
        let (input, output) = (method.input(), method.output());
        let programs = schema.programs();
        let body = body(schema, &input, rule)?;
        let response = response(schema, &output, rule)?;
        let mut binding = Binding {
            method: rule.method.clone(),
            input: index(programs, &input)?,
            output: index(programs, &output)?,
            variables: Vec::new(),
            takes_http_body: match &body {
                BodyRule::None => false,
                BodyRule::Whole => input.full_name() == HTTP_BODY,
                BodyRule::Field(top) => top.is_http_body(programs),
            },
            gives_http_body: match &response {
                ResponseRule::Whole => output.full_name() == HTTP_BODY,
                ResponseRule::Field(top) => top.is_http_body(programs),
            },
            mask: None,
            given: Given::default(),
            schema: schema.clone(),
            template,
            response,
            body,
        };
        binding.add_variables(&input)?;
        binding.add_mask(&input)?;
        Ok(binding)
    }

    fn add_variables(&mut self, input: &MessageDescriptor) -> Result<(), BindingError> {
        let schema = self.schema.clone();
        let programs = schema.programs();
        for variable in self.template.variables() {
            let name = variable.field.to_string();
            let steps = variable_steps(programs, input, &name)?
                .ok_or_else(|| BindingError::Variable(name.clone()))?;
            let in_body = match &self.body {
                BodyRule::None => false,
                BodyRule::Whole => true,
                BodyRule::Field(top) => steps[0] == top.step,
            };
            // Of a body that is taken as it is nothing can be given elsewhere.
            let is_body = matches!(self.body, BodyRule::Field(_)) && steps.len() == 1;
            if in_body && (is_body || self.takes_http_body) {
                return Err(BindingError::VariableIsBody(name));
            }
            if self.given.add(programs, &steps).is_err() {
                return Err(BindingError::Oneof(json_path(programs, &steps)));
            }
            self.variables.push(Variable { steps, in_body });
        }
        self.add_body_field(programs)
    }

    /// A body gives its field, too, which may exclude that of a variable.
    fn add_body_field(&mut self, programs: &Programs) -> Result<(), BindingError> {
        let BodyRule::Field(top) = &self.body else { return Ok(()) };
        match self.given.add(programs, &[top.step]) {
            Err(Taken::By(other)) => {
                Err(BindingError::Oneof(other.of(programs).json_name().to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// "FieldMask is filled if the method is a PATCH, its body is a field that is
    /// a message, and its request has exactly one mask."
    fn add_mask(&mut self, input: &MessageDescriptor) -> Result<(), BindingError> {
        let programs = self.schema.programs();
        let BodyRule::Field(Top { step, .. }) = self.body else { return Ok(()) };
        if self.takes_http_body {
            return Ok(());
        }
        if self.method != Method::Named("PATCH".into()) {
            return Ok(());
        }
        let body = input.get_field(step.of(programs).number).filter(|field| !field.is_list());
        let body = body.filter(|field| !field.is_map()).map(|field| field.kind());
        let body = body.as_ref().and_then(prost_reflect::Kind::as_message);
        let (Some(body), Some(mask)) = (body, mask::field_of(input)) else { return Ok(()) };
        let mask = step_of(programs, input, &mask)?;
        if mask != step {
            self.mask = Mask::new(programs, mask, body);
        }
        Ok(())
    }
}

fn index(programs: &Programs, message: &MessageDescriptor) -> Result<u32, BindingError> {
    let name = message.full_name();
    programs.by_name.get(name).copied().ok_or_else(|| BindingError::Message(name.to_owned()))
}

fn step_of(
    programs: &Programs,
    message: &MessageDescriptor,
    field: &FieldDescriptor,
) -> Result<Step, BindingError> {
    let at = index(programs, message)?;
    let place = programs.messages[at as usize].by_number(field.number());
    let place = place.and_then(|place| u32::try_from(place).ok());
    let missing = || BindingError::Message(message.full_name().to_owned());
    Ok(Step { message: at, field: place.ok_or_else(missing)? })
}

/// "… as long as each field is a non-repeated field with a primitive (non-message)
/// type": the fields that a variable names, or nothing.
fn variable_steps(
    programs: &Programs,
    input: &MessageDescriptor,
    path: &str,
) -> Result<Option<Vec<Step>>, BindingError> {
    let mut steps: Vec<Step> = Vec::new();
    let mut message = Some(input.clone());
    for name in path.split('.') {
        let Some(within) = message else { return Ok(None) };
        let Some(field) = within.get_field_by_name(name) else { return Ok(None) };
        if field.is_list() || field.is_map() {
            return Ok(None);
        }
        steps.push(step_of(programs, &within, &field)?);
        message = field.kind().as_message().cloned();
    }
    let is_primitive = steps.last().is_some_and(|step| match step.of(programs).kind {
        Kind::Message(at) => programs.messages[at as usize].shape == Shape::Wrapper,
        Kind::Group(_) => false,
        _ => true,
    });
    let last = steps.len().saturating_sub(1);
    let leads_on = steps[..last].iter().all(|step| {
        let field = step.of(programs);
        match field.kind {
            Kind::Message(at) | Kind::Group(at) => {
                programs.messages[at as usize].shape == Shape::Object && field.label != Label::Map
            }
            _ => false,
        }
    });
    Ok((is_primitive && leads_on).then_some(steps))
}

/// "NOTE: the referred field must be present at the top-level of the request
/// message type."
fn body(schema: &Schema, input: &MessageDescriptor, rule: &Rule) -> Result<BodyRule, BindingError> {
    let is_get = [Method::Named("GET".into()), Method::Named("HEAD".into())].contains(&rule.method);
    match rule.body.as_str() {
        "" => Ok(BodyRule::None),
        _ if is_get => Err(BindingError::BodyOfGet(rule.method.clone())),
        "*" => Ok(BodyRule::Whole),
        name => match top(schema, input, name)? {
            Some(top) => Ok(BodyRule::Field(top)),
            None => Err(BindingError::Body(name.to_owned())),
        },
    }
}

fn response(
    schema: &Schema,
    output: &MessageDescriptor,
    rule: &Rule,
) -> Result<ResponseRule, BindingError> {
    match rule.response_body.as_str() {
        "" => Ok(ResponseRule::Whole),
        name => match top(schema, output, name)? {
            Some(top) => Ok(ResponseRule::Field(top)),
            None => Err(BindingError::ResponseBody(name.to_owned())),
        },
    }
}

/// A field at the top level, by its name in the contract.
fn top(
    schema: &Schema,
    message: &MessageDescriptor,
    name: &str,
) -> Result<Option<Top>, BindingError> {
    let Some(field) = message.get_field_by_name(name) else { return Ok(None) };
    let at = MessageId(index(schema.programs(), message)?);
    // Its JSON name is nobody else's, while its own may be another's JSON name.
    let path = schema.field_path(at, field.json_name());
    let step = step_of(schema.programs(), message, &field)?;
    Ok(path.map(|path| Top { step, path }))
}

impl Top {
    /// A single `google.api.HttpBody`; one in a list is a message like any other.
    fn is_http_body(&self, programs: &Programs) -> bool {
        let field = self.step.of(programs);
        let name = match field.kind {
            Kind::Message(at) => &*programs.messages[at as usize].name,
            _ => "",
        };
        name == HTTP_BODY && matches!(field.label, Label::Implicit | Label::Explicit)
    }
}
