//! Carries a program out over bytes.
//!
//! Items of lists are checked as they come. What the end of a message may still
//! change waits for it: singular fields, of which the last occurrence wins, and
//! entries of maps, of which a later one replaces the one with the same key.
//! Every byte is thus looked at a fixed number of times, however a message is
//! put together.

mod items;
mod map;
mod parts;
mod seen;

use std::time::SystemTime;

use self::{
    items::{Items, is_unique},
    parts::{each, last, nanoseconds, utf8},
    seen::{Seen, Slot},
};
use super::{
    MAX_VIOLATIONS, Rejection, Violation,
    few::Few,
    path::{Malformed, Path},
    plan::{Check, Field, Kind, List, Message, Plan, Rule, Shape, Test, Value},
    time,
    wire::{Fault, Found, Raw, Reader, Wire},
};

/// Deepest nesting of messages; prost decodes no deeper.
const MAX_DEPTH: usize = 100;

const WRONG_WIRE: Fault = "the field is encoded as another type";

pub(super) fn check(plan: &Plan, bytes: &[u8], now: Option<SystemTime>) -> Result<(), Rejection> {
    let mut run = Run { plan, now, violations: Vec::new() };
    match run.message(plan.root, &[bytes], &Path::ROOT) {
        Err(Stop::Malformed(Malformed { field, problem })) => {
            Err(Rejection::Malformed { field, problem })
        }
        Ok(()) | Err(Stop::Full) if !run.violations.is_empty() => {
            Err(Rejection::Invalid(run.violations))
        }
        Ok(()) | Err(Stop::Full) => Ok(()),
    }
}

/// Why a check ends early.
enum Stop {
    Malformed(Malformed),
    /// [`MAX_VIOLATIONS`] are found.
    Full,
}

impl From<Malformed> for Stop {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

type Outcome = Result<(), Stop>;

struct Run<'p> {
    plan: &'p Plan,
    now: Option<SystemTime>,
    violations: Vec<Violation>,
}

impl<'p> Run<'p> {
    /// Checks a message whose encoding is `parts` one after the other.
    fn message(&mut self, message: usize, parts: &[&[u8]], at: &Path<'_>) -> Outcome {
        if at.depth > MAX_DEPTH {
            return Err(at.malformed("messages are nested too deeply").into());
        }
        let message = &self.plan.messages[message];
        let mut seen = Seen::nothing_of(message.fields.len());
        for part in parts {
            let mut reader = Reader::new(part);
            while let Some(found) = reader.field().map_err(|fault| at.malformed(fault))? {
                if let Some(index) = message.find(found.number) {
                    self.meet(message, index, found, &mut seen, at)?;
                }
            }
        }
        self.settle(message, parts, &seen, at)
    }

