//! A part of the filter language of AIP-160: comparisons of fields with
//! literals, joined by AND. What is left out (OR, NOT, functions, bare words)
//! is refused by name; no index would serve it.

use super::field::{Field, Kind};
use crate::{Dialect, Value};

/// More say nothing that fewer could not, and each is work for the database.
const MAX_COMPARISONS: usize = 16;
/// As the contracts say for every `filter`.
const MAX_CHARACTERS: usize = 1024;

/// A filter as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// All of them must hold.
    pub comparisons: Vec<Comparison>,
}

/// A comparison of a field with a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The field's name in the contract.
    pub field: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what; without quotes and escapes.
    pub literal: String,
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `:`, which holds for text that contains the literal; A to Z equal a to z.
    Has,
}

impl Operator {
    /// Longer ones first, so that `<=` is not read as `<`.
    const SPELLINGS: [(&'static str, Self); 7] = [
        ("!=", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("=", Self::Equal),
        ("<", Self::Less),
        (">", Self::Greater),
        (":", Self::Has),
    ];

    fn sql(self) -> &'static str {
        match self {
            Self::Equal | Self::Has => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    fn suits(self, kind: Kind) -> bool {
        match kind {
            Kind::Text => true,
            Kind::Int | Kind::Time => self != Self::Has,
            Kind::Bool | Kind::Choice(_) => matches!(self, Self::Equal | Self::NotEqual),
        }
    }
}

impl Filter {
    /// Reads a filter; an empty one holds for everything.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > MAX_CHARACTERS {
            return Err(format!("a filter has at most {MAX_CHARACTERS} characters"));
        }
        let mut rest = text.trim_start();
        let mut comparisons = Vec::new();
        while !rest.is_empty() {
            if !comparisons.is_empty() {
                rest = and(rest)?;
            }
            let (comparison, after) = comparison(rest)?;
            comparisons.push(comparison);
            if comparisons.len() > MAX_COMPARISONS {
                return Err(format!("a filter has at most {MAX_COMPARISONS} comparisons"));
            }
            rest = after.trim_start();
        }
        Ok(Self { comparisons })
    }

    /// Looks its fields up in a whitelist.
    pub(super) fn bind(&self, fields: &[Field]) -> Result<Vec<Condition>, String> {
        self.comparisons.iter().map(|comparison| comparison.bind(fields)).collect()
    }
}

impl Comparison {
    fn bind(&self, fields: &[Field]) -> Result<Condition, String> {
        let field = fields.iter().find(|field| field.name == self.field).ok_or_else(|| {
            let names: Vec<_> = fields.iter().map(|field| field.name).collect();
            format!("`{}` is not one of the fields {}", self.field, names.join(", "))
        })?;
        if !self.operator.suits(field.kind) {
            return Err(format!("`{}` cannot be compared like this", self.field));
        }
        let value = field.value(&self.literal)?;
        Ok(Condition { column: field.column, operator: self.operator, value })
    }
}

/// A comparison whose column and value are known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    column: &'static str,
    operator: Operator,
    value: Value,
}

impl Condition {
    pub(super) fn equal(column: &'static str, value: Value) -> Self {
        Self { column, operator: Operator::Equal, value }
    }

    /// As SQL; the value becomes the next parameter.
    pub(super) fn sql(self, dialect: Dialect, params: &mut Vec<Value>) -> String {
        params.push(self.value);
        let (column, place) = (self.column, params.len());
        if self.operator == Operator::Has {
            let find = match dialect {
                Dialect::Sqlite => "instr",
                Dialect::Postgres => "strpos",
            };
            return format!("{find}(lower({column}), lower(${place})) > 0");
        }
        format!("{column} {} ${place}", self.operator.sql())
    }
}

