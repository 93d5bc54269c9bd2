//! What identity does for those who call it: register, sign in, stay signed in,
//! sign out. Rules are the domain's, rows the store's; here they meet.

mod bootstrap;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use mesh::{
    identity::{AUDIENCE, Claims},
    proto::JsonWebKey,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use uuid::Uuid;

use crate::{
    config::Config,
    domain::{
        Micros,
        attempts::Attempts,
        micros,
        secret::{Password, PasswordHash, REFRESH_TOKEN_BYTES, RefreshToken},
        session::{Refusal as SessionRefusal, Session, SessionId},
        user::{Change, Email, Profile, Refusal as UserRefusal, User, UserId},
    },
    error::Error,
    keys::Keys,
    passwords::Passwords,
    store::Store,
};

/// How often keys are read. Far below the lead of a key, whose minimum is half a
/// minute.
const ROTATE_EVERY: Duration = Duration::from_secs(10);

/// How often old rows are deleted.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// How long a session that is over is remembered, so that signing out twice
/// succeeds (and so that it can be looked up when somebody complains).
const REMEMBER_ENDED: Duration = Duration::from_hours(24);

/// The time, as the domain counts it.
pub type Clock = Arc<dyn Fn() -> Micros + Send + Sync>;

/// Users, their sessions and the keys of their tokens. Clones are the same.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    keys: Keys,
    passwords: Passwords,
    /// Of this process: with n replicas an address bears n times as many.
    attempts: Mutex<Attempts>,
    config: Config,
    clock: Clock,
}

/// A session and what its user needs to go on with it.
pub(crate) struct SignedIn {
    pub(crate) session: Session,
    pub(crate) access_token: String,
    pub(crate) refresh_token: RefreshToken,
    pub(crate) access_expires: Micros,
}

impl Identity {
    /// Opens the service on its database: makes the first signing key and
    /// registers the administrator of the settings, when they are not there yet.
    ///
    /// # Errors
    /// When the database or the administrator's password file cannot be used.
    pub async fn open(db: durable::Store, config: Config) -> Result<Self, Error> {
        Self::open_at(db, config, Arc::new(durable::time::now)).await
    }

    /// [`Identity::open`] with another clock, for tests.
    ///
    /// # Errors
    /// As [`Identity::open`].
    pub async fn open_at(db: durable::Store, config: Config, clock: Clock) -> Result<Self, Error> {
        let store = Store::new(db);
        let inner = Inner {
            keys: Keys::new(store.clone(), config.rotation()),
            store,
            passwords: Passwords::new(),
            attempts: Mutex::new(Attempts::new(config.attempts)),
            config,
            clock,
        };
        let identity = Self { inner: Arc::new(inner) };
        identity.rotate_keys().await?;
        identity.bootstrap().await?;
        Ok(identity)
    }

    /// Changes keys and deletes what is over, for as long as it is polled.
    pub async fn keep(self) {
        let mut rotate = tokio::time::interval(ROTATE_EVERY);
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        loop {
            let kept = tokio::select! {
                _ = rotate.tick() => self.rotate_keys().await,
                _ = sweep.tick() => self.sweep().await,
            };
            if let Err(error) = kept {
                tracing::warn!(error = mesh::status::chain(&error), "housekeeping failed");
            }
        }
    }

    async fn sweep(&self) -> Result<(), Error> {
        let now = self.now();
        self.inner.store.sweep(now - micros(REMEMBER_ENDED), now).await
    }

    /// Makes, reads and forgets signing keys as it is time. [`Identity::keep`]
    /// does it by itself.
    ///
    /// # Errors
    /// When the database cannot be used; the keys stay as they are.
    pub async fn rotate_keys(&self) -> Result<(), Error> {
        self.inner.keys.rotate(self.now()).await
    }

    /// Registers a user; only checks with `validate_only`.
    pub(crate) async fn register(
        &self,
        profile: Profile,
        password: Password,
        validate_only: bool,
    ) -> Result<User, Error> {
        // Before the hash, which is dear; the unique index decides in the end.
        if self.inner.store.credentials(&profile.email).await?.is_some() {
            return Err(UserRefusal::EmailTaken.into());
        }
        let user = self.new_user(profile);
        if !validate_only {
            let hash = self.hash(password).await?;
            self.inner.store.add_user(&user, &hash).await?;
        }
        Ok(user)
    }

    fn new_user(&self, profile: Profile) -> User {
        User::register(UserId::new(new_id()), profile, self.now())
    }

