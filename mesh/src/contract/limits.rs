//! What bounds every call, whatever its contract says.

use std::time::Duration;

use crate::{channel, server, settings::Settings, validate};

/// A bound of the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name in `snake_case`.
    pub name: &'static str,
    /// Its value, unless an operator has set another.
    pub amount: Amount,
    /// What it bounds.
    pub bounds: &'static str,
    /// Whether a setting of this name changes it.
    pub is_setting: bool,
}

/// How much a [`Limit`] allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Bytes.
    Bytes(u64),
    /// A number of things.
    Count(u64),
    /// Of a hundred.
    Percent(u64),
    /// A time.
    Time(Duration),
}

/// The limits of both sides of a call, the caller's first, as they are where
/// nobody has set them.
#[must_use]
pub fn limits() -> Vec<Limit> {
    let mut settings = Settings::from_pairs("mesh", &[]);
    let violations = Limit {
        name: "max_violations",
        amount: Amount::Count(validate::MAX_VIOLATIONS as u64),
        bounds: "violations of rules that one answer tells",
        is_setting: false,
    };
    [&channel::limits()[..], &served(&server::Limits::read(&mut settings)), &[violations]].concat()
}

fn served(limits: &server::Limits) -> [Limit; 3] {
    let limit = |name, amount, bounds| Limit { name, amount, bounds, is_setting: true };
    let bytes = Amount::Bytes(limits.max_message_bytes as u64);
    let header = Amount::Bytes(limits.max_header_bytes.into());
    let streams = Amount::Count(limits.max_streams.into());
    [
        limit("max_message_bytes", bytes, "a message, unpacked"),
        limit("max_header_bytes", header, "the headers of a call"),
        limit("max_streams", streams, "calls at once on one connection"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_settings_bear_the_settings_name() {
        let pairs = [("max_message_bytes", "1"), ("max_header_bytes", "1"), ("max_streams", "1")];
        let mut settings = Settings::from_pairs("mesh", &pairs);
        let limits = served(&server::Limits::read(&mut settings));
        for (limit, (name, _)) in limits.iter().zip(pairs) {
            assert_eq!(limit.name, name);
            assert!(matches!(limit.amount, Amount::Bytes(1) | Amount::Count(1)), "{limit:?}");
        }
    }

    #[test]
    fn every_limit_has_a_name_of_its_own() {
        let mut names: Vec<_> = limits().iter().map(|limit| limit.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
