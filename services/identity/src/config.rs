//! What an operator may set beside what every process knows.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use mesh::{Settings, identity::DEFAULT_ISSUER};

use crate::domain::{attempts::Limits, rotation::Rotation};

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// Settings of identity.
#[derive(Clone, Debug)]
pub struct Config {
    /// `iss` of the tokens: the URL at which the world reaches the edge, since
    /// OpenID Connect looks for `/.well-known/…` beneath it.
    pub issuer: String,
    /// How long an access token lives. It cannot be called back, so not long.
    pub access_token_ttl: Duration,
    /// How long a session lives without being refreshed.
    pub refresh_token_ttl: Duration,
    /// How long a key signs.
    pub signing_key_ttl: Duration,
    /// How many wrong passwords are borne.
    pub attempts: Limits,
    /// An administrator to be there from the first start on.
    pub bootstrap_admin: Option<BootstrapAdmin>,
}

/// An administrator that is registered at the start unless the address is taken.
#[derive(Clone, Debug)]
pub struct BootstrapAdmin {
    /// Their address.
    pub email: String,
    /// The file that holds their password; white space at its end does not count.
    pub password_file: PathBuf,
}

impl Config {
    /// Reads `token_issuer`, `access_token_ttl`, `refresh_token_ttl`,
    /// `signing_key_ttl`, `failed_logins_per_address`, `failed_logins_total`,
    /// `bootstrap_admin_email` and `bootstrap_admin_password_file`.
    pub fn read(settings: &mut Settings) -> Self {
        let mut span = |key, default, range: RangeInclusive<Duration>, rule| {
            let value = settings.get(key, default);
            settings.require(key, range.contains(&value), rule);
            value
        };
        let second = Duration::from_secs(1);
        let access_token_ttl = span(
            "access_token_ttl",
            10 * MINUTE,
            second..=15 * MINUTE,
            "must be from 1s to 15m: an access token cannot be called back",
        );
        let refresh_token_ttl =
            span("refresh_token_ttl", 30 * DAY, second..=365 * DAY, "must be from 1s to 365d");
        let signing_key_ttl =
            span("signing_key_ttl", 30 * DAY, MINUTE..=365 * DAY, "must be from 1m to 365d");
        Self {
            issuer: issuer(settings),
            access_token_ttl,
            refresh_token_ttl,
            signing_key_ttl,
            attempts: attempts(settings),
            bootstrap_admin: bootstrap_admin(settings),
        }
    }

    pub(crate) fn rotation(&self) -> Rotation {
        Rotation { key_lifetime: self.signing_key_ttl, token_lifetime: self.access_token_ttl }
    }
}

/// Who verifies tokens reads the same setting, so the text is kept as it is.
fn issuer(settings: &mut Settings) -> String {
    let issuer: String = settings.get("token_issuer", DEFAULT_ISSUER.to_owned());
    let url = issuer.starts_with("http://") || issuer.starts_with("https://");
    settings.require("token_issuer", url, "must be the http(s) URL of the edge");
    issuer
}

/// Ten a minute make 5 million guesses a year of one password, which even a weak
/// one that is not among the most common survives; 6000 a minute are more than
/// two cores can hash.
fn attempts(settings: &mut Settings) -> Limits {
    let per_address = settings.get("failed_logins_per_address", 10);
    let in_total = settings.get("failed_logins_total", 6000);
    settings.require("failed_logins_per_address", per_address > 0, "must be positive");
    let rule = "must not be below failed_logins_per_address";
    settings.require("failed_logins_total", in_total >= per_address, rule);
    Limits { per_address, in_total, window: MINUTE }
}

fn bootstrap_admin(settings: &mut Settings) -> Option<BootstrapAdmin> {
    let email: Option<String> = settings.optional("bootstrap_admin_email");
    let password_file: Option<PathBuf> = settings.optional("bootstrap_admin_password_file");
    let both = email.is_some() == password_file.is_some();
    let rule = "needs bootstrap_admin_email and bootstrap_admin_password_file";
    settings.require("bootstrap_admin_email", both, rule);
    let address = email.as_ref().is_none_or(|email| email.contains('@'));
    settings.require("bootstrap_admin_email", address, "must be an e-mail address");
    Some(BootstrapAdmin { email: email?, password_file: password_file? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, mesh::SettingsError> {
        let mut settings = Settings::from_pairs("identity", pairs);
        let config = Config::read(&mut settings);
        settings.finish().map(|()| config)
    }

    #[test]
    fn the_defaults_are_sensible() {
        let config = read(&[]).unwrap();
        assert_eq!(config.access_token_ttl, 10 * MINUTE);
        assert_eq!(config.refresh_token_ttl, 30 * DAY);
        assert!(config.bootstrap_admin.is_none());
    }

    #[test]
    fn what_would_be_unsafe_is_refused() {
        for (key, text) in [
            ("access_token_ttl", "16m"),
            ("access_token_ttl", "999ms"),
            ("refresh_token_ttl", "0s"),
            ("signing_key_ttl", "59s"),
            ("failed_logins_per_address", "0"),
            ("failed_logins_total", "9"),
            ("bootstrap_admin_email", "root@example.org"),
            ("bootstrap_admin_password_file", "/dev/null"),
            ("token_issuer", ""),
        ] {
            assert!(read(&[(key, text)]).is_err(), "{key}={text}");
        }
    }
}
