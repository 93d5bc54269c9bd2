//! This program as another process, asked over its standard input.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::Context as _;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{
    args::{Capacity, Method, Subject},
    usage::Usage,
};

/// What a loading process measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Those that were measured.
    pub(crate) calls: f64,
    /// Those, and what warmed up.
    pub(crate) calls_ever: f64,
    pub(crate) wall_ns: f64,
    pub(crate) used: Usage,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// As what a process is started.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Under<'a> {
    /// Itself: the only one that times are taken from.
    Nothing,
    /// An allocator that counts.
    Counter,
    /// callgrind, which writes the file when the process ends.
    Callgrind(&'a Path),
}

impl Under<'_> {
    fn command(self) -> anyhow::Result<Command> {
        let itself = std::env::current_exe()?;
        Ok(match self {
            Self::Nothing => Command::new(itself),
            Self::Counter => Command::new(counted(&itself)?),
            Self::Callgrind(file) => {
                let mut command = Command::new("valgrind");
                command.args(["-q", "--tool=callgrind"]);
                command.arg(format!("--callgrind-out-file={}", file.display()));
                command.arg(itself);
                command
            }
        })
    }
}

fn counted(itself: &Path) -> anyhow::Result<PathBuf> {
    let counted = itself.with_file_name("bench-counted");
    anyhow::ensure!(counted.exists(), "bench-counted is not built; `make bench` builds both");
    Ok(counted)
}

/// A process of ours; it ends when this is dropped.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(under: Under<'_>, arguments: &[String]) -> anyhow::Result<Self> {
        let mut child = under
            .command()?
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("stdout is piped")?);
        Ok(Self { child, input, output })
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line)?;
        anyhow::ensure!(read > 0, "a process of the measurement has ended");
        Ok(line.trim().to_owned())
    }

    fn tell(&mut self, word: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.input.as_mut().context("it was told to end")?, "{word}")?)
    }

    fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        self.tell(question)?;
        self.line()
    }

    /// Waits for an orderly end, in which callgrind writes its file.
    fn finish(mut self) -> anyhow::Result<()> {
        self.input = None;
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "a process of the measurement failed: {status}");
        Ok(())
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

/// How a serving process is started.
#[derive(Clone, Debug)]
pub(crate) struct Serving<'a> {
    pub(crate) subject: Subject,
    pub(crate) upstream: Option<&'a str>,
    pub(crate) settings: &'a [String],
    pub(crate) capacity: Option<Capacity>,
}

impl<'a> Serving<'a> {
    pub(crate) fn new(subject: Subject, settings: &'a [String]) -> Self {
        Self { subject, upstream: None, settings, capacity: None }
    }
}

impl Server {
    pub(crate) fn start(serving: &Serving<'_>, under: Under<'_>) -> anyhow::Result<Self> {
        let mut arguments =
            vec!["serve".to_owned(), format!("--subject={}", value(&serving.subject))];
        arguments.extend(serving.upstream.map(|address| format!("--upstream={address}")));
        arguments.extend(serving.settings.iter().map(|pair| format!("--set={pair}")));
        if let Some(Capacity { hands, takes_ms, instance }) = &serving.capacity {
            arguments.push(format!("--hands={hands}"));
            arguments.push(format!("--takes-ms={takes_ms}"));
            arguments.push(format!("--instance={instance}"));
        }
        let mut process = Process::start(under, &arguments)?;
        let line = process.line()?;
        let (address, token) = line.split_once(' ').unzip();
        Ok(Self {
            address: address.unwrap_or(&line).to_owned(),
            token: token.map(str::to_owned),
            process,
        })
    }

    /// What it has used so far.
    pub(crate) fn used(&mut self) -> anyhow::Result<Usage> {
        Ok(serde_json::from_str(&self.process.ask("usage")?)?)
    }

    pub(crate) fn finish(self) -> anyhow::Result<()> {
        self.process.finish()
    }
}

/// How an address is loaded.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) calls: usize,
    pub(crate) concurrency: usize,
    pub(crate) connections: usize,
    /// Bytes of a message, each way.
    pub(crate) size: usize,
    pub(crate) method: Method,
    /// Calls a second; as fast as it goes without.
    pub(crate) rate: Option<u32>,
    /// Send a body, and this token with it; otherwise only ask.
    pub(crate) post: Option<String>,
    /// Of a mesh that calls.
    pub(crate) settings: Vec<String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            calls: 0,
            concurrency: 16,
            connections: 1,
            size: 64,
            method: Method::Echo,
            rate: None,
            post: None,
            settings: Vec::new(),
        }
    }
}

/// Loads an address, and tells what the loading process measured.
pub(crate) struct Loader {
    process: Process,
}

impl Loader {
    /// Starts the process; it has warmed up when this returns.
    pub(crate) fn start(
        subject: Subject,
        address: &str,
        plan: &Plan,
        under: Under<'_>,
    ) -> anyhow::Result<Self> {
        let mut arguments = vec![
            "load".to_owned(),
            format!("--subject={}", value(&subject)),
            format!("--address={address}"),
            format!("--calls={}", plan.calls),
            format!("--concurrency={}", plan.concurrency),
            format!("--connections={}", plan.connections),
            format!("--size={}", plan.size),
            format!("--method={}", value(&plan.method)),
        ];
        arguments.extend(plan.rate.map(|rate| format!("--rate={rate}")));
        arguments.extend(plan.post.iter().map(|token| format!("--post={token}")));
        arguments.extend(plan.settings.iter().map(|pair| format!("--set={pair}")));
        let mut process = Process::start(under, &arguments)?;
        anyhow::ensure!(process.line()? == "ready", "the loading process is not ready");
        Ok(Self { process })
    }

    /// Starts the process and lets it load until it is dropped.
    pub(crate) fn begin(subject: Subject, address: &str, plan: &Plan) -> anyhow::Result<Self> {
        let mut loader = Self::start(subject, address, plan, Under::Nothing)?;
        loader.process.tell("go")?;
        Ok(loader)
    }

    pub(crate) fn run(mut self) -> anyhow::Result<Load> {
        let load = serde_json::from_str(&self.process.ask("go")?)?;
        self.process.finish()?;
        Ok(load)
    }
}

fn value(given: &impl ValueEnum) -> String {
    let value = given.to_possible_value().expect("no value is skipped");
    value.get_name().to_owned()
}
