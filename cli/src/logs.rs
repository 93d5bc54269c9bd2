//! `titan logs`: what the processes wrote, of several in the order of time.

mod follow;
pub(crate) mod line;

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use tokio::time;

use self::{
    follow::Follower,
    line::{Format, Line},
};
use crate::{
    args::Logs,
    directory::Directory,
    output::{self, Colours},
};

/// How often the files are looked at for more. A person does not notice, and
/// looking at a few files costs next to nothing.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Prints the last lines, and with `-f` those that follow.
pub(crate) async fn run(data: &Path, options: Logs) -> anyhow::Result<()> {
    let directory = Directory::at(data);
    let mut shown = Shown::new(&directory, options)?;
    let mut lines = shown.first()?;
    loop {
        for line in lines {
            if !output::print(line) {
                return Ok(());
            }
        }
        if !shown.options.follow {
            return Ok(());
        }
        time::sleep(LOOK_EVERY).await;
        lines = shown.more()?;
    }
}

/// What is shown, and how far.
struct Shown<'a> {
    directory: &'a Directory,
    options: Logs,
    followers: Vec<Follower>,
    format: Format,
}

impl<'a> Shown<'a> {
    fn new(directory: &'a Directory, options: Logs) -> anyhow::Result<Self> {
        let logged = logged(directory)?;
        for name in &options.names {
            if !logged.iter().any(|log| belongs(log, name)) {
                bail!("there is no log of {name}; there are logs of {}", logged.join(", "));
            }
        }
        let format = Format { raw: options.raw, width: 0, colours: Colours::of_stdout() };
        Ok(Self { directory, options, followers: Vec::new(), format })
    }

    fn first(&mut self) -> anyhow::Result<Vec<String>> {
        self.find()?;
        let mut lines = Vec::new();
        for follower in &mut self.followers {
            lines.extend(follower.last(self.options.lines)?);
        }
        Ok(self.print(lines))
    }

    fn more(&mut self) -> anyhow::Result<Vec<String>> {
        self.find()?;
        let mut lines = Vec::new();
        for follower in &mut self.followers {
            lines.extend(follower.more()?);
        }
        Ok(self.print(lines))
    }

    /// Takes up the logs that were chosen and are not followed yet: a replica
    /// may be started later.
    fn find(&mut self) -> anyhow::Result<()> {
        let known: BTreeSet<&str> = self.followers.iter().map(Follower::name).collect();
        let wanted = |log: &String| {
            let names = &self.options.names;
            names.is_empty() || names.iter().any(|name| belongs(log, name))
        };
        let logged = logged(self.directory)?;
        let new: Vec<Follower> = logged
            .into_iter()
            .filter(|log| wanted(log) && !known.contains(log.as_str()))
            .map(|log| Follower::new(self.directory.log(&log), log))
            .collect();
        self.followers.extend(new);
        let longest = self.followers.iter().map(|follower| follower.name().len()).max();
        // A single log needs no names in front.
        let several = self.followers.len() > 1;
        self.format.width = longest.filter(|_| several).unwrap_or_default();
        Ok(())
    }

    fn print(&self, mut lines: Vec<Line>) -> Vec<String> {
        // Stable: lines of the same moment stay in the order of their log.
        lines.sort_by(|a, b| a.time.cmp(&b.time));
        lines.iter().map(|line| self.format.print(line)).collect()
    }
}

fn logged(directory: &Directory) -> anyhow::Result<Vec<String>> {
    let nothing = || format!("there are no logs in {}", directory.path().display());
    directory.logged().with_context(nothing)
}

/// `projects` means each of `projects`, `projects-2`, …
fn belongs(log: &str, name: &str) -> bool {
    let replica = log.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    log == name || replica.is_some_and(|number| number.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn directory(logs: &[(&str, &str)]) -> (tempfile::TempDir, Directory) {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::create(temp.path()).unwrap();
        for (name, text) in logs {
            fs::write(directory.log(name), text).unwrap();
        }
        (temp, directory)
    }

    fn options(names: &[&str], lines: usize) -> Logs {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Logs { names, follow: false, lines, raw: true }
    }

    fn first(directory: &Directory, options: Logs) -> anyhow::Result<Vec<String>> {
        Shown::new(directory, options)?.first()
    }

    #[test]
    fn lines_of_several_processes_are_in_the_order_of_time() {
        let (_temp, directory) = directory(&[
            (
                "a",
                "{\"time\":\"2026-01-01T00:00:01Z\"}\nplain\n{\"time\":\"2026-01-01T00:00:03Z\"}\n",
            ),
            ("b", "{\"time\":\"2026-01-01T00:00:02Z\"}\n"),
        ]);
        assert_eq!(
            first(&directory, options(&[], 100)).unwrap(),
            [
                "a | {\"time\":\"2026-01-01T00:00:01Z\"}",
                "a | plain",
                "b | {\"time\":\"2026-01-01T00:00:02Z\"}",
                "a | {\"time\":\"2026-01-01T00:00:03Z\"}",
            ]
        );
    }

    #[test]
    fn an_application_is_all_of_its_processes() {
        let logs = [("projects", "1\n"), ("projects-2", "2\n"), ("projects-x", "3\n")];
        let (_temp, directory) = directory(&logs);
        let lines = |names| first(&directory, options(names, 100)).unwrap();
        assert_eq!(lines(&["projects"]), ["projects   | 1", "projects-2 | 2"]);
        assert_eq!(lines(&["projects-2"]), ["2"]);
    }

    #[test]
    fn only_as_many_lines_as_asked_for_are_shown() {
        let (_temp, directory) = directory(&[("a", "1\n2\n3\n")]);
        assert_eq!(first(&directory, options(&[], 2)).unwrap(), ["2", "3"]);
        assert!(first(&directory, options(&[], 0)).unwrap().is_empty());
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let (_temp, directory) = directory(&[("a", "")]);
        let error = first(&directory, options(&["b"], 1)).unwrap_err().to_string();
        assert!(error.contains("no log of b") && error.ends_with("logs of a"), "{error}");
    }

    #[test]
    fn a_process_that_starts_later_is_followed_too() {
        let (_temp, directory) = directory(&[("a", "1\n")]);
        let mut shown = Shown::new(&directory, options(&[], 100)).unwrap();
        assert_eq!(shown.first().unwrap(), ["1"]);
        fs::write(directory.log("b"), "2\n").unwrap();
        assert_eq!(shown.more().unwrap(), ["b | 2"]);
    }
}
