//! A refusal as an HTTP response: `{code, message, details}`, or a problem of RFC
//! 9457 for who prefers that, with the HTTP status that `google.rpc.Code` maps to,
//! whether the edge refused or a service.

mod details;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use prost::Message as _;
use prost_reflect::MessageDescriptor;
use tonic::{Code, Status};
use tonic_types::pb;
use transcode::Violation;

use crate::schema::Snapshot;

/// `domain` of the `ErrorInfo`s that the edge makes.
const DOMAIN: &str = "titan";

/// Media type of a problem (RFC 9457).
pub(crate) const PROBLEM: &str = "application/problem+json";

/// Why a request was not served.
#[derive(Clone, Debug)]
pub struct Failure {
    status: Status,
    /// Where HTTP knows better than the table of codes (405, 413, 415).
    http: Option<StatusCode>,
    /// What the response carries beside what follows from the code.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The request message, whose JSON names field paths are translated to.
    input: Option<MessageDescriptor>,
}

/// What a failure needs to know of the request to be written for its client.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Where the types of details are looked up.
    pub snapshot: &'a Snapshot,
    /// Whether the request carried a token.
    pub has_token: bool,
    /// Whether its client prefers `application/problem+json`.
    pub wants_problem: bool,
    /// The request's id, for whoever is asked about it; empty for none.
    pub request_id: &'a str,
}

impl Failure {
    /// A refusal by the edge; `reason` is for programs and never changes.
    pub fn new(code: Code, reason: &str, message: impl Into<String>) -> Failure {
        let info = pb::ErrorInfo {
            reason: reason.to_owned(),
            domain: DOMAIN.to_owned(),
            ..pb::ErrorInfo::default()
        };
        Failure::with_details(code, message.into(), vec![any("ErrorInfo", &info)])
    }

    /// A request with mistakes.
    #[must_use]
    pub fn invalid(violations: Vec<Violation>) -> Failure {
        let message = match violations.as_slice() {
            [only] if only.field.is_empty() => only.description.clone(),
            [only] => format!("{}: {}", only.field, only.description),
            several => format!("the request has {} mistakes", several.len()),
        };
        let violations = violations.into_iter().map(|violation| pb::bad_request::FieldViolation {
            field: violation.field,
            description: violation.description,
            reason: violation.reason.name().to_owned(),
            ..pb::bad_request::FieldViolation::default()
        });
        let request = pb::BadRequest { field_violations: violations.collect() };
        Failure::with_details(Code::InvalidArgument, message, vec![any("BadRequest", &request)])
    }

    /// A path that other methods have; they go into `Allow` (RFC 9110 §15.5.6).
    #[must_use]
    pub fn not_allowed(method: &Method, allow: &[Method]) -> Failure {
        let message = format!("{method} is not allowed here");
        Failure::new(Code::Unimplemented, "METHOD_NOT_ALLOWED", message)
            .with_http(StatusCode::METHOD_NOT_ALLOWED)
            .with_header(header::ALLOW, method_list(allow))
    }

    /// Answers with another HTTP status than the code's.
    #[must_use]
    pub fn with_http(self, status: StatusCode) -> Failure {
        Failure { http: Some(status), ..self }
    }

