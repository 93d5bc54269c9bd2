//! Sagas that ask: an undoing that keeps failing is never called undone, and ends
//! when an operator says how.

use std::{collections::BTreeSet, fmt, time::Duration};

use serde_json::Value;

use super::load::Placed;
use crate::{
    shop::text,
    system::System,
    tools::{said, stdout},
};

/// Sagas that are looked into for how long they stood still.
const SAMPLE: usize = 250;

/// A saga as `titan sagas show` has it; `None` while nobody answers.
fn show(system: &System, id: &str) -> Option<Value> {
    let output =
        system.titan(&["sagas", "--app", "orders", "show", id, "--json"]).output().unwrap();
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
}

/// Waits until it neither runs nor is undone by itself.
fn until_at_rest(system: &System, id: &str) -> Value {
    system.until(&format!("{id} rests"), || {
        let found = show(system, id)?;
        let busy = ["SAGA_STATUS_RUNNING", "SAGA_STATUS_COMPENSATING"];
        (!busy.contains(&found["saga"]["status"].as_str()?)).then_some(found)
    })
}

fn asks(found: &Value) -> bool {
    found["saga"]["status"] == "SAGA_STATUS_NEEDS_ATTENTION"
}

fn happenings(found: &Value) -> Vec<String> {
    let history = found["history"].as_array().unwrap();
    history.iter().map(|entry| text(&entry["happening"])).collect()
}

/// Decides, and says why.
fn decide(system: &System, verb: &str, id: &str, reason: &str) {
    system.until(&format!("{id} is told to {verb}"), || {
        let mut decision = system.titan(&["sagas", "--app", "orders", verb, id]);
        let output = decision.args(["--reason", reason]).output().unwrap();
        // A service that was killed is not there for a moment.
        let away = said(&output).contains("UNAVAILABLE") || said(&output).contains("does not run");
        assert!(output.status.success() || away, "{}", said(&output));
        output.status.success().then_some(())
    });
}

/// Resolves those orders whose refund fails; their names.
pub(super) fn resolve(system: &System, stuck: &[Placed]) -> BTreeSet<String> {
    let mut resolved = BTreeSet::new();
    for order in stuck {
        let found = until_at_rest(system, &order.name);
        if !asks(&found) {
            // It was refused before it was paid.
            continue;
        }
        is_not_called_undone(system, &order.name, &found);
        if resolved.is_empty() {
            retry_in_vain(system, &order.name);
        }
        skip_to_the_end(system, &order.name);
        resolved.insert(order.name.clone());
    }
    resolved
}

fn is_not_called_undone(system: &System, order: &str, found: &Value) {
    assert!(!happenings(found).contains(&"ended".to_owned()), "{found}");
    let seen = system.admin().get(&format!("/v1/{order}")).ok();
    let open = seen["state"] == "STATE_PROCESSING" || seen["state"] == "STATE_CANCELLING";
    assert!(open, "an order whose money was not given back is none that is undone: {seen}");
    let listed = ["sagas", "--app", "orders", "list", "--status", "compensated", "--json"];
    let listed = stdout(system.titan(&listed).args(["-n", "5000"]));
    assert!(!listed.contains(order), "{listed}");
}

/// Decides, and waits until that was heard and the saga rests again.
fn decide_and_wait(system: &System, verb: &str, order: &str, reason: &str) -> Value {
    let before = happenings(&show(system, order).unwrap()).len();
    decide(system, verb, order, reason);
    system.until("the decision is carried out", || {
        let found = until_at_rest(system, order);
        // One entry says that it was asked for.
        (happenings(&found).len() > before + 1).then_some(found)
    })
}

/// It asks again, since nothing has changed.
fn retry_in_vain(system: &System, order: &str) {
    let found = decide_and_wait(system, "retry", order, "the bank says that it works again");
    assert!(asks(&found), "{found}");
    assert!(happenings(&found).contains(&"retried".to_owned()), "{found}");
    is_not_called_undone(system, order, &found);
}

/// What the refund undoes was done by hand.
fn skip_to_the_end(system: &System, order: &str) {
    let mut found = decide_and_wait(system, "skip", order, "given back in cash");
    while asks(&found) {
        // Whoever has the pieces was not there when they were to be given back.
        assert_eq!(found["saga"]["step"], "reserve", "{found}");
        found = decide_and_wait(system, "retry", order, "it is back");
    }
    assert_eq!(found["saga"]["status"], "SAGA_STATUS_RESOLVED", "{found}");
}

/// Has everything tried again that asks: so few attempts were made that all of
/// them may have met a service whose processes were just killed.
pub(super) fn retry_all(system: &System) {
    let list = ["sagas", "list", "--status", "needs-attention", "-n", "5000", "--json"];
    let Ok(output) = system.titan(&list).output() else { return };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let saga: Value = serde_json::from_str(line).unwrap();
        let id = text(&saga["id"]);
        let mut retry = system.titan(&["sagas", "retry", &id, "--reason", "it is back"]);
        // Whoever is away now is asked next time.
        let _ = retry.output();
    }
}

/// A time in which nothing happened to a saga, and what it is between.
#[derive(Clone, Debug, Default)]
pub(super) struct Pause {
    pub(super) lasted: Duration,
    between: String,
}

impl fmt::Display for Pause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.1?} ({})", self.lasted, self.between)
    }
}

/// The longest pauses of some sagas that were not asking.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// While a step was to be done: one attempt, or one that died, a takeover and
    /// one more.
    pub(super) working: Pause,
    /// After an attempt that failed: a wait that grows with each, and the next one.
    pub(super) waiting: Pause,
}

pub(super) fn longest_pauses(system: &System, orders: &[(Value, i64)]) -> Pauses {
    let mut longest = Pauses::default();
    for (order, _) in orders.iter().take(SAMPLE) {
        let order = text(&order["name"]);
        let Some(found) = show(system, &order) else { continue };
        let history = found["history"].as_array().unwrap();
        for pair in history.windows(2).filter(|pair| pair[0]["happening"] != "needs_attention") {
            let lasted = time(&pair[1]["time"]).saturating_sub(time(&pair[0]["time"]));
            let failed = ["unknown", "refused"].iter().any(|it| pair[0]["happening"] == *it);
            let kind = if failed { &mut longest.waiting } else { &mut longest.working };
            if lasted > kind.lasted {
                let [before, after] = [&pair[0], &pair[1]].map(|entry| {
                    let entry = |field: &str| entry[field].as_str().unwrap_or_default();
                    [entry("step"), entry("direction"), entry("happening")].join(" ")
                });
                *kind = Pause { lasted, between: format!("{order}: {before}, then {after}") };
            }
        }
    }
    longest
}

/// Since midnight: `2026-01-01T12:00:00.5Z`
fn time(stamp: &Value) -> Duration {
    let stamp = text(stamp);
    let of_day = stamp.split(['T', 'Z']).nth(1).unwrap();
    let seconds =
        of_day.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap());
    Duration::from_secs_f64(seconds)
}
