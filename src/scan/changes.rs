//! Changed blobs: what was staged or committed, told only as far as it is new.
//!
//! A commit hook that tells what was there before is a hook that people turn off. So a token that already stands in the
//! version before, or in a file that was moved, is counted and not told. Only blobs with findings pay for that: the
//! version before is read when there is something to compare.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::coverage::Gap;
use super::finding::Finding;
use super::git::{self, Direct, DirectReader, Gone, Large, ObjectId};
use super::lfs::{self, Lfs};
use super::plan::Plan;
use super::provenance::Provenance;
use super::read::{Harvest, Place, Shared, Worker};
use super::repository::Chosen;
use crate::redact::inert;
use crate::token::FindingId;

/// A blob to be read, and what stood there before.
pub struct Item<'i> {
    pub id: ObjectId,
    pub provenance: Provenance,
    pub before: Vec<ObjectId>,
    /// What left other paths at the same time.
    pub gone: &'i [Gone],
}

/// Where blobs are read from, and for whom.
pub struct Reading<'p> {
    direct: Direct,
    limit: u64,
    common_dir: PathBuf,
    pub shared: &'p Shared<'p>,
}

impl<'p> Reading<'p> {
    /// Opens a repository; what cannot be opened of it is a gap.
    pub fn open(chosen: &Chosen, shared: &'p Shared<'p>, gaps: &mut git::Gaps) -> Self {
        let direct = Direct::open(&chosen.places, gaps);
        let limit = shared.plan.max_object();
        Self { direct, limit, common_dir: chosen.places.common_dir.clone(), shared }
    }

    pub fn reader(&self) -> DirectReader<'_> {
        self.direct.reader(self.limit)
    }

    /// Where an object is packed.
    pub fn place(&self, id: &ObjectId) -> Option<(usize, u64)> {
        self.direct.place(id)
    }
}

/// How many blobs one thread takes at a time, of few and of many.
const BATCH: usize = 16;
const MOST_BATCH: usize = 512;

/// Reads all of them on the plan's threads; what is found in one is given `finish` with the item.
pub fn scan<'i, T: Sync>(
    reading: &Reading<'_>,
    work: &'i [T],
    item: impl Fn(&'i T) -> Item<'i> + Sync,
    finish: impl Fn(&mut Finding, &'i T, &mut DirectReader<'_>) + Sync,
) -> Harvest {
    let most = reading.shared.plan.workers();
    let batch_len = (work.len() / (8 * most)).clamp(BATCH, MOST_BATCH);
    let next = AtomicUsize::new(0);
    let gathered = Mutex::new(Harvest::default());
    let run = || {
        let mut reader = reading.reader();
        let mut worker = Worker::new(reading.shared);
        loop {
            let from = next.fetch_add(batch_len, Ordering::Relaxed);
            let Some(batch) = work.get(from..work.len().min(from + batch_len)).filter(|batch| !batch.is_empty()) else {
                break;
            };
            for one in batch {
                let found = worker.harvest.findings.len();
                let item = item(one);
                if worker.is_late() {
                    worker.gap(Gap::TimeOut, &Place::Root(&item.provenance));
                    continue;
                }
                if item.before.is_empty() && is_file(&item) {
                    worker.path_names(&item.provenance);
                }
                reading.blob(&item, &mut reader, &mut worker);
                tell_new(&item, found, &mut reader, &mut worker, reading);
                for finding in &mut worker.harvest.findings[found..] {
                    finish(finding, one, &mut reader);
                }
            }
        }
        gathered.lock().unwrap_or_else(PoisonError::into_inner).merge(worker.harvest);
    };
    let threads = most.min(work.len().div_ceil(BATCH));
    if threads <= 1 {
        run();
    } else {
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(run))));
    }
    gathered.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the path is that of a file, and not the repository's own.
fn is_file(item: &Item<'_>) -> bool {
    item.provenance.commit().is_none_or(|commit| commit.object_kind == "blob" && !commit.id.is_empty())
}

