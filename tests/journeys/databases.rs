//! A private PostgreSQL server with a database for each application, where there
//! is one on the machine.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::tools;

/// Starting takes a second; a loaded machine gets its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the server until its input is closed, which also happens when the test
/// is killed. It outlives no process that it must be durable for: the crashes of
/// a journey are those of its clients.
const SCRIPT: &str = r#"
set -e
cd "$1"
initdb --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C -D data >initdb.log 2>&1
postgres -D data -k "$1" -c listen_addresses= -c fsync=off -c max_connections=400 \
    -c shared_buffers=64MB -c log_min_messages=fatal >postgres.log 2>&1 &
server=$!
cat >/dev/null
kill -INT "$server"
wait "$server" || true
"#;

/// A running server; it ends with the test.
pub struct Postgres {
    folder: tempfile::TempDir,
    shell: Child,
}

impl Postgres {
    /// Starts it and makes the databases, or `None` where there is no server.
    pub fn start(databases: &[&str]) -> Option<Self> {
        for program in ["initdb", "postgres", "createdb"] {
            tools::find(program)?;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut shell = as_anybody_but_root(folder.path());
        let shell = shell.arg("sh").arg(folder.path()).stdin(Stdio::piped()).spawn().unwrap();
        let server = Self { folder, shell };
        let give_up = Instant::now() + PATIENCE;
        for database in databases {
            // The socket is there a moment before the server is ready.
            while !server.create(database) {
                assert!(Instant::now() < give_up, "PostgreSQL does not start");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Some(server)
    }

    /// What `titan up --database` takes.
    pub fn url(&self) -> String {
        let folder = self.folder.path().display();
        format!("postgres://postgres@localhost/{{app}}?host={folder}&allow_unsafe=fsync")
    }

    fn create(&self, database: &str) -> bool {
        let mut createdb = Command::new("createdb");
        createdb.arg("-h").arg(self.folder.path()).args(["-U", "postgres", database]);
        createdb.stderr(Stdio::null()).status().unwrap().success()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// PostgreSQL refuses to run as root.
fn as_anybody_but_root(folder: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]);
        return command;
    }
    assert!(Command::new("chown").arg("postgres").arg(folder).status().unwrap().success());
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--", "sh", "-c", SCRIPT]);
    command
}
