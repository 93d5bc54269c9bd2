//! The archive of a log: what was in it, in files that need no database.
//!
//! A file holds the events of a range of positions, in order, each as a
//! length-delimited `titan.mesh.v1.Event`. Its name is that range,
//! `00000000000000000001-00000000000000010000.events`. It has that name only once
//! it is whole and on disk, and is never changed afterwards. [`events`] reads a
//! folder of them as one log.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use mesh::proto;
use prost::Message as _;

use crate::Event;

const EXTENSION: &str = "events";
/// What a file is called until it is whole.
const PART: &str = "part";

/// Why an archive cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The folder or a file of it.
    #[error("cannot use `{}`", path.display())]
    File {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file holds what no archive holds.
    #[error("`{}` is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: prost::DecodeError,
    },
    /// The log and its archive tell different things of one position: the archive
    /// is another log's, or that of a time before a restore. Nothing is removed
    /// from the log until it has a folder of its own.
    #[error("`{}` holds another event at position {position} than the log", path.display())]
    Differs {
        /// The file.
        path: PathBuf,
        /// The first position that differs.
        position: i64,
    },
    /// The process is ending.
    #[error("the archive was not written to its end")]
    Interrupted,
}

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    first: i64,
    last: i64,
    path: PathBuf,
}

/// Puts events into the archive, unless they are in it, and returns the position
/// up to which it holds them: a process that died after it had written them has
/// left nothing to be undone. `events` is not empty and in order.
pub(crate) fn put(folder: &Path, events: &[Event]) -> Result<i64, Problem> {
    let at = |path: &Path| {
        let path = path.to_owned();
        |source| Problem::File { path, source }
    };
    fs::create_dir_all(folder).map_err(at(folder))?;
    loop {
        let (first, last) = range(events);
        let there = parts(folder)?;
        let mut events = events;
        if let Some(part) = there.iter().find(|part| part.last >= first && part.first <= last) {
            let before = events.partition_point(|event| event.position < part.first);
            if before == 0 {
                return same(part, events);
            }
            events = &events[..before];
        }
        let (first, last) = range(events);
        let path = folder.join(format!("{first:020}-{last:020}.{EXTENSION}"));
        match write(folder, &path, events) {
            Ok(()) => return Ok(last),
            // Another replica was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(at(&path)(source)),
        }
    }
}

fn range(events: &[Event]) -> (i64, i64) {
    let position = |event: Option<&Event>| event.map_or(0, |event| event.position);
    (position(events.first()), position(events.last()))
}

/// How far a file holds what the log does; an error when it holds something else.
fn same(part: &Part, events: &[Event]) -> Result<i64, Problem> {
    let stored = read(&part.path)?;
    let mut stored = stored.iter().skip_while(|event| event.position < events[0].position);
    let mut last = part.last;
    for event in events.iter().take_while(|event| event.position <= part.last) {
        if stored.next() != Some(event) {
            let (path, position) = (part.path.clone(), event.position);
            return Err(Problem::Differs { path, position });
        }
        last = event.position;
    }
    Ok(last)
}

/// Under another name until it is on disk. A link, since a rename would replace
/// what is there.
fn write(folder: &Path, path: &Path, events: &[Event]) -> io::Result<()> {
    let part = folder.join(format!("{:016x}.{PART}", fastrand::u64(..)));
    let written = (|| {
        let mut bytes = Vec::new();
        for event in events {
            proto::Event::from(event.clone()).encode_length_delimited(&mut bytes)?;
        }
        let mut file = File::options().write(true).create_new(true).open(&part)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::hard_link(&part, path)?;
        File::open(folder)?.sync_all()
    })();
    // What stays behind of a crash is not read by anybody.
    let _ = fs::remove_file(&part);
    written
}

/// The files of an archive, the first events first.
fn parts(folder: &Path) -> Result<Vec<Part>, Problem> {
    let problem = |source| Problem::File { path: folder.to_owned(), source };
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder).map_err(problem)? {
        let path = entry.map_err(problem)?.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((first, last)) = name.split_once('-') else { continue };
        if let (Ok(first), Ok(last)) = (first.parse(), last.parse()) {
            parts.push(Part { first, last, path });
        }
    }
    parts.sort();
    Ok(parts)
}