    async fn hash(&self, password: Password) -> Result<PasswordHash, Error> {
        self.inner.passwords.turn().await?.hash(password).await
    }

    /// Changes a user.
    pub(crate) async fn change(&self, id: &UserId, change: Change) -> Result<User, Error> {
        let now = self.now();
        self.inner.store.change_user(id, |user| user.change(change, now)).await
    }

    /// Opens a session for whoever knows the password.
    pub(crate) async fn sign_in(
        &self,
        email: Email,
        password: Password,
    ) -> Result<SignedIn, Error> {
        self.admit(&email)?;
        let known = self.inner.store.credentials(&email).await?;
        let turn = self.inner.passwords.turn().await?;
        // Again, since others who waited for their turn may have failed meanwhile.
        self.admit(&email)?;
        let (user, hash) = known.unzip();
        let right = turn.verify(password, hash).await?;
        match user {
            Some(user) if right => {
                self.attempts().succeeded(&email);
                self.open_session(&user).await
            }
            _ => {
                self.attempts().failed(email, self.now());
                Err(SessionRefusal::BadCredentials.into())
            }
        }
    }

    fn admit(&self, email: &Email) -> Result<(), SessionRefusal> {
        let admitted = self.attempts().admit(email, self.now());
        admitted.map_err(|retry_after| SessionRefusal::TooManyAttempts { retry_after })
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.inner.attempts.lock().expect("nothing panics while it is held")
    }

    async fn open_session(&self, user: &User) -> Result<SignedIn, Error> {
        let lifetime = self.inner.config.refresh_token_ttl;
        let id = SessionId::new(new_id());
        let session = Session::open(id, user.id.clone(), lifetime, self.now());
        let refresh_token = new_refresh_token()?;
        self.inner.store.add_session(&session, &refresh_token).await?;
        self.signed_in(session, user, refresh_token)
    }

    /// Goes on with a session.
    pub(crate) async fn refresh(&self, token: RefreshToken) -> Result<SignedIn, Error> {
        let next = new_refresh_token()?;
        let now = self.now();
        let expires = now + micros(self.inner.config.refresh_token_ttl);
        let refreshed = self.inner.store.refresh_session(&token, &next, expires, now).await;
        if let Err(Error::Session(SessionRefusal::RefreshTokenReused)) = &refreshed {
            tracing::warn!("a spent refresh token was presented; its session has ended");
        }
        let (session, user) = refreshed?;
        self.signed_in(session, &user, next)
    }

    /// Ends a session of a user.
    pub(crate) async fn sign_out(&self, id: &SessionId, by: &UserId) -> Result<(), Error> {
        self.inner.store.end_session(id, by, self.now()).await
    }

    fn signed_in(
        &self,
        session: Session,
        user: &User,
        refresh_token: RefreshToken,
    ) -> Result<SignedIn, Error> {
        let now = self.now();
        let issued = seconds(now);
        let expires = issued + self.inner.config.access_token_ttl.as_secs();
        let claims = Claims {
            iss: self.inner.config.issuer.clone(),
            sub: user.id.as_str().to_owned(),
            aud: AUDIENCE.to_owned(),
            exp: expires,
            iat: issued,
            jti: Uuid::new_v4().to_string(),
            sid: Some(session.id.as_str().to_owned()),
            roles: user.roles.iter().cloned().collect(),
            ..Claims::default()
        };
        let access_expires = micros(Duration::from_secs(expires));
        let access_token = self.inner.keys.sign(&claims, now)?;
        Ok(SignedIn { session, access_token, refresh_token, access_expires })
    }

    /// The public keys of the tokens.
    pub(crate) fn public_keys(&self) -> Vec<JsonWebKey> {
        self.inner.keys.public()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.inner.config.issuer
    }

    fn now(&self) -> Micros {
        (self.inner.clock)()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("issuer", &self.issuer()).finish_non_exhaustive()
    }
}

/// Unique and growing with time, so that lists and indexes keep their order.
fn new_id() -> String {
    Uuid::now_v7().to_string()
}

fn new_refresh_token() -> Result<RefreshToken, Error> {
    let mut random = [0; REFRESH_TOKEN_BYTES];
    SystemRandom::new().fill(&mut random).map_err(|_| Error::Random)?;
    Ok(RefreshToken::new(random))
}

fn seconds(time: Micros) -> u64 {
    u64::try_from(time / 1_000_000).unwrap_or(0)
}
