//! What Envoy is told.

use serde_json::{Value, json};

/// A hop of a sidecar mesh: HTTP/2 in, HTTP/2 out to one address.
pub(crate) fn hop(port: u16, upstream: &str) -> Value {
    proxy(port, upstream, "HTTP2", &[])
}

/// An edge that turns REST into gRPC, by the descriptors in a file.
pub(crate) fn transcoder(port: u16, upstream: &str, descriptors: &str, services: &[&str]) -> Value {
    let transcoder = json!({
        "name": "envoy.filters.http.grpc_json_transcoder",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
            "proto_descriptor": descriptors,
            "services": services,
        },
    });
    proxy(port, upstream, "AUTO", &[transcoder])
}

fn proxy(port: u16, upstream: &str, codec: &str, before: &[Value]) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    });
    let filters: Vec<&Value> = before.iter().chain([&router]).collect();
    let connections = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "codec_type": codec,
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "5s"}}],
        }]},
    });
    json!({"static_resources": {
        "listeners": [{
            "name": "all",
            "address": address("127.0.0.1", port),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": connections,
            }]}],
        }],
        "clusters": [cluster(upstream)],
    }})
}

fn cluster(upstream: &str) -> Value {
    let (host, port) = upstream.rsplit_once(':').unwrap_or((upstream, "0"));
    let endpoint = json!({"address": address(host, port.parse().unwrap_or(0))});
    json!({
        "name": "upstream",
        "type": "STATIC",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            },
        },
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
        },
    })
}

fn address(host: &str, port: u16) -> Value {
    json!({"socket_address": {"address": host, "port_value": port}})
}
