//! Lines for people: plain where they are piped, coloured at a terminal.

use std::{
    env,
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

/// How text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Good news.
    Green,
    /// Something to keep an eye on.
    Yellow,
    /// Bad news.
    Red,
    /// An aside.
    Dim,
}

/// Whether text may carry colours: at a terminal, and when the user did not
/// decline them (<https://no-color.org>).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Colours(bool);

impl Colours {
    /// For standard output.
    pub(crate) fn of_stdout() -> Self {
        Self(io::stdout().is_terminal() && Self::wanted())
    }

    /// For standard error.
    pub(crate) fn of_stderr() -> Self {
        Self(io::stderr().is_terminal() && Self::wanted())
    }

    /// None.
    #[cfg(test)]
    pub(crate) fn off() -> Self {
        Self(false)
    }

    fn wanted() -> bool {
        env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// The text in a colour, if there are any.
    pub(crate) fn paint(self, paint: Paint, text: impl Display) -> String {
        let code = match paint {
            Paint::Green => 32,
            Paint::Yellow => 33,
            Paint::Red => 31,
            Paint::Dim => 2,
        };
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// Prints a line. Who reads it may have gone (`titan logs | head`): then there
/// is nobody left to tell, and `false` says so.
pub(crate) fn print(line: impl Display) -> bool {
    writeln!(io::stdout().lock(), "{line}").is_ok()
}

/// Prints a line on standard error, when somebody reads it.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// A time as a person tells it, in two units at most: `84 ms`, `1.2 s`,
/// `3m 20s`, `2d 4h`.
pub(crate) fn brief(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_units_at_most() {
        for (ms, expected) in [
            (84, "84 ms"),
            (1_230, "1.2 s"),
            (42_000, "42s"),
            (200_000, "3m 20s"),
            (7_500_000, "2h 5m"),
            (187_200_000, "2d 4h"),
        ] {
            assert_eq!(brief(Duration::from_millis(ms)), expected);
        }
    }

    #[test]
    fn without_colours_text_stays_as_it_is() {
        assert_eq!(Colours::off().paint(Paint::Red, "x"), "x");
        assert_eq!(Colours(true).paint(Paint::Red, "x"), "\x1b[31mx\x1b[0m");
    }
}
