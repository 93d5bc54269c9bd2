//! Issues the one token that the measured calls carry, and the key for it.

use std::time::Duration;

use mesh::{
    identity::{AUDIENCE, Claims, DEFAULT_ISSUER, SigningKey, unix_now},
    proto::{ListKeysRequest, ListKeysResponse, key_service_server::KeyService},
};
use tonic::{Request, Response, Status};

/// Longer than any measurement.
const LIFE: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
pub(super) struct Keys(ListKeysResponse);

/// A new key, and a token that it signed.
pub(super) fn new() -> anyhow::Result<(Keys, String)> {
    let key = SigningKey::generate()?;
    let now = unix_now();
    let token = key.sign(&Claims {
        iss: DEFAULT_ISSUER.to_owned(),
        sub: "018f4c6e-0000-7000-8000-000000000001".to_owned(),
        aud: AUDIENCE.to_owned(),
        exp: now + LIFE.as_secs(),
        iat: now,
        nbf: None,
        jti: "1".to_owned(),
        sid: None,
        roles: Vec::new(),
        scope: String::new(),
    });
    Ok((Keys(ListKeysResponse { keys: vec![key.public()] }), token))
}

#[tonic::async_trait]
impl KeyService for Keys {
    async fn list_keys(
        &self,
        _: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }
}
