//! Policies and limits as facts.

use std::time::Duration;

use mesh::contract::{Access, Amount, Explanation, Hedge, Idempotency, Limit, Source};
use serde_json::{Value, json};

use super::Fact;

/// The parts of a policy under the names that contracts have for them.
pub(super) fn facts(explanation: &Explanation, stated_by: &str) -> Vec<Fact> {
    let Explanation { method, sources, .. } = explanation;
    let fact = |name: &str, (value, text): (Value, String), source: Source| Fact {
        name: name.to_owned(),
        value,
        text,
        source: self::source(source, stated_by),
    };
    let lasting = || (Value::Null, "none: a call may last".to_owned());
    let deadline = method.deadline.map_or_else(lasting, time);
    let idempotency = idempotency(method.idempotency, method.client_streaming);
    let class = method.criticality.name().to_owned();
    let (attempts, attempts_source) = explanation.attempts();
    let mut facts = vec![
        fact("deadline", deadline, sources.deadline),
        fact("access", admitted(&method.access), sources.access),
        fact("criticality", (method.criticality.name().into(), class), sources.criticality),
        fact("idempotency_level", idempotency, sources.idempotency),
        fact("max_attempts", (attempts.into(), attempts.to_string()), attempts_source),
    ];
    if let Some(key) = &method.hash_key {
        let text = format!("{key}: calls with the same one go to the same instance");
        facts.push(fact("hash_key", (key.to_string().into(), text), sources.hash_key));
    }
    if let Some(hedge) = &method.hedge {
        facts.push(fact("hedge", hedged(hedge), sources.hedge));
    }
    // Nothing is waited for before an attempt that is not made.
    if attempts > 1 {
        let retry = method.retry;
        facts.push(fact("initial_backoff", time(retry.initial_backoff), sources.initial_backoff));
        facts.push(fact("max_backoff", time(retry.max_backoff), sources.max_backoff));
    }
    facts
}

/// Who says something, by name.
pub(super) fn source(source: Source, stated_by: &str) -> String {
    match source {
        Source::Method => stated_by.to_owned(),
        Source::Service => "service default".to_owned(),
        Source::Mesh => "mesh default".to_owned(),
    }
}

/// A bound that no contract states.
pub(super) fn limit(limit: &Limit) -> Fact {
    let (value, text) = match limit.amount {
        Amount::Bytes(bytes) => (bytes.into(), size(bytes)),
        Amount::Count(count) => (count.into(), count.to_string()),
        Amount::Percent(percent) => (percent.into(), format!("{percent} %")),
        Amount::Time(length) => time(length),
    };
    let setting =
        if limit.is_setting { format!(", setting {}", limit.name) } else { String::new() };
    let source = format!("mesh default{setting}");
    Fact { name: limit.name.to_owned(), value, text: format!("{text}: {}", limit.bounds), source }
}

fn idempotency(level: Idempotency, streamed: bool) -> (Value, String) {
    let name = match level {
        Idempotency::Unknown => "IDEMPOTENCY_UNKNOWN",
        Idempotency::Idempotent => "IDEMPOTENT",
        Idempotency::NoSideEffects => "NO_SIDE_EFFECTS",
    };
    let repetition = match (level.repeatable(), streamed) {
        (false, _) => "not repeated once it may have been processed",
        (true, false) => "repeated when UNAVAILABLE",
        (true, true) => "repeated when UNAVAILABLE, unless a part of its stream was sent",
    };
    (name.into(), format!("{name}: {repetition}"))
}

fn hedged(hedge: &Hedge) -> (Value, String) {
    let attempts = hedge.max_attempts;
    let (delay, late) = match hedge.delay {
        Some(delay) => time(delay),
        None => (Value::Null, "the 95th percentile of its latest calls".to_owned()),
    };
    let text = format!("{attempts} attempts, the next one elsewhere after {late}");
    (json!({"max_attempts": attempts, "delay": delay}), text)
}

fn admitted(access: &Access) -> (Value, String) {
    (rules_of(access), admits(access))
}

/// The rule as a contract writes it: only what it says.
fn rules_of(access: &Access) -> Value {
    let Access { public, authenticated, roles, scopes, services } = access;
    let flags = [("public", *public), ("authenticated", *authenticated)];
    let flags = flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| (name, json!(true)));
    let lists = [("roles", roles), ("scopes", scopes), ("services", services)];
    let lists = lists.into_iter().filter(|(_, items)| !items.is_empty());
    let lists = lists.map(|(name, items)| (name, json!(items)));
    Value::Object(flags.chain(lists).map(|(name, value)| (name.to_owned(), value)).collect())
}

fn admits(access: &Access) -> String {
    if access.public {
        return "public: anyone".to_owned();
    }
    let mut admitted = Vec::new();
    if access.authenticated {
        admitted.push("authenticated: any user".to_owned());
    }
    for (who, names) in [("users with role", &access.roles), ("users with scope", &access.scopes)] {
        if !names.is_empty() {
            admitted.push(format!("{who} {}", names.join(" or ")));
        }
    }
    if access.services.iter().any(|name| name == "*") {
        admitted.push("any service of the mesh".to_owned());
    } else if !access.services.is_empty() {
        admitted.push(format!("service {}", access.services.join(" or ")));
    }
    if admitted.is_empty() { "nobody".to_owned() } else { admitted.join("; ") }
}

/// As `google.protobuf.Duration` is in JSON, and as people write it.
fn time(time: Duration) -> (Value, String) {
    (format!("{}s", time.as_secs_f64()).into(), format!("{time:?}"))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes / 1_024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_told_by_whom_it_admits() {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        let mesh = Access { services: list(&["*"]), ..Access::default() };
        let several = Access {
            roles: list(&["admin", "owner"]),
            services: list(&["billing"]),
            ..Access::default()
        };
        for (access, expected, rules) in [
            (Access::default(), "nobody", json!({})),
            (
                Access { public: true, ..Access::default() },
                "public: anyone",
                json!({"public": true}),
            ),
            (mesh, "any service of the mesh", json!({"services": ["*"]})),
            (
                several,
                "users with role admin or owner; service billing",
                json!({"roles": ["admin", "owner"], "services": ["billing"]}),
            ),
        ] {
            assert_eq!(admitted(&access), (rules, expected.to_owned()));
        }
    }
}
