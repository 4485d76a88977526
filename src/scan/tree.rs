//! Trees: every regular file below a folder, on all cores.
//!
//! No symbolic link is followed, no device and no FIFO is opened. Of a repository's own folder only the object store is
//! left out, because its objects are compressed: `.git/config` is where a checkout leaves its credentials. Whoever
//! walks a tree is told which repositories are in it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::{DirEntry, ParallelVisitor, ParallelVisitorBuilder, WalkBuilder, WalkState};

use super::coverage::Gap;
use super::plan::{History, Ignored};
use super::read::{Harvest, Place, Shared, Worker};

/// A repository that was met on the way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repository {
    /// The folder whose object store was left out: `.git`, or a bare repository.
    Here(PathBuf),
    /// A `.git` that only says, or links to, where the repository is.
    Elsewhere(PathBuf),
}

/// Scans all files below a folder, and says which repositories are among them, in the order of their names.
pub fn scan(root: &Path, shared: &Shared<'_>) -> (Harvest, Vec<Repository>) {
    let plan = shared.plan;
    // Whoever reads the history reads them for their pointers, under the names that people know.
    let leaves_lfs = plan.history == History::Full && plan.state.is_none();
    let obey = plan.ignored == Ignored::Skipped;
    let met = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&met);
    let walk = WalkBuilder::new(root)
        .standard_filters(false)
        .git_ignore(obey)
        .git_exclude(obey)
        .git_global(false)
        .parents(obey)
        .follow_links(false)
        .overrides(plan.paths.clone())
        .threads(plan.threads)
        .filter_entry(move |entry| {
            let repository = repository(entry);
            let goes_on = !matches!(repository, Some(Repository::Here(_)));
            note.lock().unwrap_or_else(PoisonError::into_inner).extend(repository);
            goes_on && !(leaves_lfs && is_lfs_store(entry))
        })
        .build_parallel();
    let gathered = Mutex::new(Harvest::default());
    walk.visit(&mut Builder { shared, gathered: &gathered });
    let mut met = std::mem::take(&mut *met.lock().unwrap_or_else(PoisonError::into_inner));
    met.sort_unstable();
    (gathered.into_inner().unwrap_or_else(PoisonError::into_inner), met)
}

/// The repository that an entry gives away: by its object store, or by a `.git` that is no folder.
fn repository(entry: &DirEntry) -> Option<Repository> {
    let kind = entry.file_type()?;
    match entry.file_name().to_str()? {
        ".git" if !kind.is_dir() => Some(Repository::Elsewhere(entry.path().to_owned())),
        "objects" => {
            let folder = entry.path().parent()?;
            let is_git = folder.ends_with(".git") || folder.join("HEAD").is_file() && folder.join("refs").is_dir();
            match is_git {
                true if kind.is_dir() => Some(Repository::Here(folder.to_owned())),
                // A link to the objects of another repository is not followed.
                true if kind.is_symlink() => Some(Repository::Elsewhere(entry.path().to_owned())),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether an entry is where a repository keeps the content of LFS files.
fn is_lfs_store(entry: &DirEntry) -> bool {
    let folder = entry.path().parent().filter(|folder| entry.file_name() == "objects" && folder.ends_with("lfs"));
    folder.and_then(Path::parent).is_some_and(|git| git.join("objects").is_dir() && git.join("HEAD").is_file())
}

struct Builder<'s, 'g> {
    shared: &'s Shared<'s>,
    gathered: &'g Mutex<Harvest>,
}

impl<'v, 's: 'v, 'g: 'v> ParallelVisitorBuilder<'v> for Builder<'s, 'g> {
    fn build(&mut self) -> Box<dyn ParallelVisitor + 'v> {
        Box::new(Visitor { worker: Worker::new(self.shared), gathered: self.gathered })
    }
}

struct Visitor<'s, 'g> {
    worker: Worker<'s>,
    gathered: &'g Mutex<Harvest>,
}

impl ParallelVisitor for Visitor<'_, '_> {
    fn visit(&mut self, entry: Result<DirEntry, ignore::Error>) -> WalkState {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = path_of(&error).unwrap_or_else(|| Path::new("a folder")).to_owned();
                self.worker.gap(Gap::Unreadable, &Place::Path(&path));
                return WalkState::Continue;
            }
        };
        if self.worker.is_late() {
            self.worker.gap(Gap::TimeOut, &Place::Path(entry.path()));
            return WalkState::Quit;
        }
        let kind = entry.file_type();
        // The folder itself was named by whoever scans it; files see to their own names.
        if entry.depth() > 0 && !kind.is_some_and(|kind| kind.is_file()) {
            self.worker.name(entry.path());
        }
        match kind {
            Some(kind) if kind.is_file() => self.worker.file(entry.path()),
            Some(kind) if kind.is_dir() => {}
            // Its target is in the tree, or is not ours to read.
            Some(kind) if kind.is_symlink() => self.worker.skip(Gap::Link, entry.path()),
            _ => self.worker.skip(Gap::NotRegular, entry.path()),
        }
        WalkState::Continue
    }
}

impl Drop for Visitor<'_, '_> {
    fn drop(&mut self) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.merge(std::mem::take(&mut self.worker.harvest));
    }
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}
