//! Asks for a password without showing it.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    process,
};

use anyhow::{Context as _, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::{signal, task};

/// Exit code of a program that Ctrl-C ended: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// Reads a password from standard input, up to the end of its first line.
///
/// # Errors
/// An input that is empty or cannot be read.
pub(crate) fn read() -> anyhow::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("standard input")?;
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        bail!("there was no password on standard input");
    }
    Ok(password.to_owned())
}

/// Asks at the terminal.
///
/// # Errors
/// No terminal to ask at.
pub(crate) async fn ask(email: &str) -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        bail!("standard input is no terminal to ask for a password; use --password-stdin");
    }
    let hidden = Hidden::new()?;
    let _ = write!(io::stderr(), "Password of {email}: ");
    let typed = task::spawn_blocking(read);
    tokio::select! {
        typed = typed => {
            drop(hidden);
            typed?
        }
        // With this handler, Ctrl-C does not end the process by itself, which
        // would leave a terminal behind that shows nothing.
        _ = signal::ctrl_c() => {
            drop(hidden);
            // The thread still waits for a line; nothing else would end it.
            process::exit(INTERRUPTED)
        }
    }
}

/// The terminal shows nothing of what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
        // The line's end was not shown either.
        let _ = writeln!(io::stderr());
    }
}