fn and(rest: &str) -> Result<&str, String> {
    let (word, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
    match word {
        "AND" if !after.trim_start().is_empty() => Ok(after.trim_start()),
        "AND" => Err("something must follow AND".to_owned()),
        _ => Err("comparisons are joined by AND; nothing else is supported".to_owned()),
    }
}

fn comparison(rest: &str) -> Result<(Comparison, &str), String> {
    let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let (field, rest) = rest.split_at(rest.find(|c| !named(c)).unwrap_or(rest.len()));
    if field.is_empty() {
        return Err("a comparison begins with the name of a field".to_owned());
    }
    if matches!(field, "NOT" | "OR" | "AND") {
        return Err(format!("{field} is not supported here; comparisons are joined by AND"));
    }
    let rest = rest.trim_start();
    let (operator, rest) = Operator::SPELLINGS
        .iter()
        .find_map(|(text, operator)| Some((*operator, rest.strip_prefix(text)?)))
        .ok_or_else(|| format!("`{field}` must be followed by one of = != < <= > >= :"))?;
    let (literal, rest) = literal(rest.trim_start())?;
    Ok((Comparison { field: field.to_owned(), operator, literal }, rest))
}

fn literal(rest: &str) -> Result<(String, &str), String> {
    match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(rest, quote),
        Some(_) => {
            let bare = |c: char| c.is_alphanumeric() || "_-.:/+*@".contains(c);
            let end = rest.find(|c| !bare(c)).unwrap_or(rest.len());
            if end == 0 {
                return Err("a value with special characters stands in quotes".to_owned());
            }
            Ok((rest[..end].to_owned(), &rest[end..]))
        }
        None => Err("a value must follow the operator".to_owned()),
    }
}

fn quoted(rest: &str, quote: char) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((place, character)) = characters.next() {
        match character {
            // PostgreSQL cannot store it.
            '\0' => return Err("a value cannot hold a null character".to_owned()),
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\'' | '\\'))) => value.push(escaped),
                _ => return Err("a backslash escapes a quote or a backslash".to_owned()),
            },
            _ if character == quote => {
                return Ok((value, &rest[place + character.len_utf8()..]));
            }
            _ => value.push(character),
        }
    }
    Err("a quote is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Vec<(String, Operator, String)> {
        let filter = Filter::parse(text).unwrap();
        let parts = |it: Comparison| (it.field, it.operator, it.literal);
        filter.comparisons.into_iter().map(parts).collect()
    }

    #[test]
    fn comparisons_are_read() {
        use Operator::{Equal, GreaterOrEqual, Has, NotEqual};
        let cases = [
            ("state = STATE_ACTIVE", "state", Equal, "STATE_ACTIVE"),
            (" state=STATE_ACTIVE ", "state", Equal, "STATE_ACTIVE"),
            ("owner != users/7", "owner", NotEqual, "users/7"),
            (r#"title : "a \"b\" \\ c""#, "title", Has, r#"a "b" \ c"#),
            ("title:'x = 1 AND y'", "title", Has, "x = 1 AND y"),
            ("t >= 2026-01-01T00:00:00+01:00", "t", GreaterOrEqual, "2026-01-01T00:00:00+01:00"),
            ("title = \"\"", "title", Equal, ""),
        ];
        for (text, field, operator, literal) in cases {
            assert_eq!(parsed(text), [(field.to_owned(), operator, literal.to_owned())], "{text}");
        }
        assert_eq!(parsed(""), []);
        assert_eq!(parsed("a = 1 AND b < 2  AND c : x").len(), 3);
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        let cases = [
            "a",
            "a =",
            "= 1",
            "a = 1 OR b = 2",
            "NOT a = 1",
            "a = 1 b = 2",
            "a = 1 AND",
            "(a = 1)",
            "a = \"x",
            "a = 'x\\n'",
            "a == 1",
            "a = 1 and b = 2",
            "f(a) = 1",
            "a = \"\0\"",
            "AND",
            "a = 1 AND AND b = 2",
            "-a = 1",
            "a = $1",
            "a = 1; DROP TABLE b",
        ];
        for text in cases {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        let long = vec!["a = 1"; MAX_COMPARISONS + 1].join(" AND ");
        assert!(Filter::parse(&long).is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,80}") {
            let _ = Filter::parse(&text);
        }

        #[test]
        fn parsing_pieces_of_filters_never_panics(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "state", "=", "!=", "<=", ":", "AND", " ", "\"", "'", "\\", "ü", "1", "(", "-",
                ]),
                0..24,
            ),
        ) {
            let _ = Filter::parse(&pieces.concat());
        }

        #[test]
        fn any_quoted_text_is_read_back(text in "[^\0]{0,60}") {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            let filter = Filter::parse(&format!("a = \"{escaped}\"")).unwrap();
            prop_assert_eq!(&filter.comparisons[0].literal, &text);
        }
    }
}
