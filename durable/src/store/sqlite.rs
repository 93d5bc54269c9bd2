//! SQLite: one connection that writes, some that read, several processes on one
//! file.

mod checkpoint;
mod connect;
mod group;
mod readers;
mod refusal;
pub(crate) mod statement;
mod turn;
mod wish;
mod writer;

use std::{path::Path, sync::Arc, time::Duration};

pub(crate) use readers::Readers;
pub(crate) use statement::LocalRow;
pub(super) use turn::LocalTx;
pub(crate) use writer::{Writer, Written};

use crate::{Error, log::Signal};

/// How long a writer waits for one in another process. Above any sensible
/// transaction, below the patience of a caller.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct Sqlite {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
}

impl Sqlite {
    pub(super) async fn open(path: &str, signal: Arc<Signal>) -> Result<Self, Error> {
        make_folder(path)?;
        let writer = Writer::open(path, signal).await?;
        Ok(Self { writer, readers: Readers::on(path) })
    }
}

fn make_folder(path: &str) -> Result<(), Error> {
    match Path::new(path).parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::create_dir_all(folder)
            .map_err(|source| Error::Folder { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}
