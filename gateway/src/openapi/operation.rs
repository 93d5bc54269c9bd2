//! One HTTP rule as an operation: its parameters, bodies, and who may call.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Value, json};
use transcode::{bind::Body, route::Method};

use super::{
    Builder,
    path::{Parameter, PathText, segment_pattern},
    rules,
    types::Types,
};
use crate::schema::{Access, Route, body_field, shown_field};

/// Deepest field path that is listed as a query parameter; recursive messages
/// have no end.
const MAX_DEPTH: usize = 4;

impl Builder {
    /// The path and the operation of a rule.
    pub(super) fn operation(&mut self, route: &Route) -> (String, Value) {
        let path = self.paths.write(route.binding.template());
        let method = &route.target.rpc.method;
        let service = method.parent_service();
        let mut operation = json!({
            "operationId": self.operation_id(route),
            "tags": [service.full_name()],
            "parameters": self.parameters(route, &path),
            "responses": {"200": self.response(route), "default": {"$ref": "#/components/responses/Error"}},
        });
        let comment = self.types.comments.of(&method.parent_file(), method.path());
        if let Some(comment) = &comment {
            operation["summary"] = first_sentence(comment).into();
        }
        let description = description(comment, &route.target.rpc.policy.access);
        if !description.is_empty() {
            operation["description"] = description.into();
        }
        if let Some(body) = self.request_body(route) {
            operation["requestBody"] = body;
        }
        if let Some(security) = security(&route.target.rpc.policy.access) {
            operation["security"] = security;
        }
        let options = method.method_descriptor_proto().options.as_ref();
        if options.is_some_and(|options| options.deprecated()) {
            operation["deprecated"] = true.into();
        }
        (path.text, operation)
    }

    /// `ProjectsService_GetProject`; further bindings of the method are numbered.
    fn operation_id(&mut self, route: &Route) -> String {
        let method = &route.target.rpc.method;
        let id = format!("{}_{}", method.parent_service().name(), method.name());
        let count = self.ids.entry(id.clone()).or_default();
        *count += 1;
        if *count == 1 { id } else { format!("{id}_{count}") }
    }

    fn parameters(&mut self, route: &Route, path: &PathText) -> Vec<Value> {
        let mut parameters: Vec<Value> =
            path.parameters.iter().map(|parameter| self.path_parameter(route, parameter)).collect();
        if route.binding.body() != Body::Whole {
            let mut trail = Vec::new();
            self.query_parameters(
                route,
                &route.target.rpc.method.input(),
                &mut trail,
                &mut parameters,
            );
        }
        parameters
    }

    fn path_parameter(&self, route: &Route, parameter: &Parameter) -> Value {
        let mut written = json!({
            "name": parameter.name,
            "in": "path",
            "required": true,
            "schema": {"type": "string", "minLength": 1},
        });
        let field = parameter.variable.and_then(|index| variable(route, index));
        let pattern = field.as_ref().filter(|_| !parameter.rest).and_then(rules::pattern);
        if let Some(pattern) = pattern.and_then(|whole| segment_pattern(&whole, parameter.place)) {
            written["schema"]["pattern"] = pattern.into();
        }
        let example = field.as_ref().and_then(|field| self.types.example(field));
        let example = example.and_then(|whole| part(whole, parameter));
        if let Some(example) = example {
            written["example"] = example.into();
        }
        let comment = field.and_then(|field| self.types.comment(&field));
        let rest = "The rest of the path; its slashes are not escaped.";
        let text = match (comment, parameter.rest) {
            (Some(comment), true) => Some(format!("{comment}\n\n{rest}")),
            (None, true) => Some(rest.to_owned()),
            (comment, false) => comment,
        };
        if let Some(text) = text {
            written["description"] = text.into();
        }
        written
    }

    fn query_parameters(
        &mut self,
        route: &Route,
        kind: &MessageDescriptor,
        trail: &mut Vec<FieldDescriptor>,
        parameters: &mut Vec<Value>,
    ) {
        for field in kind.fields() {
            trail.push(field.clone());
            let name: Vec<&str> = trail.iter().map(FieldDescriptor::json_name).collect();
            let by_body = trail.len() == 1 && body_field(route).as_ref() == Some(&field);
            if route.binding.takes_parameter(&name.join(".")) {
                parameters.push(self.query_parameter(&field, trail));
            } else if let Kind::Message(inner) = field.kind()
                && !field.is_list()
                && !field.is_map()
                && !by_body
                && !inner.full_name().starts_with("google.protobuf.")
                && trail.len() < MAX_DEPTH
                && !trail[..trail.len() - 1].iter().any(|above| above.kind() == field.kind())
            {
                self.query_parameters(route, &inner, trail, parameters);
            }
            trail.pop();
        }
    }

