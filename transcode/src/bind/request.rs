//! One HTTP request into one encoded message: the body first, then what path and
//! query say, appended, since on the wire the last value counts and messages
//! merge.

use super::{
    Binding, BodyRule, Step, Variable,
    conflict::{InBody, find},
    given::{Given, Taken},
    json_path,
    parameter::{self, is_ignored},
};
use crate::{
    error::{Problem, Reason},
    options::ReadOptions,
    percent::decode,
    program::{Field, Kind, Label, Programs},
    query::{self, QueryLimits},
    read::append_text,
    route::Captures,
    schema::MessageId,
    violation::{Findings, Violation},
    wire::{close, open},
};

/// The parts of an HTTP request that become a message.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What the path's variables captured.
    pub captures: Captures<'a>,
    /// The query, without its question mark.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Its `content-type`, which only a `google.api.HttpBody` keeps.
    pub content_type: &'a str,
    /// Whether the body is a form (`application/x-www-form-urlencoded`), whose
    /// names are paths of fields within the body. Only where
    /// [`Binding::takes_form`]; anything else reads it as JSON.
    pub is_form: bool,
}

/// How requests are read.
#[derive(Clone, Copy, Debug)]
pub struct RequestOptions {
    /// How their JSON is.
    pub read: ReadOptions,
    /// Skip query parameters that name no field; default off: they are refused,
    /// but for `utm_…`, `$alt` and `access_token`, which belong to others.
    pub ignore_unknown_parameters: bool,
    /// Bounds on their query.
    pub query: QueryLimits,
    /// Bounds on their forms; by default those of a query, four times as long.
    pub form: QueryLimits,
}

impl Default for RequestOptions {
    fn default() -> Self {
        let query = QueryLimits::default();
        RequestOptions {
            read: ReadOptions::default(),
            ignore_unknown_parameters: false,
            query,
            // People type into them.
            form: QueryLimits { bytes: 4 * query.bytes, ..query },
        }
    }
}

