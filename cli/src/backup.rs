//! `titan backup` and `titan restore`: all databases of a system.
//!
//! Applications are copied in the reverse of the order in which they start, so
//! who follows or asks another is copied before it: no checkpoint lies beyond
//! the log that it points into, and what was asked in between is known to who
//! was asked, who answers it again under the same key.

mod manifest;

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, bail};
use durable::backup;
use prost_types::Timestamp;

use self::manifest::{Entry, Manifest};
use crate::{
    args::{Backup, Restore},
    directory::Directory,
    output,
    supervisor::topology,
};

/// Copies every database while the system runs.
pub(crate) async fn backup(data: &Path, options: &Backup) -> anyhow::Result<()> {
    let template = template(data, options.database.as_deref())?;
    let time = now();
    let folder = options.directory.clone().unwrap_or_else(|| folder_of(data, &time));
    let manifest = copy(&template, &folder, time).await?;
    for Entry { app, bytes, position, .. } in &manifest.databases {
        output::print(format_args!("{app:12}  {bytes} bytes, events up to {position}"));
    }
    output::print(format_args!("titan   backed up to {}", folder.display()));
    Ok(())
}

/// Brings a backup back. Nothing may run.
pub(crate) async fn restore(data: &Path, options: &Restore) -> anyhow::Result<()> {
    let directory = Directory::create(data)?;
    let _lock = directory.lock()?;
    let template = template(data, options.database.as_deref())?;
    let manifest = Manifest::read(&options.directory)?;
    let kind = kind(&template);
    if let Some(other) = manifest.databases.iter().find(|entry| entry.kind != kind) {
        bail!("{} is of {}, and the databases here are {kind}", other.file, other.kind);
    }
    // The second attempt after an interruption has nothing whole to keep.
    if !options.discard && directory.interrupted_restore().is_none() {
        keep(data, &template).await?;
    }
    directory.begin_restore(&options.directory)?;
    for Entry { app, file, position, .. } in &manifest.databases {
        let (file, url) = (options.directory.join(file), template.replace("{app}", app));
        backup::restore(&file, &url).await.with_context(|| format!("cannot restore {app}"))?;
        output::print(format_args!("{app:12}  events up to {position}"));
    }
    directory.end_restore()?;
    output::print(format_args!("titan   restored as of {}", manifest.time));
    Ok(())
}

/// Copies what is about to be replaced.
async fn keep(data: &Path, template: &str) -> anyhow::Result<()> {
    let time = now();
    let mut folder = folder_of(data, &time).into_os_string();
    folder.push("-before-restore");
    let kept = copy(template, Path::new(&folder), time).await.context(
        "cannot keep a copy of what would be replaced; --discard restores without keeping it",
    )?;
    if !kept.databases.is_empty() {
        let folder = Path::new(&folder).display();
        output::print(format_args!("titan   what was there is kept in {folder}"));
    }
    Ok(())
}

/// Makes a backup. It has its name only once it is whole.
async fn copy(template: &str, folder: &Path, time: String) -> anyhow::Result<Manifest> {
    let mut part = folder.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    make(folder, &part)?;
    let (kind, mut databases) = (kind(template), Vec::new());
    for app in topology::NAMES.iter().rev().filter(|app| topology::has_database(app)) {
        let url = template.replace("{app}", app);
        let copying = || format!("cannot copy the database of {app}");
        if !backup::exists(&url).await.with_context(copying)? {
            continue;
        }
        let file = part.join(format!("{app}.{}", extension(kind)));
        let copied = backup::copy(&url, &file).await.with_context(copying)?;
        databases.push(Entry::of(app, kind, &file, copied.position)?);
    }
    let manifest = Manifest::new(time, databases);
    manifest.write(&part)?;
    fs::rename(&part, folder)
        .with_context(|| format!("cannot name the backup {}", folder.display()))?;
    Ok(manifest)
}

/// Makes the folder of a backup. It holds everybody's data: only its owner may
/// enter.
fn make(folder: &Path, part: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        bail!("{} exists; a backup needs a folder of its own", folder.display());
    }
    // Of an attempt that was interrupted.
    match fs::remove_dir_all(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", part.display()));
        }
        _ => {}
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(part).with_context(|| format!("cannot create {}", part.display()))
}

/// Where the databases are: what `titan up` was told, or its default.
pub(crate) fn template(data: &Path, given: Option<&str>) -> anyhow::Result<String> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let directory = Directory::at(data);
    let databases = directory.databases();
    if !databases.is_dir() {
        bail!("there is no {}; name the databases by --database", databases.display());
    }
    Ok(directory.database())
}

fn kind(template: &str) -> &'static str {
    if template.starts_with("sqlite:") { "sqlite" } else { "postgres" }
}

fn extension(kind: &str) -> &'static str {
    if kind == "sqlite" { "db" } else { "dump" }
}

fn folder_of(data: &Path, time: &str) -> PathBuf {
    data.join("backups").join(time.replace(':', "-"))
}

/// To the second, in RFC 3339.
fn now() -> String {
    Timestamp { nanos: 0, ..SystemTime::now().into() }.to_string()
}
