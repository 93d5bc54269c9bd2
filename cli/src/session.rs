//! The session of `titan login`: kept in a file that only its user can read,
//! refreshed when its access token has run out.

use std::{
    env,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use prost_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call;

/// A token is exchanged this long before it runs out: it has to last for the
/// call, on a server whose clock may differ.
const MARGIN: Duration = Duration::from_secs(30);

/// A signed-in user.
#[derive(Clone, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Session {
    /// The edge that issued it: `127.0.0.1:8080`.
    pub edge: String,
    /// The address that was signed in with.
    pub email: String,
    /// Resource name: `sessions/…`.
    pub name: String,
    /// Sent with every call.
    pub access_token: String,
    /// Valid once, for new tokens.
    pub refresh_token: String,
    /// When the access token runs out, in RFC 3339.
    pub expire_time: String,
}

impl std::fmt::Debug for Session {
    /// Without the tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("edge", &self.edge).field("name", &self.name).finish()
    }
}

impl Session {
    /// A session as identity answers it.
    ///
    /// # Errors
    /// An answer without tokens.
    pub(crate) fn new(edge: &str, email: &str, answer: &Value) -> anyhow::Result<Self> {
        let text = |key: &str| {
            let value = answer.get(key).and_then(Value::as_str);
            value.map(str::to_owned).with_context(|| format!("the session has no {key}"))
        };
        Ok(Self {
            edge: edge.to_owned(),
            email: email.to_owned(),
            name: text("name")?,
            access_token: text("accessToken")?,
            refresh_token: text("refreshToken")?,
            expire_time: text("expireTime")?,
        })
    }

    fn lasts(&self, now: SystemTime) -> bool {
        let end = self.expire_time.parse::<Timestamp>().ok();
        let end = end.and_then(|end| SystemTime::try_from(end).ok());
        end.is_some_and(|end| end > now + MARGIN)
    }
}

/// The header that carries a token.
pub(crate) fn authorization(token: &str) -> (String, String) {
    ("authorization".to_owned(), format!("Bearer {token}"))
}

/// Where the session is kept.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
}

impl Store {
    /// The user's own: `$XDG_STATE_HOME/titan`, or `~/.local/state/titan`.
    ///
    /// # Errors
    /// A user without a home.
    pub(crate) fn of_user() -> anyhow::Result<Self> {
        // The specification has relative paths ignored.
        let state =
            env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".local/state"));
        let state = state.or_else(home).context("neither HOME nor XDG_STATE_HOME is set")?;
        Ok(Self { directory: state.join("titan") })
    }

    /// The session, if there is one.
    ///
    /// # Errors
    /// A file that is there but cannot be read.
    pub(crate) fn load(&self) -> anyhow::Result<Option<Session>> {
        let path = self.path();
        let what = || format!("{}: sign in again with `titan login`", path.display());
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).with_context(what)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(what),
        }
    }

    /// Keeps a session, in place of the one that was there.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub(crate) fn save(&self, session: &Session) -> anyhow::Result<()> {
        let path = self.path();
        self.write(&path, session).with_context(|| format!("cannot write {}", path.display()))
    }

    fn write(&self, path: &Path, session: &Session) -> anyhow::Result<()> {
        self.create()?;
        // Renamed into place: another `titan` finds the old one or the new one.
        let new = path.with_extension("json.new");
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(session)?)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        Ok(())
    }

    /// Forgets the session.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The session with an access token that has not run out.
    ///
    /// # Errors
    /// A session that can no longer be refreshed.
    pub(crate) async fn fresh(&self, session: Session) -> anyhow::Result<Session> {
        if session.lasts(SystemTime::now()) {
            return Ok(session);
        }
        // One at a time: a refresh token that is used twice ends the session,
        // since identity must take the second user for a thief.
        let _lock = self.lock()?;
        let session = self.load()?.unwrap_or(session);
        if session.lasts(SystemTime::now()) {
            return Ok(session);
        }
        let channel = call::channel(&session.edge)?;
        let request = json!({"refreshToken": session.refresh_token});
        let method = "titan.identity.v1.SessionsService/RefreshSession";
        let answer = call::unary(&channel, method, request, &[]).await;
        let answer = answer.with_context(|| {
            format!(
                "the session of {} has run out; sign in again with `titan login`",
                session.email
            )
        })?;
        let session = Session::new(&session.edge, &session.email, &answer)?;
        self.save(&session)?;
        Ok(session)
    }

    fn lock(&self) -> anyhow::Result<File> {
        self.create()?;
        let path = self.directory.join("session.lock");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(file)
    }

    fn create(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)
    }

    fn path(&self) -> PathBuf {
        self.directory.join("session.json")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let temp = tempfile::tempdir().unwrap();
        let directory = temp.path().join("state/titan");
        (temp, Store { directory })
    }

    fn session(expire_time: &str) -> Session {
        let answer = json!({
            "name": "sessions/1",
            "accessToken": "a",
            "refreshToken": "r",
            "expireTime": expire_time,
        });
        Session::new("127.0.0.1:8080", "ada@example.com", &answer).unwrap()
    }

    #[test]
    fn a_session_is_kept_where_only_its_user_can_read_it() {
        let (_temp, store) = store();
        assert_eq!(store.load().unwrap(), None);
        let session = session("2026-11-22T14:03:11Z");
        store.save(&session).unwrap();
        store.save(&session).unwrap();
        assert_eq!(store.load().unwrap(), Some(session));
        let mode = fs::metadata(store.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        store.remove().unwrap();
        store.remove().unwrap();
        assert_eq!(store.load().unwrap(), None);
    }

    #[test]
    fn a_damaged_file_says_to_sign_in_again() {
        let (_temp, store) = store();
        store.create().unwrap();
        fs::write(store.path(), "{").unwrap();
        assert!(store.load().unwrap_err().to_string().contains("titan login"));
    }

    #[test]
    fn a_token_about_to_run_out_counts_as_run_out() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        assert!(session("1970-01-01T01:00:31Z").lasts(now));
        assert!(!session("1970-01-01T01:00:30Z").lasts(now));
        assert!(!session("soon").lasts(now));
    }

    #[tokio::test]
    async fn a_token_that_lasts_is_used_as_it_is() {
        let (_temp, store) = store();
        let session = session("2999-01-01T00:00:00Z");
        assert_eq!(store.fresh(session.clone()).await.unwrap(), session);
    }

    #[test]
    fn a_session_without_tokens_is_refused() {
        assert!(Session::new("e", "m", &json!({"name": "sessions/1"})).is_err());
    }

    #[test]
    fn tokens_are_not_printed() {
        assert!(!format!("{:?}", session("x")).contains("access"));
    }
}
