//! What the headers of a call decide: until when it may last, who calls, whether
//! they may, and how much it matters. No byte of the message is looked at.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderName, header};
use tokio::time::Instant;
use tonic::{Code, Status};

use super::{Shared, head::Head};
use crate::{
    Criticality, access,
    call::{Call, Caller},
    channel::deadline_exceeded,
    contract::Method,
    identity::{self, TokenError},
    status,
    trace::{self, Trace},
};

/// Admits a call that came at `now`, or refuses it.
pub(super) async fn admit(
    shared: &Shared,
    method: Option<&Method>,
    place: Trace,
    head: &Head,
    headers: &HeaderMap,
    now: Instant,
) -> Result<Arc<Call>, Status> {
    let deadline = deadline_of(method, head)?.map(|timeout| now + timeout);
    let (caller, token) = authenticate(shared, head, headers, now).await?;
    if let Some(method) = method {
        access::admit(&method.access, &caller, token.as_ref())?;
    }
    let own = method.map(|method| method.criticality).unwrap_or_default();
    let class = Criticality::admitted(head.asked, own, caller.service.is_some());
    let passed = |there: bool, name: HeaderName| {
        let value = if there { headers.get(name) } else { None };
        value.filter(|value| value.len() <= trace::MAX_PASSED_BYTES).cloned()
    };
    Ok(Arc::new(Call {
        deadline,
        trace: place,
        // Only what verified here is passed on.
        authorization: passed(caller.user.is_some(), header::AUTHORIZATION),
        tracestate: passed(head.tracestate, trace::TRACESTATE),
        baggage: passed(head.baggage, trace::BAGGAGE),
        criticality: Some(class),
        repeated: head.repeated,
        received: AtomicU64::new(0),
        gave_up: AtomicBool::new(false),
        caller,
    }))
}

/// How long a call may last: what its caller asks for, at most what its contract
/// allows.
fn deadline_of(method: Option<&Method>, head: &Head) -> Result<Option<Duration>, Status> {
    let asked = head.timeout.map_err(|error| {
        status::refuse(Code::InvalidArgument, "INVALID_TIMEOUT", error.to_string())
    })?;
    let allowed = method.and_then(|method| method.deadline);
    let timeout = [asked, allowed].into_iter().flatten().min();
    if timeout == Some(Duration::ZERO) {
        return Err(deadline_exceeded());
    }
    Ok(timeout)
}

/// Who calls, and what is wrong with the token when no user does. A token that
/// does not verify is only fatal where a user is asked for.
async fn authenticate(
    shared: &Shared,
    head: &Head,
    headers: &HeaderMap,
    now: Instant,
) -> Result<(Caller, Option<TokenError>), Status> {
    let service = match (&head.proof, &shared.mesh_key) {
        (Some(proof), Some(key)) => Some(key.verify_now(proof, now)?),
        _ => None,
    };
    // Which of several tokens counts is for `bearer` to say.
    let token =
        if head.authorization { identity::bearer(headers) } else { Err(TokenError::Missing) };
    let user = match (token, &shared.verifier) {
        // Boxed: fetching a key is rare and its future large, and every call
        // would carry it.
        (Ok(token), Some(verifier)) => Box::pin(verifier.verify(token)).await,
        (Ok(_), None) => Err(TokenError::Invalid("this process knows no issuer of tokens")),
        (Err(error), _) => Err(error),
    };
    Ok(match user {
        Ok(user) => (Caller { user: Some(user), service }, None),
        Err(error) => (Caller { user: None, service }, Some(error)),
    })
}
