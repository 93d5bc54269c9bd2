//! A program in words: what is asked of each field, found by walking the plan
//! beside the descriptors that it was compiled from.

use prost_reflect::{Kind as Type, MessageDescriptor};

use super::plan::{Check, Field, Plan, Rule, Shape, Value};

/// More than this nobody reads; types that contain each other in many ways have
/// more paths than fields.
const MAX_REQUIREMENTS: usize = 500;

/// What one rule asks of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Path of the field as in [`Violation::field`](super::Violation::field),
    /// with `[*]` for any item or entry; empty for the message itself.
    pub field: String,
    /// Full name of the field, oneof or message that the rule is written on.
    pub stated_on: String,
    /// The rule, as in [`Violation::rule`](super::Violation::rule).
    pub rule: String,
    /// What it asks.
    pub text: String,
}

pub(super) fn of(plan: &Plan, message: &MessageDescriptor) -> Vec<Requirement> {
    let mut walk = Walk { plan, around: Vec::new(), found: Vec::new() };
    walk.message(plan.root, message, "");
    if walk.found.len() > MAX_REQUIREMENTS {
        walk.found.truncate(MAX_REQUIREMENTS);
        walk.tell("", message.full_name(), "", "and more than can be told here");
    }
    walk.found
}

struct Walk<'p> {
    plan: &'p Plan,
    /// Messages that the walk is within; a message may contain itself.
    around: Vec<usize>,
    found: Vec<Requirement>,
}

impl Walk<'_> {
    fn tell(&mut self, field: &str, stated_on: &str, rule: &str, text: impl Into<String>) {
        self.found.push(Requirement {
            field: field.to_owned(),
            stated_on: stated_on.to_owned(),
            rule: rule.to_owned(),
            text: text.into(),
        });
    }

    fn message(&mut self, index: usize, descriptor: &MessageDescriptor, at: &str) {
        if self.found.len() > MAX_REQUIREMENTS {
            return;
        }
        if self.around.contains(&index) {
            let text = format!("is checked as any {}", descriptor.full_name());
            return self.tell(at, descriptor.full_name(), "", text);
        }
        let message = &self.plan.messages[index];
        let below = |name: &str| {
            if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
        };
        for exclusive in &message.exclusive {
            let name = descriptor.full_name();
            self.tell(at, name, "message.oneof", &*exclusive.too_many);
            if exclusive.required {
                self.tell(at, name, "message.oneof", &*exclusive.none);
            }
        }
        for oneof in message.oneofs.iter().filter(|oneof| oneof.required) {
            let name = format!("{}.{}", descriptor.full_name(), oneof.name);
            self.tell(&below(&oneof.name), &name, "required", "exactly one of it must be set");
        }
        self.around.push(index);
        for field in &message.fields {
            self.field(field, descriptor, &below(&field.name));
        }
        self.around.pop();
    }

    fn field(&mut self, field: &Field, parent: &MessageDescriptor, at: &str) {
        // Both come from the same descriptors.
        let Some(descriptor) = parent.get_field(field.number) else { return };
        let name = descriptor.full_name();
        if field.required {
            self.tell(at, name, "required", "must be set");
        }
        let condition = unless_zero(field.ignore_zero);
        let spot = Spot { at, stated_on: name, subject: "", condition };
        let any = format!("{at}[*]");
        let kind = descriptor.kind();
        match &field.shape {
            Shape::One(value) => self.value(value, &kind, spot),
            Shape::List(list) => {
                self.rules(&list.size, spot);
                if list.unique {
                    self.tell(at, name, "repeated.unique", "must contain unique items");
                }
                self.value(&list.item, &kind, spot.element(&any, "", &list.item));
            }
            Shape::Map(map) => {
                self.rules(&map.size, spot);
                let Some(entry) = kind.as_message() else { return };
                let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
                self.value(&map.key, &key.kind(), spot.element(&any, "key ", &map.key));
                self.value(&map.value, &value.kind(), spot.element(&any, "", &map.value));
            }
        }
    }

    fn value(&mut self, value: &Value, kind: &Type, spot: Spot<'_>) {
        match (&value.check, kind) {
            (Check::Message(index), Type::Message(message)) => {
                self.message(*index, message, spot.at);
            }
            (Check::Message(_) | Check::Nothing, _) => {}
            (Check::Wrapped(inner), _) => self.value(inner, kind, spot),
            (Check::Signed(rules), _) => self.rules(rules, spot),
            (Check::Unsigned(rules), _) => self.rules(rules, spot),
            (Check::Float(rules), _) => self.rules(rules, spot),
            (Check::Text(rules), _) => self.rules(rules, spot),
            (Check::Blob(rules), _) => self.rules(rules, spot),
            (Check::Duration(rules), _) => self.rules(rules, spot),
            (Check::Mask(rules), _) => self.rules(rules, spot),
            (Check::Timestamp(moment), _) => {
                self.rules(&moment.fixed, spot);
                self.rules(&moment.relative, spot);
            }
        }
    }

    fn rules<T>(&mut self, rules: &[Rule<T>], spot: Spot<'_>) {
        for rule in rules {
            let text = format!("{}{}{}", spot.subject, demand(&rule.text), spot.condition);
            self.tell(spot.at, spot.stated_on, &rule.id, text);
        }
    }
}

/// Where rules stand, and what surrounds their words.
#[derive(Clone, Copy)]
struct Spot<'a> {
    at: &'a str,
    stated_on: &'a str,
    subject: &'static str,
    condition: &'static str,
}

impl<'a> Spot<'a> {
    /// Within the collection at this spot.
    fn element(self, at: &'a str, subject: &'static str, value: &Value) -> Self {
        Self { at, subject, condition: unless_zero(value.ignore_zero), ..self }
    }
}

fn unless_zero(ignored: bool) -> &'static str {
    if ignored { ", unless it is empty or zero" } else { "" }
}

/// What must hold, of a text that says what does not: some of protovalidate's
/// messages speak of the value, others of the rule.
fn demand(complaint: &str) -> String {
    const DEMANDS: [(&str, &str); 5] = [
        ("does not match ", "must match "),
        ("does not have ", "must have "),
        ("does not contain ", "must contain "),
        ("contains ", "must not contain "),
        ("value is empty", "must not be empty"),
    ];
    for (complains, demands) in DEMANDS {
        if let Some(rest) = complaint.strip_prefix(complains) {
            // Why it must not be empty, another rule says.
            let rest = if complains.ends_with(' ') { rest } else { "" };
            return format!("{demands}{rest}");
        }
    }
    complaint.to_owned()
}