fn read(path: &Path) -> Result<Vec<Event>, Problem> {
    let problem = |source| Problem::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(problem)?.read_to_end(&mut bytes).map_err(problem)?;
    let (mut left, mut events) = (bytes.as_slice(), Vec::new());
    while !left.is_empty() {
        let event = proto::Event::decode_length_delimited(&mut left);
        let damaged = |source| Problem::Damaged { path: path.to_owned(), source };
        events.push(event.map_err(damaged)?.into());
    }
    Ok(events)
}

/// The events of an archive after a position, in order, each once. Holds one file
/// in memory, which has at most some 16 MiB.
///
/// # Errors
/// [`Problem`], also in place of the events of a file that cannot be read.
pub fn events(
    folder: &Path,
    after: i64,
) -> Result<impl Iterator<Item = Result<Event, Problem>> + use<>, Problem> {
    let parts = parts(folder)?.into_iter().filter(move |part| part.last > after);
    let all = parts.flat_map(|part| match read(&part.path) {
        Ok(events) => events.into_iter().map(Ok).collect::<Vec<_>>(),
        Err(problem) => vec![Err(problem)],
    });
    // Files of two replicas may overlap; what they share is the same.
    let mut told = after;
    Ok(all.filter(move |event| match event {
        Ok(event) => {
            let new = event.position > told;
            told = told.max(event.position);
            new
        }
        Err(_) => true,
    }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn event(position: i64) -> Event {
        Event {
            position,
            stream: "a".to_owned(),
            version: position,
            kind: "test.Ticked".to_owned(),
            data: Bytes::from_static(b"\x08\x01"),
            time: 1_000_000 * position,
            traceparent: String::new(),
            actor: "users/1".to_owned(),
            correlation: "c".to_owned(),
            causation: String::new(),
        }
    }

    fn range(positions: std::ops::RangeInclusive<i64>) -> Vec<Event> {
        positions.map(event).collect()
    }

    fn all(folder: &Path, after: i64) -> Vec<Event> {
        events(folder, after).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_was_put_is_read_in_order_and_after_a_position() {
        let folder = tempfile::tempdir().unwrap();
        let folder = &folder.path().join("projects");
        assert_eq!(put(folder, &range(1..=3)).unwrap(), 3);
        assert_eq!(put(folder, &range(4..=9)).unwrap(), 9);
        assert_eq!(all(folder, 0), range(1..=9));
        assert_eq!(all(folder, 3), range(4..=9));
        assert_eq!(all(folder, 9), []);
        let names = fs::read_dir(folder).unwrap().count();
        assert_eq!(names, 2, "nothing but whole files is left");
    }

    #[test]
    fn what_is_there_already_is_not_put_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        put(folder, &range(3..=5)).unwrap();
        assert_eq!(put(folder, &range(3..=7)).unwrap(), 5, "the rest is put next");
        assert_eq!(put(folder, &range(4..=4)).unwrap(), 4);
        assert_eq!(put(folder, &range(1..=4)).unwrap(), 2, "what comes before it is put");
        assert_eq!(put(folder, &range(6..=7)).unwrap(), 7);
        assert_eq!(all(folder, 0), range(1..=7));
    }

    #[test]
    fn files_that_overlap_are_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(format!("{name}.{EXTENSION}"));
        write(folder.path(), &path("1-4"), &range(1..=4)).unwrap();
        write(folder.path(), &path("1-6"), &range(1..=6)).unwrap();
        write(folder.path(), &path("6-8"), &range(6..=8)).unwrap();
        assert_eq!(all(folder.path(), 2), range(3..=8));
    }

    #[test]
    fn the_archive_of_another_log_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), &range(1..=5)).unwrap();
        let mut other = range(2..=3);
        other[1].stream = "b".to_owned();
        let refused = put(folder.path(), &other).unwrap_err();
        assert!(matches!(refused, Problem::Differs { position: 3, .. }), "{refused}");
        assert_eq!(all(folder.path(), 0), range(1..=5));
    }

    #[test]
    fn damage_is_told_and_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), &range(1..=5)).unwrap();
        let path = parts(folder.path()).unwrap().remove(0).path;
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 1);
        fs::write(&path, bytes).unwrap();
        let read: Result<Vec<_>, _> = events(folder.path(), 0).unwrap().collect();
        assert!(matches!(read, Err(Problem::Damaged { .. })));
    }
}
