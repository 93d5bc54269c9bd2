//! `titan doctor`: checks what durability rests on, for each database of a system
//! or for those that are named, and says what to do.

mod disk;

use std::{
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, bail};
use durable::{
    backup,
    doctor::{self, Finding, Verdict},
};
use serde_json::json;

use crate::{
    args::Doctor,
    backup::template,
    operator::table,
    output::{self, Colours, Paint},
    supervisor::topology,
};

const HEAD: [&str; 4] = ["DATABASE", "CHECK", "VERDICT", "FOUND"];
/// Of the wall clock against the steady one while the doctor looks: slewing by
/// NTP is a two-thousandth of that time, a step is more than this.
const STEP: Duration = Duration::from_millis(20);
/// Services set it themselves, or refuse to start.
const MADE_RIGHT: &str = "journal_mode";
/// The name under which the machine's own findings stand.
const MACHINE: &str = "machine";

/// A finding, of the database that it was made in.
struct Diagnosis {
    of: String,
    finding: Finding,
    /// Unsafe, and accepted by whoever asks.
    allowed: bool,
}

/// Looks, prints, and fails when something unsafe was found that is not allowed.
pub(crate) async fn run(data: &Path, options: &Doctor) -> anyhow::Result<()> {
    let databases = databases(data, options).await?;
    if databases.is_empty() {
        bail!("there is no database yet; name one, or start the system with `titan up`");
    }
    let clocks = (Instant::now(), SystemTime::now());
    let mut all = Vec::new();
    for (name, url) in &databases {
        let found = examine(name, url, &options.allow).await;
        all.extend(found.with_context(|| format!("cannot examine {name}"))?);
    }
    let clock = clock(clocks.0.elapsed(), clocks.1.elapsed().ok());
    let allowed = options.allow.iter().any(|check| check == clock.check);
    all.push(Diagnosis { of: MACHINE.to_owned(), finding: clock, allowed });
    print(&all, options.json)?;
    match all.iter().filter(|one| one.refused()).count() {
        0 => Ok(()),
        refused => bail!("{refused} unsafe; --allow CHECK accepts one that you can live with"),
    }
}

/// Looks at what a system that is about to start rests on, and fails when something
/// unsafe was found that is not allowed. A database that is not there yet, or cannot
/// be asked, is its service's to deal with.
pub(crate) async fn before_start(
    databases: &[(String, String)],
    allow: &[String],
) -> anyhow::Result<()> {
    let mut found = Vec::new();
    for (name, url) in databases {
        let there = async {
            match backup::exists(url).await? {
                true => examine(name, url, allow).await,
                false => Ok(Vec::new()),
            }
        };
        match there.await {
            Ok(all) => found.extend(all),
            Err(error) => {
                output::complain(format_args!("titan: cannot examine {name}: {error:#}"));
            }
        }
    }
    let bad =
        |one: &Diagnosis| one.finding.verdict == Verdict::Unsafe && one.finding.check != MADE_RIGHT;
    found.retain(bad);
    for line in lines(&found, Colours::of_stderr()).into_iter().filter(|_| !found.is_empty()) {
        output::complain(line);
    }
    match found.iter().filter(|one| one.refused()).count() {
        0 => Ok(()),
        refused => bail!("{refused} unsafe; --allow CHECK starts all the same"),
    }
}

/// What is found in a database.
async fn examine(name: &str, url: &str, allow: &[String]) -> anyhow::Result<Vec<Diagnosis>> {
    let accepted = doctor::accepted(url)?;
    let diagnosis = |finding: Finding| {
        let allowed =
            allow.iter().any(|check| check == finding.check) || accepted.contains(&finding.check);
        Diagnosis { of: name.to_owned(), finding, allowed }
    };
    Ok(look(url).await?.into_iter().map(diagnosis).collect())
}

/// By name, each with its URL.
async fn databases(data: &Path, options: &Doctor) -> anyhow::Result<Vec<(String, String)>> {
    if !options.urls.is_empty() {
        let named = options.urls.iter().map(|url| (shown(url), url.clone()));
        return Ok(named.collect());
    }
    let template = template(data, options.database.as_deref())?;
    let mut databases = Vec::new();
    for app in topology::NAMES.iter().filter(|app| topology::has_database(app)) {
        let url = template.replace("{app}", app);
        if backup::exists(&url).await.with_context(|| format!("cannot examine {app}"))? {
            databases.push(((*app).to_owned(), url));
        }
    }
    Ok(databases)
}

/// Without what may be a password.
fn shown(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        _ => url.to_owned(),
    }
}

