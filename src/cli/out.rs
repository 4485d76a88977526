//! Standard output for data, standard error for talk.

use std::fmt::Display;
#[cfg(feature = "server")]
use std::io::IsTerminal as _;
use std::io::{self, Write as _};

#[cfg(feature = "server")]
use crate::config::Environment;

/// Writes one line of data.
///
/// # Errors
/// When nobody reads standard output any more, or the disk behind it is full.
pub fn data(line: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Says something to the person at the terminal. If nobody listens, nothing is lost.
pub fn talk(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether words on standard output may be coloured. Colour never carries meaning: the same words stand without it.
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Off,
    On,
}

#[cfg(feature = "server")]
impl Colour {
    /// On for a terminal, unless the person said otherwise (<https://no-color.org>).
    pub fn of(environment: &Environment) -> Self {
        let wanted = environment.get("NO_COLOR").is_none() && environment.get("TERM") != Some("dumb");
        if wanted && io::stdout().is_terminal() { Self::On } else { Self::Off }
    }

    pub fn paint(self, ink: Ink, words: &str) -> String {
        match self {
            Self::Off => words.to_owned(),
            Self::On => format!("\u{1b}[{}m{words}\u{1b}[0m", ink.code()),
        }
    }
}

#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Bold,
    Dim,
    Green,
    Red,
    Yellow,
}

#[cfg(feature = "server")]
impl Ink {
    fn code(self) -> u8 {
        match self {
            Self::Bold => 1,
            Self::Dim => 2,
            Self::Green => 32,
            Self::Red => 31,
            Self::Yellow => 33,
        }
    }
}
