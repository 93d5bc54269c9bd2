//! The public keys: for the mesh as `titan.mesh.v1.KeyService`, for the world as
//! `titan.identity.v1.DiscoveryService`.

use mesh::proto::{ListKeysRequest, ListKeysResponse, key_service_server::KeyService};
use titan::identity::v1::{self as proto, discovery_service_server::DiscoveryService};
use tonic::{Request, Response, Status};

use super::Grpc;

/// What [`mesh::identity::Claims`] may hold.
const CLAIMS: [&str; 9] = ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "roles", "scope"];

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

#[tonic::async_trait]
impl KeyService for Grpc {
    async fn list_keys(
        &self,
        _: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        Ok(Response::new(ListKeysResponse { keys: self.identity.public_keys() }))
    }
}

#[tonic::async_trait]
impl DiscoveryService for Grpc {
    async fn get_openid_configuration(
        &self,
        _: Request<proto::GetOpenidConfigurationRequest>,
    ) -> Result<Response<proto::OpenidConfiguration>, Status> {
        let issuer = self.identity.issuer();
        // OpenID Connect Discovery §4: a slash at the end of the issuer is not doubled.
        let base = issuer.trim_end_matches('/');
        Ok(Response::new(proto::OpenidConfiguration {
            issuer: issuer.to_owned(),
            jwks_uri: format!("{base}/.well-known/jwks.json"),
            token_endpoint: format!("{base}/v1/sessions"),
            subject_types_supported: texts(["public"]),
            id_token_signing_alg_values_supported: texts(["EdDSA"]),
            claims_supported: texts(CLAIMS),
        }))
    }

    async fn get_json_web_key_set(
        &self,
        _: Request<proto::GetJsonWebKeySetRequest>,
    ) -> Result<Response<proto::JsonWebKeySet>, Status> {
        Ok(Response::new(proto::JsonWebKeySet { keys: self.identity.public_keys() }))
    }
}