async fn look(url: &str) -> anyhow::Result<Vec<Finding>> {
    let mut findings = doctor::examine(url).await?;
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
        findings.extend(disk::examine(folder.unwrap_or(Path::new(".")))?);
    }
    Ok(findings)
}

/// The wall clock against the one that only goes forward.
fn clock(steady: Duration, wall: Option<Duration>) -> Finding {
    let apart = wall.map(|wall| wall.abs_diff(steady));
    let advice = "let NTP slew the clock instead of setting it; what is due comes early or late";
    match apart {
        Some(apart) if apart <= STEP => Finding::good("clock_now", "runs evenly"),
        Some(apart) => {
            let found = format!("was set by {} ms just now", apart.as_millis());
            Finding::doubtful("clock_now", found, advice)
        }
        None => Finding::doubtful("clock_now", "was set back just now", advice),
    }
}

impl Diagnosis {
    fn refused(&self) -> bool {
        self.finding.verdict == Verdict::Unsafe && !self.allowed
    }

    fn verdict(&self) -> &'static str {
        match self.finding.verdict {
            Verdict::Good => "good",
            Verdict::Doubtful => "doubtful",
            Verdict::Unsafe if self.allowed => "allowed",
            Verdict::Unsafe => "unsafe",
        }
    }

    fn row(&self) -> [String; 4] {
        let Finding { check, found, .. } = &self.finding;
        [self.of.clone(), (*check).to_owned(), self.verdict().to_owned(), found.clone()]
    }
}

fn print(all: &[Diagnosis], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let one = |one: &Diagnosis| {
            let Finding { check, found, advice, .. } = &one.finding;
            let (database, verdict) = (&one.of, one.verdict());
            json!({"database": database, "check": check, "verdict": verdict, "found": found,
                   "advice": advice})
        };
        let all: Vec<_> = all.iter().map(one).collect();
        output::print(serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    for line in lines(all, Colours::of_stdout()) {
        output::print(line);
    }
    Ok(())
}

/// The table, then what to do about whatever is not good.
fn lines(all: &[Diagnosis], colours: Colours) -> Vec<String> {
    let rows = all.iter().map(Diagnosis::row);
    let paints = all.iter().map(|one| match one.finding.verdict {
        Verdict::Good => None,
        Verdict::Unsafe if !one.allowed => Some(Paint::Red),
        _ => Some(Paint::Yellow),
    });
    let painted = table(HEAD, rows).into_iter().zip(std::iter::once(None).chain(paints));
    let mut lines: Vec<String> = painted
        .map(|(line, paint)| paint.map_or(line.clone(), |paint| colours.paint(paint, line)))
        .collect();
    for one in all.iter().filter(|one| !one.finding.advice.is_empty()) {
        lines.push(format!("{} of {}: {}", one.finding.check, one.of, one.finding.advice));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(finding: Finding, allowed: bool) -> Diagnosis {
        Diagnosis { of: "orders".to_owned(), finding, allowed }
    }

    #[test]
    fn what_is_unsafe_is_refused_unless_it_is_allowed() {
        let unsafe_one = || Finding::dangerous("fsync", "off", "set it to on");
        assert!(diagnosis(unsafe_one(), false).refused());
        assert!(!diagnosis(unsafe_one(), true).refused());
        assert_eq!(diagnosis(unsafe_one(), true).verdict(), "allowed");
        assert!(!diagnosis(Finding::doubtful("x", "y", "z"), false).refused());
    }

    #[test]
    fn the_table_is_followed_by_what_to_do() {
        let all = [
            diagnosis(Finding::good("journal_mode", "wal"), false),
            diagnosis(Finding::dangerous("fsync", "off", "set it to on"), false),
        ];
        assert_eq!(
            lines(&all, Colours::off()),
            [
                "DATABASE  CHECK         VERDICT  FOUND",
                "orders    journal_mode  good     wal",
                "orders    fsync         unsafe   off",
                "fsync of orders: set it to on",
            ]
        );
    }

    #[test]
    fn a_clock_that_is_set_meanwhile_is_noticed() {
        let second = Duration::from_secs(1);
        assert_eq!(clock(second, Some(second + STEP)).verdict, Verdict::Good);
        assert_eq!(clock(second, Some(second * 2)).verdict, Verdict::Doubtful);
        assert_eq!(clock(second, None).verdict, Verdict::Doubtful);
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("postgres://me:secret@host/db"), "postgres://host/db");
        assert_eq!(shown("sqlite:a/b.db"), "sqlite:a/b.db");
    }
}
