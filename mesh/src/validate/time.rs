//! Rules on the well-known messages: timestamps, and field masks beside them.
//! Durations are plain numbers of nanoseconds, see `number`.

use std::time::SystemTime;

use prost_reflect::DynamicMessage;

use super::{
    number::{self, Comparable as _, Number},
    plan::{Rule, Rules, Test},
    rules::{Problem, list, settings, show, unsupported, wrong_type},
};

const NANOS: i128 = 1_000_000_000;

/// A `Duration` or `Timestamp` as one number; wide enough for any `seconds`.
pub(super) fn nanoseconds(seconds: i64, nanos: i64) -> i128 {
    i128::from(seconds) * NANOS + i128::from(nanos)
}

/// Since the Unix epoch.
pub(super) fn since_epoch(time: SystemTime) -> i128 {
    let nanos = |span: std::time::Duration| i128::try_from(span.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => nanos(after),
        Err(before) => -nanos(before.duration()),
    }
}

/// The rules of a timestamp; those that need a clock are apart, so that it is
/// not read for others.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) fixed: Rules<Number<i128>>,
    pub(super) relative: Rules<Relative>,
}

#[derive(Debug)]
pub(super) enum Relative {
    Past,
    Future,
    /// At most so far from now, in nanoseconds.
    Within(i128),
}

impl Test<(i128, i128)> for Relative {
    fn holds(&self, (time, now): (i128, i128)) -> bool {
        match self {
            Self::Past => time <= now,
            Self::Future => time >= now,
            Self::Within(span) => now - span <= time && time <= now + span,
        }
    }
}

/// Compiles `TimestampRules`.
pub(super) fn compile(rules: &DynamicMessage) -> Result<Moment, Problem> {
    let fixed = number::compile("timestamp", rules, &["lt_now", "gt_now", "within"])?;
    let mut relative = Vec::new();
    for (name, value) in settings(rules)? {
        let (text, test) = match (name.as_str(), value.as_bool()) {
            ("lt_now", Some(true)) => ("must be less than now".to_owned(), Relative::Past),
            ("gt_now", Some(true)) => ("must be greater than now".to_owned(), Relative::Future),
            ("within", _) => {
                let span = i128::read(value).ok_or_else(|| wrong_type(&name))?;
                (format!("must be within {} of now", show(value)), Relative::Within(span))
            }
            _ => continue,
        };
        relative.push(Rule::new(format!("timestamp.{name}"), text, test));
    }
    Ok(Moment { fixed, relative: relative.into() })
}

#[derive(Debug)]
pub(super) enum Mask {
    Equal(Box<[Box<str>]>),
    /// A path may also lie below one that is listed.
    In(Box<[Box<str>]>),
    NotIn(Box<[Box<str>]>),
}

impl Test<&[&str]> for Mask {
    fn holds(&self, paths: &[&str]) -> bool {
        match self {
            Self::Equal(mask) => paths.iter().copied().eq(mask.iter().map(|path| &**path)),
            Self::In(tops) => paths.iter().all(|path| covered(path, tops)),
            Self::NotIn(tops) => !paths.iter().any(|path| covered(path, tops)),
        }
    }
}

fn covered(path: &str, tops: &[Box<str>]) -> bool {
    tops.iter().any(|top| {
        path.strip_prefix(&**top).is_some_and(|below| below.is_empty() || below.starts_with('.'))
    })
}

/// Compiles `FieldMaskRules`.
pub(super) fn compile_mask(rules: &DynamicMessage) -> Result<Rules<Mask>, Problem> {
    let mut compiled = Vec::new();
    for (name, value) in settings(rules)? {
        let shown = show(value);
        let paths = |value| list(&name, value, |item| item.as_str().map(Box::from));
        let (text, test) = match name.as_str() {
            "const" => {
                let mask = value.as_message().and_then(|mask| mask.get_field_by_name("paths"));
                let mask = mask.ok_or_else(|| wrong_type(&name))?;
                (format!("must equal paths [{shown}]"), Mask::Equal(paths(&mask)?))
            }
            "in" => (format!("must only contain paths in {shown}"), Mask::In(paths(value)?)),
            "not_in" => {
                (format!("must not contain any paths in {shown}"), Mask::NotIn(paths(value)?))
            }
            "example" => continue,
            _ => return Err(unsupported(&format!("field_mask.{name}"))),
        };
        compiled.push(Rule::new(format!("field_mask.{name}"), text, test));
    }
    Ok(compiled.into())
}