impl Reading<'_> {
    fn blob(&self, item: &Item<'_>, reader: &mut DirectReader<'_>, worker: &mut Worker<'_>) {
        let place = || inert(&item.provenance.shown(), 300);
        let object = match reader.read(&item.id) {
            Ok(object) => object,
            Err(git::Gap::TooLarge) => {
                if let Err(gap) = self.large(&item.id, reader, worker, &item.provenance) {
                    worker.harvest.coverage.gaps.add_many(gap.name(), 1, [place()]);
                }
                return;
            }
            Err(gap) => {
                let coverage = &mut worker.harvest.coverage;
                coverage.gaps.add_many(gap.name(), 1, [place()]);
                coverage.absent.objects(&self.common_dir, (gap == git::Gap::Promised).then_some(item.id));
                return;
            }
        };
        match (lfs::Pointer::parse(&object.text), self.shared.plan.lfs) {
            (Some(_), Lfs::Pointers) => worker.harvest.coverage.skipped.add(Gap::LfsPointer, &place()),
            (Some(pointer), Lfs::Content) => worker.lfs(&pointer, &self.common_dir, &item.provenance),
            (None, _) => {}
        }
        worker.stream(&mut Cursor::new(&object.text), &item.provenance);
    }

    /// Reads a blob that is not held: as a stream, or put together by itself.
    fn large(
        &self,
        id: &ObjectId,
        reader: &mut DirectReader<'_>,
        worker: &mut Worker<'_>,
        provenance: &Provenance,
    ) -> Result<(), git::Gap> {
        match reader.read_large(id, self.shared.plan.max_file_size.unwrap_or(u64::MAX))? {
            Large::Memory(object) => worker.stream(&mut Cursor::new(&object.text), provenance),
            Large::Stream(mut bytes) => worker.stream(&mut bytes, provenance),
        }
        Ok(())
    }

    /// What stood in a blob before; one that cannot be read makes nothing known.
    fn earlier(&self, id: &ObjectId, reader: &mut DirectReader<'_>, worker: &mut Worker<'_>, provenance: &Provenance) {
        match reader.read(id) {
            Ok(object) => {
                if let (Some(pointer), Lfs::Content) = (lfs::Pointer::parse(&object.text), self.shared.plan.lfs) {
                    worker.lfs(&pointer, &self.common_dir, provenance);
                }
                worker.stream(&mut Cursor::new(&object.text), provenance);
            }
            Err(git::Gap::TooLarge) => drop(self.large(id, reader, worker, provenance)),
            Err(_) => {}
        }
    }
}

/// Takes out the findings, from the one at `found`, of tokens that were there before.
fn tell_new(
    item: &Item<'_>,
    found: usize,
    reader: &mut DirectReader<'_>,
    worker: &mut Worker<'_>,
    reading: &Reading<'_>,
) {
    if worker.harvest.findings.len() == found || item.before.is_empty() && item.gone.is_empty() {
        return;
    }
    let mut before = Worker::new(reading.shared);
    let mut ids = item.before.clone();
    ids.extend(gone_blobs(item.gone, reader));
    for id in ids {
        reading.earlier(&id, reader, &mut before, &item.provenance);
    }
    let known: BTreeSet<FindingId> = before.harvest.findings.into_iter().map(|finding| finding.id).collect();
    let new = worker.harvest.findings.split_off(found);
    for finding in new {
        if known.contains(&finding.id) {
            worker.harvest.earlier.insert(finding.id);
        } else {
            worker.harvest.findings.push(finding);
        }
    }
}

/// Folders that were moved or removed are looked into so far.
const MAX_GONE: usize = 20_000;

fn gone_blobs(gone: &[Gone], reader: &mut DirectReader<'_>) -> Vec<ObjectId> {
    let mut blobs = Vec::new();
    let mut left = gone.to_vec();
    while let Some(next) = left.pop()
        && blobs.len() < MAX_GONE
    {
        match next {
            Gone::Blob(id) => blobs.push(id),
            Gone::Tree(id) => left.extend(git::rows(&id, reader)),
        }
    }
    blobs
}

/// Whether the plan leaves the path out, by itself or by a folder it is in.
pub fn is_excluded(plan: &Plan, path: &Path) -> bool {
    let path = path.strip_prefix(".").unwrap_or(path);
    let folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    plan.paths.matched(path, false).is_ignore()
        || folders.into_iter().any(|folder| plan.paths.matched(folder, true).is_ignore())
}
