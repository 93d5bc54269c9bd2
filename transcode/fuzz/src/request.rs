//! An HTTP request in one text: its method, path and query on the first line,
//! `form` behind them when its body is one, and the body below.

use std::sync::{Arc, LazyLock};

use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use transcode::{
    Schema,
    bind::{Request, RequestOptions},
    percent::decode,
    route::{Captures, Path},
    routes::{Found, Routes},
};

static ROUTES: LazyLock<Routes<MessageDescriptor>> = LazyLock::new(|| {
    let crate_folder = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let folders = ["tests/rest/proto", "../proto"].map(|name| format!("{crate_folder}/{name}"));
    let mut compiler = protox::Compiler::new(folders).expect("the folders of contracts");
    compiler.include_imports(true);
    compiler.open_file("messaging.proto").expect("the tests' own proto");
    let pool = compiler.descriptor_pool();
    let schema = Schema::compile(&pool).expect("no misshapen well-known type");
    let mut routes = Routes::new(Arc::new(schema));
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        routes.add(&method, &[], |_| method.input()).expect("the tests' own rules");
    }
    routes
});

/// Sends the request to the tests' contracts. What is accepted must be a message
/// of its method, and say what its path says.
///
/// # Panics
/// When it is not, or does not.
pub fn send(text: &str) {
    let (head, body) = text.split_once('\n').unwrap_or((text, ""));
    let mut words = head.splitn(3, ' ');
    let (Some(method), Some(uri)) = (words.next(), words.next()) else { return };
    let is_form = words.next() == Some("form");
    let (raw, query) = uri.split_once('?').unwrap_or((uri, ""));
    let Ok(path) = Path::parse(raw) else { return };
    let Found::Route(route, captures) = ROUTES.find(method, path) else { return };
    let content_type = "text/plain";
    let request = Request { captures, query, body: body.as_bytes(), content_type, is_form };
    let mut wire = Vec::new();
    if route.binding.request(&request, &RequestOptions::default(), &mut wire).is_err() {
        return;
    }
    let message = DynamicMessage::decode(route.target.clone(), wire.as_slice());
    let message = message.expect("what was bound is a message");
    for (at, variable) in route.binding.template().variables().iter().enumerate() {
        assert_said(&message, &variable.field, &said(captures, at, variable.scope));
    }
}

fn said(captures: Captures<'_>, at: usize, scope: transcode::percent::Scope) -> String {
    decode(captures.get(at), scope).expect("it was bound").into_owned()
}

/// Whether a field, by its path of names, is this text; other kinds of fields may
/// be spelled in more than one way.
fn assert_said(message: &DynamicMessage, field: &str, said: &str) {
    let mut value = Value::Message(message.clone());
    for name in field.split('.') {
        let inner = value.as_message().and_then(|inner| inner.get_field_by_name(name));
        let Some(next) = inner.map(std::borrow::Cow::into_owned) else { return };
        value = next;
    }
    if let Value::String(text) = value {
        assert_eq!(text, said, "{field}");
    }
}
