//! Blobs that are archives, or too large to be held: opened and read as files are.
//!
//! Where a blob stood in the repository is not known yet when it is opened. It goes by its id until a [`Harvest`] that
//! has something to tell is given its place.

use std::io::Read;
use std::sync::{Mutex, PoisonError};

use super::archive::Format;
use super::coverage::{Coverage, Gaps};
use super::git::{self, Content, ObjectId, Opener};
use super::provenance::{Provenance, Source};
use super::read::{Harvest, Shared, Worker};

/// Opens the blobs of one repository.
pub struct Blobs<'s> {
    shared: &'s Shared<'s>,
    idle: Mutex<Vec<Worker<'s>>>,
    /// What was read of all of them, without the gaps.
    read: Mutex<Coverage>,
}

impl<'s> Blobs<'s> {
    pub fn new(shared: &'s Shared<'s>) -> Self {
        Self { shared, idle: Mutex::default(), read: Mutex::default() }
    }

    pub fn into_read(self) -> Coverage {
        self.read.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opener for Blobs<'_> {
    type Told = Harvest;

    fn takes(&self, head: &[u8]) -> bool {
        self.shared.plan.archives.depth > 0 && Format::of(head).is_some()
    }

    fn open(&self, id: &ObjectId, content: Content<'_>) -> Result<Option<Harvest>, git::Gap> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut worker = idle.unwrap_or_else(|| Worker::new(self.shared));
        let place = Provenance { path: id.to_string(), members: Vec::new(), source: Source::File };
        match content {
            Content::Memory(mut bytes) => {
                let size = bytes.len() as u64;
                worker.object(&mut bytes as &mut dyn Read, size, &place);
            }
            Content::Stream { bytes, size } => worker.object(bytes, size, &place),
        }
        let mut harvest = std::mem::take(&mut worker.harvest);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        let gaps = std::mem::take(&mut harvest.coverage.gaps);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.merge(std::mem::take(&mut harvest.coverage));
        harvest.coverage.gaps = gaps;
        let is_worth_telling = !harvest.findings.is_empty() || !harvest.coverage.is_complete() || harvest.inline > 0;
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
        let mut gaps = Gaps::default();
        for (reason, count) in self.coverage.gaps.iter() {
            let examples = count.examples.iter().map(|example| example.replacen(&id, &place.path, 1));
            gaps.add_many(reason, count.count, examples);
        }
        self.coverage.gaps = gaps;
    }
}
