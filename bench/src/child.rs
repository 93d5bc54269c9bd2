//! This program as another process, asked over its standard input.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::args::Subject;

/// What a loading process measured.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) calls: f64,
    pub(crate) wall_ns: f64,
    pub(crate) cpu_ns: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// A process of ours; it ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(arguments: &[String]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("stdin is piped")?;
        let output = BufReader::new(child.stdout.take().context("stdout is piped")?);
        Ok(Self { child, input, output })
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line)?;
        anyhow::ensure!(read > 0, "a process of the measurement has ended");
        Ok(line.trim().to_owned())
    }

    fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        writeln!(self.input, "{question}")?;
        self.line()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A serving process.
pub(crate) struct Server {
    process: Process,
    pub(crate) address: String,
    /// What calls to it must carry, if anything.
    pub(crate) token: Option<String>,
}

impl Server {
    pub(crate) fn start(subject: Subject, upstream: Option<&str>) -> anyhow::Result<Self> {
        let mut arguments = vec!["serve".to_owned(), format!("--subject={}", value(subject))];
        arguments.extend(upstream.map(|address| format!("--upstream={address}")));
        let mut process = Process::start(&arguments)?;
        let line = process.line()?;
        let (address, token) = line.split_once(' ').unzip();
        Ok(Self {
            address: address.unwrap_or(&line).to_owned(),
            token: token.map(str::to_owned),
            process,
        })
    }

    /// CPU time so far, in nanoseconds, of all its threads.
    pub(crate) fn cpu_ns(&mut self) -> anyhow::Result<f64> {
        Ok(self.process.ask("cpu")?.parse()?)
    }
}

/// Loads an address, and tells what the loading process measured.
pub(crate) struct Loader {
    process: Process,
}

impl Loader {
    /// Starts the process; it has warmed up when this returns.
    pub(crate) fn start(subject: Subject, address: &str, plan: &Plan) -> anyhow::Result<Self> {
        let mut arguments = vec![
            "load".to_owned(),
            format!("--subject={}", value(subject)),
            format!("--address={address}"),
            format!("--calls={}", plan.calls),
            format!("--concurrency={}", plan.concurrency),
        ];
        arguments.extend(plan.post.iter().map(|token| format!("--post={token}")));
        let mut process = Process::start(&arguments)?;
        anyhow::ensure!(process.line()? == "ready", "the loading process is not ready");
        Ok(Self { process })
    }

    pub(crate) fn run(mut self) -> anyhow::Result<Load> {
        Ok(serde_json::from_str(&self.process.ask("go")?)?)
    }
}

/// How an address is loaded.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) calls: usize,
    pub(crate) concurrency: usize,
    /// Send a body, and this token with it; otherwise only ask.
    pub(crate) post: Option<String>,
}

fn value(subject: Subject) -> String {
    use clap::ValueEnum as _;
    let value = subject.to_possible_value().expect("no subject is skipped");
    value.get_name().to_owned()
}

/// CPU time of this process so far, in nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds stay exact for a hundred days")]
pub(crate) fn own_cpu_ns() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
