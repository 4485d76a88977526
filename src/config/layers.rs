//! Layers: which of them set a value, and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::environment::{Environment, Variable};
use super::human::Span;
use super::locate::Locations;
use super::problem::{Place, Problem};

/// Who set a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    Environment(&'static str),
    /// The configuration file, with the line.
    File(usize),
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment(name) | Self::Flag(name) => f.write_str(name),
            Self::File(line) => write!(f, "line {line}"),
        }
    }
}

/// What every section can do with the layers.
pub(super) trait Section {
    /// Makes the paths that stand in a file relative to the file's folder.
    fn rebase(&mut self, folder: &Path);

    /// Takes over what the environment sets.
    fn read_environment(&mut self, layers: &mut Layers);

    /// Refuses what cannot be right, whoever set it.
    fn check(&self, layers: &mut Layers);
}

/// The layers of one configuration: the environment, who set what, and what was refused.
#[derive(Clone, Default)]
pub(super) struct Layers {
    pub file: Option<PathBuf>,
    pub environment: Environment,
    pub problems: Vec<Problem>,
    set_by: BTreeMap<String, Source>,
}

impl Layers {
    pub fn of_file(path: &Path, locations: &Locations) -> Self {
        let set_by = locations.keys().map(|(key, line)| (key.to_owned(), Source::File(line))).collect();
        Self { file: Some(path.to_owned()), set_by, ..Self::default() }
    }

    pub fn is_set(&self, variable: &Variable) -> bool {
        self.environment.get(variable.name).is_some()
    }

    /// Sets a value from its variable, if that is set.
    pub fn set<T: FromStr<Err: fmt::Display>>(&mut self, variable: &Variable, value: &mut T) {
        if let Some(new) = self.read(variable) {
            *value = new;
        }
    }

    /// Sets a value that may be missing; tells whether the variable did.
    pub fn set_some<T: FromStr<Err: fmt::Display>>(&mut self, variable: &Variable, value: &mut Option<T>) -> bool {
        let new = self.read(variable);
        let found = new.is_some();
        *value = new.or_else(|| value.take());
        found
    }

    /// Notes that the variable holds a credential, to be read when it is needed.
    pub fn set_credential(&mut self, variable: &Variable, named: &mut Option<String>) -> bool {
        let found = self.is_set(variable);
        if found {
            *named = Some(variable.name.to_owned());
            self.note(variable.key, Source::Environment(variable.name));
        }
        found
    }

    pub fn note(&mut self, key: &str, source: Source) {
        self.set_by.insert(key.to_owned(), source);
    }

    pub fn source(&self, key: &str) -> Source {
        self.set_by.get(key).copied().unwrap_or(Source::Default)
    }

    /// Refuses the value of a key, at the place where it was set.
    pub fn refuse(&mut self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::new(self.place(key), message, hint));
    }

    /// Where the key was set; for one that is missing, where its table begins.
    pub fn place(&self, key: &str) -> Place {
        let tables = std::iter::successors(Some(key), |key| key.rsplit_once('.').map(|(table, _)| table));
        let source = tables.map(|key| self.source(key)).find(|source| *source != Source::Default);
        match (source.unwrap_or(Source::Default), &self.file) {
            (Source::Environment(name), _) => Place::Environment(name.into()),
            (Source::File(line), Some(path)) => {
                Place::File { path: path.clone(), line: Some(line), key: Some(key.into()) }
            }
            (Source::Flag(name), _) => Place::Flag(name),
            (Source::Default | Source::File(_), _) => Place::Key(key.into()),
        }
    }

    /// Refuses a span that is shorter or longer than can make sense.
    pub fn check_span(&mut self, key: &str, span: Span, least: Span, most: Span) {
        if span < least || span > most {
            let hint = format!("choose a span from `{least}` to `{most}`");
            self.refuse(key, format!("`{span}` is out of range"), hint);
        }
    }

    fn read<T: FromStr<Err: fmt::Display>>(&mut self, variable: &Variable) -> Option<T> {
        let text = self.environment.get(variable.name)?.to_owned();
        self.note(variable.key, Source::Environment(variable.name));
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let hint = format!("correct the variable or unset it; it overrides `{}` of the file", variable.key);
                self.refuse(variable.key, format!("{error}"), hint);
                None
            }
        }
    }
}

/// Makes a path of the file relative to the file's folder.
pub(super) fn rebase(path: Option<&mut PathBuf>, folder: &Path) {
    if let Some(path) = path {
        *path = folder.join(&*path);
    }
}
