//! The data directory: databases, logs, the key of the mesh, who runs in it, and
//! the lock that keeps a second `titan up` out.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

/// Bytes of the key by which the processes prove their names to each other; as
/// many as the hash that it keys.
const KEY_BYTES: usize = 32;

/// How long `titan up` waits for the lock: `titan down` takes it for an instant
/// to see that everything has ended.
const LOCK_PATIENCE: Duration = Duration::from_millis(200);

/// A data directory.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

/// Who runs in a directory; kept in `run.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Run {
    /// Process id of the supervisor.
    pub pid: u32,
    /// Where the supervisor answers.
    pub address: SocketAddr,
    /// Where the edge serves, if one runs.
    pub edge: Option<SocketAddr>,
}

/// The right to run in a directory, until it is dropped. The kernel takes it
/// back when the process dies, however it dies.
#[derive(Debug)]
pub(crate) struct Lock {
    run: PathBuf,
    stale: bool,
    _file: File,
}

impl Directory {
    /// A directory as it is found; nothing is created.
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Creates what is missing of a directory. Only its owner may enter: it
    /// holds a key and everybody's data.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        for inner in ["data", "logs"] {
            let inner = path.join(inner);
            builder.create(&inner).with_context(|| format!("cannot create {}", inner.display()))?;
        }
        // Child processes get absolute paths, whatever directory they run in.
        let path = fs::canonicalize(path).with_context(|| path.display().to_string())?;
        Ok(Self { path })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the services' SQLite databases are.
    pub(crate) fn databases(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The URL of an application's database, with `{app}` in the place of its name.
    pub(crate) fn database(&self) -> String {
        format!("sqlite:{}/{{app}}.db", self.databases().display())
    }

    /// Where the log of a process is.
    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.path.join("logs").join(format!("{process}.log"))
    }

    /// The names of the processes that have a log.
    pub(crate) fn logged(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path.join("logs"))? {
            let name = entry?.file_name();
            names.extend(
                name.to_str().and_then(|name| name.strip_suffix(".log")).map(str::to_owned),
            );
        }
        names.sort();
        Ok(names)
    }

    /// The file with the key of the mesh, created when it is missing.
    pub(crate) fn key(&self) -> anyhow::Result<PathBuf> {
        let path = self.key_path();
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match file {
            Ok(mut file) => {
                let written = file.write_all(new_key()?.as_bytes()).and_then(|()| file.sync_all());
                written.with_context(|| format!("cannot write {}", path.display()))?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot create {}", path.display()));
            }
        }
        Ok(path)
    }

    /// Where the key of the mesh is.
    pub(crate) fn key_path(&self) -> PathBuf {
        self.path.join("mesh.key")
    }

    /// Takes the directory for this process.
    pub(crate) fn lock(&self) -> anyhow::Result<Lock> {
        let Some(file) = self.try_lock(LOCK_PATIENCE)? else {
            let who = self.run().map(|run| format!(" (process {})", run.pid)).unwrap_or_default();
            bail!(
                "titan is already running in {}{who}; stop it with `titan down`, or choose another \
                 directory with --data",
                self.path.display()
            );
        };
        let run = self.run_path();
        let stale = fs::remove_file(&run).is_ok();
        Ok(Lock { run, stale, _file: file })
    }

    /// Waits until nobody runs here; false when somebody still does after the
    /// given time.
    pub(crate) fn wait_until_free(&self, patience: Duration) -> anyhow::Result<bool> {
        Ok(self.try_lock(patience)?.is_some())
    }

    fn try_lock(&self, patience: Duration) -> anyhow::Result<Option<File>> {
        const STEP: Duration = Duration::from_millis(20);
        let path = self.path.join("titan.lock");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) if waited < patience => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
            thread::sleep(STEP);
            waited += STEP;
        }
    }

    /// Who runs here, as far as `run.json` knows: it may have died.
    pub(crate) fn run(&self) -> Option<Run> {
        serde_json::from_slice(&fs::read(self.run_path()).ok()?).ok()
    }

    /// The backup whose restore was begun and did not end.
    pub(crate) fn interrupted_restore(&self) -> Option<String> {
        fs::read_to_string(self.restore_path()).ok()
    }

    /// Notes that the databases are about to be replaced, one after the other.
    pub(crate) fn begin_restore(&self, backup: &Path) -> anyhow::Result<()> {
        let path = self.restore_path();
        fs::write(&path, backup.display().to_string())
            .and_then(|()| File::open(&path)?.sync_all())
            .and_then(|()| File::open(&self.path)?.sync_all())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Notes that all of them were.
    pub(crate) fn end_restore(&self) -> anyhow::Result<()> {
        let path = self.restore_path();
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
    }

    fn restore_path(&self) -> PathBuf {
        self.path.join("restoring")
    }

    fn run_path(&self) -> PathBuf {
        self.path.join("run.json")
    }
}

