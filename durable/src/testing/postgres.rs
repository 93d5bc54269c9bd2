//! Private PostgreSQL servers: one that a test process shares, and others that a
//! test may stop.

use std::{
    env,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant},
};

use sqlx::{Connection as _, PgConnection};

/// Starting takes a second; a loaded machine gets its time.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Makes the cluster, runs the server, again whenever it has ended, until the
/// test process is gone (which closes this shell's input, however the process
/// ended) and removes the folder. Only who measures needs fsync: a test database does
/// not outlive its machine.
const SCRIPT: &str = r#"
set -e
cd "$1"
initdb --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C -D data >initdb.log 2>&1
serve() {
    while [ ! -e over ]; do
        postgres -D data -k "$1" -c listen_addresses= -c "fsync=$2" -c "full_page_writes=$2" \
            -c max_connections=400 -c shared_buffers=32MB -c log_min_messages=fatal || sleep 0.1
    done
}
serve "$1" "$2" >postgres.log 2>&1 &
server=$!
cat >/dev/null
touch over
while kill -0 "$server" 2>/dev/null; do
    kill -INT "$(head -n 1 data/postmaster.pid 2>/dev/null)" 2>/dev/null || true
    sleep 0.02
done
cd /
rm -rf "$1"
"#;

/// How a server is stopped, as `pg_ctl stop -m` knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// When the last client has left; until then nobody else is let in.
    Smart,
    /// Transactions are rolled back and clients disconnected.
    Fast,
    /// At once; the next start recovers as after a crash.
    Immediate,
    /// `kill -9` of the server, whose processes then end by themselves.
    Kill,
}

impl Stop {
    /// What the server understands it by.
    fn signal(self) -> &'static str {
        match self {
            Stop::Smart => "-TERM",
            Stop::Fast => "-INT",
            Stop::Immediate => "-QUIT",
            Stop::Kill => "-KILL",
        }
    }
}

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    /// Its open input keeps the server running.
    _shell: Child,
}

/// The server of this process, started at the first call.
pub(super) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| start(Sync::Never)).as_ref()
}

fn installed() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| env::split_paths(&path).any(|folder| folder.join(program).is_file());
    has("initdb") && has("postgres")
}

/// Whether commits wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    Always,
    Never,
}

/// One more server, or `None` where PostgreSQL is not on the `PATH`.
pub(super) fn start(sync: Sync) -> Option<Server> {
    if !installed() {
        return None;
    }
    let folder = env::temp_dir().join(format!("titan-postgres-{}", super::unique()));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    let mut command = shell(&folder);
    let shell = command
        .arg("sh")
        .arg(&folder)
        .arg(if sync == Sync::Always { "on" } else { "off" })
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("a shell runs");
    let mut server = Server { folder, _shell: shell };
    server.wait_until_it_listens();
    Some(server)
}

/// PostgreSQL refuses to run as root.
fn shell(folder: &std::path::Path) -> Command {
    let me = Command::new("id").arg("-u").output().expect("`id` runs");
    if me.stdout.trim_ascii() != b"0" {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]);
        return command;
    }
    let owned = Command::new("chown").arg("postgres").arg(folder).status();
    assert!(owned.is_ok_and(|status| status.success()), "there is a user postgres");
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--", "sh", "-c", SCRIPT]);
    command
}

impl Server {
    fn wait_until_it_listens(&mut self) {
        let socket = self.folder.join(".s.PGSQL.5432");
        let give_up = Instant::now() + START_TIMEOUT;
        while !socket.exists() {
            let ended = self._shell.try_wait().expect("a child can be asked");
            assert!(ended.is_none() && Instant::now() < give_up, "{}", self.logs());
            sleep(Duration::from_millis(20));
        }
    }

    fn logs(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        format!("PostgreSQL did not start: {}{}", read("initdb.log"), read("postgres.log"))
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.display())
    }

    /// Stops it. It starts again by itself when it has ended, which for
    /// [`Stop::Smart`] is when its clients have left.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&self, how: Stop) {
        let pid = std::fs::read_to_string(self.folder.join("data/postmaster.pid"));
        let pid = pid.ok().and_then(|text| text.lines().next().map(str::to_owned));
        let pid = pid.expect("a running server says its number");
        let told = Command::new("kill").args([how.signal(), &pid]).status();
        assert!(told.is_ok_and(|status| status.success()), "the server runs");
    }

    /// A new database.
    pub async fn database(&self) -> super::Backend {
        let url = self.create_database().await;
        super::Backend { name: "postgres", url, _folder: None }
    }

    /// A new database and its URL.
    pub(super) async fn create_database(&self) -> String {
        let name = format!("test_{}", super::unique().replace('-', "_"));
        self.create(&[&name]).await;
        self.store_url(&name)
    }

    /// Makes databases of these names, which are free.
    pub async fn create(&self, names: &[&str]) {
        let mut connection = self.connect().await;
        for name in names {
            let sql = format!("CREATE DATABASE {name}");
            let made = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await;
            made.expect("a new name is free");
        }
        let _ = connection.close().await;
    }

    /// What [`Store::open`](crate::Store::open) takes for a database of this name, or
    /// `titan up --database` for `{app}`.
    #[must_use]
    pub fn store_url(&self, database: &str) -> String {
        format!("{}&allow_unsafe=fsync,full_page_writes", self.url(database))
    }

    /// The socket is there a moment before the server is ready.
    async fn connect(&self) -> PgConnection {
        let give_up = Instant::now() + START_TIMEOUT;
        loop {
            match PgConnection::connect(&self.url("postgres")).await {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < give_up, "{error}: {}", self.logs()),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
