//! How long a call may take: what the client asks by `grpc-timeout` or
//! `x-server-timeout` (seconds, as Google's and Connect's clients send), and
//! never more than the contract allows.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tonic::Code;

use crate::error::Failure;

/// Seconds, with or without a fraction.
pub(super) const SERVER_TIMEOUT: HeaderName = HeaderName::from_static("x-server-timeout");

/// The time that a call has.
///
/// # Errors
/// A header that does not say a time.
pub(super) fn of(
    headers: &HeaderMap,
    contract: Option<Duration>,
) -> Result<Option<Duration>, Failure> {
    let grpc = mesh::deadline::parse(headers).map_err(|error| invalid(&error.to_string()))?;
    Ok([grpc, server_timeout(headers)?, contract].into_iter().flatten().min())
}

fn server_timeout(headers: &HeaderMap) -> Result<Option<Duration>, Failure> {
    let Some(value) = headers.get(SERVER_TIMEOUT) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: Option<f64> = text.parse().ok().filter(|_| plain);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .map(Some)
        .ok_or_else(|| invalid("x-server-timeout must be a number of seconds"))
}

fn invalid(message: &str) -> Failure {
    Failure::new(Code::InvalidArgument, "INVALID_TIMEOUT", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(pairs: &[(&'static str, &str)]) -> Option<Option<Duration>> {
        let headers = pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        of(&headers, Some(Duration::from_secs(5))).ok()
    }

    #[test]
    fn the_shortest_of_client_and_contract_counts() {
        let millis = |millis| Some(Some(Duration::from_millis(millis)));
        assert_eq!(parsed(&[]), millis(5000));
        assert_eq!(parsed(&[("grpc-timeout", "100m")]), millis(100));
        assert_eq!(parsed(&[("grpc-timeout", "99999999H")]), millis(5000));
        assert_eq!(parsed(&[("x-server-timeout", "0.25")]), millis(250));
        assert_eq!(parsed(&[("x-server-timeout", "2"), ("grpc-timeout", "1S")]), millis(1000));
        assert_eq!(of(&HeaderMap::new(), None).unwrap(), None);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for value in ["", "-1", "1s", "1e3", "inf", "NaN", ".", "1.2.3", "99999999999999999999999"]
        {
            assert_eq!(parsed(&[("x-server-timeout", value)]), None, "{value}");
        }
        for value in ["", "1", "-1S", "999999999S", "1x"] {
            assert_eq!(parsed(&[("grpc-timeout", value)]), None, "{value}");
        }
    }
}
