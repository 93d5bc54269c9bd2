//! What an operator may set: defaults ← file ← environment ← flags. Every
//! mistake is collected and all of them are reported together, before a port
//! opens.
//!
//! A setting has one name, such as `drain_timeout`: in the file it is a key (top
//! level for every application, or in a table named after one application,
//! which wins), in the environment `TITAN_DRAIN_TIMEOUT`, as a flag
//! `--drain-timeout 10s`. The file is TOML, named by `--config` or
//! `TITAN_CONFIG`.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fmt, fs,
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

/// Every mistake in the settings of a process.
#[derive(Debug, thiserror::Error)]
pub struct SettingsError {
    mistakes: Vec<String>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} wrong in the settings:", count(self.mistakes.len()))?;
        for mistake in &self.mistakes {
            write!(f, "\n  {mistake}")?;
        }
        Ok(())
    }
}

fn count(mistakes: usize) -> String {
    if mistakes == 1 { "one thing is".to_owned() } else { format!("{mistakes} things are") }
}

impl SettingsError {
    /// The mistakes, one line each.
    #[must_use]
    pub fn mistakes(&self) -> &[String] {
        &self.mistakes
    }
}

/// The settings of one process while they are read.
#[derive(Debug)]
pub struct Settings {
    app: &'static str,
    values: BTreeMap<String, Given>,
    known: BTreeSet<&'static str>,
    mistakes: Vec<String>,
}

/// A value as it was written, and where.
#[derive(Debug)]
struct Given {
    text: String,
    /// Named in complaints: `--listen`, `TITAN_LISTEN`, `titan.toml: listen`.
    place: String,
    /// The environment is shared with other programs: what is not known there
    /// is not ours. A flag or a key of our own file that is not known is a typo.
    strict: bool,
}

impl Settings {
    /// Reads the process's flags, environment and file. Never fails: what is
    /// wrong is told by [`Settings::finish`].
    #[must_use]
    pub fn from_env(app: &'static str) -> Self {
        Self::read(app, env::args().skip(1), env::vars())
    }

    /// Settings given by name, for tests and for programs that embed a service.
    #[must_use]
    pub fn from_pairs(app: &'static str, pairs: &[(&str, &str)]) -> Self {
        let mut settings = Self::empty(app);
        for (key, text) in pairs {
            settings.give(key, text, (*key).to_owned(), true);
        }
        settings
    }

    fn empty(app: &'static str) -> Self {
        Self { app, values: BTreeMap::new(), known: BTreeSet::new(), mistakes: Vec::new() }
    }

    fn read(
        app: &'static str,
        flags: impl Iterator<Item = String>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Self {
        let mut settings = Self::empty(app);
        let flags = settings.split_flags(flags);
        let variables: Vec<(String, String)> = variables
            .filter_map(|(name, text)| Some((name.strip_prefix("TITAN_")?.to_lowercase(), text)))
            .collect();

        let named = |pairs: &[(String, String)]| {
            pairs.iter().find(|(key, _)| key == "config").map(|(_, path)| path.clone())
        };
        if let Some(path) = named(&flags).or_else(|| named(&variables)) {
            settings.read_file(&path);
        }
        for (key, text) in variables {
            let place = format!("TITAN_{}", key.to_uppercase());
            settings.give(&key, &text, place, false);
        }
        for (key, text) in flags {
            let place = format!("--{}", key.replace('_', "-"));
            settings.give(&key, &text, place, true);
        }
        settings.known.insert("config");
        settings
    }

    fn give(&mut self, key: &str, text: &str, place: String, strict: bool) {
        self.values.insert(key.to_owned(), Given { text: text.to_owned(), place, strict });
    }

    fn split_flags(&mut self, flags: impl Iterator<Item = String>) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        let mut flags = flags.peekable();
        while let Some(flag) = flags.next() {
            let Some(name) = flag.strip_prefix("--").filter(|name| !name.is_empty()) else {
                self.mistakes.push(format!("{flag}: not a flag; write --name value"));
                continue;
            };
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, flags.next_if(|next| !next.starts_with("--"))),
            };
            match value {
                Some(value) => pairs.push((name.replace('-', "_"), value)),
                None => self.mistakes.push(format!("--{name}: needs a value")),
            }
        }
        pairs
    }

    fn read_file(&mut self, path: &str) {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.mistakes.push(format!("{path}: {error}")),
        };
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => return self.mistakes.push(format!("{path}: {error}")),
        };
        // Tables of other applications are theirs; ours comes last and wins.
        let (tables, shared): (Vec<_>, Vec<_>) =
            table.into_iter().partition(|(_, value)| value.is_table());
        let ours = tables.into_iter().find(|(name, _)| name == self.app);
        let ours = ours.and_then(|(_, value)| match value {
            toml::Value::Table(table) => Some(table),
            _ => None,
        });
        for (key, value) in shared {
            // A shared key may be another application's setting.
            self.take(path, &key, &value, false);
        }
        for (key, value) in ours.into_iter().flatten() {
            self.take(path, &key, &value, true);
        }
    }

    fn take(&mut self, path: &str, key: &str, value: &toml::Value, strict: bool) {
        let place = format!("{path}: {key}");
        match flatten(value) {
            Some(text) => self.give(key, &text, place, strict),
            None => self.mistakes.push(format!("{place}: must be a plain value or a list of them")),
        }
    }

    /// Another default than everybody's for a setting that the mesh reads, for a
    /// program that knows better: `settings.presume("workers", "0")`. Whatever an
    /// operator sets wins.
    pub fn presume(&mut self, key: &'static str, text: &str) {
        if !self.values.contains_key(key) {
            self.give(key, text, format!("{key}, by this program's default"), true);
        }
    }

    /// The value of a setting, or its default.
    pub fn get<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// The value of a setting that has no default.
    pub fn optional<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        self.known.insert(key);
        let given = self.values.get(key)?;
        match T::parse(given.text.trim()) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.mistakes.push(format!("{}: `{}` is not {expected}", given.place, given.text));
                None
            }
        }
    }

    /// Records a mistake when a rule between settings, or a bound, does not
    /// hold: `settings.require("lease", lease > ZERO, "must be positive")`.
    pub fn require(&mut self, key: &'static str, holds: bool, rule: &str) {
        if !holds {
            let place = self.values.get(key).map_or(key, |given| given.place.as_str());
            self.mistakes.push(format!("{place}: {rule}"));
        }
    }

    /// The application whose settings these are.
    #[must_use]
    pub fn app(&self) -> &'static str {
        self.app
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All mistakes: values that do not parse, rules that do not hold, flags and
    /// keys of the application's own table that nobody asked for.
    pub fn finish(mut self) -> Result<(), SettingsError> {
        for (key, given) in &self.values {
            if given.strict && !self.known.contains(key.as_str()) {
                let known: Vec<&str> = self.known.iter().copied().collect();
                self.mistakes.push(format!(
                    "{}: there is no such setting; {} knows {}",
                    given.place,
                    self.app,
                    known.join(", ")
                ));
            }
        }
        if self.mistakes.is_empty() {
            Ok(())
        } else {
            Err(SettingsError { mistakes: self.mistakes })
        }
    }
}

