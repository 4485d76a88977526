//! Staged: what would be committed now and is not in `HEAD`.
//!
//! No process runs, no file of the work tree is read, and of the repository only the folders in which something
//! changed: a hook on a large repository ends before anybody notices it. Lines and columns are those of the staged
//! content, which is not always what lies in the work tree.

use std::path::PathBuf;

use super::changes::{self, Item, Reading};
use super::coverage::Gap;
use super::git::{Changes, Commit, Differ, Gaps, IndexFile, References};
use super::provenance::{Provenance, Source};
use super::read::{Harvest, Shared};
use super::repository::Chosen;
use super::run::Error;

/// What chooses the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    /// Another file than the repository's own: `git commit -a` gives its hooks a temporary one.
    pub index: Option<PathBuf>,
}

/// Reads what is staged in the repositories of the plan's targets.
pub fn scan(staged: &Staged, shared: &Shared<'_>) -> Result<Harvest, Error> {
    let mut all = Harvest::default();
    for chosen in Chosen::of(shared.plan)? {
        all.merge(of_one(&chosen, staged, shared)?);
    }
    Ok(all)
}

fn of_one(chosen: &Chosen, staged: &Staged, shared: &Shared<'_>) -> Result<Harvest, Error> {
    let places = &chosen.places;
    let mut gaps = Gaps::default();
    let own = places.git_dir.join("index");
    let path = staged.index.as_deref().unwrap_or(&own);
    let index = IndexFile::read(path, &places.git_dir, places.hash).map_err(Error::Index)?;
    let reading = Reading::open(chosen, shared, &mut gaps);
    let mut reader = reading.reader();
    let head = References::read(places).head(&mut reader).map_err(Error::Revision)?;
    let tree = head.and_then(|id| Commit::parse(&reader.read(&id).ok()?.text)).map(|commit| commit.tree);
    let mut differ = Differ::new(&mut reader, &mut gaps);
    differ.index(&index, tree);
    let Changes { blobs, gone, submodules } = differ.changes;

    let told = |path: &[u8]| chosen.told(path, shared.plan);
    let work: Vec<_> = blobs.into_iter().filter_map(|blob| Some((told(&blob.path)?, blob))).collect();
    let mut harvest = changes::scan(
        &reading,
        &work,
        |(path, blob)| Item {
            id: blob.id,
            provenance: Provenance { path: path.clone(), members: Vec::new(), source: Source::Staged },
            before: blob.before.clone(),
            gone: &gone,
        },
        |_, _, _| {},
    );
    harvest.coverage.add_git(&gaps, shared.plan);
    harvest.coverage.absent.objects(&places.common_dir, gaps.promised());
    // Its own hooks and scans see what is in it; here is only its name.
    for path in submodules.iter().filter_map(|path| told(path)) {
        harvest.coverage.skipped.add(Gap::Submodule, &crate::redact::inert(&path, 300));
    }
    Ok(harvest)
}
