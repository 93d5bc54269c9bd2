//! One line of a log, and how it is shown: as it was written, or, when it is a
//! JSON record, in a form that a person reads.

use std::{fmt::Write as _, rc::Rc};

use serde_json::{Map, Value};

use crate::output::{Colours, Paint};

/// A line that a process wrote.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The process.
    pub name: Rc<str>,
    /// The line.
    pub text: String,
    /// Its time in UTC as RFC 3339 writes it, which sorts as text; that of the
    /// line before when it tells none.
    pub time: Rc<str>,
}

/// How lines are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    /// As they were written.
    pub raw: bool,
    /// Width of the column with the processes' names; zero for none.
    pub width: usize,
    /// Colours, if any.
    pub colours: Colours,
}

impl Line {
    /// A line of a process that follows one of this time.
    pub(crate) fn new(name: Rc<str>, text: String, before: &Rc<str>) -> Self {
        // Without the Z, by which a whole second would sort after its parts.
        let time = record(&text)
            .and_then(|record| Some(Rc::from(record.get("time")?.as_str()?.trim_end_matches('Z'))))
            .unwrap_or_else(|| before.clone());
        Self { name, text, time }
    }
}

impl Format {
    /// The line as it is shown.
    pub(crate) fn print(&self, line: &Line) -> String {
        let text = match record(&line.text) {
            Some(record) if !self.raw && record.contains_key("level") => self.readable(record),
            _ => line.text.clone(),
        };
        if self.width == 0 {
            return text;
        }
        let name = format!("{:<width$} |", line.name, width = self.width);
        format!("{} {text}", self.colours.paint(Paint::Dim, name))
    }

    /// `14:03:11.042 WARN  slow call target=mesh::server took_ms=1200`
    fn readable(&self, mut record: Map<String, Value>) -> String {
        let mut take = |key: &str| record.remove(key).map(plain).unwrap_or_default();
        let (time, level, message) = (take("time"), take("level"), take("message"));
        // The name in front, or on the command line, says it already.
        take("app");
        let level = self.colours.paint(paint(&level), format_args!("{level:<5}"));
        let mut text = format!("{} {level}", self.colours.paint(Paint::Dim, clock(&time)));
        if !message.is_empty() {
            let _ = write!(text, " {message}");
        }
        for (key, value) in record {
            let field = format!(" {key}={}", plain(value));
            let _ = write!(text, "{}", self.colours.paint(Paint::Dim, field));
        }
        text
    }
}

/// The line as a JSON object, if it is one.
fn record(text: &str) -> Option<Map<String, Value>> {
    if !text.starts_with('{') {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The time of day to the millisecond out of an RFC 3339 time in UTC.
fn clock(time: &str) -> &str {
    let clock = time.split_once('T').map_or(time, |(_, clock)| clock.trim_end_matches('Z'));
    clock.get(..12).unwrap_or(clock)
}

fn paint(level: &str) -> Paint {
    match level {
        "ERROR" => Paint::Red,
        "WARN" => Paint::Yellow,
        "INFO" => Paint::Green,
        _ => Paint::Dim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(text: &str, raw: bool, width: usize) -> String {
        let line = Line::new("projects".into(), text.to_owned(), &"".into());
        Format { raw, width, colours: Colours::off() }.print(&line)
    }

    const RECORD: &str = r#"{"app":"projects","level":"WARN","message":"slow call","target":"mesh","time":"2026-11-22T14:03:11.042318Z","took_ms":1200}"#;

    #[test]
    fn a_record_is_shown_in_a_readable_form() {
        assert_eq!(
            print(RECORD, false, 0),
            "14:03:11.042 WARN  slow call target=mesh took_ms=1200"
        );
    }

    #[test]
    fn raw_lines_and_lines_that_are_no_records_stay_as_they_are() {
        assert_eq!(print(RECORD, true, 0), RECORD);
        for text in ["thread panicked at …", "{not json", r#"{"a":1}"#, ""] {
            assert_eq!(print(text, false, 0), text);
        }
    }

    #[test]
    fn names_stand_in_a_column() {
        assert_eq!(print("x", false, 10), "projects   | x");
    }

    #[test]
    fn a_line_without_a_time_belongs_to_the_one_before() {
        let line = Line::new("a".into(), "  at frame 1".to_owned(), &"2026-11-22".into());
        assert_eq!(&*line.time, "2026-11-22");
        assert_eq!(
            &*Line::new("a".into(), RECORD.to_owned(), &"".into()).time,
            "2026-11-22T14:03:11.042318"
        );
    }
}
