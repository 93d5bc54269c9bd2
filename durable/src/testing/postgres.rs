//! A private PostgreSQL server per test process.

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

/// Makes the cluster, runs the server until the test process is gone (which
/// closes this shell's input, however the process ended) and removes the folder.
/// A test database needs no fsync: it does not outlive its process.
const SCRIPT: &str = r#"
set -e
cd "$1"
initdb --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C -D data >initdb.log 2>&1
postgres -D data -k "$1" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c max_connections=300 -c shared_buffers=32MB -c log_min_messages=fatal >postgres.log 2>&1 &
server=$!
cat >/dev/null
kill -INT "$server"
wait "$server" || true
cd /
rm -rf "$1"
"#;

pub(super) struct Server {
    folder: PathBuf,
    /// Its open input keeps the server running.
    _shell: Child,
}

/// The server of this process, started at the first call.
pub(super) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| installed().then(start)).as_ref()
}

fn installed() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| env::split_paths(&path).any(|folder| folder.join(program).is_file());
    has("initdb") && has("postgres")
}

fn start() -> Server {
    let folder = env::temp_dir().join(format!("titan-postgres-{}", super::unique()));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    let mut command = shell(&folder);
    let shell = command
        .arg("sh")
        .arg(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("a shell runs");
    let mut server = Server { folder, _shell: shell };
    server.wait_until_it_listens();
    server
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

    /// A new database and its URL.
    pub(super) async fn create_database(&self) -> String {
        let name = format!("test_{}", super::unique().replace('-', "_"));
        let sql = format!("CREATE DATABASE {name}");
        let mut connection = self.connect().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .expect("a new name is free");
        let _ = connection.close().await;
        self.url(&name)
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
