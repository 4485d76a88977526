//! The environment: the variables that stanch reads, and nothing else of it.
//!
//! Every variable is a documented const of the section it belongs to, and stands in [`VARIABLES`](super::VARIABLES).
//! An empty variable counts as not set, as orchestrators leave them behind.

use std::collections::BTreeMap;

/// A variable of the environment and the setting it sets.
#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    pub key: &'static str,
}

/// The variables of a process, as they were when it started. Holds credentials: no `Debug`.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    pub fn of_process() -> Self {
        // Variables that are not UTF-8 are none of ours.
        let readable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(readable).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Names that look like ours.
    pub(super) fn ours(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| name.starts_with("STANCH_"))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
