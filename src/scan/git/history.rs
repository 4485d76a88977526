//! The scan of a repository, from its places to its findings.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::aside::{Aside, Opened, Opener};
use super::discover::Places;
use super::forest::Forest;
use super::lineage::{Lineage, Targets};
use super::objects::{Found, Graph, ObjectHits, Search};
use super::reader::Reader;
use super::refs;
use super::rows::RowLog;
use super::store::Store;
use super::walk::{Failed, Harvest, Limits, walk, walk_alone};
use super::{Coverage, Error, Gap, ObjectId, ObjectKind};
use crate::scan::Progress;
use crate::scan::absent::Lent;
use crate::scan::engine::Detector;

pub use super::lineage::Provenance;

/// How a repository is scanned.
#[derive(Clone, Debug)]
pub struct Options {
    /// Larger objects are not read, and are counted.
    pub max_object_bytes: u64,
    /// Larger objects are not held in memory while others are read; see `aside`.
    pub held_bytes: u64,
    /// Worker threads.
    pub threads: usize,
    pub selection: Selection,
    /// Where it is counted how far the scan is.
    pub progress: Arc<Progress>,
    /// Copies of what a partial clone has left at its remote.
    pub lent: Vec<Lent>,
    /// The folder out of which alternates must not lead; anywhere without one.
    pub within: Option<PathBuf>,
}

/// Which findings are reported. All objects are read for either: it costs less than to find out which are reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Those in any object of the store.
    All,
    /// Those in objects that a reference leads to; the others are counted.
    Reachable,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_object_bytes: u64::MAX,
            held_bytes: 64 << 20,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            selection: Selection::Reachable,
            progress: Arc::default(),
            lent: Vec::new(),
            within: None,
        }
    }
}

/// Something found in an object.
#[derive(Clone, Debug)]
pub struct Finding<F> {
    pub object: ObjectId,
    pub kind: ObjectKind,
    /// Where in the object's text it begins and ends.
    pub start: usize,
    pub end: usize,
    pub found: F,
    /// Where the object was first seen; none if no reference leads to it.
    pub provenance: Option<Provenance>,
}

/// What a scan of a repository has found and read.
#[derive(Debug)]
pub struct Scanned<F, T> {
    /// Oldest commit first, the same order every time.
    pub findings: Vec<Finding<F>>,
    /// What an [`Opener`] has told, in the same order.
    pub opened: Vec<Opened<T>>,
    pub coverage: Coverage,
}

/// Scans all objects of the repository at `path`. `stop` ends it early.
///
/// # Errors
/// There is no repository, or not one that can be read at all. Anything less is a gap in the coverage.
pub fn scan_repository<D: Detector, O: Opener>(
    path: &Path,
    detector: &D,
    opener: &O,
    options: &Options,
    stop: &AtomicBool,
) -> Result<Scanned<D::Found, O::Told>, Error> {
    let mut coverage = Coverage::default();
    let mut places = Places::find(path, &mut coverage.gaps)?;
    if let Some(folder) = &options.within {
        places.keep_within(folder, &mut coverage.gaps);
    }
    places.borrow(&options.lent);
    let store = Store::open(&places, &mut coverage.gaps)?;
    let progress = &*options.progress;
    progress.expect_objects(u64::from(store.slot_count()));
    let held = options.held_bytes.min(options.max_object_bytes);
    let limits = Limits { object_bytes: held, threads: options.threads, stop, progress };
    let takes = |head: &[u8]| opener.takes(head);
    let search = Search { store: &store, detector, takes: &takes };
    let aside = Aside { store: &store, search: &search, opener, options, limits };
    let mut found = Findings::default();
    found.read_all(&aside, &mut coverage);

    let tips = refs::tips(&places, &mut coverage.gaps);
    let shallow: HashSet<ObjectId> = refs::shallow(&places).into_iter().collect();
    coverage.gaps.add_many(Gap::Shallow, shallow.len() as u64, || "history was cut when it was cloned".to_owned());
    let lineage = found.needs_lineage(&store).then(|| found.lineage(&store, &tips, limits));
    found.count_missing(&store, &shallow, lineage.as_ref(), &mut coverage.gaps);
    let (mut findings, mut told) = (Vec::new(), Vec::new());
    if let Some(lineage) = lineage {
        // Without references nothing is known to be unreachable.
        let all = options.selection == Selection::All || coverage.gaps.count(Gap::Reftable) > 0;
        told = found.tell_opened(&store, &lineage, limits);
        findings = found.report(&store, &lineage, all, limits, &mut coverage);
    }
    Ok(Scanned { findings, opened: told, coverage })
}