fn flatten(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(flatten).collect();
            Some(items?.join(","))
        }
        toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// A type that a setting may have.
pub trait Setting: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// What was expected, to follow "is not": `a duration such as 250ms`.
    fn parse(text: &str) -> Result<Self, &'static str>;
}

macro_rules! setting_from_str {
    ($($type:ty => $expected:literal),* $(,)?) => {$(
        impl Setting for $type {
            fn parse(text: &str) -> Result<Self, &'static str> {
                text.parse().map_err(|_| $expected)
            }
        }
    )*};
}

setting_from_str! {
    String => "text",
    bool => "true or false",
    u16 => "a number from 0 to 65535",
    u32 => "a whole number",
    u64 => "a whole number",
    usize => "a whole number",
    f64 => "a number",
    SocketAddr => "an address such as 127.0.0.1:8080",
    PathBuf => "a path",
}

impl Setting for Vec<String> {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Ok(items.map(str::to_owned).collect())
    }
}

impl Setting for Duration {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "a duration such as 250ms, 10s, 5m, 2h or 30d";
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: u64 = digits.parse().map_err(|_| EXPECTED)?;
        let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
        match &text[digits.len()..] {
            "ms" => Some(Duration::from_millis(number)),
            "s" => seconds(1),
            "m" => seconds(60),
            "h" => seconds(3_600),
            "d" => seconds(86_400),
            _ => None,
        }
        .ok_or(EXPECTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flags: &[&str], variables: &[(&str, &str)]) -> Settings {
        Settings::read(
            "shop",
            flags.iter().map(|flag| (*flag).to_owned()),
            variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())),
        )
    }

    #[test]
    fn a_presumed_default_wins_over_everybodys_and_loses_against_any_setting() {
        let mut settings = read(&["--a", "1"], &[("TITAN_B", "2")]);
        for key in ["a", "b", "c"] {
            settings.presume(key, "3");
        }
        let found: Vec<u32> = ["a", "b", "c"].map(|key| settings.get(key, 9)).to_vec();
        assert_eq!(found, [1, 2, 3]);
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(
            file.path(),
            "a = 1\nb = 1\nc = 1\nd = 1\n[shop]\nb = 2\nc = 2\nd = 2\n[other]\nz = 1\n",
        )
        .unwrap();
        let path = file.path().to_str().unwrap();
        let mut settings = read(
            &["--d", "4", &format!("--config={path}")],
            &[("TITAN_C", "3"), ("TITAN_D", "3"), ("HOME", "/")],
        );
        let found: Vec<u32> = ["a", "b", "c", "d", "e"].map(|key| settings.get(key, 9)).to_vec();
        assert_eq!(found, [1, 2, 3, 4, 9]);
        settings.finish().unwrap();
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mut settings =
            read(&["stray", "--lease", "soon", "--typo=1", "--last"], &[("TITAN_PORT", "x")]);
        settings.get("lease", Duration::ZERO);
        settings.get("port", 0_u16);
        settings.require("lease", false, "must be positive");
        let error = settings.finish().unwrap_err();
        let told = error.to_string();
        for part in
            ["stray", "`soon` is not a duration", "--typo", "--last", "TITAN_PORT", "positive"]
        {
            assert!(told.contains(part), "{part} is missing in: {told}");
        }
        assert_eq!(error.mistakes().len(), 6);
    }

    #[test]
    fn durations_have_units() {
        for (text, expected) in [
            ("250ms", Some(Duration::from_millis(250))),
            ("10s", Some(Duration::from_secs(10))),
            ("5m", Some(Duration::from_secs(300))),
            ("2h", Some(Duration::from_secs(7_200))),
            ("30d", Some(Duration::from_secs(2_592_000))),
            ("10", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("99999999999999999999d", None),
            ("9999999999999999999h", None),
        ] {
            assert_eq!(Duration::parse(text).ok(), expected, "{text}");
        }
    }
}
