//! JSON as a strict reader takes it (RFC 8259, and RFC 7493's rule against
//! duplicate names): one value with nothing behind it, no name twice in an
//! object, bounded in depth and number of values. Two readers of such a text
//! cannot understand it differently.

use std::cell::RefCell;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::violation::{Reason, Step, Trail, Violation};

/// Deepest nesting of objects and arrays. Contracts nest a handful deep; readers
/// further down recurse, and their stacks are finite.
pub const MAX_DEPTH: usize = 64;

/// Most values in one text. A value costs about 70 bytes in memory and one byte
/// on the wire (`[[],[],…`), which would turn the largest body into 150 MB.
pub const MAX_VALUES: usize = 250_000;

/// Parses a text.
///
/// # Errors
/// The first place where it is not what the module describes.
pub fn parse(text: &[u8]) -> Result<Value, Violation> {
    let state = RefCell::new(State::default());
    let mut reader = serde_json::Deserializer::from_slice(text);
    let parsed = Seed(&state).deserialize(&mut reader).and_then(|value| {
        reader.end()?;
        Ok(value)
    });
    parsed.map_err(|error| {
        let state = state.into_inner();
        let reason = state.reason.unwrap_or(Reason::InvalidJson);
        Violation { field: state.trail.to_string(), reason, description: error.to_string() }
    })
}

#[derive(Default)]
struct State {
    trail: Trail,
    values: usize,
    reason: Option<Reason>,
}

impl State {
    fn refuse(&mut self, reason: Reason) {
        self.reason = Some(reason);
    }
}

struct Seed<'a>(&'a RefCell<State>);

impl Seed<'_> {
    /// The trail is left as it is on an error: it tells where that was.
    fn enter(&self, step: Step) {
        self.0.borrow_mut().trail.push(step);
    }

    fn leave(&self) {
        self.0.borrow_mut().trail.pop();
    }

    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        let mut state = self.0.borrow_mut();
        state.values += 1;
        if state.values > MAX_VALUES {
            state.refuse(Reason::LimitExceeded);
            return Err(E::custom(format_args!("more than {MAX_VALUES} values")));
        }
        Ok(())
    }

    fn check_depth<E: serde::de::Error>(&self) -> Result<(), E> {
        let mut state = self.0.borrow_mut();
        if state.trail.depth() >= MAX_DEPTH {
            state.refuse(Reason::LimitExceeded);
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        self.count()?;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut values = Vec::new();
        loop {
            self.enter(Step::Index(values.len()));
            let Some(value) = items.next_element_seed(Seed(self.0))? else { break };
            values.push(value);
            self.leave();
        }
        self.leave();
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            self.enter(Step::Name(name.clone()));
            if object.contains_key(&name) {
                self.0.borrow_mut().refuse(Reason::DuplicateField);
                return Err(A::Error::custom("given twice"));
            }
            let value = entries.next_value_seed(Seed(self.0))?;
            object.insert(name, value);
            self.leave();
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read() {
        let value =
            parse(br#" {"a": [1, -2, 1.5, "x", null, true, {"b": 18446744073709551615}]} "#)
                .unwrap();
        assert_eq!(value["a"][6]["b"], u64::MAX);
        assert_eq!(parse(b"null").unwrap(), Value::Null);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused_with_its_place() {
        use Reason::{DuplicateField, InvalidJson};
        let cases: [(&str, &str, Reason); 16] = [
            ("", "", InvalidJson),
            ("{", "", InvalidJson),
            ("{}{}", "", InvalidJson),
            ("{} x", "", InvalidJson),
            ("{'a':1}", "", InvalidJson),
            (r#"{"a":1,}"#, "", InvalidJson),
            (r#"{"a":01}"#, "a", InvalidJson),
            (r#"{"a":NaN}"#, "a", InvalidJson),
            (r#"{"a":1e999}"#, "a", InvalidJson),
            (r#"{"a":"\ud800"}"#, "a", InvalidJson),
            ("{\"a\":\"\u{1}\"}", "a", InvalidJson),
            (r#"{"a":[1,{"b":tru}]}"#, "a[1].b", InvalidJson),
            (r#"{"a":1,"a":1}"#, "a", DuplicateField),
            (r#"{"x":{"a":1,"b":2,"a":3}}"#, "x.a", DuplicateField),
            (r#"{"x":[{},{"\u0061":1,"a":3}]}"#, "x[1].a", DuplicateField),
            ("\u{feff}{}", "", InvalidJson),
        ];
        for (text, field, reason) in cases {
            let violation = parse(text.as_bytes()).unwrap_err();
            assert_eq!((violation.field.as_str(), violation.reason), (field, reason), "{text}");
        }
        assert_eq!(parse(b"{\"a\":\"\xff\"}").unwrap_err().reason, InvalidJson);
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        let deep = parse(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err();
        assert_eq!(deep.reason, Reason::LimitExceeded);

        let many = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
        assert!(parse(many(MAX_VALUES).as_bytes()).is_ok());
        assert_eq!(
            parse(many(MAX_VALUES + 1).as_bytes()).unwrap_err().reason,
            Reason::LimitExceeded
        );
    }
}
