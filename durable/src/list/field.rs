//! The fields that a caller may filter and order by.

use crate::{Value, time};

/// A field of the resource and the column that holds it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in the contract: `create_time`.
    pub name: &'static str,
    /// The column; the program's own word, never the caller's.
    pub column: &'static str,
    /// What its values are.
    pub kind: Kind,
}

/// What values of a field are, as the caller writes them and as they are stored.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text in `{text}`.
    Text,
    /// An integer in `{bigint}`.
    Int,
    /// `true` or `false` in `{bool}`.
    Bool,
    /// RFC 3339, in microseconds since 1970 in `{bigint}`.
    Time,
    /// Names of an enum's values and the text that is stored for each. They can
    /// be equal or not; they have no order.
    Choice(&'static [(&'static str, &'static str)]),
}

impl Field {
    /// A text field.
    #[must_use]
    pub const fn text(name: &'static str, column: &'static str) -> Self {
        Self { name, column, kind: Kind::Text }
    }

    /// An integer field.
    #[must_use]
    pub const fn int(name: &'static str, column: &'static str) -> Self {
        Self { name, column, kind: Kind::Int }
    }

    /// A field that is true or false.
    #[must_use]
    pub const fn bool(name: &'static str, column: &'static str) -> Self {
        Self { name, column, kind: Kind::Bool }
    }

    /// A timestamp.
    #[must_use]
    pub const fn time(name: &'static str, column: &'static str) -> Self {
        Self { name, column, kind: Kind::Time }
    }

    /// An enum, with the stored text of each of its values.
    #[must_use]
    pub const fn choice(
        name: &'static str,
        column: &'static str,
        values: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { name, column, kind: Kind::Choice(values) }
    }

    /// What is stored for a literal.
    pub(super) fn value(&self, literal: &str) -> Result<Value, String> {
        let Self { name, .. } = self;
        match self.kind {
            Kind::Text => Ok(literal.into()),
            Kind::Int => literal
                .parse::<i64>()
                .map(Value::from)
                .map_err(|_| format!("`{name}` is compared with an integer")),
            Kind::Bool => literal
                .parse::<bool>()
                .map(Value::from)
                .map_err(|_| format!("`{name}` is `true` or `false`")),
            Kind::Time => parse_time(literal)
                .map(Value::from)
                .ok_or_else(|| format!("`{name}` is compared with an RFC 3339 time")),
            Kind::Choice(values) => {
                let stored = values.iter().find(|(value, _)| *value == literal);
                stored.map(|(_, stored)| Value::from(*stored)).ok_or_else(|| {
                    let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
                    format!("`{name}` is one of {}", names.join(", "))
                })
            }
        }
    }
}

fn parse_time(literal: &str) -> Option<i64> {
    // RFC 3339 is ASCII with a `T`; the parser below also knows looser forms.
    let shaped = literal.is_ascii() && literal.len() <= 40 && literal.get(10..11) == Some("T");
    let parsed: prost_types::Timestamp = shaped.then(|| literal.parse().ok())??;
    time::from_proto(&parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_become_what_is_stored() {
        const STATE: Kind = Kind::Choice(&[("STATE_ACTIVE", "active")]);
        let cases = [
            (Kind::Text, "x", Some(Value::from("x"))),
            (Kind::Int, "-7", Some(Value::from(-7_i64))),
            (Kind::Int, "7.5", None),
            (Kind::Bool, "true", Some(Value::from(true))),
            (Kind::Bool, "1", None),
            (Kind::Time, "1970-01-01T00:00:01Z", Some(Value::from(1_000_000_i64))),
            (Kind::Time, "1970-01-01T01:00:00.5+01:00", Some(Value::from(500_000_i64))),
            (Kind::Time, "1970-01-01", None),
            (Kind::Time, "yesterday", None),
            (STATE, "STATE_ACTIVE", Some(Value::from("active"))),
            (STATE, "active", None),
        ];
        for (kind, literal, value) in cases {
            let field = Field { name: "f", column: "f", kind };
            assert_eq!(field.value(literal).ok(), value, "{kind:?} {literal}");
        }
    }
}
