//! A report as text and as JSON.

use serde_json::{Map, Value, json};

use super::{Fact, Report};
use crate::output::{Colours, Paint};

/// A text longer than this pushes its own source aside, not those of others.
const WIDEST: usize = 60;

/// Lines for people: sections of names, values, and sources.
pub(super) fn text(report: &Report, colours: Colours) -> Vec<String> {
    let Report { method, streaming, request, response, .. } = report;
    let mut lines = vec![method.clone(), format!("{streaming}: {request} -> {response}")];
    for (title, facts) in [
        ("Policy", &report.policy),
        ("HTTP", &report.http),
        ("Request", &report.rules),
        ("Limits", &report.limits),
    ] {
        if !facts.is_empty() {
            lines.push(String::new());
            lines.push(title.to_owned());
            lines.extend(section(facts, colours));
        }
    }
    lines
}

fn section(facts: &[Fact], colours: Colours) -> impl Iterator<Item = String> {
    let widest = |part: fn(&Fact) -> &str| {
        let widths = facts.iter().map(|fact| part(fact).chars().count());
        widths.filter(|width| *width <= WIDEST).max().unwrap_or_default()
    };
    let (names, texts) = (widest(|fact| &fact.name), widest(|fact| &fact.text));
    facts.iter().map(move |Fact { name, text, source, .. }| {
        let source = colours.paint(Paint::Dim, source);
        match names {
            // Bindings have no names.
            0 => format!("  {text:texts$}  {source}"),
            _ => format!("  {name:names$}  {text:texts$}  {source}"),
        }
    })
}

/// Policies and limits by name, the others in their order.
pub(super) fn json(report: &Report) -> Value {
    let fact = |fact: &Fact| json!({"value": fact.value, "source": fact.source});
    let named = |facts: &[Fact]| {
        let facts = facts.iter().map(|it| (it.name.clone(), fact(it)));
        Value::Object(facts.collect::<Map<_, _>>())
    };
    let rule = |fact: &Fact| {
        json!({
            "field": fact.name, "rule": fact.value, "text": fact.text, "source": fact.source,
        })
    };
    json!({
        "method": report.method,
        "streaming": report.streaming,
        "request": report.request,
        "response": report.response,
        "policy": named(&report.policy),
        "http": report.http.iter().map(fact).collect::<Vec<_>>(),
        "rules": report.rules.iter().map(rule).collect::<Vec<_>>(),
        "limits": named(&report.limits),
    })
}
