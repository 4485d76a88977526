//! Refused settings: what is wrong, where it stands, and what to do next.
//!
//! A problem never repeats the value of a setting that can carry a credential.

use std::fmt;
use std::path::PathBuf;

/// One refused setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Problem {
    pub place: Place,
    pub message: String,
    /// The next thing to do, as a sentence without its full stop.
    pub hint: String,
}

/// Where a refused setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A variable of the environment, by its name.
    Environment(String),
    /// The configuration file, and the line and key where they are known.
    File { path: PathBuf, line: Option<usize>, key: Option<String> },
    /// A flag of the command line.
    Flag(&'static str),
    /// A setting that nobody wrote, by its key.
    Key(String),
    /// A file that a setting names: a key or a credential.
    Named(PathBuf),
}

impl Problem {
    pub fn new(place: Place, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "environment variable `{name}`"),
            Self::File { path, line, key } => {
                write!(f, "{}", path.display())?;
                if let Some(line) = line {
                    write!(f, ":{line}")?;
                }
                key.as_ref().map_or(Ok(()), |key| write!(f, ": `{key}`"))
            }
            Self::Flag(name) => write!(f, "flag `{name}`"),
            Self::Key(key) => write!(f, "setting `{key}`"),
            Self::Named(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is refused")]
pub struct Refused(Vec<Problem>);

impl Refused {
    /// Ok if there is no problem.
    pub fn unless_empty(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }

    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}