impl Lock {
    /// Whether the last one who ran here died instead of ending.
    pub(crate) fn stale(&self) -> bool {
        self.stale
    }

    /// Tells other processes where to find this one.
    pub(crate) fn announce(&self, run: &Run) -> anyhow::Result<()> {
        // Renamed into place: a reader finds all of it or nothing.
        let new = self.run.with_extension("json.new");
        let written = fs::write(&new, serde_json::to_vec(run)?);
        written
            .and_then(|()| fs::rename(&new, &self.run))
            .with_context(|| format!("cannot write {}", self.run.display()))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Should it stay, the next one finds it stale.
        let _ = fs::remove_file(&self.run);
    }
}

fn new_key() -> anyhow::Result<String> {
    let mut bytes = [0_u8; KEY_BYTES];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.ok().context("the system gives no random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn directory() -> (tempfile::TempDir, Directory) {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::create(&temp.path().join("state")).unwrap();
        (temp, directory)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_its_owner_may_enter() {
        let (_temp, directory) = directory();
        assert_eq!(mode(directory.path()), 0o700);
        assert_eq!(mode(&directory.key().unwrap()), 0o600);
    }

    #[test]
    fn the_key_is_created_once() {
        let (_temp, directory) = directory();
        let first = fs::read_to_string(directory.key().unwrap()).unwrap();
        assert_eq!(first.len(), 2 * KEY_BYTES);
        assert!(first.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(fs::read_to_string(directory.key().unwrap()).unwrap(), first);
    }

    #[test]
    fn a_second_one_is_refused_until_the_first_has_ended() {
        let (_temp, directory) = directory();
        let run = Run {
            pid: 4711,
            address: "127.0.0.1:1".parse().unwrap(),
            edge: "127.0.0.1:2".parse().ok(),
        };
        let lock = directory.lock().unwrap();
        lock.announce(&run).unwrap();
        assert_eq!(directory.run(), Some(run));
        assert!(directory.lock().unwrap_err().to_string().contains("4711"));
        assert!(!directory.wait_until_free(Duration::ZERO).unwrap());

        drop(lock);
        assert_eq!(directory.run(), None);
        assert!(directory.wait_until_free(Duration::ZERO).unwrap());
        assert!(!directory.lock().unwrap().stale());
    }

    #[test]
    fn what_a_dead_one_left_is_cleaned_away() {
        let (_temp, directory) = directory();
        fs::write(directory.run_path(), "{}").unwrap();
        assert!(directory.lock().unwrap().stale());
        assert!(!directory.lock().unwrap().stale());
    }

    #[test]
    fn logs_are_listed_by_process() {
        let (_temp, directory) = directory();
        for file in ["projects.log", "projects-2.log", "projects.log.1", "titan.log"] {
            fs::write(directory.path().join("logs").join(file), "").unwrap();
        }
        assert_eq!(directory.logged().unwrap(), ["projects", "projects-2", "titan"]);
    }
}
