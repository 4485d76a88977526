//! The scan of a repository, from its places to its findings.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::discover::Places;
use super::forest::Forest;
use super::lineage::{Lineage, Targets};
use super::objects::{Found, Graph, ObjectHits, Search};
use super::refs;
use super::store::{Reader, Store};
use super::walk::{Failed, Harvest, Limits, walk, walk_alone};
use super::{Coverage, Error, Gap, ObjectId, ObjectKind};
use crate::scan::Progress;
use crate::scan::engine::Detector;

pub use super::lineage::Provenance;

/// How a repository is scanned.
#[derive(Clone, Debug)]
pub struct Options {
    /// Larger objects are not read, and are counted.
    pub max_object_bytes: u64,
    /// Worker threads.
    pub threads: usize,
    pub selection: Selection,
    /// Where it is counted how far the scan is.
    pub progress: Arc<Progress>,
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
            max_object_bytes: 64 << 20,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            selection: Selection::Reachable,
            progress: Arc::default(),
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

/// Scans all objects of the repository at `path`, and hands over what was found: oldest commit first, the same
/// order every time. `stop` ends it early.
///
/// # Errors
/// There is no repository, or not one that can be read at all. Anything less is a gap in the coverage.
pub fn scan_repository<D: Detector>(
    path: &Path,
    detector: &D,
    options: &Options,
    stop: &AtomicBool,
    sink: &mut dyn FnMut(Finding<D::Found>),
) -> Result<Coverage, Error> {
    let mut coverage = Coverage::default();
    let places = Places::find(path, &mut coverage.gaps)?;
    let store = Store::open(&places, &mut coverage.gaps)?;
    let progress = &*options.progress;
    progress.expect_objects(u64::from(store.slot_count()));
    let limits = Limits { object_bytes: options.max_object_bytes, threads: options.threads, stop, progress };
    let mut found = Findings::default();
    found.read_all(&store, detector, limits, &mut coverage);

    let tips = refs::tips(&places, &mut coverage.gaps);
    let shallow: HashSet<ObjectId> = refs::shallow(&places).into_iter().collect();
    coverage.gaps.add_many(Gap::Shallow, shallow.len() as u64, || "history was cut when it was cloned".to_owned());
    if places.has_reftable {
        coverage.gaps.add(Gap::Reftable, || "reftable".to_owned());
    }
    // Trees are read once more, which is no progress.
    let again = Progress::default();
    let limits = Limits { progress: &again, ..limits };
    let lineage = found.needs_lineage(&store).then(|| found.lineage(&store, &tips, limits));
    found.count_missing(&store, &shallow, lineage.as_ref(), &mut coverage.gaps);
    if let Some(lineage) = lineage {
        // Without references nothing is known to be unreachable.
        let all = options.selection == Selection::All || places.has_reftable;
        found.report(&store, &lineage, all, limits, &mut coverage, sink);
    }
    Ok(coverage)
}

/// What the workers have brought back.
struct Findings<F> {
    hits: Vec<ObjectHits<F>>,
    graph: Graph,
    missing: HashMap<ObjectId, u32>,
    submodules: HashSet<Vec<u8>>,
}

impl<F> Default for Findings<F> {
    fn default() -> Self {
        let (hits, graph, missing, submodules) = Default::default();
        Self { hits, graph, missing, submodules }
    }
}

impl<F: Clone + Send + Sync> Findings<F> {
    fn read_all<D: Detector<Found = F>>(
        &mut self,
        store: &Store,
        detector: &D,
        limits: Limits<'_>,
        coverage: &mut Coverage,
    ) {
        let search = Search { store, detector };
        let mut failed = Vec::new();
        for pack in 0..store.packs.len() {
            let mut reader = Reader::new(store, limits.object_bytes);
            let kind_of = |slot| reader.kind(slot).ok();
            match Forest::plant(store, pack, kind_of, |slot, _| store.counts(slot), &mut coverage.gaps) {
                Ok(forest) => self.gather(walk(store, pack, &forest, &search, limits), &mut failed, coverage),
                Err(_) => coverage.gaps.add(Gap::Pack, || format!("pack {pack}")),
            }
        }
        let loose: Vec<u32> = store.loose_slots().filter(|slot| store.counts(*slot)).collect();
        self.gather(walk_alone(store, &loose, &search, limits), &mut failed, coverage);
        self.try_again(store, &search, limits, failed, coverage);
        let mut submodules: Vec<_> = std::mem::take(&mut self.submodules).into_iter().collect();
        submodules.sort_unstable();
        for name in submodules {
            coverage.gaps.add(Gap::Submodule, || String::from_utf8_lossy(&name).into_owned());
        }
    }

    /// Reads objects that were damaged in one place where they are stored a second time.
    fn try_again<D: Detector<Found = F>>(
        &mut self,
        store: &Store,
        search: &Search<'_, D>,
        limits: Limits<'_>,
        failed: Vec<Failed>,
        coverage: &mut Coverage,
    ) {
        let mut reasons = HashMap::new();
        let mut again = Vec::new();
        for (slot, gap) in failed {
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
            for (id, from) in harvest.local.missing {
                // The same one whichever worker was first.
                self.missing.entry(id).and_modify(|known| *known = from.min(*known)).or_insert(from);
            }
            self.submodules.extend(harvest.local.submodules);
        }
    }

    /// Whether it has to be known what references lead to.
    fn needs_lineage(&self, store: &Store) -> bool {
        !self.hits.is_empty() || !self.missing.is_empty() && !store.is_partial
    }

    fn lineage<'s>(&self, store: &'s Store, tips: &[ObjectId], limits: Limits<'_>) -> Lineage<'s> {
        let mut targets: Vec<(u32, ObjectKind)> = self.hits.iter().map(|object| (object.slot, object.kind)).collect();
        if !store.is_partial {
            let mut reader = Reader::new(store, limits.object_bytes);
            targets.extend(self.missing.values().filter_map(|slot| Some((*slot, reader.kind(*slot).ok()?))));
        }
        Lineage::trace(store, tips, &self.graph, &Targets::new(targets), limits)
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

    fn report(
        self,
        store: &Store,
        lineage: &Lineage<'_>,
        all: bool,
        limits: Limits<'_>,
        coverage: &mut Coverage,
        sink: &mut dyn FnMut(Finding<F>),
    ) {
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
        findings.into_iter().for_each(sink);
    }
}

impl<F> Finding<F> {
    fn order(&self) -> impl Ord + '_ {
        let first = self.provenance.as_ref().map(|first| (first.committed_at, first.commit, first.path.as_deref()));
        // Unreachable ones last.
        (first.is_none(), first, self.object, self.start, self.end)
    }
}
