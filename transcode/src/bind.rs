//! A rule of `google.api.http`, compiled: which part of an HTTP request becomes
//! which field of a message, and which part of the answer becomes the body of the
//! response. A rule that http.proto does not allow is refused when it is compiled,
//! so that no request has to find out.
//!
//! A value comes from the path before the body before the query, and two sources
//! never give the same field: what a policy saw in one place cannot be changed
//! from another.

mod compile;
mod conflict;
mod form;
mod given;
mod http_body;
mod mask;
mod parameter;
mod request;
mod response;
mod rule;

use std::sync::Arc;

pub use compile::BindingError;
pub use http_body::{Download, Opener, Pieces};
pub use request::{Request, RequestOptions};
pub use rule::{Rule, RuleError};

use self::{given::Given, mask::Mask};
use crate::{
    path::FieldPath,
    program::{Field, Programs, Shape},
    route::Method,
    schema::Schema,
    template::Template,
};

/// The type whose content goes over HTTP as it is.
const HTTP_BODY: &str = "google.api.HttpBody";

/// A compiled rule.
#[derive(Debug)]
pub struct Binding {
    schema: Arc<Schema>,
    method: Method,
    template: Template,
    /// The message that requests become, and the one that answers are.
    input: u32,
    output: u32,
    /// The fields of the template's variables, in its order.
    variables: Vec<Variable>,
    body: BodyRule,
    response: ResponseRule,
    takes_http_body: bool,
    gives_http_body: bool,
    /// What a PATCH without an update mask changes.
    mask: Option<Mask>,
    /// What the path gives, for the query to be compared with.
    given: Given,
}

/// What the HTTP body of a request becomes, as the rule says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// Nothing: a body is refused.
    None,
    /// `*`: the request message, but for what the path says.
    Whole,
    /// One field of the request message, by its name in the contract.
    Field(&'a str),
}

#[derive(Debug)]
enum BodyRule {
    None,
    Whole,
    Field(Top),
}

#[derive(Debug)]
enum ResponseRule {
    Whole,
    Field(Top),
}

/// A top-level field.
#[derive(Debug)]
struct Top {
    step: Step,
    path: FieldPath,
}

#[derive(Debug)]
struct Variable {
    steps: Vec<Step>,
    /// Whether the body may give the same field.
    in_body: bool,
}

/// One field on the way from a message down, by its index in its program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Step {
    message: u32,
    field: u32,
}

impl Step {
    fn of(self, programs: &Programs) -> &Field {
        &programs.messages[self.message as usize].fields[self.field as usize]
    }
}

/// A path by JSON names, as violations say it.
fn json_path(programs: &Programs, steps: &[Step]) -> String {
    let names: Vec<_> = steps.iter().map(|step| step.of(programs).json_name()).collect();
    names.join(".")
}

impl Binding {
    /// HTTP method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Path.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// What the body of a request becomes.
    #[must_use]
    pub fn body(&self) -> Body<'_> {
        match &self.body {
            BodyRule::None => Body::None,
            BodyRule::Whole => Body::Whole,
            BodyRule::Field(top) => Body::Field(top.step.of(self.programs()).proto_name()),
        }
    }

    /// The field that becomes the body of the response, by its name in the
    /// contract; the whole message when none.
    #[must_use]
    pub fn response_body(&self) -> Option<&str> {
        match &self.response {
            ResponseRule::Whole => None,
            ResponseRule::Field(top) => Some(top.step.of(self.programs()).proto_name()),
        }
    }

    /// Whether the body is a `google.api.HttpBody`: taken as it is, whatever its
    /// content type, and streamed by [`Binding::upload`].
    #[must_use]
    pub fn takes_http_body(&self) -> bool {
        self.takes_http_body
    }

    /// Whether the body may be a form: a POST whose body is a message with fields
    /// of its own.
    #[must_use]
    pub fn takes_form(&self) -> bool {
        let is_message = match &self.body {
            BodyRule::None => false,
            BodyRule::Whole => self.programs().messages[self.input as usize].shape == Shape::Object,
            BodyRule::Field(top) => parameter::within(self.programs(), top.step).is_some(),
        };
        is_message && !self.takes_http_body && self.method == Method::Named("POST".into())
    }

    /// Whether the body of a response is a `google.api.HttpBody`, which
    /// [`Binding::download`] opens.
    #[must_use]
    pub fn gives_http_body(&self) -> bool {
        self.gives_http_body
    }

    /// Whether a query may give a field, by its name or by names divided by `.`.
    #[must_use]
    pub fn takes_parameter(&self, name: &str) -> bool {
        let Some(steps) = parameter::resolve(self.programs(), self.input, name) else {
            return false;
        };
        let by_body = match &self.body {
            BodyRule::None => false,
            BodyRule::Whole => true,
            BodyRule::Field(top) => steps[0] == top.step,
        };
        !by_body && !self.variables.iter().any(|variable| variable.steps == *steps)
    }

    fn programs(&self) -> &Programs {
        self.schema.programs()
    }
}