    /// Answers with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Failure {
        self.headers.push((name, value));
        self
    }

    /// A refusal of this request message: the paths of its fields are translated
    /// to JSON names.
    #[must_use]
    pub fn of_request(self, input: MessageDescriptor) -> Failure {
        Failure { input: Some(input), ..self }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.status.code()
    }

    /// As a gRPC client gets it.
    #[must_use]
    pub fn into_status(self) -> Status {
        self.status
    }

    /// The HTTP status.
    #[must_use]
    pub fn http_status(&self) -> StatusCode {
        self.http.unwrap_or_else(|| http_status(self.status.code()))
    }

    /// Writes the response.
    #[must_use]
    pub fn respond(&self, context: Context<'_>) -> Response<Bytes> {
        let details = self.details();
        let mut response = Response::new(self.body(&details, context));
        *response.status_mut() = self.http_status();
        let headers = response.headers_mut();
        let kind = if context.wants_problem { PROBLEM } else { "application/json" };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        self.add_headers(headers, &details, context);
        response
    }

    fn with_details(code: Code, message: String, details: Vec<prost_types::Any>) -> Failure {
        let status = pb::Status { code: code as i32, message: message.clone(), details };
        let status = Status::with_details(code, message, status.encode_to_vec().into());
        Failure { status, http: None, headers: Vec::new(), input: None }
    }

    /// The details that agree with the code; a status that contradicts its own
    /// details is believed, its details are not.
    fn details(&self) -> Vec<prost_types::Any> {
        let decoded = pb::Status::decode(self.status.details()).ok();
        let agrees = |status: &pb::Status| status.code == self.status.code() as i32;
        let details = decoded.filter(agrees).map(|status| status.details).unwrap_or_default();
        // Stack traces are for the log of the service that wrote them.
        details.into_iter().filter(|detail| !detail.type_url.ends_with("rpc.DebugInfo")).collect()
    }

    fn body(&self, details: &[prost_types::Any], context: Context<'_>) -> Bytes {
        let message = serde_json::Value::from(self.status.message());
        let code = self.status.code() as i32;
        let mut body = if context.wants_problem {
            let status = self.http_status();
            // The type of a problem that is no more than its status (§4.2.1).
            let title = serde_json::Value::from(status.canonical_reason().unwrap_or("Error"));
            let status = status.as_u16();
            format!("{{\"title\":{title},\"status\":{status},\"detail\":{message},\"code\":{code}")
        } else {
            format!("{{\"code\":{code},\"message\":{message}")
        }
        .into_bytes();
        body.extend_from_slice(b",\"details\":[");
        for (at, detail) in details.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            details::render(&mut body, detail, context.snapshot, self.input.as_ref());
        }
        if !context.request_id.is_empty() && !details.iter().any(is_request_info) {
            if !details.is_empty() {
                body.push(b',');
            }
            details::request_info(&mut body, context.request_id);
        }
        body.extend_from_slice(b"]}");
        body.into()
    }

    fn add_headers(
        &self,
        headers: &mut HeaderMap,
        details: &[prost_types::Any],
        context: Context<'_>,
    ) {
        let status = self.http_status();
        if status == StatusCode::UNAUTHORIZED {
            // RFC 6750 §3: no error code when the request had no token.
            let challenge = if context.has_token {
                "Bearer realm=\"titan\", error=\"invalid_token\""
            } else {
                "Bearer realm=\"titan\""
            };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = retry_after(details) {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        headers.extend(self.headers.clone());
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Failure { status, http: None, headers: Vec::new(), input: None }
    }
}

/// Methods as `Allow` and its relatives list them.
pub(crate) fn method_list(methods: &[Method]) -> HeaderValue {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).expect("methods are tokens")
}

/// The HTTP status of a code (google/rpc/code.proto).
#[must_use]
pub fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // nginx's "client closed request", which has no name in RFC 9110.
        Code::Cancelled => StatusCode::from_u16(499).expect("a three-digit number"),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The code of an answer that is not gRPC (gRPC over HTTP2, "HTTP to gRPC Status
/// Code Mapping").
#[must_use]
pub fn code_of_http(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// `Retry-After` in whole seconds, never sooner than the service asked for.
fn retry_after(details: &[prost_types::Any]) -> Option<u64> {
    let info = details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = pb::RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    let seconds = u64::try_from(delay.seconds).ok()?;
    Some(seconds + u64::from(delay.nanos > 0))
}

fn is_request_info(detail: &prost_types::Any) -> bool {
    detail.type_url.ends_with("/google.rpc.RequestInfo")
}

fn any(name: &str, message: &impl prost::Message) -> prost_types::Any {
    prost_types::Any {
        type_url: format!("type.googleapis.com/google.rpc.{name}"),
        value: message.encode_to_vec(),
    }
}
