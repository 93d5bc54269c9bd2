//! `titan status`: what runs, as a table or as JSON.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use mesh::proto::{GetStatusResponse, Process, process::State};

use crate::{
    args::Status,
    client::Running,
    json::json,
    output::{self, Colours, Paint, brief},
};

const HEAD: [&str; 8] =
    ["NAME", "STATE", "PID", "ADDRESS", "ADMIN", "RESTARTS", "UPTIME", "MEMORY"];

/// The column that is coloured.
const STATE: usize = 1;

/// Prints what runs.
pub(crate) async fn run(data: &Path, options: &Status) -> anyhow::Result<()> {
    let status = Running::need(data)?.status().await?;
    if options.json {
        output::print(serde_json::to_string_pretty(&json(&status)?)?);
    } else {
        for line in table(&status, SystemTime::now(), Colours::of_stdout()) {
            output::print(line);
        }
    }
    Ok(())
}

fn table(status: &GetStatusResponse, now: SystemTime, colours: Colours) -> Vec<String> {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(status.processes.iter().map(|process| row(process, now)));
    let widths: [usize; HEAD.len()] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    let paints = status.processes.iter().map(|process| Some(paint(process.state())));
    let lines = rows.iter().zip(std::iter::once(None).chain(paints));
    lines.map(|(row, paint)| line(row, &widths, paint, colours)).collect()
}

fn line(
    row: &[String; HEAD.len()],
    widths: &[usize; HEAD.len()],
    paint: Option<Paint>,
    colours: Colours,
) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
        // Padded before it is painted: colours have no width.
        let cell = format!("{cell:<width$}");
        match paint {
            Some(paint) if column == STATE => colours.paint(paint, cell),
            _ => cell,
        }
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn row(process: &Process, now: SystemTime) -> [String; HEAD.len()] {
    let known = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let number = |number: u64, text: String| if number == 0 { "-".to_owned() } else { text };
    [
        process.name.clone(),
        state(process.state()).to_owned(),
        number(process.pid.into(), process.pid.to_string()),
        known(&process.address),
        known(&process.admin_address),
        process.restarts.to_string(),
        uptime(process, now).map_or_else(|| "-".to_owned(), brief),
        number(process.resident_bytes, mebibytes(process.resident_bytes)),
    ]
}

fn uptime(process: &Process, now: SystemTime) -> Option<Duration> {
    let start = SystemTime::try_from(process.start_time?).ok()?;
    now.duration_since(start).ok()
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

fn state(state: State) -> &'static str {
    match state {
        State::Unspecified => "unknown",
        State::Starting => "starting",
        State::Up => "up",
        State::BackingOff => "backing off",
        State::Stopping => "stopping",
        State::Stopped => "stopped",
    }
}

fn paint(state: State) -> Paint {
    match state {
        State::Up => Paint::Green,
        State::BackingOff => Paint::Red,
        State::Starting | State::Stopping => Paint::Yellow,
        State::Stopped | State::Unspecified => Paint::Dim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> (GetStatusResponse, SystemTime) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1_000);
        let up = Process {
            name: "projects-2".to_owned(),
            app: "projects".to_owned(),
            state: State::Up.into(),
            pid: 4711,
            address: "127.0.0.1:40213".to_owned(),
            admin_address: "127.0.0.1:40214".to_owned(),
            restarts: 2,
            start_time: Some((now - Duration::from_secs(200)).into()),
            resident_bytes: 12 * 1024 * 1024 + 400_000,
            ..Process::default()
        };
        let down = Process {
            name: "gateway".to_owned(),
            state: State::BackingOff.into(),
            ..Process::default()
        };
        let processes = vec![up, down];
        (GetStatusResponse { processes, ..GetStatusResponse::default() }, now)
    }

    #[test]
    fn the_table_shows_what_is_known_of_each_process() {
        let (status, now) = status();
        assert_eq!(
            table(&status, now, Colours::off()),
            [
                "NAME        STATE        PID   ADDRESS          ADMIN            RESTARTS  UPTIME  MEMORY",
                "projects-2  up           4711  127.0.0.1:40213  127.0.0.1:40214  2         3m 20s  12.3 MiB",
                "gateway     backing off  -     -                -                0         -       -",
            ]
        );
    }

    #[test]
    fn json_is_the_contracts_own() {
        let json = json(&status().0).unwrap();
        let process = &json["processes"][0];
        assert_eq!(process["state"], "STATE_UP");
        assert_eq!(process["adminAddress"], "127.0.0.1:40214");
        assert_eq!(process["startTime"], "1970-02-11T15:56:40Z");
    }
}
