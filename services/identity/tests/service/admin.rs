//! The administrator of the settings.

use std::{io::Write as _, sync::Arc};

use durable::testing::backends;
use identity::{Error, Identity, MIGRATIONS};
use mesh::{
    identity::{AUDIENCE, DEFAULT_ISSUER, Verifier},
    proto::key_service_client::KeyServiceClient,
};
use tempfile::NamedTempFile;

use crate::support::{Clock, Service, config, open};

fn password_file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn the_administrator_of_the_settings_is_there_from_the_first_start_on() {
    let file = password_file("of all the passwords\n");
    let settings = [
        ("bootstrap_admin_email", "Root@example.org"),
        ("bootstrap_admin_password_file", file.path().to_str().unwrap()),
    ];
    for backend in backends().await {
        let service = Service::start(&backend, &settings).await;
        let session = service.sign_in("root", "of all the passwords").await.unwrap();
        let client = KeyServiceClient::new(service.mesh.channel("identity"));
        let verifier = Verifier::new(DEFAULT_ISSUER, AUDIENCE, Arc::new(client));
        let now = service.clock.seconds();
        let user = verifier.verify_at(&session.access_token, now).await.unwrap();
        assert_eq!(user.roles, ["admin"], "{}", backend.name);
        // Another start finds the administrator, changed password or not.
        open(&backend, config(&settings), &service.clock).await;
        service.sign_in("root", "of all the passwords").await.unwrap();
    }
}

#[tokio::test]
async fn a_password_file_that_cannot_be_used_stops_the_start() {
    let short = password_file("1234567 \n");
    for file in [short.path().to_str().unwrap(), "/nowhere/password"] {
        let settings = [
            ("bootstrap_admin_email", "root@example.org"),
            ("bootstrap_admin_password_file", file),
        ];
        let backend = durable::testing::sqlite();
        let store = backend.open(MIGRATIONS).await;
        let opened = Identity::open_at(store, config(&settings), Clock::new().reader()).await;
        let error = opened.unwrap_err();
        let expected =
            matches!(error, Error::PasswordFile { .. } | Error::PasswordLength { found: 7, .. });
        assert!(expected, "{error}");
    }
}
