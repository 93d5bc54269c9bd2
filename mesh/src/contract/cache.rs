//! For how long an answer over HTTP may be used again, as `Cache-Control` says it
//! (RFC 9111 §5.2.2).

use crate::proto;

impl proto::Cache {
    /// The value of `Cache-Control`.
    #[must_use]
    pub fn control(&self) -> String {
        if self.no_store {
            return "no-store".to_owned();
        }
        let kept = if self.private { "private" } else { "public" };
        match self.max_age.map_or(0, |age| age.seconds) {
            ..=0 => format!("{kept}, no-cache"),
            seconds => format!("{kept}, max-age={seconds}"),
        }
    }
}
