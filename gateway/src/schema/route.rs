//! What a rule leads to, beside what the crate `transcode` knows of it.

use std::sync::Arc;

use prost_reflect::FieldDescriptor;
use transcode::{
    Schema,
    bind::{Binding, Body},
};

use super::{Rpc, etag::Etag};

/// One HTTP rule of one method.
pub type Route = transcode::routes::Route<Target>;

/// The method of a rule, and where its messages have versions.
#[derive(Debug)]
pub struct Target {
    /// The method that it calls.
    pub rpc: Arc<Rpc>,
    /// Where its request says which version it means.
    pub(crate) expects: Option<Etag>,
    /// Where its response says which version it shows.
    pub(crate) shows: Option<Etag>,
}

impl Target {
    pub(super) fn new(codec: &Arc<Schema>, rpc: &Arc<Rpc>, binding: &Binding) -> Target {
        let (body, shown) = (body(rpc, binding), shown(rpc, binding));
        Target {
            expects: Etag::of_request(codec, &rpc.method.input(), body.as_ref()),
            shows: Etag::of_response(codec, &rpc.method.output(), shown.as_ref()),
            rpc: rpc.clone(),
        }
    }
}

/// Whether requests of HTTP can be served by a rule: JSON is of one message; of
/// streams, those whose messages are raw content are one body.
pub(crate) fn is_served(route: &Route) -> bool {
    let (method, binding) = (&route.target.rpc.method, &route.binding);
    (!method.is_client_streaming() || binding.takes_http_body())
        && (!method.is_server_streaming() || binding.gives_http_body())
}

/// The field of the request that the body of a route is.
pub(crate) fn body_field(route: &Route) -> Option<FieldDescriptor> {
    body(&route.target.rpc, &route.binding)
}

/// The field of the response that its body shows; the whole of it when none.
pub(crate) fn shown_field(route: &Route) -> Option<FieldDescriptor> {
    shown(&route.target.rpc, &route.binding)
}

fn body(rpc: &Rpc, binding: &Binding) -> Option<FieldDescriptor> {
    match binding.body() {
        Body::Field(name) => rpc.method.input().get_field_by_name(name),
        Body::Whole | Body::None => None,
    }
}

fn shown(rpc: &Rpc, binding: &Binding) -> Option<FieldDescriptor> {
    rpc.method.output().get_field_by_name(binding.response_body()?)
}
