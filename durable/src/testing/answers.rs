//! What services answer: refusals as values that a test compares, and all that
//! others were told.

use std::fmt::Debug;

use mesh::proto::{self as wire, feed_service_client::FeedServiceClient};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::consumer::Transport;

/// A request under an idempotency key.
///
/// # Panics
/// When the key cannot stand in metadata.
pub fn keyed<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("idempotency-key", key.parse().expect("a key is ASCII"));
    request
}

/// The code of a refusal, and its reason.
///
/// # Panics
/// When it is none.
#[track_caller]
pub fn refused<T: Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    (status.code(), mesh::status::reason(&status).unwrap_or_default())
}

/// A refusal as [`refused`] tells it.
#[must_use]
pub fn refusal(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

/// The paths of the fields at fault.
///
/// # Panics
/// When the answer is no refusal of fields.
#[track_caller]
pub fn violations<T: Debug>(answer: Result<T, Status>) -> Vec<String> {
    let status = answer.expect_err("a refusal");
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let details = status.get_details_bad_request().expect("a BadRequest");
    details.field_violations.into_iter().map(|violation| violation.field).collect()
}

/// What the service behind a channel has told others, in order, before the first
/// event of the stream `last`: that one was made to be the last, so that nobody
/// waits for what does not come.
///
/// # Panics
/// When the feed refuses or ends.
pub async fn told_before(channel: impl Transport, last: &str) -> Vec<wire::Event> {
    let request = wire::SubscribeRequest { consumer: "test".into(), ..Default::default() };
    let subscribed = FeedServiceClient::new(channel).subscribe(request).await;
    let mut stream = subscribed.expect("a feed").into_inner();
    let mut events = Vec::new();
    loop {
        let batch = stream.message().await.expect("a feed that lasts").expect("it never ends");
        for event in batch.events {
            if event.stream == last {
                return events;
            }
            events.push(event);
        }
    }
}
