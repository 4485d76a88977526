//! Where git looks for a repository's hooks.
//!
//! Usually in the repository itself. `core.hooksPath` names another place, for one repository or for all of a person:
//! whoever installs a hook has to know, because git looks in one place only. Of the configuration that one word is read;
//! includes are not followed.

use std::path::{Path, PathBuf};

use super::git::{Gaps, Places, hooks_path, work_tree_above};
use super::run::Error;

/// A folder of hooks.
#[derive(Debug, PartialEq, Eq)]
pub struct HooksFolder {
    pub path: PathBuf,
    /// The file whose `core.hooksPath` says so.
    pub set_by: Option<PathBuf>,
}

/// Files with a person's or the machine's settings, the nearest first, and what `~` stands for in them.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub files: Vec<PathBuf>,
    pub home: Option<PathBuf>,
}

/// Finds the folder for the repository that `path` is in.
pub fn find(path: &Path, settings: &Settings) -> Result<HooksFolder, Error> {
    let none = || Error::NoRepository(path.to_owned());
    let whole = path.canonicalize().map_err(|error| Error::Unreadable(path.to_owned(), error))?;
    let root = work_tree_above(&whole).ok_or_else(none)?;
    let places = Places::find(&root, &mut Gaps::default()).map_err(|_| none())?;
    let own = [places.git_dir.join("config.worktree"), places.common_dir.join("config")];
    for file in own.iter().chain(&settings.files) {
        let Some(value) = hooks_path(file) else { continue };
        let folder = match (value.strip_prefix("~/"), &settings.home) {
            (Some(rest), Some(home)) => home.join(rest),
            // Relative to where hooks run: the top of the work tree.
            _ => root.join(value),
        };
        return Ok(HooksFolder { path: folder, set_by: Some(file.clone()) });
    }
    Ok(HooksFolder { path: places.common_dir.join("hooks"), set_by: None })
}
