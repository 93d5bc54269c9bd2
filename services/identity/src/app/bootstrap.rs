//! The first administrator, without whom nobody could make another one.

use std::path::Path;

use super::Identity;
use crate::{
    domain::{
        secret::Password,
        user::{Email, Profile, Refusal},
    },
    error::Error,
};

/// As the contract asks of everybody.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;

impl Identity {
    /// Registers the administrator of the settings unless the address is taken.
    pub(super) async fn bootstrap(&self) -> Result<(), Error> {
        let Some(admin) = &self.inner.config.bootstrap_admin else { return Ok(()) };
        let email = Email::new(&admin.email);
        if self.inner.store.credentials(&email).await?.is_some() {
            return Ok(());
        }
        let hash = self.hash(read_password(&admin.password_file).await?).await?;
        let profile = Profile { email, ..Profile::default() };
        let user = self.new_user(profile).made_admin();
        match self.inner.store.add_user(&user, &hash).await {
            // Another replica was first.
            Err(Error::User(Refusal::EmailTaken)) => Ok(()),
            added => added,
        }
    }
}

async fn read_password(file: &Path) -> Result<Password, Error> {
    let text = tokio::fs::read_to_string(file).await;
    let text = text.map_err(|source| Error::PasswordFile { file: file.to_owned(), source })?;
    let text = text.trim_end();
    let found = text.chars().count();
    if PASSWORD_CHARS.contains(&found) {
        Ok(Password::new(text.to_owned()))
    } else {
        Err(Error::PasswordLength { file: file.to_owned(), found })
    }
}
