//! Blobs that are archives, or too large to be held: opened and read as files are.
//!
//! The pointer of an LFS file is opened as well: what it stands for is read in its place, if the repository has it.
//!
//! Where a blob stood in the repository is not known yet when it is opened. It goes by its id until a [`Harvest`] that
//! has something to tell is given its place.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::archive::Format;
use super::changes::is_excluded;
use super::coverage::{Coverage, Gap};
use super::git::{self, Content, ObjectId, Opener};
use super::lfs::{self, Lfs, Pointer};
use super::provenance::{Provenance, Source};
use super::read::{Harvest, Shared, Worker, slashed};

/// Opens the blobs of one repository.
pub struct Blobs<'s> {
    shared: &'s Shared<'s>,
    common_dir: PathBuf,
    idle: Mutex<Vec<Worker<'s>>>,
    /// What was read of all of them, without the gaps.
    read: Mutex<Coverage>,
    /// LFS content that was read for a pointer, by its hash.
    lfs: Mutex<BTreeSet<String>>,
}

impl<'s> Blobs<'s> {
    pub fn new(shared: &'s Shared<'s>, common_dir: &Path) -> Self {
        let (idle, read, lfs) = Default::default();
        Self { shared, common_dir: common_dir.to_owned(), idle, read, lfs }
    }

    /// What was read of the blobs. With it comes the LFS content that no pointer led to, which the walk of the files has
    /// left to us; `own` is what the repository's folder is called in a report.
    pub fn finish(self, own: &Path) -> Harvest {
        let mut worker = Worker::new(self.shared);
        worker.harvest.coverage = self.read.into_inner().unwrap_or_else(PoisonError::into_inner);
        let known = self.lfs.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (oid, path) in lfs::contents(&self.common_dir) {
            let shown = own.join(path.strip_prefix(&self.common_dir).unwrap_or(&path));
            if !known.contains(&oid) && !is_excluded(self.shared.plan, &shown) {
                worker.file_as(&path, &Provenance::file(slashed(&shown)));
            }
        }
        worker.harvest
    }

    fn follow(&self, pointer: &Pointer, place: &Provenance, worker: &mut Worker<'s>) {
        match self.shared.plan.lfs {
            Lfs::Pointers => worker.harvest.coverage.skipped.add(Gap::LfsPointer, &place.path),
            Lfs::Content => {
                // Two pointers may differ in what they say beside the hash.
                let is_new = self.lfs.lock().unwrap_or_else(PoisonError::into_inner).insert(pointer.oid().to_owned());
                if is_new {
                    worker.lfs(pointer, &self.common_dir, place);
                }
            }
        }
    }
}

impl Opener for Blobs<'_> {
    type Told = Harvest;

    fn takes(&self, head: &[u8]) -> bool {
        self.shared.plan.archives.depth > 0 && Format::of(head).is_some() || Pointer::parse(head).is_some()
    }

    fn open(&self, id: &ObjectId, content: Content<'_>) -> Result<Option<Harvest>, git::Gap> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut worker = idle.unwrap_or_else(|| Worker::new(self.shared));
        let place = Provenance { path: id.to_string(), members: Vec::new(), source: Source::File };
        match content {
            Content::Memory(mut bytes) => {
                let size = bytes.len() as u64;
                if let Some(pointer) = Pointer::parse(bytes) {
                    self.follow(&pointer, &place, &mut worker);
                }
                worker.object(&mut bytes as &mut dyn Read, size, &place);
            }
            Content::Stream { bytes, size } => worker.object(bytes, size, &place),
        }
        let mut harvest = std::mem::take(&mut worker.harvest);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        let Coverage { gaps, skipped, .. } = &mut harvest.coverage;
        let left_out = Coverage { gaps: std::mem::take(gaps), skipped: std::mem::take(skipped), ..Coverage::default() };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.merge(std::mem::replace(&mut harvest.coverage, left_out));
        let Coverage { gaps, skipped, .. } = &harvest.coverage;
        let is_worth_telling =
            !harvest.findings.is_empty() || !gaps.is_empty() || !skipped.is_empty() || harvest.inline > 0;
        Ok(is_worth_telling.then_some(harvest))
    }
}

impl Harvest {
    /// Puts what was told of a blob to where the blob stood.
    pub fn place_at(&mut self, id: &ObjectId, place: &Provenance) {
        for finding in &mut self.findings {
            finding.provenance.path.clone_from(&place.path);
            finding.provenance.source.clone_from(&place.source);
        }
        let id = id.to_string();
        // Made fit to be shown with all others, when the scan is over.
        for gaps in [&mut self.coverage.gaps, &mut self.coverage.skipped] {
            gaps.reword(|example| example.replacen(&id, &place.path, 1));
        }
    }
}