    fn query_parameter(&mut self, field: &FieldDescriptor, trail: &[FieldDescriptor]) -> Value {
        let name: Vec<&str> = trail.iter().map(FieldDescriptor::json_name).collect();
        let mut schema = self.types.field(field);
        let mut written = json!({"name": name.join("."), "in": "query"});
        if let Some(text) = schema.as_object_mut().and_then(|schema| schema.remove("description")) {
            written["description"] = text;
        }
        written["schema"] = schema;
        if trail.len() == 1 {
            let required = Types::required(field.parent_message(), &[]);
            if required.iter().any(|name| name == field.json_name()) {
                written["required"] = true.into();
            }
        }
        written
    }

    fn request_body(&mut self, route: &Route) -> Option<Value> {
        if route.binding.takes_http_body() {
            return Some(json!({"content": {"*/*": {}}, "required": true}));
        }
        let (schema, required) = match route.binding.body() {
            Body::None => return None,
            Body::Whole => {
                let input = route.target.rpc.method.input();
                let variables = route.binding.template().variables().iter();
                let bound =
                    variables.filter_map(|variable| input.get_field_by_name(&variable.field));
                let bound: Vec<_> = bound.collect();
                self.body_of(route, &route.target.rpc.method.input(), &bound)
            }
            Body::Field(_) => {
                let field = body_field(route)?;
                match field.kind() {
                    Kind::Message(kind) if !field.is_list() && !field.is_map() => {
                        self.body_of(route, &kind, &[])
                    }
                    _ => (self.types.field(&field), true),
                }
            }
        };
        let mut content = json!({"application/json": {"schema": schema}});
        if route.target.rpc.policy.form && route.binding.takes_form() {
            content["application/x-www-form-urlencoded"] = json!({"schema": {
                "type": "object",
                "description": "Names are paths of fields, as in a query: `a.b=c`.",
            }});
        }
        Some(json!({"content": content, "required": required}))
    }

    /// A partial update requires nothing of what it may leave out.
    fn body_of(
        &mut self,
        route: &Route,
        kind: &MessageDescriptor,
        bound: &[FieldDescriptor],
    ) -> (Value, bool) {
        let required = match route.binding.method() {
            Method::Named(method) if **method == *"PATCH" => Vec::new(),
            _ => Types::required(kind, bound),
        };
        let demands = !required.is_empty();
        if bound.is_empty() {
            let schema = self.types.message(kind);
            let demanding = json!({"allOf": [schema, {"required": required}]});
            return (if demands { demanding } else { schema }, demands);
        }
        // What the path says, the body need not, and must not say otherwise.
        let mut schema = self.types.object_without(kind, bound);
        if demands {
            schema["required"] = required.into();
        }
        (schema, demands)
    }

    fn response(&mut self, route: &Route) -> Value {
        let output = route.target.rpc.method.output();
        let schema = match shown_field(route) {
            None => self.types.message(&output),
            Some(field) => self.types.field(&field),
        };
        let raw = route.binding.gives_http_body();
        let content =
            if raw { json!({"*/*": {}}) } else { json!({"application/json": {"schema": schema}}) };
        json!({"description": "The answer.", "content": content})
    }
}

/// The field that a variable of the path binds.
fn variable(route: &Route, index: usize) -> Option<FieldDescriptor> {
    let mut message = Some(route.target.rpc.method.input());
    let mut field = None;
    for name in route.binding.template().variables().get(index)?.field.split('.') {
        field = message?.get_field_by_name(name);
        message = field.as_ref().and_then(|field| field.kind().as_message().cloned());
    }
    field
}

/// What of a variable's value stands in the place of a parameter.
fn part(value: &str, parameter: &Parameter) -> Option<String> {
    let mut segments = value.split('/').skip(parameter.place);
    if parameter.rest {
        return Some(segments.collect::<Vec<_>>().join("/"));
    }
    segments.next().map(str::to_owned)
}

/// Nothing when the contract does not say; the document has no default then.
fn security(access: &Access) -> Option<Value> {
    match (access.public, access.wants_token()) {
        (true, true) => Some(json!([{}, {"bearer": []}])),
        (true, false) => Some(json!([])),
        (false, true) => Some(json!([{"bearer": []}])),
        (false, false) => None,
    }
}

fn description(comment: Option<String>, access: &Access) -> String {
    let list = |names: &[String]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let mut parts: Vec<String> = comment.into_iter().collect();
    if !access.roles.is_empty() && !access.public && !access.authenticated {
        parts.push(format!("Needs one of the roles {}.", list(&access.roles)));
    }
    if !access.scopes.is_empty() && !access.public && !access.authenticated {
        parts.push(format!("Needs one of the scopes {}.", list(&access.scopes)));
    }
    parts.join("\n\n")
}

fn first_sentence(comment: &str) -> String {
    let text = comment.replace('\n', " ");
    let end = text.find(". ").or_else(|| text.find(": ")).unwrap_or(text.len());
    text[..end].trim_end_matches('.').to_owned()
}
