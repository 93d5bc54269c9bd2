//! Rules on everything that has an order: numbers, enum values, and (as
//! nanoseconds) durations and timestamps.

use std::ops::Bound;

use prost_reflect::{DynamicMessage, Value};

use super::{
    plan::{Rule, Rules, Test},
    rules::{Problem, list, settings, show, unsupported, wrong_type},
};

#[derive(Debug)]
pub(super) enum Number<T> {
    Equal(T),
    Range {
        low: Bound<T>,
        high: Bound<T>,
        /// The bounds are crossed (`gt: 9, lt: 3`): only what lies between fails.
        outside: bool,
    },
    In(Box<[T]>),
    NotIn(Box<[T]>),
    Finite,
}

/// A type that values are compared in, wide enough for several kinds.
pub(super) trait Comparable: Copy + PartialOrd {
    /// Reads a bound or constant of a rule.
    fn read(value: &Value) -> Option<Self>;

    fn is_finite(self) -> bool {
        true
    }
}

impl Comparable for i64 {
    fn read(value: &Value) -> Option<Self> {
        value.as_i64().or_else(|| value.as_i32().map(i64::from))
    }
}

impl Comparable for u64 {
    fn read(value: &Value) -> Option<Self> {
        value
            .as_u64()
            .or_else(|| value.as_u32().map(u64::from))
            .or_else(|| value.as_bool().map(u64::from))
    }
}

impl Comparable for f64 {
    fn read(value: &Value) -> Option<Self> {
        value.as_f64().or_else(|| value.as_f32().map(f64::from))
    }

    fn is_finite(self) -> bool {
        Self::is_finite(self)
    }
}

impl Comparable for i128 {
    fn read(value: &Value) -> Option<Self> {
        let message = value.as_message()?;
        let seconds = message.get_field_by_name("seconds")?.as_i64()?;
        let nanos = message.get_field_by_name("nanos")?.as_i32()?;
        Some(super::time::nanoseconds(seconds, nanos.into()))
    }
}

/// Conditions are put so that NaN, which every comparison denies, fails them.
impl<T: Comparable> Test<T> for Number<T> {
    fn holds(&self, value: T) -> bool {
        match self {
            Self::Equal(constant) => value == *constant,
            Self::Range { low, high, outside } => {
                let above = match low {
                    Bound::Included(low) => value >= *low,
                    Bound::Excluded(low) => value > *low,
                    Bound::Unbounded => true,
                };
                let below = match high {
                    Bound::Included(high) => value <= *high,
                    Bound::Excluded(high) => value < *high,
                    Bound::Unbounded => true,
                };
                if *outside { above || below } else { above && below }
            }
            Self::In(values) => values.contains(&value),
            Self::NotIn(values) => !values.contains(&value),
            Self::Finite => value.is_finite(),
        }
    }
}

/// A bound as written: `gte`, 3, "3".
type Limit<T> = (&'static str, T, String);

/// Compiles the rules of `kind` (`int32`, `duration`, ...), which is also the
/// first part of their ids. `skip` names rules that the caller compiles.
pub(super) fn compile<T: Comparable>(
    kind: &str,
    rules: &DynamicMessage,
    skip: &[&str],
) -> Result<Rules<Number<T>>, Problem> {
    let (mut low, mut high) = (None, None);
    let mut compiled = Vec::new();
    for (name, value) in settings(rules)? {
        if skip.contains(&name.as_str()) {
            continue;
        }
        let read = || T::read(value).ok_or_else(|| wrong_type(&name));
        let limit = |name| Ok::<_, Problem>(Some((name, read()?, show(value))));
        let id = format!("{kind}.{name}");
        match name.as_str() {
            "lt" => high = limit("lt")?,
            "lte" => high = limit("lte")?,
            "gt" => low = limit("gt")?,
            "gte" => low = limit("gte")?,
            "const" => {
                let text = format!("must equal {}", show(value));
                compiled.push(Rule::new(id, text, Number::Equal(read()?)));
            }
            "in" => {
                let text = format!("must be in list {}", show(value));
                compiled.push(Rule::new(id, text, Number::In(list(&name, value, T::read)?)));
            }
            "not_in" => {
                let text = format!("must not be in list {}", show(value));
                compiled.push(Rule::new(id, text, Number::NotIn(list(&name, value, T::read)?)));
            }
            "finite" if value.as_bool() == Some(true) => {
                compiled.push(Rule::new(id, "must be finite", Number::Finite));
            }
            "finite" | "example" => {}
            _ => return Err(unsupported(&id)),
        }
    }
    compiled.extend(range(kind, low, high));
    Ok(compiled.into())
}

/// Both bounds are one rule, named after them: `int32.gte_lt`.
fn range<T: Comparable>(
    kind: &str,
    low: Option<Limit<T>>,
    high: Option<Limit<T>>,
) -> Option<Rule<Number<T>>> {
    let outside = matches!((&low, &high), (Some(low), Some(high)) if high.1 < low.1);
    let names: Vec<_> = [&low, &high].into_iter().flatten().map(|limit| limit.0).collect();
    let words: Vec<_> = [&low, &high].into_iter().flatten().map(describe).collect();
    if names.is_empty() {
        return None;
    }
    let suffix = if outside { "_exclusive" } else { "" };
    let id = format!("{kind}.{}{suffix}", names.join("_"));
    let text = format!("must be {}", words.join(if outside { " or " } else { " and " }));
    let test = Number::Range { low: bound(low), high: bound(high), outside };
    Some(Rule::new(id, text, test))
}

fn bound<T>(limit: Option<Limit<T>>) -> Bound<T> {
    match limit {
        None => Bound::Unbounded,
        Some(("lt" | "gt", value, _)) => Bound::Excluded(value),
        Some((_, value, _)) => Bound::Included(value),
    }
}

fn describe<T>((name, _, shown): &Limit<T>) -> String {
    let words = match *name {
        "lt" => "less than",
        "lte" => "less than or equal to",
        "gt" => "greater than",
        _ => "greater than or equal to",
    };
    format!("{words} {shown}")
}