    /// Takes note of one occurrence of a field.
    fn meet<'a>(
        &mut self,
        message: &'p Message,
        index: usize,
        found: Found<'a>,
        seen: &mut Seen<'a>,
        at: &Path<'_>,
    ) -> Outcome {
        let field = &message.fields[index];
        match &field.shape {
            Shape::One(value) => {
                if found.wire != value.kind.wire() {
                    return Err(at.field(&field.name).malformed(WRONG_WIRE).into());
                }
                if let Some(oneof) = field.oneof {
                    let others = message.oneofs[oneof].members.iter().filter(|it| **it != index);
                    others.for_each(|&other| seen.slots.as_mut_slice()[other] = Slot::Absent);
                }
                seen.put(index, found.raw, value.kind == Kind::Message);
                Ok(())
            }
            Shape::List(list) => {
                let slot = &mut seen.slots.as_mut_slice()[index];
                let count = if let Slot::Count(count) = *slot { count } else { 0 };
                let count = self.items(field, list, found, count, at)?;
                *slot = Slot::Count(count);
                Ok(())
            }
            Shape::Map(_) if found.wire != Wire::Bytes => {
                Err(at.field(&field.name).malformed(WRONG_WIRE).into())
            }
            // Entries are counted when it is known which of them stay.
            Shape::Map(_) => {
                seen.slots.as_mut_slice()[index] = Slot::Count(1);
                Ok(())
            }
        }
    }

    /// Checks the items in one occurrence of a list; `count` came before.
    fn items(
        &mut self,
        field: &'p Field,
        list: &'p List,
        found: Found<'_>,
        mut count: usize,
        at: &Path<'_>,
    ) -> Result<usize, Stop> {
        let malformed = |fault| at.field(&field.name).malformed(fault);
        let mut items = Items::new(list.item.kind, found).map_err(malformed)?;
        while let Some(item) = items.next().map_err(malformed)? {
            if !matches!(list.item.check, Check::Nothing) {
                self.element(&list.item, item, &at.item(&field.name, count))?;
            }
            count += 1;
        }
        Ok(count)
    }

    /// Applies the rules that had to wait for the end of the message.
    fn settle(
        &mut self,
        message: &'p Message,
        parts: &[&[u8]],
        seen: &Seen<'_>,
        at: &Path<'_>,
    ) -> Outcome {
        for (index, field) in message.fields.iter().enumerate() {
            let here = at.field(&field.name);
            if !seen.is_set(index, field) {
                if field.required {
                    self.report(&here, "required", "value is required")?;
                    continue;
                }
                if field.explicit || field.ignore_zero {
                    continue;
                }
            }
            match (&field.shape, seen.slots.as_slice()[index]) {
                (Shape::One(value), slot) => self.one(value, index, slot, seen, &here)?,
                (Shape::List(list), Slot::Count(count)) => {
                    self.list(field, list, count, parts, &here)?;
                }
                (Shape::List(list), _) => self.test(&list.size, 0, &here)?,
                (Shape::Map(map), Slot::Absent) => self.test(&map.size, 0, &here)?,
                (Shape::Map(map), _) => self.map(field, map, parts, at)?,
            }
        }
        self.groups(message, seen, at)
    }

    fn one(
        &mut self,
        value: &'p Value,
        index: usize,
        slot: Slot<'_>,
        seen: &Seen<'_>,
        here: &Path<'_>,
    ) -> Outcome {
        match slot {
            Slot::Last(raw) => self.value(value, raw, here),
            Slot::Split { first, since } => {
                let more = seen.more[since..].iter().filter(|more| more.0 == index);
                let parts: Vec<_> = [first].into_iter().chain(more.map(|more| more.1)).collect();
                self.body(value, &parts, here)
            }
            // Only fields that do not tell unset from zero are checked when absent.
            Slot::Absent | Slot::Count(_) => self.value(value, value.kind.zero(), here),
        }
    }

    fn list(
        &mut self,
        field: &'p Field,
        list: &'p List,
        count: usize,
        parts: &[&[u8]],
        here: &Path<'_>,
    ) -> Outcome {
        self.test(&list.size, count as u64, here)?;
        if list.unique && count > 1 {
            let unique = is_unique(field.number, list.item.kind, parts);
            if !unique.map_err(|fault| here.malformed(fault))? {
                let text = "repeated value must contain unique items";
                self.report(here, "repeated.unique", text)?;
            }
        }
        Ok(())
    }

    /// Rules on several fields together.
    fn groups(&mut self, message: &'p Message, seen: &Seen<'_>, at: &Path<'_>) -> Outcome {
        let is_set = |index: &&usize| seen.is_set(**index, &message.fields[**index]);
        for oneof in &message.oneofs {
            if oneof.required && !oneof.members.iter().any(|index| is_set(&index)) {
                let text = "exactly one field is required in oneof";
                self.report(&at.field(&oneof.name), "required", text)?;
            }
        }
        for exclusive in &message.exclusive {
            match exclusive.members.iter().filter(is_set).count() {
                0 if exclusive.required => self.report(at, "message.oneof", &exclusive.none)?,
                0 | 1 => {}
                _ => self.report(at, "message.oneof", &exclusive.too_many)?,
            }
        }
        Ok(())
    }

    /// An item, key or value of a collection, which may have a rule on zero.
    fn element(&mut self, value: &'p Value, raw: Raw<'_>, at: &Path<'_>) -> Outcome {
        if value.ignore_zero && value.kind.is_zero(raw) {
            return Ok(());
        }
        self.value(value, raw, at)
    }

    fn value(&mut self, value: &'p Value, raw: Raw<'_>, at: &Path<'_>) -> Outcome {
        match &value.check {
            Check::Nothing => Ok(()),
            Check::Signed(rules) => self.test(rules, value.kind.signed(raw.bits()), at),
            Check::Unsigned(rules) => self.test(rules, value.kind.unsigned(raw.bits()), at),
            Check::Float(rules) => self.test(rules, value.kind.float(raw.bits()), at),
            Check::Text(rules) => self.test(rules, utf8(raw.bytes(), at)?, at),
            Check::Blob(rules) => self.test(rules, raw.bytes(), at),
            _ => self.body(value, &[raw.bytes()], at),
        }
    }

    /// Values that are messages.
    fn body(&mut self, value: &'p Value, parts: &[&[u8]], at: &Path<'_>) -> Outcome {
        match &value.check {
            Check::Message(message) => self.message(*message, parts, at),
            Check::Duration(rules) => self.test(rules, nanoseconds(parts, at)?, at),
            Check::Timestamp(moment) => {
                let nanos = nanoseconds(parts, at)?;
                self.test(&moment.fixed, nanos, at)?;
                if moment.relative.is_empty() {
                    return Ok(());
                }
                let now = *self.now.get_or_insert_with(SystemTime::now);
                self.test(&moment.relative, (nanos, time::since_epoch(now)), at)
            }
            Check::Mask(rules) => {
                let mut paths = Few::new("");
                each(parts, at, |found| {
                    if (found.number, found.wire) == (1, Wire::Bytes) {
                        paths.push(utf8(found.raw.bytes(), at)?);
                    }
                    Ok(())
                })?;
                self.test(rules, paths.as_slice(), at)
            }
            Check::Wrapped(inner) => {
                let raw = last(parts, 1, inner.kind, at)?;
                self.value(inner, raw.unwrap_or(inner.kind.zero()), at)
            }
            _ => Ok(()),
        }
    }

    fn test<V: Copy, T: Test<V>>(&mut self, rules: &[Rule<T>], value: V, at: &Path<'_>) -> Outcome {
        for rule in rules {
            if !rule.test.holds(value) {
                self.report(at, &rule.id, &rule.text)?;
            }
        }
        Ok(())
    }

    #[cold]
    fn report(&mut self, at: &Path<'_>, rule: &str, text: &str) -> Outcome {
        self.violations.push(Violation {
            field: at.to_string(),
            rule: rule.to_owned(),
            description: text.to_owned(),
        });
        if self.violations.len() == MAX_VIOLATIONS { Err(Stop::Full) } else { Ok(()) }
    }
}
