//! Verifies access tokens. A known key costs no wait and no lock; keys are
//! fetched when a token names an unknown one and renewed beside the calls.
//! Whatever happens to the issuer, the last good keys stay in use.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use ring::digest::{SHA256, digest};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, timeout},
};
use tonic::{Status, codegen::StdError};

use super::{
    cache::Cache,
    key::KeySet,
    token::{TokenError, Unverified},
    unix_now,
};
use crate::{
    call::User,
    proto::{JsonWebKey, ListKeysRequest, key_service_client::KeyServiceClient},
};

/// Tokens that are remembered as verified: a lookup costs a SHA-256 of 400
/// bytes, a verification some 50 µs. At about 300 bytes each, 4096 tokens are
/// little over a megabyte.
const REMEMBERED_TOKENS: usize = 4096;

/// A withdrawn key is refused after this time at the latest. Issuers publish a
/// key long before they sign with it, so this is not what makes rotation work.
const RENEW_EVERY: Duration = Duration::from_secs(300);

/// At most one fetch in this time, so that tokens with invented key ids do not
/// become a load on the issuer.
const FETCH_AT_MOST_EVERY: Duration = Duration::from_secs(5);

/// Longest fetch. The contract gives `ListKeys` two seconds; this is for sources
/// that know no deadline.
const FETCH_LIMIT: Duration = Duration::from_secs(5);

/// Where the issuer's public keys come from.
#[async_trait::async_trait]
pub trait KeySource: Send + Sync {
    /// All keys in use now.
    async fn keys(&self) -> Result<Vec<JsonWebKey>, Status>;
}

#[async_trait::async_trait]
impl<T> KeySource for KeyServiceClient<T>
where
    T: tonic::client::GrpcService<tonic::body::Body> + Clone + Send + Sync + 'static,
    T::Error: Into<StdError>,
    T::Future: Send,
    T::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
{
    async fn keys(&self) -> Result<Vec<JsonWebKey>, Status> {
        let reply = self.clone().list_keys(ListKeysRequest {}).await?;
        Ok(reply.into_inner().keys)
    }
}

/// Keys that never change.
#[async_trait::async_trait]
impl KeySource for Vec<JsonWebKey> {
    async fn keys(&self) -> Result<Vec<JsonWebKey>, Status> {
        Ok(self.clone())
    }
}

/// Verifies the access tokens of one issuer for one audience. Clones share keys
/// and memory.
#[derive(Clone)]
pub struct Verifier {
    inner: Arc<Inner>,
}

struct Inner {
    issuer: String,
    audience: String,
    source: Arc<dyn KeySource>,
    known: ArcSwap<Known>,
    /// Held during a fetch; holds how the last one ended.
    fetch: Arc<Mutex<Option<Fetched>>>,
    /// When the keys are to be renewed, in milliseconds since `born`.
    renew_at: AtomicU64,
    born: Instant,
}

/// A key set and the tokens that it verified: with the keys, the memory goes, so
/// that a withdrawn key takes its tokens along.
struct Known {
    keys: KeySet,
    tokens: Cache<User>,
}

impl Known {
    fn new(keys: KeySet) -> Self {
        Self { keys, tokens: Cache::new(REMEMBERED_TOKENS) }
    }
}

#[derive(Clone, Copy)]
struct Fetched {
    at: Instant,
    succeeded: bool,
}