/// What the workers have brought back.
struct Findings<F, T> {
    hits: Vec<ObjectHits<F>>,
    /// Blobs set aside, and what was told of them.
    aside: Vec<u32>,
    opened: Vec<(u32, T)>,
    graph: Graph,
    rows: Vec<RowLog>,
    missing: HashMap<ObjectId, u32>,
    submodules: HashMap<ObjectId, Vec<u8>>,
}

impl<F, T> Default for Findings<F, T> {
    fn default() -> Self {
        let (hits, aside, opened, graph, rows, missing, submodules) = Default::default();
        Self { hits, aside, opened, graph, rows, missing, submodules }
    }
}

impl<F: Clone + Send + Sync, T: Send> Findings<F, T> {
    fn read_all<D: Detector<Found = F>, O: Opener<Told = T>>(
        &mut self,
        aside: &Aside<'_, D, O>,
        coverage: &mut Coverage,
    ) {
        let Aside { store, search, limits, .. } = *aside;
        let mut failed = Vec::new();
        for pack in 0..store.packs.len() {
            let mut reader = Reader::new(store, limits.object_bytes);
            let kind_of = |slot| reader.kind(slot).ok();
            match Forest::plant(store, pack, kind_of, |slot, _| store.counts(slot), &mut coverage.gaps) {
                Ok(forest) => self.gather(walk(store, pack, &forest, search, limits), &mut failed, coverage),
                Err(_) => coverage.gaps.add(Gap::Pack, || format!("pack {pack}")),
            }
        }
        let loose: Vec<u32> = store.loose_slots().filter(|slot| store.counts(*slot)).collect();
        self.gather(walk_alone(store, &loose, search, limits), &mut failed, coverage);
        self.read_large(aside, &mut failed, coverage);
        self.try_again(store, search, limits, &mut failed, coverage);
        // Some that were damaged in one place may be archives in another.
        self.opened.extend(aside.open(&std::mem::take(&mut self.aside), &mut failed));
        for (slot, gap) in failed {
            coverage.gaps.add(gap, || store.id(slot).to_string());
        }
        let submodules = std::mem::take(&mut self.submodules).into_iter();
        coverage.submodules = submodules.map(|(id, name)| (id, String::from_utf8_lossy(&name).into_owned())).collect();
    }

    /// Reads what was too large for the walk. Most scans have nothing that is.
    fn read_large<D: Detector<Found = F>, O: Opener<Told = T>>(
        &mut self,
        aside: &Aside<'_, D, O>,
        failed: &mut Vec<Failed>,
        coverage: &mut Coverage,
    ) {
        let large: Vec<u32> = failed.extract_if(.., |(_, gap)| *gap == Gap::TooLarge).map(|(slot, _)| slot).collect();
        let harvests = aside.read_large(&large, coverage, failed, &mut self.opened);
        self.gather(harvests, failed, coverage);
    }

