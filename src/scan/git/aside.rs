//! Aside: blobs that a walk does not read as texts: archives, and what is larger than it may hold.
//!
//! The walk notes them and goes on; afterwards each is opened by itself. An archive is put together in memory, also if
//! it is stored as a difference from another one. What is larger than the walk may hold is read as a stream, if it is
//! stored as it is; git stores no file of more than 512 MiB otherwise, unless it was told to (`core.bigFileThreshold`),
//! and smaller ones are put together, one at a time.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::coverage::Coverage;
use super::history::Options;
use super::objects::{Found, Search};
use super::reader::Reader;
use super::store::Store;
use super::walk::{Failed, Harvest, Limits, on_threads, walk_alone};
use super::{Gap, ObjectId, ObjectKind, Provenance};
use crate::scan::engine::Detector;

/// Opens blobs that are not looked at as texts.
pub trait Opener: Sync {
    /// What there is to tell of a blob.
    type Told: Send;

    /// Whether a blob that begins so is opened.
    fn takes(&self, head: &[u8]) -> bool;

    /// Opens a blob. Nothing to tell is `None`.
    ///
    /// # Errors
    /// Why it was not read.
    fn open(&self, id: &ObjectId, content: Content<'_>) -> Result<Option<Self::Told>, Gap>;
}

/// What is in a blob.
pub enum Content<'c> {
    Memory(&'c [u8]),
    Stream { bytes: &'c mut dyn Read, size: u64 },
}

/// Opens nothing: every blob is a text, and what is too large for one is not read.
pub struct Closed;

impl Opener for Closed {
    type Told = ();

    fn takes(&self, _: &[u8]) -> bool {
        false
    }

    fn open(&self, _: &ObjectId, _: Content<'_>) -> Result<Option<()>, Gap> {
        Err(Gap::TooLarge)
    }
}

/// What was told of a blob, and where that was first seen; no provenance if no reference leads to it.
#[derive(Debug)]
pub struct Opened<T> {
    pub object: ObjectId,
    pub told: T,
    pub provenance: Option<Provenance>,
}

/// A blob is put together from its differences up to this size.
pub const MAX_REBUILT: u64 = 512 << 20;

/// Opens blobs that a walk has set aside.
pub struct Aside<'a, D, O> {
    pub store: &'a Store,
    pub search: &'a Search<'a, D>,
    pub opener: &'a O,
    pub options: &'a Options,
    pub limits: Limits<'a>,
}

impl<D: Detector, O: Opener> Aside<'_, D, O> {
    /// Opens archives, on all cores.
    pub fn open(&self, slots: &[u32], failed: &mut Vec<Failed>) -> Vec<(u32, O::Told)> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut reader = Reader::new(self.store, MAX_REBUILT);
            let (mut told, mut failed) = (Vec::new(), Vec::new());
            while let Some(slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                let is_stopped = self.limits.stop.load(Ordering::Relaxed);
                let read = if is_stopped { Err(Gap::Stopped) } else { reader.read_slot(slot) };
                let id = self.store.id(slot);
                match read.and_then(|object| self.opener.open(&id, Content::Memory(&object.text))) {
                    Ok(one) => told.extend(one.map(|one| (slot, one))),
                    Err(gap) => failed.push((slot, gap)),
                }
            }
            (told, failed)
        };
        let mut told = Vec::new();
        for (some, gaps) in on_threads(if slots.len() < 2 { 1 } else { self.limits.threads }, work) {
            told.extend(some);
            failed.extend(gaps);
        }
        told
    }

    /// Reads objects that were too large for the walk, or made from such a one, one at a time.
    pub fn read_large(
        &self,
        slots: &[u32],
        coverage: &mut Coverage,
        failed: &mut Vec<Failed>,
        told: &mut Vec<(u32, O::Told)>,
    ) -> Vec<Harvest<Found<D>>> {
        let mut harvests = Vec::new();
        let limits = Limits { object_bytes: MAX_REBUILT.min(self.options.max_object_bytes), threads: 1, ..self.limits };
        let mut reader = Reader::new(self.store, limits.object_bytes);
        for slot in slots.iter().copied() {
            if self.limits.stop.load(Ordering::Relaxed) {
                failed.push((slot, Gap::Stopped));
                continue;
            }
            let about = match reader.about(slot) {
                Ok(about) if about.size > self.options.max_object_bytes => Err(Gap::TooLarge),
                about => about,
            };
            match about {
                Err(gap) => failed.push((slot, gap)),
                Ok(about)
                    if about.kind == ObjectKind::Blob && about.is_whole && about.size > self.limits.object_bytes =>
                {
                    let id = self.store.id(slot);
                    let opened = reader.stream(slot).and_then(|mut bytes| {
                        self.opener.open(&id, Content::Stream { bytes: &mut bytes, size: about.size })
                    });
                    match opened {
                        Ok(one) => {
                            coverage.blobs.objects += 1;
                            coverage.blobs.bytes += about.size;
                            told.extend(one.map(|one| (slot, one)));
                        }
                        Err(gap) => failed.push((slot, gap)),
                    }
                }
                Ok(_) => harvests.extend(walk_alone(self.store, &[slot], self.search, limits)),
            }
        }
        harvests
    }
}
