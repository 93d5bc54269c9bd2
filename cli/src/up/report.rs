//! What `titan up` prints: a line for everything that happens to a process, and
//! the addresses once everything is up.

use std::{collections::HashSet, time::Duration};

use crate::{
    logs::line::{Format, Line},
    output::{self, Colours, Paint, brief},
    supervisor::{
        event::{Event, What},
        topology::EDGE,
    },
};

/// Prints events.
#[derive(Debug)]
pub(crate) struct Report {
    colours: Colours,
    /// Width of the column of names.
    width: usize,
    /// Who was not up yet.
    awaited: HashSet<String>,
    /// The URL of the edge, if one runs.
    edge: Option<String>,
    /// Whether the edge's addresses were printed, which is done once.
    announced: bool,
    /// The edge's line, which waits for the others: its addresses are the last
    /// thing that is printed, and true when they are.
    held: Option<String>,
}

impl Report {
    /// A report about these processes.
    pub(crate) fn new(processes: impl IntoIterator<Item = String>, edge: Option<String>) -> Self {
        let awaited: HashSet<String> = processes.into_iter().collect();
        let longest = awaited.iter().map(String::len).max().unwrap_or_default();
        let width = (longest + 2).max(12);
        let colours = Colours::of_stdout();
        Self { colours, width, awaited, edge, announced: false, held: None }
    }

    /// Prints what happened: troubles on standard error.
    pub(crate) fn tell(&mut self, event: Event) {
        let trouble = matches!(event.what, What::KeepsDying { .. });
        for line in self.lines(event) {
            if trouble { output::complain(line) } else { _ = output::print(line) }
        }
    }

    /// Prints that the end has begun.
    pub(crate) fn draining() {
        output::print("titan   draining");
    }

    /// Whether everything has been up.
    pub(crate) fn complete(&self) -> bool {
        self.awaited.is_empty()
    }

    fn lines(&mut self, event: Event) -> Vec<String> {
        let Event { name, what } = event;
        match what {
            What::Up { address, took } => self.up(&name, &address, took),
            What::Silent => {
                let told = "still runs, but the registry has not heard of it for a lease";
                vec![self.line(&name, Paint::Yellow, "lost", told)]
            }
            What::Died { exit, wait } => {
                let told = format!("{exit} · starts again in {}", brief(wait));
                vec![self.line(&name, Paint::Yellow, "died", &told)]
            }
            What::KeepsDying { deaths, exit, log, last } => {
                let told = format!(
                    "died {deaths} times in a row, the last time by {exit}; it is tried again \
                     every few seconds. The end of {}:",
                    log.display()
                );
                let mut lines = vec![self.line(&name, Paint::Red, "keeps dying", &told)];
                let format = Format { raw: false, width: 0, colours: self.colours };
                let readable = |text| format.print(&Line::new("".into(), text, &"".into()));
                lines.extend(last.into_iter().map(|line| format!("        {}", readable(line))));
                // Not everything will be up; the edge's line need not wait.
                lines.extend(self.release());
                lines
            }
            What::Restarting => {
                vec![self.line(&name, Paint::Dim, "ends", "to be started again, as asked")]
            }
            What::Killed { after } => {
                let told = format!("did not end within {}", brief(after));
                vec![self.line(&name, Paint::Red, "killed", &told)]
            }
        }
    }

    fn up(&mut self, name: &str, address: &str, took: Duration) -> Vec<String> {
        let took = self.colours.paint(Paint::Dim, format_args!("({})", brief(took)));
        self.awaited.remove(name);
        let edge = self.edge.as_deref().filter(|_| name == EDGE);
        let place = edge.unwrap_or(address);
        let line = self.line(name, Paint::Green, "up", &format!("{place}  {took}"));
        let mut lines = Vec::new();
        if edge.is_some() && !self.announced {
            self.held = Some(line)
        } else {
            lines.push(line)
        }
        if self.complete() {
            lines.extend(self.release());
        }
        lines
    }

    /// The edge's line and addresses, if they wait.
    fn release(&mut self) -> Vec<String> {
        let (Some(line), Some(url)) = (self.held.take(), &self.edge) else { return Vec::new() };
        self.announced = true;
        let address = url.trim_start_matches("http://");
        let addresses = format!(
            "        REST and gRPC on one port · docs {url}/docs · grpcurl -plaintext {address} list"
        );
        vec![line, addresses]
    }

    fn line(&self, name: &str, paint: Paint, word: &str, told: &str) -> String {
        let gap = " ".repeat(5_usize.saturating_sub(word.len()).max(2));
        let word = self.colours.paint(paint, word);
        format!("titan   {name:<width$}{word}{gap}{told}", width = self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(edge: Option<&str>) -> Report {
        let processes = ["registry", "projects", EDGE].map(str::to_owned);
        let mut report = Report::new(processes, edge.map(str::to_owned));
        report.colours = Colours::off();
        report
    }

    fn up(report: &mut Report, name: &str) -> Vec<String> {
        let (address, took) = ("127.0.0.1:40213".to_owned(), Duration::from_millis(84));
        report.lines(Event { name: name.to_owned(), what: What::Up { address, took } })
    }

    #[test]
    fn the_edge_comes_last_with_its_addresses() {
        let mut report = report(Some("http://127.0.0.1:8080"));
        assert_eq!(
            up(&mut report, "registry"),
            ["titan   registry    up   127.0.0.1:40213  (84 ms)"]
        );
        assert!(up(&mut report, EDGE).is_empty(), "projects is not up yet");
        assert!(!report.complete());
        assert_eq!(
            up(&mut report, "projects"),
            [
                "titan   projects    up   127.0.0.1:40213  (84 ms)",
                "titan   gateway     up   http://127.0.0.1:8080  (84 ms)",
                "        REST and gRPC on one port · docs http://127.0.0.1:8080/docs · \
                 grpcurl -plaintext 127.0.0.1:8080 list",
            ]
        );
        assert!(report.complete());
    }

    #[test]
    fn an_edge_that_comes_back_is_told_at_once() {
        let mut report = report(Some("http://127.0.0.1:8080"));
        for name in ["registry", "projects", EDGE] {
            up(&mut report, name);
        }
        let lines = up(&mut report, EDGE);
        assert_eq!(lines, ["titan   gateway     up   http://127.0.0.1:8080  (84 ms)"]);
    }

    #[test]
    fn a_process_that_keeps_dying_is_told_with_its_last_lines() {
        let mut report = report(Some("http://127.0.0.1:8080"));
        up(&mut report, "registry");
        up(&mut report, EDGE);
        let what = What::KeepsDying {
            deaths: 5,
            exit: "exit status: 1".to_owned(),
            log: "/state/logs/projects.log".into(),
            last: vec!["cannot open the database".to_owned()],
        };
        let lines = report.lines(Event { name: "projects".to_owned(), what });
        assert!(lines[0].contains("keeps dying  died 5 times"), "{}", lines[0]);
        assert!(lines[0].contains("exit status: 1") && lines[0].contains("projects.log"));
        assert_eq!(lines[1], "        cannot open the database");
        assert!(lines[2].contains("gateway"), "the edge serves all the same");
    }

    #[test]
    fn a_death_says_when_it_is_tried_again() {
        let mut report = report(None);
        let (exit, wait) = ("signal: 9 (SIGKILL)".to_owned(), Duration::from_millis(240));
        let event = Event { name: "projects".to_owned(), what: What::Died { exit, wait } };
        let expected = "titan   projects    died  signal: 9 (SIGKILL) · starts again in 240 ms";
        assert_eq!(report.lines(event), [expected]);
    }
}
