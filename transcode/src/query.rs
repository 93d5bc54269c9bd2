//! A query's parameters, as forms have them
//! (`application/x-www-form-urlencoded`): split at `&` and the first `=`, then
//! decoded, once.

use std::borrow::Cow;

use crate::{
    error::Reason,
    percent::{Scope, decode},
    violation::Findings,
};

/// Bounds on one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// Longest query in bytes; default 16 KiB, twice of what servers commonly
    /// take for a whole request line.
    pub bytes: usize,
    /// Most parameters; default 256: a list has no other bound in a query.
    pub parameters: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits { bytes: 16 << 10, parameters: 256 }
    }
}

/// Splits a query (without its question mark) and hands on its parameters in
/// their order. What cannot be decoded, or passes a limit, is a finding.
pub(crate) fn each<'a>(
    query: &'a str,
    limits: QueryLimits,
    findings: &mut Findings,
    mut take: impl FnMut(Cow<'a, str>, Cow<'a, str>, &mut Findings),
) {
    if query.len() > limits.bytes {
        let description = format!("longer than {} bytes", limits.bytes);
        return findings.add("", Reason::LimitExceeded, description);
    }
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    for (at, pair) in pairs.enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = match decode(name, Scope::Query) {
            Ok(name) => name,
            Err(error) => {
                let description = format!("a parameter's name {error}");
                findings.add("", Reason::InvalidValue, description);
                continue;
            }
        };
        if at == limits.parameters {
            let description = format!("more than {} parameters", limits.parameters);
            return findings.add(name, Reason::LimitExceeded, description);
        }
        match decode(value, Scope::Query) {
            Ok(value) => take(name, value, findings),
            Err(error) => {
                findings.add(name, Reason::InvalidValue, format!("the value {error}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(query: &str) -> Result<Vec<(String, String)>, usize> {
        let mut findings = Findings::default();
        let mut pairs = Vec::new();
        each(query, QueryLimits::default(), &mut findings, |name, value, _| {
            pairs.push((name.into_owned(), value.into_owned()));
        });
        findings.into_result(pairs).map_err(|violations| violations.len())
    }

    #[test]
    fn names_and_values_are_decoded_once() {
        let pairs = parsed("a=1&b.c=x+y%2B%26&a=&d&&%61=%2561&=e&f=g=h&i;j=k").unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let expected = [
            ("a", "1"),
            ("b.c", "x y+&"),
            ("a", ""),
            ("d", ""),
            ("a", "%61"),
            ("", "e"),
            ("f", "g=h"),
            ("i;j", "k"),
        ];
        assert_eq!(pairs, expected);
        assert!(parsed("").unwrap().is_empty());
    }

    #[test]
    fn malformed_and_endless_queries_are_refused() {
        assert_eq!(parsed("a=%").unwrap_err(), 1);
        assert_eq!(parsed("%zz=1&b=%ff").unwrap_err(), 2);
        assert_eq!(parsed(&"a=1&".repeat(257)).unwrap_err(), 1);
        assert_eq!(parsed(&"a=1&".repeat(256)).unwrap().len(), 256);
        assert_eq!(parsed(&format!("a={}", "x".repeat(16 << 10))).unwrap_err(), 1);
    }
}
