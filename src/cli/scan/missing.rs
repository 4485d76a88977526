//! What repositories on this disk have left elsewhere, fetched because a person asked for it.
//!
//! Of the repository's configuration nothing is used but the address of its remote, which is told before anything is
//! asked there; `clone` says what else the git that runs may do. What comes is lent to the scan from a folder of our own:
//! the repository stays as it was.

use std::path::Path;

use super::clone::{Address, Clone, Credentials};
use crate::cli::{HintExt as _, Usage, out};
use crate::redact::inert;
use crate::scan::{Absent, Here, Lent, remote};

/// What is fetched.
#[derive(Clone, Debug, Default)]
pub struct Missing {
    /// Objects of partial clones, from their remote or from this address.
    pub objects: Option<String>,
    /// Contents of LFS files.
    pub contents: bool,
}

/// Objects may lead to others, and to pointers; more than this makes no sense.
pub const ROUNDS: usize = 3;

impl Missing {
    pub fn is_nothing(&self) -> bool {
        self.objects.is_none() && !self.contents
    }

    /// Fetches what is wanted of what is absent. What cannot be had is told, and stays a gap.
    ///
    /// # Errors
    /// An address that a person typed is none that is fetched.
    pub fn fetch(&self, absent: &Absent, credentials: Credentials) -> anyhow::Result<Vec<(Lent, Clone)>> {
        let mut fetched = Vec::new();
        for (folder, here) in absent.iter() {
            let objects = self.objects.as_ref().filter(|_| !here.objects.is_empty());
            let contents = self.contents && !here.contents.is_empty();
            if objects.is_none() && !contents {
                continue;
            }
            let typed = objects.filter(|typed| !typed.is_empty()).cloned();
            let address = match (typed, remote(folder)) {
                (Some(typed), _) => Some(address(&typed)?),
                (None, Some(set)) => address(&set).map_err(|error| told(folder, &error)).ok(),
                (None, None) => {
                    told(folder, &anyhow::Error::msg("the repository names no remote"));
                    None
                }
            };
            let Some(address) = address else { continue };
            let mut keep = |copy: anyhow::Result<Clone>| match copy {
                Ok(copy) => fetched.push((Lent { to: folder.to_owned(), from: copy.path() }, copy)),
                Err(error) => told(folder, &error),
            };
            if objects.is_some() {
                say(here.objects.len(), "object", "objects", &address);
                keep(address.fetch_objects(&here.objects, credentials));
            }
            if contents {
                say(here.contents.len(), "LFS file", "LFS files", &address);
                keep(address.fetch_contents(&here.contents, credentials));
            }
        }
        Ok(fetched)
    }

    /// Whether any of it is wanted.
    pub fn wants(&self, absent: &Absent) -> bool {
        let wants = |here: &Here| {
            self.objects.is_some() && !here.objects.is_empty() || self.contents && !here.contents.is_empty()
        };
        absent.iter().any(|(_, here)| wants(here))
    }
}

fn address(text: &str) -> anyhow::Result<Address> {
    match Address::parse(text) {
        Some(address) => Ok(address?),
        None => Err(anyhow::Error::from(Usage(format!("`{}` is no address that is fetched", inert(text, 200)))))
            .hint("name one: --fetch-missing=https://host/owner/name.git"),
    }
}

fn say(count: usize, one: &str, many: &str, address: &Address) {
    out::talk(format!("Fetching {count} {} from {}", if count == 1 { one } else { many }, address.shown()));
}

fn told(folder: &Path, error: &anyhow::Error) {
    let folder = inert(&folder.display().to_string(), 300);
    out::talk(format!("Warning: what `{folder}` lacks cannot be fetched: {error}"));
}
