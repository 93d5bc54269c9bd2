//! Access tokens as other services see them: through the published keys.

use std::{sync::Arc, time::Duration};

use durable::testing::backends;
use mesh::{
    Channel,
    identity::{AUDIENCE, DEFAULT_ISSUER, TokenError, Verifier},
    proto::{JsonWebKey, ListKeysRequest, key_service_client::KeyServiceClient},
};
use titan::identity::v1::{
    GetJsonWebKeySetRequest, GetOpenidConfigurationRequest, RefreshSessionRequest,
    SetUserRolesRequest, discovery_service_client::DiscoveryServiceClient,
};

use crate::support::{PASSWORD, Service, config, on_every_database, open};

const DAY: Duration = Duration::from_hours(24);

fn key_service(service: &Service) -> KeyServiceClient<Channel> {
    KeyServiceClient::new(service.mesh.channel("identity"))
}

/// A service that learns the keys from this one.
fn verifier(service: &Service) -> Verifier {
    Verifier::new(DEFAULT_ISSUER, AUDIENCE, Arc::new(key_service(service)))
}

async fn keys(service: &Service) -> Vec<JsonWebKey> {
    key_service(service).list_keys(ListKeysRequest {}).await.unwrap().into_inner().keys
}

async fn access_token(service: &Service) -> String {
    service.sign_in("ada", PASSWORD).await.unwrap().access_token
}

#[tokio::test]
async fn a_token_tells_every_service_whose_it_is() {
    on_every_database(async |service| {
        let ada = service.register("ada").await;
        let session = service.sign_in("ada", PASSWORD).await.unwrap();
        let verifier = verifier(&service);
        let now = service.clock.seconds();
        let user = verifier.verify_at(&session.access_token, now).await.unwrap();
        assert_eq!(user.name(), ada.name);
        assert_eq!(format!("sessions/{}", user.session.unwrap()), session.name);
        assert!(user.roles.is_empty());
        let late = verifier.verify_at(&session.access_token, now + 600).await;
        assert!(matches!(late, Err(TokenError::Expired)));
    })
    .await;
}

#[tokio::test]
async fn new_roles_stand_in_the_tokens_that_are_issued_from_then_on() {
    on_every_database(async |service| {
        let ada = service.register("ada").await;
        let session = service.sign_in("ada", PASSWORD).await.unwrap();
        let request = SetUserRolesRequest { name: ada.name, roles: vec!["editor".to_owned()] };
        service.users_as("root", &["admin"]).set_user_roles(request).await.unwrap();
        let request = RefreshSessionRequest { refresh_token: session.refresh_token };
        let next = service.sessions().refresh_session(request).await.unwrap().into_inner();
        let now = service.clock.seconds();
        let user = verifier(&service).verify_at(&next.access_token, now).await.unwrap();
        assert_eq!(user.roles, ["editor"]);
    })
    .await;
}

#[tokio::test]
async fn keys_change_without_a_token_becoming_invalid() {
    on_every_database(async |service| {
        service.register("ada").await;
        let first = keys(&service).await;
        assert_eq!(first.len(), 1);

        // A day before its term the next key is published and does not sign yet.
        service.clock.advance(29 * DAY);
        service.identity.rotate_keys().await.unwrap();
        let both = keys(&service).await;
        assert_eq!((both.len(), &both[0]), (2, &first[0]));
        let before = verifier(&service);
        let old = access_token(&service).await;
        before.verify_at(&old, service.clock.seconds()).await.unwrap();

        // Who read the keys then knows the new one when it signs.
        service.clock.advance(DAY - Duration::from_secs(60));
        let last = access_token(&service).await;
        service.clock.advance(Duration::from_secs(60));
        service.identity.rotate_keys().await.unwrap();
        let new = access_token(&service).await;
        for token in [&last, &new] {
            before.verify_at(token, service.clock.seconds()).await.unwrap();
        }
        assert_ne!(header(&last), header(&new));

        // The old key goes when its last token is dead.
        service.clock.advance(Duration::from_mins(15));
        service.identity.rotate_keys().await.unwrap();
        assert_eq!(keys(&service).await, both[1..]);
        let now = service.clock.seconds() - 900;
        let gone = verifier(&service).verify_at(&last, now).await;
        assert!(matches!(gone, Err(TokenError::Invalid(_))));
    })
    .await;
}

/// The part of a token that names its key.
fn header(token: &str) -> &str {
    token.split('.').next().unwrap()
}

#[tokio::test]
async fn replicas_sign_with_the_same_key_whoever_made_it() {
    for backend in backends().await {
        let service = Service::start(&backend, &[]).await;
        let other = open(&backend, config(&[]), &service.clock).await;
        service.register("ada").await;
        service.clock.advance(29 * DAY);
        let (one, two) = tokio::join!(service.identity.rotate_keys(), other.rotate_keys());
        one.unwrap();
        two.unwrap();
        service.identity.rotate_keys().await.unwrap();
        assert_eq!(keys(&service).await.len(), 2, "{}", backend.name);

        service.clock.advance(DAY);
        let routes = identity::routes(other);
        let _running = service.mesh.serve("replica", titan::DESCRIPTORS, routes).await;
        let mut replica = KeyServiceClient::new(service.mesh.channel("replica"));
        let replicas = replica.list_keys(ListKeysRequest {}).await.unwrap().into_inner().keys;
        assert_eq!(replicas, keys(&service).await);
        let verifier = Verifier::new(DEFAULT_ISSUER, AUDIENCE, Arc::new(replicas));
        let token = access_token(&service).await;
        verifier.verify_at(&token, service.clock.seconds()).await.unwrap();
    }
}

#[tokio::test]
async fn the_world_finds_the_keys_where_openid_connect_expects_them() {
    on_every_database(async |service| {
        let mut discovery = DiscoveryServiceClient::new(service.mesh.channel("identity"));
        let request = GetOpenidConfigurationRequest {};
        let found = discovery.get_openid_configuration(request).await.unwrap().into_inner();
        assert_eq!(found.issuer, DEFAULT_ISSUER);
        assert_eq!(found.jwks_uri, format!("{DEFAULT_ISSUER}/.well-known/jwks.json"));
        assert_eq!(found.id_token_signing_alg_values_supported, ["EdDSA"]);
        let request = GetJsonWebKeySetRequest {};
        let set = discovery.get_json_web_key_set(request).await.unwrap().into_inner();
        assert_eq!(set.keys, keys(&service).await);
    })
    .await;
}