impl Binding {
    /// Appends the encoded request message of an HTTP request.
    ///
    /// # Errors
    /// What is wrong with the request, by field: the first mistake in the body,
    /// and every mistake in path and query. `out` then holds nothing of use.
    pub fn request(
        &self,
        request: &Request<'_>,
        options: &RequestOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Vec<Violation>> {
        let mut findings = Findings::default();
        let start = out.len();
        self.add_body(request, options, out, &mut findings);
        let body = start..out.len();
        self.add_path(request, body, out, &mut findings);
        let has_mask = self.add_query(request, options, out, &mut findings);
        let result = findings.into_result(());
        if let (Ok(()), Some(mask), false) = (&result, &self.mask, has_mask) {
            mask.append(self.programs(), request.body, out);
        }
        result
    }

    /// Appends what comes before `len` bytes of the body of a
    /// `google.api.HttpBody`, so that with these bytes behind it it is the encoded
    /// request message: the whole body of a unary call, or the first piece of a
    /// streamed one. `request.body` is not looked at.
    ///
    /// # Errors
    /// As [`Binding::request`].
    ///
    /// # Panics
    /// When the binding takes none; see [`Binding::takes_http_body`].
    pub fn upload(
        &self,
        request: &Request<'_>,
        options: &RequestOptions,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Vec<Violation>> {
        assert!(self.takes_http_body(), "the binding takes JSON");
        let mut findings = Findings::default();
        self.add_path(request, 0..0, out, &mut findings);
        self.add_query(request, options, out, &mut findings);
        self.http_body_head(request.content_type, len, out);
        findings.into_result(())
    }

    fn add_body(
        &self,
        request: &Request<'_>,
        options: &RequestOptions,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) {
        let is_blank = request.body.iter().all(u8::is_ascii_whitespace);
        match &self.body {
            BodyRule::None if !request.body.is_empty() => {
                findings.add("", Reason::UnexpectedBody, "this method takes no body");
            }
            BodyRule::None => {}
            _ if self.takes_http_body => {
                self.http_body_head(request.content_type, request.body.len(), out);
                out.extend_from_slice(request.body);
            }
            _ if request.is_form && !is_blank && self.takes_form() => {
                self.add_form(request, options, out, findings);
            }
            // No body and a body of spaces are an empty object.
            BodyRule::Whole if is_blank => {}
            BodyRule::Whole => {
                let input = MessageId(self.input);
                let read = self.schema.to_wire(input, request.body, &options.read, out);
                findings.add_read(read);
            }
            BodyRule::Field(top) if is_blank => self.add_empty(top.step, out),
            BodyRule::Field(top) => {
                let read = self.schema.field_to_wire(&top.path, request.body, &options.read, out);
                findings.add_read(read);
            }
        }
    }

    /// A message is there, and empty; there are no elements of a list.
    pub(super) fn add_empty(&self, step: Step, out: &mut Vec<u8>) {
        let field = step.of(self.programs());
        match field.kind {
            Kind::Message(_) if is_single(field) => {
                out.extend_from_slice(field.tag.bytes());
                out.push(0);
            }
            Kind::Group(_) if is_single(field) => {
                out.extend_from_slice(field.tag.bytes());
                out.extend_from_slice(field.end.bytes());
            }
            _ => {}
        }
    }

    fn add_path(
        &self,
        request: &Request<'_>,
        body: std::ops::Range<usize>,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) {
        for (at, variable) in self.variables.iter().enumerate() {
            let scope = self.template.variables()[at].scope;
            let result = match decode(request.captures.get(at), scope) {
                Ok(text) => self.add_variable(variable, &text, body.clone(), out),
                Err(error) => Err((Reason::InvalidValue, error.to_string())),
            };
            if let Err((reason, description)) = result {
                findings.add(json_path(self.programs(), &variable.steps), reason, description);
            }
        }
    }

    fn add_variable(
        &self,
        variable: &Variable,
        text: &str,
        body: std::ops::Range<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), (Reason, String)> {
        let programs = self.programs();
        let start = out.len();
        append(programs, &variable.steps, text, out)
            .map_err(|problem| (problem.reason(), problem.to_string()))?;
        if !variable.in_body {
            return Ok(());
        }
        match find(programs, &out[body], &variable.in_body_steps(programs)) {
            InBody::Nothing => Ok(()),
            InBody::Value(value) if same(programs, &out[start..], variable, value) => Ok(()),
            InBody::Value(_) => Err((Reason::Conflict, "the path says otherwise".to_owned())),
            InBody::Excluded(other) => {
                let description = format!("the body gives `{}`", other.of(programs).json_name());
                Err((Reason::Conflict, description))
            }
        }
    }

    /// Whether an update mask was given.
    fn add_query(
        &self,
        request: &Request<'_>,
        options: &RequestOptions,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> bool {
        if request.query.is_empty() {
            return false;
        }
        let mut given = self.given.clone();
        query::each(request.query, options.query, findings, |name, value, findings| {
            match self.add_parameter(&name, &value, &mut given, out) {
                Ok(()) => {}
                Err((Reason::UnknownParameter, _))
                    if options.ignore_unknown_parameters || is_ignored(&name) => {}
                Err((reason, description)) => findings.add(name, reason, description),
            }
        });
        let mask = self.mask.as_ref().map(|mask| mask.field.of(self.programs()).number);
        mask.is_some_and(|mask| given.has(&[mask]))
    }

    fn add_parameter(
        &self,
        name: &str,
        value: &str,
        given: &mut Given,
        out: &mut Vec<u8>,
    ) -> Result<(), (Reason, String)> {
        let programs = self.programs();
        let unknown = |why: &str| Err((Reason::UnknownParameter, why.to_owned()));
        let Some(steps) = parameter::resolve(programs, self.input, name) else {
            return unknown("no such query parameter");
        };
        self.not_of_path(&steps)?;
        match &self.body {
            // "If HttpRule.body is `*`, there is no URL query parameter."
            BodyRule::Whole => return unknown("the body gives this field"),
            BodyRule::Field(top) if steps[0] == top.step => {
                return unknown("the body gives this field");
            }
            _ => {}
        }
        self.give(&steps, value, given, out)
    }

    pub(super) fn not_of_path(&self, steps: &[Step]) -> Result<(), (Reason, String)> {
        if self.variables.iter().any(|variable| variable.steps == *steps) {
            return Err((Reason::Conflict, "the path gives this field".to_owned()));
        }
        Ok(())
    }

    /// Appends a field that is not given yet.
    pub(super) fn give(
        &self,
        steps: &[Step],
        value: &str,
        given: &mut Given,
        out: &mut Vec<u8>,
    ) -> Result<(), (Reason, String)> {
        let programs = self.programs();
        given.add(programs, steps).map_err(|taken| match taken {
            Taken::Itself => (Reason::DuplicateField, "given twice".to_owned()),
            Taken::By(other) => {
                let name = other.of(programs).json_name();
                (Reason::Conflict, format!("`{name}` is given, which excludes it"))
            }
        })?;
        append(programs, steps, value, out)
            .map_err(|problem| (problem.reason(), problem.to_string()))
    }
}

impl Variable {
    /// The way to what the body may hold of it: into a wrapper, whose content may
    /// be encoded or left out where it is a default.
    fn in_body_steps(&self, programs: &Programs) -> std::borrow::Cow<'_, [Step]> {
        let last = self.steps.last().map(|step| step.of(programs).kind);
        match last {
            Some(Kind::Message(message)) => {
                let mut steps = self.steps.clone();
                steps.push(Step { message, field: 0 });
                steps.into()
            }
            _ => (&self.steps).into(),
        }
    }
}

fn is_single(field: &Field) -> bool {
    matches!(field.label, Label::Implicit | Label::Explicit)
}

/// Whether what was appended for a variable ends in the value that the body has.
fn same(programs: &Programs, appended: &[u8], variable: &Variable, value: &[u8]) -> bool {
    let steps = variable.in_body_steps(programs);
    match find(programs, appended, &steps) {
        InBody::Value(given) => given == value,
        // The path says the default, the body something else.
        InBody::Nothing | InBody::Excluded(_) => false,
    }
}

/// Appends a field, within the messages that lead to it.
fn append(
    programs: &Programs,
    steps: &[Step],
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let Some((step, rest)) = steps.split_first() else { return Ok(()) };
    let field = step.of(programs);
    if rest.is_empty() {
        return append_text(programs, field, text.as_bytes(), out);
    }
    out.extend_from_slice(field.tag.bytes());
    if matches!(field.kind, Kind::Group(_)) {
        append(programs, rest, text, out)?;
        out.extend_from_slice(field.end.bytes());
        return Ok(());
    }
    let start = open(out);
    append(programs, rest, text, out)?;
    close(out, start);
    Ok(())
}
