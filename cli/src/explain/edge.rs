//! What a contract says of a method at the edge beside its bindings:
//! `titan.mesh.v1.Http`.

use mesh::contract::Explanation;

use super::{Fact, http::Binding, policy};

/// One fact for each part that applies; none when it is called over gRPC alone.
pub(super) fn facts(explanation: &Explanation, bindings: &[Binding], stated_by: &str) -> Vec<Fact> {
    let http = explanation.http.unwrap_or_default();
    let source = policy::source(explanation.sources.http, stated_by);
    let has = |verb: &str| bindings.iter().any(|binding| binding.verb == verb);
    let mut facts = Vec::new();
    if has("GET") {
        facts.push(match &http.cache {
            Some(cache) => fact("http.cache", cache.control(), ": may be used again", &source),
            // What the edge says when nobody says anything.
            None => {
                let default = "private, no-cache".to_owned();
                fact("http.cache", default, ": asked each time", "mesh default")
            }
        });
    }
    if has("POST") && http.form {
        facts.push(fact("http.form", "true".to_owned(), ": the body may be a form", &source));
    }
    facts
}

fn fact(name: &str, value: String, meaning: &str, source: &str) -> Fact {
    Fact {
        name: name.to_owned(),
        text: format!("{value}{meaning}"),
        value: value.into(),
        source: source.to_owned(),
    }
}
