//! What a caller has instead of an answer when a call fails for want of the
//! service: a value of its own, or the last good answer.
//!
//! Only UNAVAILABLE, DEADLINE_EXCEEDED and RESOURCE_EXHAUSTED are answered so.
//! What the caller did wrong stays wrong, what it has cancelled nobody waits for,
//! and a fault of the service (INTERNAL, DATA_LOSS) must be seen.
//!
//! A value is given where the call is made, by [`value`]. The last good answer
//! lives in the channel
//! ([`Channel::with_last_good`](crate::Channel::with_last_good)): only there is it
//! known which user's token a call carries, and one user's answer must not be given
//! to another.

pub(crate) mod kept;

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tonic::{Code, Response, Status, metadata::MetadataValue};

/// Metadata of an answer that is a fallback: [`VALUE`] or [`LAST_GOOD`].
pub const FALLBACK: &str = "titan-fallback";
/// Metadata of a last good answer: its age in whole seconds.
pub const AGE: &str = "titan-fallback-age";
/// A value that the caller had.
pub const VALUE: &str = "value";
/// An earlier answer of the same request, for the same user.
pub const LAST_GOOD: &str = "last-good";

/// Values that were given instead of answers. One for the process, as is its page:
/// which application was called is not known where they are given.
pub(crate) static VALUES: AtomicU64 = AtomicU64::new(0);

/// Last good answers that a channel keeps.
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// # use mesh::{App, Settings, fallback::LastGood};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let app = App::new(Settings::from_pairs("shop", &[]))?;
/// let kept = LastGood { max_age: Duration::from_secs(300), ..LastGood::default() };
/// let channel = app.channel("catalogue").with_last_good(kept);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastGood {
    /// An answer that is older is not given; default one minute, which outlasts a
    /// restart or a failover.
    pub max_age: Duration,
    /// Memory of all answers together; default 4 MiB, which is the largest message
    /// that gRPC accepts by default, or thousands of usual ones. The oldest answers
    /// go first.
    pub max_bytes: usize,
}

impl Default for LastGood {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(60), max_bytes: 4 << 20 }
    }
}

/// Whether a failure may be answered by a fallback.
pub(crate) fn answers(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted)
}

/// Makes a call; `value` is the answer when the service cannot give one. It has
/// metadata [`FALLBACK`] = [`VALUE`], so that whoever needs to can tell.
///
/// # Errors
/// Every failure but UNAVAILABLE, DEADLINE_EXCEEDED and RESOURCE_EXHAUSTED.
///
/// # Examples
/// ```
/// # use mesh::{App, Settings, fallback};
/// # use mesh::proto::{ListKeysRequest, ListKeysResponse, key_service_client::KeyServiceClient};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let settings = [("static_endpoints", "keys=127.0.0.1:1"), ("log", "off")];
/// # let app = App::new(Settings::from_pairs("shop", &settings))?;
/// let mut keys = KeyServiceClient::new(app.channel("keys"));
/// let mut request = tonic::Request::new(ListKeysRequest {});
/// request.set_timeout(std::time::Duration::from_millis(100));
/// // Nobody serves them.
/// let none = ListKeysResponse::default();
/// let answer = fallback::value(keys.list_keys(request), none).await?;
/// assert_eq!(answer.metadata().get(fallback::FALLBACK).unwrap(), fallback::VALUE);
/// # Ok(()) }
/// ```
pub async fn value<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
    value: T,
) -> Result<Response<T>, Status> {
    match call.await {
        Err(status) if answers(status.code()) => {
            VALUES.fetch_add(1, Relaxed);
            let mut response = Response::new(value);
            response.metadata_mut().insert(FALLBACK, MetadataValue::from_static(VALUE));
            Ok(response)
        }
        made => made,
    }
}
