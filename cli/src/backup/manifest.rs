//! What lies in a backup: a list beside the copies, written last, by which a
//! restore finds them and sees that they are whole.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use anyhow::{Context as _, bail};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// Raised when an older program could not restore a newer backup.
const FORMAT: u32 = 1;

/// Its name in the backup.
const FILE: &str = "manifest.json";

/// All copies of a backup, in the order in which they were made.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Manifest {
    format: u32,
    /// When the first copy was begun, in RFC 3339.
    pub time: String,
    /// The copies.
    pub databases: Vec<Entry>,
}

/// One copy.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Entry {
    /// The application whose database it is.
    pub app: String,
    /// `sqlite` or `postgres`.
    pub kind: String,
    /// Name of the file in the backup.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Its hash, in hexadecimal digits.
    pub sha256: String,
    /// Last position of the log in it.
    pub position: i64,
}

impl Manifest {
    pub(super) fn new(time: String, databases: Vec<Entry>) -> Self {
        Self { format: FORMAT, time, databases }
    }

    /// Writes it into a backup.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(FILE);
        fs::write(&path, serde_json::to_vec_pretty(self)?)
            .and_then(|()| File::open(&path)?.sync_all())
            .and_then(|()| File::open(folder)?.sync_all())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads that of a backup and compares every copy with it.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let text = fs::read(&path)
            .with_context(|| format!("{} is no backup: cannot read {FILE}", folder.display()))?;
        let manifest: Self = serde_json::from_slice(&text)
            .with_context(|| format!("cannot understand {}", path.display()))?;
        if manifest.format > FORMAT {
            bail!("{} was made by a newer titan; restore it with that one", folder.display());
        }
        for entry in &manifest.databases {
            entry.check(folder)?;
        }
        Ok(manifest)
    }
}

impl Entry {
    pub(super) fn of(app: &str, kind: &str, file: &Path, position: i64) -> anyhow::Result<Self> {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let (bytes, sha256) = fingerprint(file)?;
        let (app, kind, file) = (app.to_owned(), kind.to_owned(), name.to_owned());
        Ok(Self { app, kind, file, bytes, sha256, position })
    }

    fn check(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(&self.file);
        // A name and no path: the manifest may come from anywhere.
        if path.file_name().and_then(|name| name.to_str()) != Some(&self.file) {
            bail!("`{}` in the manifest is not the name of a file", self.file);
        }
        let (bytes, sha256) = fingerprint(&path)?;
        if (bytes, &sha256) != (self.bytes, &self.sha256) {
            bail!("{} is not what was written: the backup is damaged", path.display());
        }
        Ok(())
    }
}

/// Size and SHA-256 of a file.
fn fingerprint(path: &Path) -> anyhow::Result<(u64, String)> {
    let unreadable = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(unreadable)?;
    let (mut hash, mut bytes) = (Context::new(&SHA256), 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer).with_context(unreadable)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
    let digits = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((bytes, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(folder: &Path) -> Manifest {
        let file = folder.join("projects.db");
        fs::write(&file, "rows").unwrap();
        let entry = Entry::of("projects", "sqlite", &file, 7).unwrap();
        let manifest = Manifest::new("2026-01-01T00:00:00Z".to_owned(), vec![entry]);
        manifest.write(folder).unwrap();
        manifest
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = backup(folder.path());
        assert_eq!(Manifest::read(folder.path()).unwrap(), manifest);
        assert_eq!(manifest.databases[0].bytes, 4);
    }

    #[test]
    fn a_copy_that_changed_or_is_gone_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        backup(folder.path());
        fs::write(folder.path().join("projects.db"), "rowz").unwrap();
        assert!(Manifest::read(folder.path()).is_err());
        fs::remove_file(folder.path().join("projects.db")).unwrap();
        assert!(Manifest::read(folder.path()).is_err());
    }

    #[test]
    fn a_manifest_that_leads_elsewhere_or_comes_from_the_future_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let good = backup(folder.path());
        let mut elsewhere = good.clone();
        elsewhere.databases[0].file = "../projects.db".to_owned();
        let future = Manifest { format: FORMAT + 1, ..good };
        for bad in [elsewhere, future] {
            bad.write(folder.path()).unwrap();
            assert!(Manifest::read(folder.path()).is_err(), "{bad:?}");
        }
    }
}
