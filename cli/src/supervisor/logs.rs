//! What a process writes, line by line into a file that is turned over before it
//! grows large.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use crate::output;

/// A file is turned over at this size; with [`FILES`] it bounds what a process
/// can fill a disk with.
const MAX_BYTES: u64 = 10 * 1024 * 1024;

/// `x.log`, `x.log.1`, `x.log.2`.
const FILES: usize = 3;

/// Longer lines are broken: a process that never ends its line must not fill the
/// supervisor's memory.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Lines kept in memory, for the report about a process that keeps dying.
const LAST_LINES: usize = 10;

/// The log of one process. A clone writes to the same log.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Mutex<Rotating>>);

#[derive(Debug)]
struct Rotating {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
    last: VecDeque<String>,
    /// A disk that is full is reported once, not with every line.
    failed: bool,
}

impl Log {
    /// Continues a log, or begins it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::with_limit(path, MAX_BYTES)
    }

    fn with_limit(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        let path = path.to_owned();
        let last = VecDeque::with_capacity(LAST_LINES);
        let log = Rotating { path, file, bytes, max_bytes, last, failed: false };
        Ok(Self(Arc::new(Mutex::new(log))))
    }

    /// The last lines that were written.
    pub(crate) fn last(&self) -> Vec<String> {
        self.with(|log| log.last.iter().cloned().collect())
    }

    /// Forgets the last lines: what comes is about another start.
    pub(crate) fn begin(&self) {
        self.with(|log| log.last.clear());
    }

    fn line(&self, line: &[u8]) {
        self.with(|log| log.line(line));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Rotating) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Rotating {
    fn line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if !is_frame(&text) {
            if self.last.len() == LAST_LINES {
                self.last.pop_front();
            }
            self.last.push_back(text.into_owned());
        }
        match self.write(line) {
            Ok(()) => self.failed = false,
            Err(_) if self.failed => {}
            Err(error) => {
                self.failed = true;
                output::complain(format_args!("titan: {}: {error}", self.path.display()));
            }
        }
    }

    // A blocking write of one line into the page cache costs less than handing
    // it to another thread.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let bytes = line.len() as u64 + 1;
        if self.bytes > 0 && self.bytes + bytes > self.max_bytes {
            self.turn_over()?;
        }
        // One call, so that a reader never sees half of a line.
        self.file.write_all(&[line, b"\n"].concat())?;
        self.bytes += bytes;
        Ok(())
    }

    fn turn_over(&mut self) -> io::Result<()> {
        for older in (1..FILES).rev() {
            match fs::rename(numbered(&self.path, older - 1), numbered(&self.path, older)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

/// Whether a line is part of a backtrace, which would push what went wrong out of
/// the last lines: `  12: std::rt::lang_start`, `      at src/main.rs:7`.
fn is_frame(line: &str) -> bool {
    let inner = line.trim_start();
    let number = inner.split_once(": ").is_some_and(|(number, _)| number.parse::<u16>().is_ok());
    inner.len() < line.len() && (number || inner.starts_with("at "))
}

/// The name of an older part of a log; 0 is the log itself.
pub(crate) fn numbered(path: &Path, age: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if age > 0 {
        name.push(format!(".{age}"));
    }
    name.into()
}

/// Copies a stream into a log until it ends.
pub(crate) async fn capture(stream: impl AsyncRead + Unpin, log: Log) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    // A stream that cannot be read has ended.
    while let Ok(read) = reader.fill_buf().await {
        if read.is_empty() {
            break;
        }
        let end = read.iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&read[..end.unwrap_or(read.len())]);
        let used = end.map_or(read.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() || line.len() >= MAX_LINE_BYTES {
            log.line(&line);
            line.clear();
        }
    }
    if !line.is_empty() {
        log.line(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path, age: usize) -> String {
        fs::read_to_string(numbered(path, age)).unwrap_or_default()
    }

    #[tokio::test]
    async fn lines_of_a_stream_are_kept_even_the_unfinished_last_one() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x.log");
        let log = Log::open(&path).unwrap();
        capture(&b"one\n\nthree"[..], log.clone()).await;
        assert_eq!(read(&path, 0), "one\n\nthree\n");
        assert_eq!(log.last(), ["one", "", "three"]);
        log.begin();
        assert!(log.last().is_empty());
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_broken() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x.log");
        capture(&vec![b'x'; 3 * MAX_LINE_BYTES][..], Log::open(&path).unwrap()).await;
        let text = read(&path, 0);
        assert!(text.lines().count() >= 3);
        assert_eq!(text.bytes().filter(|byte| *byte == b'x').count(), 3 * MAX_LINE_BYTES);
    }

    #[test]
    fn a_full_file_is_turned_over_and_the_oldest_is_dropped() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x.log");
        let log = Log::with_limit(&path, 8).unwrap();
        for line in ["aaa", "bbb", "ccc", "ddd", "eee", "fff", "ggg"] {
            log.line(line.as_bytes());
        }
        let files: Vec<String> = (0..=FILES).map(|age| read(&path, age)).collect();
        assert_eq!(files, ["ggg\n", "eee\nfff\n", "ccc\nddd\n", ""]);
    }

    #[test]
    fn a_log_is_continued_with_what_it_holds_counted() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x.log");
        Log::with_limit(&path, 8).unwrap().line(b"aaa");
        let log = Log::with_limit(&path, 8).unwrap();
        log.line(b"bbb");
        log.line(b"ccc");
        assert_eq!((read(&path, 1).as_str(), read(&path, 0).as_str()), ("aaa\nbbb\n", "ccc\n"));
    }

    #[test]
    fn a_line_longer_than_a_file_does_not_turn_over_an_empty_one() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x.log");
        Log::with_limit(&path, 8).unwrap().line(b"0123456789");
        assert_eq!(read(&path, 0), "0123456789\n");
        assert_eq!(read(&path, 1), "");
    }

    #[test]
    fn a_backtrace_does_not_push_its_cause_out() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x.log");
        let log = Log::open(&path).unwrap();
        for line in ["Error: no port", "at noon", "  35: std::rt", "        at ./main.rs:7"] {
            log.line(line.as_bytes());
        }
        assert_eq!(log.last(), ["Error: no port", "at noon"]);
        assert!(read(&path, 0).contains("35: std::rt"), "the log holds all of it");
    }

    #[test]
    fn only_the_last_lines_are_remembered() {
        let temp = tempfile::tempdir().unwrap();
        let log = Log::open(&temp.path().join("x.log")).unwrap();
        for number in 0..LAST_LINES + 5 {
            log.line(number.to_string().as_bytes());
        }
        assert_eq!(log.last().len(), LAST_LINES);
        assert_eq!(log.last().first().map(String::as_str), Some("5"));
    }
}