impl Verifier {
    /// A verifier that has no keys yet and asks `source` when it needs them.
    #[must_use]
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        source: Arc<dyn KeySource>,
    ) -> Self {
        let inner = Inner {
            issuer: issuer.into(),
            audience: audience.into(),
            source,
            known: ArcSwap::from_pointee(Known::new(KeySet::default())),
            fetch: Arc::default(),
            renew_at: AtomicU64::new(0),
            born: Instant::now(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The user whom an access token names (without the word `Bearer`).
    /// Cancellation is safe; must run on a tokio runtime.
    ///
    /// # Errors
    /// See [`TokenError`]; each becomes a `Status`.
    pub async fn verify(&self, token: &str) -> Result<User, TokenError> {
        self.verify_at(token, unix_now()).await
    }

    /// [`Verifier::verify`] at another time, in seconds since 1970.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn verify_at(&self, token: &str, now: u64) -> Result<User, TokenError> {
        self.inner.renew_when_due();
        let digest = digest(&SHA256, token.as_bytes());
        if let Some(user) = self.inner.known.load().tokens.get(digest.as_ref(), now) {
            return Ok(user);
        }
        let unverified = Unverified::parse(token)?;
        if !self.inner.knows(&unverified.kid) {
            self.inner.learn(&unverified.kid).await?;
        }
        let known = self.inner.known.load();
        let claims = unverified.verify(&known.keys)?;
        claims.check(&self.inner.issuer, &self.inner.audience, now)?;
        let until = claims.exp;
        let user = User::from(claims);
        known.tokens.put(digest.as_ref(), until, user.clone());
        Ok(user)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("issuer", &self.inner.issuer)
            .field("audience", &self.inner.audience)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn knows(&self, kid: &str) -> bool {
        self.known.load().keys.contains(kid)
    }

    /// Starts a fetch beside the calls when the keys are old and nobody else
    /// fetches them.
    fn renew_when_due(self: &Arc<Self>) {
        if self.age_millis() < self.renew_at.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(last) = self.fetch.clone().try_lock_owned()
            && rested(*last)
        {
            tokio::spawn(self.clone().fetch(last));
        }
    }

    /// Fetches the keys because a token names one that is not known. All who
    /// need it wait for the same fetch.
    async fn learn(self: &Arc<Self>, kid: &str) -> Result<(), TokenError> {
        let last = self.fetch.clone().lock_owned().await;
        if self.knows(kid) {
            return Ok(());
        }
        let succeeded = match *last {
            Some(fetched) if !rested(*last) => fetched.succeeded,
            // A task of its own: the fetch serves others too and must not end with this call.
            _ => tokio::spawn(self.clone().fetch(last)).await.unwrap_or(false),
        };
        match (self.knows(kid), succeeded) {
            (true, _) => Ok(()),
            (false, true) => Err(TokenError::Invalid("it is signed with an unknown key")),
            // Perhaps the key is good: who cannot know must not say no.
            (false, false) => Err(TokenError::Unavailable),
        }
    }

    async fn fetch(self: Arc<Self>, mut last: OwnedMutexGuard<Option<Fetched>>) -> bool {
        let at = Instant::now();
        let answer = timeout(FETCH_LIMIT, self.source.keys()).await;
        let keys = answer
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")))
            .map(|keys| KeySet::new(&keys));
        let succeeded = match keys {
            Ok(keys) if !keys.is_empty() => {
                self.adopt(keys);
                true
            }
            Ok(_) => {
                tracing::warn!("the issuer published no usable key; the last good keys stay");
                false
            }
            Err(error) => {
                tracing::warn!(%error, "the keys of access tokens were not to be had");
                false
            }
        };
        *last = Some(Fetched { at, succeeded });
        let pause = if succeeded { jittered(RENEW_EVERY) } else { FETCH_AT_MOST_EVERY };
        self.renew_at.store(self.age_millis() + millis(pause), Ordering::Relaxed);
        succeeded
    }

    fn adopt(&self, keys: KeySet) {
        // Equal keys keep the memory of verified tokens.
        if self.known.load().keys != keys {
            self.known.store(Arc::new(Known::new(keys)));
        }
    }

    fn age_millis(&self) -> u64 {
        millis(self.born.elapsed())
    }
}

/// Whether the last fetch is long enough ago for another one.
fn rested(last: Option<Fetched>) -> bool {
    last.is_none_or(|last| last.at.elapsed() >= FETCH_AT_MOST_EVERY)
}

/// Up to a tenth less, so that processes that started together do not ask
/// together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 - fastrand::f64() / 10.0)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, atomic::AtomicUsize};

    use super::*;
    use crate::identity::{Claims, SigningKey};

    const NOW: u64 = 1_800_000_000;

    /// An issuer whose keys can be changed or withheld.
    #[derive(Default)]
    struct Issuer {
        keys: Mutex<Option<Vec<JsonWebKey>>>,
        asked: AtomicUsize,
    }

    impl Issuer {
        fn publish(&self, keys: &[&SigningKey]) {
            *self.keys.lock().unwrap() = Some(keys.iter().map(|key| key.public()).collect());
        }

        fn fail(&self) {
            *self.keys.lock().unwrap() = None;
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[async_trait::async_trait]
    impl KeySource for Issuer {
        async fn keys(&self) -> Result<Vec<JsonWebKey>, Status> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            let keys = self.keys.lock().unwrap().clone();
            keys.ok_or_else(|| Status::unavailable("the issuer is down"))
        }
    }

    fn issuer(keys: &[&SigningKey]) -> (Arc<Issuer>, Verifier) {
        let issuer = Arc::new(Issuer::default());
        issuer.publish(keys);
        (issuer.clone(), Verifier::new("https://id.example", "titan", issuer))
    }

    fn key() -> SigningKey {
        SigningKey::generate().unwrap()
    }

    fn token(key: &SigningKey) -> String {
        key.sign(&Claims {
            iss: "https://id.example".to_owned(),
            sub: "ada".to_owned(),
            aud: "titan".to_owned(),
            exp: NOW + 600,
            iat: NOW,
            jti: fastrand::u64(..).to_string(),
            ..Claims::default()
        })
    }

    /// Lets spawned fetches finish.
    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_token_fetches_the_keys_and_the_second_does_not() {
        let key = key();
        let (issuer, verifier) = issuer(&[&key]);
        for _ in 0..3 {
            assert_eq!(verifier.verify_at(&token(&key), NOW).await.unwrap().id, "ada");
        }
        assert_eq!(issuer.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_that_arrive_together_share_one_fetch() {
        let key = key();
        let (issuer, verifier) = issuer(&[&key]);
        let calls = (0..50).map(|_| {
            let (verifier, token) = (verifier.clone(), token(&key));
            tokio::spawn(async move { verifier.verify_at(&token, NOW).await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap().unwrap();
        }
        assert_eq!(issuer.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_key_is_learned_from_the_first_token_that_names_it() {
        let (old, new) = (key(), key());
        let (issuer, verifier) = issuer(&[&old]);
        verifier.verify_at(&token(&old), NOW).await.unwrap();
        issuer.publish(&[&old, &new]);
        tokio::time::advance(FETCH_AT_MOST_EVERY).await;
        verifier.verify_at(&token(&new), NOW).await.unwrap();
        verifier.verify_at(&token(&old), NOW).await.unwrap();
        assert_eq!(issuer.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn invented_key_ids_cause_one_fetch_in_five_seconds() {
        let key = key();
        let (issuer, verifier) = issuer(&[&key]);
        for _ in 0..20 {
            let refused = verifier.verify_at(&token(&self::key()), NOW).await;
            assert!(matches!(refused, Err(TokenError::Invalid(_))));
        }
        assert_eq!(issuer.asked(), 1);
        tokio::time::advance(FETCH_AT_MOST_EVERY).await;
        verifier.verify_at(&token(&self::key()), NOW).await.unwrap_err();
        assert_eq!(issuer.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn known_keys_outlive_an_issuer_that_is_down() {
        let key = key();
        let (issuer, verifier) = issuer(&[&key]);
        verifier.verify_at(&token(&key), NOW).await.unwrap();
        issuer.fail();
        tokio::time::advance(RENEW_EVERY).await;
        verifier.verify_at(&token(&key), NOW).await.unwrap();
        settle().await;
        assert_eq!(issuer.asked(), 2);
        verifier.verify_at(&token(&key), NOW).await.unwrap();
        let refused = verifier.verify_at(&token(&self::key()), NOW).await;
        assert!(matches!(refused, Err(TokenError::Unavailable)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_key_set_does_not_replace_a_good_one() {
        let key = key();
        let (issuer, verifier) = issuer(&[&key]);
        verifier.verify_at(&token(&key), NOW).await.unwrap();
        issuer.publish(&[]);
        tokio::time::advance(RENEW_EVERY).await;
        verifier.verify_at(&token(&key), NOW).await.unwrap();
        settle().await;
        verifier.verify_at(&token(&key), NOW).await.unwrap();
        assert_eq!(issuer.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn without_any_key_the_answer_is_unavailable_and_recovers() {
        let key = key();
        let (issuer, verifier) = issuer(&[&key]);
        issuer.fail();
        let refused = verifier.verify_at(&token(&key), NOW).await;
        assert!(matches!(refused, Err(TokenError::Unavailable)));
        issuer.publish(&[&key]);
        tokio::time::advance(FETCH_AT_MOST_EVERY).await;
        verifier.verify_at(&token(&key), NOW).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_withdrawn_key_takes_its_remembered_tokens_along() {
        let (old, new) = (key(), key());
        let (issuer, verifier) = issuer(&[&old]);
        let remembered = token(&old);
        verifier.verify_at(&remembered, NOW).await.unwrap();
        issuer.publish(&[&new]);
        tokio::time::advance(RENEW_EVERY).await;
        // This use starts the renewal and is still served from memory.
        verifier.verify_at(&remembered, NOW).await.unwrap();
        settle().await;
        let refused = verifier.verify_at(&remembered, NOW).await;
        assert!(matches!(refused, Err(TokenError::Invalid(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_remembered_token_ends_in_the_second_it_says() {
        let key = key();
        let (_issuer, verifier) = issuer(&[&key]);
        let token = token(&key);
        verifier.verify_at(&token, NOW + 599).await.unwrap();
        verifier.verify_at(&token, NOW + 599).await.unwrap();
        let refused = verifier.verify_at(&token, NOW + 600).await;
        assert!(matches!(refused, Err(TokenError::Expired)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_leaves_does_not_take_the_fetch_along() {
        let key = key();
        let (issuer, verifier) = issuer(&[&key]);
        let first = token(&key);
        let mut hurried = Box::pin(verifier.verify_at(&first, NOW));
        assert!(futures_util::poll!(hurried.as_mut()).is_pending());
        drop(hurried);
        verifier.verify_at(&token(&key), NOW).await.unwrap();
        assert_eq!(issuer.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_hangs_is_given_up() {
        struct Hangs;
        #[async_trait::async_trait]
        impl KeySource for Hangs {
            async fn keys(&self) -> Result<Vec<JsonWebKey>, Status> {
                std::future::pending().await
            }
        }
        let verifier = Verifier::new("https://id.example", "titan", Arc::new(Hangs));
        let refused = verifier.verify_at(&token(&key()), NOW).await;
        assert!(matches!(refused, Err(TokenError::Unavailable)));
    }
}
