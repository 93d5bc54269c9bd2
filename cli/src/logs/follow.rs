//! Reads one log to its end, and on from there, through its being turned over.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    rc::Rc,
};

use super::line::Line;
use crate::supervisor::logs::numbered;

/// A log that is read as it grows.
#[derive(Debug)]
pub(crate) struct Follower {
    name: Rc<str>,
    path: PathBuf,
    file: Option<File>,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
    /// Time of the last line that told one; lines that tell none follow it.
    time: Rc<str>,
}

impl Follower {
    /// A follower that has read nothing.
    pub(crate) fn new(path: PathBuf, name: String) -> Self {
        Self { name: name.into(), path, file: None, begun: Vec::new(), time: "".into() }
    }

    /// The process whose log it is.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The last lines of what is there, so many at most.
    pub(crate) fn last(&mut self, count: usize) -> io::Result<Vec<Line>> {
        let mut lines: VecDeque<Line> = VecDeque::new();
        // The part before the present one, in case that has just been begun. Who
        // wants more than that reads the files.
        if let Ok(older) = fs::read(numbered(&self.path, 1)) {
            lines.extend(self.split(&older));
            self.begun.clear();
        }
        lines.extend(self.more()?);
        Ok(lines.split_off(lines.len().saturating_sub(count)).into())
    }

    /// What was written since the last time.
    pub(crate) fn more(&mut self) -> io::Result<Vec<Line>> {
        let mut lines = self.read()?;
        if self.turned_over()? {
            // What was still written to the old file came before the new one.
            lines.extend(self.read()?);
            self.file = None;
            lines.extend(self.read()?);
        }
        Ok(lines)
    }

    fn read(&mut self) -> io::Result<Vec<Line>> {
        let file = match &mut self.file {
            Some(file) => file,
            None => match File::open(&self.path) {
                Ok(file) => self.file.insert(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            },
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(self.split(&bytes))
    }

    /// Whether the name stands for another file than the one that is read.
    fn turned_over(&self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        match fs::metadata(&self.path) {
            Ok(present) => Ok(present.ino() != file.metadata()?.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn split(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if self.begun.pop_if(|byte| *byte == b'\n').is_some() {
                let text = String::from_utf8_lossy(&self.begun).into_owned();
                self.begun.clear();
                let line = Line::new(self.name.clone(), text, &self.time);
                self.time = line.time.clone();
                lines.push(line);
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write as _};

    use super::*;

    fn append(path: &PathBuf, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn reading_goes_on_where_it_ended_and_only_with_whole_lines() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a.log");
        append(&path, "1\n2\n");
        let mut follower = Follower::new(path.clone(), "a".to_owned());
        assert_eq!(texts(follower.last(1).unwrap()), ["2"]);
        append(&path, "3\nfo");
        assert_eq!(texts(follower.more().unwrap()), ["3"]);
        append(&path, "ur\n");
        assert_eq!(texts(follower.more().unwrap()), ["four"]);
    }

    #[test]
    fn nothing_is_missed_when_the_file_is_turned_over() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a.log");
        append(&path, "1\n");
        let mut follower = Follower::new(path.clone(), "a".to_owned());
        follower.last(10).unwrap();
        append(&path, "2\n");
        fs::rename(&path, numbered(&path, 1)).unwrap();
        append(&path, "3\n");
        assert_eq!(texts(follower.more().unwrap()), ["2", "3"]);

        let mut late = Follower::new(path, "a".to_owned());
        assert_eq!(texts(late.last(2).unwrap()), ["2", "3"]);
    }

    #[test]
    fn a_log_that_is_not_there_yet_is_empty() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a.log");
        let mut follower = Follower::new(path.clone(), "a".to_owned());
        assert!(follower.last(10).unwrap().is_empty());
        append(&path, "1\n");
        assert_eq!(texts(follower.more().unwrap()), ["1"]);
    }
}
