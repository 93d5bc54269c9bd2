//! What an attempt sends before its message: the caller's metadata and what the
//! call carries beside it. The headers of the first attempt are the request's
//! own; further ones, which are rare, are put together again.

use std::{sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri, header,
    uri::{self, PathAndQuery, Scheme},
};

use tokio::time::Instant;
use tonic::Code;

use super::{Carried, Shared};
use crate::{
    call::Call,
    compression, criticality, deadline,
    identity::process,
    trace::{self, Trace},
};

/// Attempts before this one (gRFC A6).
const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");
/// What an edge calls a request, and every call that it causes.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("titan-mesh/", env!("CARGO_PKG_VERSION")));
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// The head of a call's requests.
pub(super) struct Head {
    uri: Uri,
    context: Context,
    /// The headers of the next attempt, when they are put together.
    next: Option<HeaderMap>,
    /// The caller's metadata, when it is not what every call has.
    own: Option<Box<HeaderMap>>,
}

/// What a call carries beside its own metadata.
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    pub(super) carried: Carried,
    /// The call that is being handled.
    pub(super) handled: Option<Arc<Call>>,
}

impl Head {
    /// Of a call with this metadata that begins now; besides it, whether the channel
    /// unpacks the answer.
    pub(super) fn new(
        mut headers: HeaderMap,
        path: PathAndQuery,
        context: Context,
        now: Instant,
    ) -> (Self, bool) {
        let own = (!usual(&headers)).then(|| Box::new(headers.clone()));
        let unpacks = compression::accept(&mut headers);
        context.describe(&mut headers, now);
        let mut uri = uri::Parts::default();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(context.shared.authority.clone());
        uri.path_and_query = Some(path);
        let uri = Uri::from_parts(uri).expect("scheme, authority and path make a URI");
        (Self { uri, context, next: Some(headers), own }, unpacks)
    }

    pub(super) fn path(&self) -> &str {
        self.uri.path()
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.context.shared
    }

    /// The call has failed, after all the repetitions that it may have.
    pub(super) fn failed(&self, code: Code) {
        if let Some(handled) = &self.context.handled {
            handled.failed_below(code);
        }
    }

    /// The request of an attempt after so many others, with so much time left.
    /// `place` is the attempt's own in the trace. `first` on its connection, it puts
    /// names into HPACK's table that the following ones refer to.
    pub(super) fn request(
        &mut self,
        previous: u32,
        left: Option<Duration>,
        first: bool,
        place: Trace,
    ) -> Request<()> {
        let mut headers = self.next.take().unwrap_or_else(|| self.again());
        if let Some(left) = left {
            headers.insert(deadline::HEADER, deadline::passed_on(left));
        }
        if previous > 0 {
            headers.insert(PREVIOUS_ATTEMPTS, HeaderValue::from(previous));
        }
        let mut place = place.header();
        // Never the same again: kept out of the tables of both sides, where it
        // would take the place of what is.
        place.set_sensitive(!first);
        headers.insert(trace::TRACEPARENT, place);
        if self.own.is_some()
            && let Some(id) = headers.get_mut(REQUEST_ID)
        {
            id.set_sensitive(!first);
        }

        let mut request = Request::new(());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = http::Version::HTTP_2;
        *request.headers_mut() = headers;
        request
    }

    fn again(&self) -> HeaderMap {
        let mut headers = self.own.as_deref().cloned().unwrap_or_else(|| {
            HeaderMap::from_iter([(header::TE, TRAILERS), (header::CONTENT_TYPE, GRPC)])
        });
        compression::accept(&mut headers);
        self.context.describe(&mut headers, Instant::now());
        headers
    }
}

/// Whether these are the headers of a call without any metadata.
fn usual(headers: &HeaderMap) -> bool {
    headers.iter().all(|(name, value)| {
        (name == header::TE && value == TRAILERS) || (name == header::CONTENT_TYPE && value == GRPC)
    })
}

impl Context {
    /// Adds what a call carries beside its own metadata.
    fn describe(&self, headers: &mut HeaderMap, now: Instant) {
        let Self { shared, carried, handled, .. } = self;
        let inherited = handled.as_ref().and_then(|call| call.authorization.as_ref());
        if let Some(token) = carried.authorization.as_ref().or(inherited) {
            headers.entry(header::AUTHORIZATION).or_insert_with(|| token.clone());
        }
        if let Some(call) = handled {
            for (name, value) in
                [(trace::TRACESTATE, &call.tracestate), (trace::BAGGAGE, &call.baggage)]
            {
                if let Some(value) = value {
                    headers.entry(name).or_insert_with(|| value.clone());
                }
            }
        }
        if carried.outsider {
            headers.remove(criticality::HEADER);
        }
        let inherited = handled.as_ref().and_then(|call| call.criticality);
        if let Some(class) = carried.criticality.or(inherited) {
            headers.entry(criticality::HEADER).or_insert_with(|| class.header());
        }
        // An outsider has named its program, or has not. Who proves its name needs no
        // other. With one header more, most calls would have seven, for which both
        // sides make the map of headers twice as large.
        if !carried.outsider {
            match &shared.common.prover {
                Some(prover) => headers.entry(process::HEADER).or_insert_with(|| prover.proof(now)),
                None => headers.entry(header::USER_AGENT).or_insert(USER_AGENT),
            };
        }
    }
}
