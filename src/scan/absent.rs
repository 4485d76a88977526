//! Absent: what a repository promises and does not have, and copies that have it.
//!
//! A partial clone leaves objects at its remote, LFS leaves contents there. A scan fetches neither: it notes what is
//! absent, and reads what it is lent. Whoever runs it may fetch what was noted into a folder of their own, lend that, and
//! scan again; nothing is ever written to the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::git::{self, ObjectId};

/// What is absent, by the repository's own folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Absent(BTreeMap<PathBuf, Here>);

/// What is absent in one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// Objects that a partial clone has left at its remote.
    pub objects: BTreeSet<ObjectId>,
    /// Pointers of LFS files whose content is not here.
    pub contents: BTreeSet<String>,
}

impl Absent {
    pub fn objects(&mut self, common_dir: &Path, ids: impl IntoIterator<Item = ObjectId>) {
        let mut ids = ids.into_iter().peekable();
        if ids.peek().is_some() {
            self.0.entry(common_dir.to_owned()).or_default().objects.extend(ids);
        }
    }

    pub fn content(&mut self, common_dir: &Path, pointer: String) {
        self.0.entry(common_dir.to_owned()).or_default().contents.insert(pointer);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Here)> {
        self.0.iter().map(|(folder, here)| (folder.as_path(), here))
    }

    pub fn merge(&mut self, other: Self) {
        for (folder, more) in other.0 {
            let here = self.0.entry(folder).or_default();
            here.objects.extend(more.objects);
            here.contents.extend(more.contents);
        }
    }
}

/// A repository that has what another one lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lent {
    /// The folder of the repository that lacks it.
    pub to: PathBuf,
    /// The folder of the bare repository that has it.
    pub from: PathBuf,
}

/// The address of the remote at which a repository left what is absent, as its configuration has it: the one that a
/// partial clone names, else `origin`. Text from a stranger's file; nothing else is taken from there.
pub fn remote(common_dir: &Path) -> Option<String> {
    let settings = git::settings(common_dir);
    let named = settings.last("extensions", "", "partialclone").unwrap_or("origin");
    settings.last("remote", named, "url").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remote_is_the_one_that_promised_the_objects() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |text: &str| std::fs::write(folder.path().join("config"), text).expect("the folder is ours");
        assert_eq!(remote(folder.path()), None);
        write("[remote \"origin\"]\n\turl = https://a.example/x\n[remote \"up\"]\n\turl = https://b.example/x\n");
        assert_eq!(remote(folder.path()).as_deref(), Some("https://a.example/x"));
        write("[extensions]\n\tpartialClone = up\n[remote \"up\"]\n\turl = https://b.example/x\n");
        assert_eq!(remote(folder.path()).as_deref(), Some("https://b.example/x"));
    }
}