    /// Reads objects that were damaged in one place where they are stored a second time.
    fn try_again<D: Detector<Found = F>>(
        &mut self,
        store: &Store,
        search: &Search<'_, D>,
        limits: Limits<'_>,
        failed: &mut Vec<Failed>,
        coverage: &mut Coverage,
    ) {
        let mut reasons = HashMap::new();
        let mut again = Vec::new();
        for (slot, gap) in std::mem::take(failed) {
            let id = store.id(slot);
            let copies = store.slots(id.as_bytes()).filter(|copy| *copy != slot && gap != Gap::Stopped);
            again.extend(copies);
            reasons.insert(id, gap);
        }
        let mut still = Vec::new();
        let harvests = walk_alone(store, &again, search, limits);
        self.gather(harvests, &mut still, coverage);
        let still: HashSet<u32> = still.into_iter().map(|(slot, _)| slot).collect();
        for slot in again.iter().filter(|slot| !still.contains(slot)) {
            reasons.remove(&store.id(*slot));
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_unstable();
        for (id, gap) in reasons {
            coverage.gaps.add(gap, || id.to_string());
        }
    }

    fn gather<D: Detector<Found = F>>(
        &mut self,
        harvests: Vec<Harvest<Found<D>>>,
        failed: &mut Vec<Failed>,
        coverage: &mut Coverage,
    ) {
        for harvest in harvests {
            coverage.merge(harvest.coverage);
            coverage.detector_bytes += harvest.local.detector_bytes();
            coverage.whole_bytes += harvest.local.whole_bytes;
            coverage.gaps.merge(harvest.local.gaps);
            failed.extend(harvest.failed);
            self.hits.extend(harvest.local.hits);
            self.graph.commits.extend(harvest.local.graph.commits);
            self.graph.tags.extend(harvest.local.graph.tags);
            self.rows.push(harvest.local.rows);
            for (id, from) in harvest.local.missing {
                // The same one whichever worker was first.
                self.missing.entry(id).and_modify(|known| *known = from.min(*known)).or_insert(from);
            }
            for (id, name) in harvest.local.submodules {
                self.submodules.entry(id).and_modify(|known| *known = name.clone().min(known.clone())).or_insert(name);
            }
            self.aside.extend(harvest.local.aside);
        }
    }

    /// Whether it has to be known what references lead to.
    fn needs_lineage(&self, store: &Store) -> bool {
        !self.hits.is_empty() || !self.opened.is_empty() || !self.missing.is_empty() && !store.is_partial
    }

    fn lineage<'s>(&mut self, store: &'s Store, tips: &[ObjectId], limits: Limits<'_>) -> Lineage<'s> {
        let mut targets: Vec<(u32, ObjectKind)> = self.hits.iter().map(|object| (object.slot, object.kind)).collect();
        targets.extend(self.opened.iter().map(|(slot, _)| (*slot, ObjectKind::Blob)));
        if !store.is_partial {
            let mut reader = Reader::new(store, limits.object_bytes);
            targets.extend(self.missing.values().filter_map(|slot| Some((*slot, reader.kind(*slot).ok()?))));
        }
        let rows = std::mem::take(&mut self.rows);
        Lineage::trace(store, tips, (&self.graph, rows), &Targets::new(targets), limits.threads)
    }

    /// Counts what is named and not there: promised by a partial clone, beyond the end of a shallow one, or lost. What
    /// only unreachable objects name is none of these: git removes such objects one by one.
    fn count_missing(
        &self,
        store: &Store,
        shallow: &HashSet<ObjectId>,
        lineage: Option<&Lineage<'_>>,
        gaps: &mut super::Gaps,
    ) {
        let mut missing: Vec<_> = self.missing.iter().collect();
        missing.sort_unstable();
        for (id, from) in missing {
            if shallow.contains(&store.id(*from)) {
                continue;
            }
            if store.is_partial {
                gaps.add(Gap::Promised, || id.to_string());
            } else if lineage.is_none_or(|lineage| lineage.reaches(*from)) {
                gaps.add(Gap::Missing, || id.to_string());
            }
        }
    }

    fn tell_opened(&mut self, store: &Store, lineage: &Lineage<'_>, limits: Limits<'_>) -> Vec<Opened<T>> {
        let mut reader = Reader::new(store, limits.object_bytes);
        let mut opened: Vec<_> = std::mem::take(&mut self.opened)
            .into_iter()
            .map(|(slot, told)| {
                let provenance = lineage.provenance(slot, ObjectKind::Blob, &mut reader);
                Opened { object: store.id(slot), told, provenance }
            })
            .collect();
        opened.sort_by(|one, two| {
            order(one.provenance.as_ref(), &one.object).cmp(&order(two.provenance.as_ref(), &two.object))
        });
        opened
    }

    fn report(
        self,
        store: &Store,
        lineage: &Lineage<'_>,
        all: bool,
        limits: Limits<'_>,
        coverage: &mut Coverage,
    ) -> Vec<Finding<F>> {
        let mut reader = Reader::new(store, limits.object_bytes);
        let mut findings = Vec::new();
        for object in self.hits {
            let provenance = lineage.provenance(object.slot, object.kind, &mut reader);
            if provenance.is_none() {
                coverage.unreachable_hits += object.hits.len() as u64;
                if !all {
                    continue;
                }
            }
            let id = store.id(object.slot);
            findings.extend(object.hits.into_iter().map(|hit| Finding {
                object: id,
                kind: object.kind,
                start: hit.start,
                end: hit.end,
                found: hit.found,
                provenance: provenance.clone(),
            }));
        }
        findings.sort_by(|one, two| one.order().cmp(&two.order()));
        findings
    }
}

impl<F> Finding<F> {
    fn order(&self) -> impl Ord + '_ {
        (order(self.provenance.as_ref(), &self.object), self.start, self.end)
    }
}

/// Parents before their children, the oldest first; what is unreachable last.
fn order<'p>(first: Option<&'p Provenance>, object: &ObjectId) -> impl Ord + use<'p> {
    let place = first.map(|first| (first.rank, first.committed_at, first.commit, first.path.as_deref()));
    (place.is_none(), place, *object)
}
