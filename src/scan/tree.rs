//! Trees: every regular file below a folder, on all cores.
//!
//! No symbolic link is followed, no device and no FIFO is opened, and of a repository's own folder only the object
//! store is left out, because its objects are compressed: `.git/config` is where a checkout leaves its credentials.

use std::path::Path;
use std::sync::Mutex;

use ignore::{DirEntry, ParallelVisitor, ParallelVisitorBuilder, WalkBuilder, WalkState};

use super::coverage::Gap;
use super::plan::Ignored;
use super::read::{Harvest, Place, Shared, Worker};

/// Scans all files below a folder.
pub fn scan(root: &Path, shared: &Shared<'_>) -> Harvest {
    let plan = shared.plan;
    let obey = plan.ignored == Ignored::Skipped;
    let walk = WalkBuilder::new(root)
        .standard_filters(false)
        .git_ignore(obey)
        .git_exclude(obey)
        .git_global(false)
        .parents(obey)
        .follow_links(false)
        .overrides(plan.paths.clone())
        .threads(plan.threads)
        .filter_entry(|entry| !is_object_store(entry))
        .build_parallel();
    let gathered = Mutex::new(Harvest::default());
    walk.visit(&mut Builder { shared, gathered: &gathered });
    gathered.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Objects are compressed and named by their content: `scan::git` reads them as what they are.
fn is_object_store(entry: &DirEntry) -> bool {
    let is_named = matches!(entry.file_name().to_str(), Some("objects" | "lfs"));
    is_named
        && entry.file_type().is_some_and(|kind| kind.is_dir())
        && entry.path().parent().is_some_and(|parent| parent.join("HEAD").is_file() && parent.join("refs").is_dir())
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
        match entry.file_type() {
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
        let mut gathered = self.gathered.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
