//! Other programs: whether they are here, and how they serve during a test.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// The program, or `None` where it may be missing.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.or_else(|| missing(name))
}

/// `None` where something may be missing.
pub(crate) fn missing<T>(what: &str) -> Option<T> {
    assert_ne!(
        std::env::var("TITAN_TEST_BACKENDS").as_deref(),
        Ok("all"),
        "{what} is missing, and TITAN_TEST_BACKENDS=all demands it"
    );
    eprintln!("left out: {what} is not on this machine");
    None
}

/// Everything that a program printed.
pub(crate) fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// A serving program, which ends with its test.
pub(crate) struct Server {
    pub(crate) port: u16,
    process: Child,
}

impl Server {
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a server that must be told its port. Between our asking for a free port
/// and its taking it, somebody else may have it: then another is tried.
pub(crate) fn serve(command: impl Fn(u16) -> Command) -> Server {
    for _ in 0..5 {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let process = command(port).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut server = Server { port, process };
        if listens(&mut server) {
            return server;
        }
    }
    panic!("{:?} does not serve", command(0));
}

/// Whether a server comes to listen before it ends. The specification gives it no
/// way to tell, so it is asked again and again.
fn listens(server: &mut Server) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], server.port));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if server.process.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect(address).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
