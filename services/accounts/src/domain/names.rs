//! Names of resources, and the etag.

use std::fmt;

use uuid::Uuid;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// A resource name that was checked, or stored.
            pub fn named(name: impl Into<String>) -> Self {
                $name(name.into())
            }

            /// The resource of this id.
            pub fn new(id: &str) -> Self {
                $name(format!(concat!($prefix, "/{}"), id))
            }

            /// The resource name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Names an account; written as `accounts/{account}`.
    AccountId, "accounts"
}
name! {
    /// Names a transfer; written as `transfers/{transfer}`.
    TransferId, "transfers"
}
name! {
    /// Names a user; written as `users/{user}`.
    UserId, "users"
}

impl AccountId {
    /// The account of this unique id.
    pub fn unique(id: Uuid) -> Self {
        AccountId::new(&id.hyphenated().to_string())
    }
}

/// The state that a caller has seen: the number of events that made it. Opaque
/// to users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Etag(pub i64);

impl Etag {
    /// What a caller sent. One that never was one of ours stands for no state,
    /// so that nothing is ever as it says.
    pub fn given(text: &str) -> Option<Self> {
        const NO_STATE: i64 = -1;
        (!text.is_empty()).then(|| Etag(text.parse().unwrap_or(NO_STATE)))
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
