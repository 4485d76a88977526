//! Targets: what was typed, with repositories fetched that were named by their addresses.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use super::clone::{Address, Clone, Credentials};
use crate::cli::{Usage, out};
use crate::redact::inert;
use crate::scan::{History, Target};

/// Targets, ready to be read. Copies of repositories are removed with it.
pub struct Targets {
    pub list: Vec<Target>,
    /// Kept until the scan is over, for then they are removed.
    copies: Vec<Clone>,
}

impl Targets {
    pub fn ready(typed: &[PathBuf], history: History, credentials: Credentials) -> anyhow::Result<Self> {
        let mut targets = Self { list: Vec::new(), copies: Vec::new() };
        for one in typed {
            let Some(address) = one.to_str().and_then(Address::parse) else {
                let stdin = one == Path::new("-");
                targets.list.push(if stdin { Target::Stdin } else { Target::Path(one.clone()) });
                continue;
            };
            let address = address?;
            if history == History::None {
                return Err(Usage("of a repository that is fetched, the history is what is read".into()).into());
            }
            if io::stderr().is_terminal() {
                out::talk(format!("Fetching {}", address.shown()));
            }
            let copy = address.fetch(credentials)?;
            targets.list.push(Target::Repository { path: copy.path(), name: inert(&copy.name, 100) });
            targets.copies.push(copy);
        }
        Ok(targets)
    }
}
