//! The walk: every object of a pack once, a base before its deltas, on all cores.
//!
//! A task is a root with everything made from it; workers take roots in the order in which they lie in the pack. A
//! worker that goes hungry is given branches of the trees the others are in, so that one giant tree keeps all of them
//! busy. An object that is nobody's base, and that the visitor does not need as a whole, is never put together.
//!
//! Memory: a worker holds the object it makes, its base, and the bases of the light steps above (see `forest`), each at
//! most the size limit; buffers are used again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::forest::Forest;
use super::queue::Queue;
use super::reader::Reader;
use super::store::Store;
use super::worker::Worker;
use super::{Coverage, Gap, ObjectKind};
use crate::scan::Progress;
use crate::scan::engine::Edit;

/// What is done with the objects of a walk.
pub trait Visitor: Sync {
    /// What is remembered of a base for the objects made from it.
    type Seen: Send + Sync;
    /// What a worker gathers.
    type Local: Send;

    fn local(&self) -> Self::Local;

    /// Whether objects of the kind are put together, even if nothing is made from them.
    fn needs_text(&self, kind: ObjectKind) -> bool;

    /// A whole object.
    fn whole(&self, local: &mut Self::Local, object: Visited, text: &[u8]) -> Self::Seen;

    /// An object made from another one. `None`: hand it over as a whole.
    fn edited(&self, local: &mut Self::Local, object: Visited, made: &Made<'_, Self::Seen>) -> Option<Self::Seen>;
}

/// An object that the walk has come to.
#[derive(Clone, Copy, Debug)]
pub struct Visited {
    pub slot: u32,
    pub kind: ObjectKind,
    /// Whether it counts: not stored a second time, not visited as a base only.
    pub counts: bool,
}

/// How an object is made from its base.
pub struct Made<'a, S> {
    pub base: &'a [u8],
    pub base_seen: &'a S,
    pub edit: &'a Edit,
    pub inserted: &'a [u8],
    /// The whole object, if it was put together.
    pub text: Option<&'a [u8]>,
}

/// Limits of a walk.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    pub object_bytes: u64,
    pub threads: usize,
    pub stop: &'a AtomicBool,
    pub progress: &'a Progress,
}

/// Objects that could not be read where they are; perhaps they are stored a second time.
pub type Failed = (u32, Gap);

/// What a worker brings back.
pub struct Harvest<L> {
    pub local: L,
    pub coverage: Coverage,
    pub failed: Vec<Failed>,
}

/// Walks one pack.
pub fn walk<V: Visitor>(
    store: &Store,
    pack: usize,
    forest: &Forest,
    visitor: &V,
    limits: Limits<'_>,
) -> Vec<Harvest<V::Local>> {
    let threads = if forest.roots.len() < SMALL { 1 } else { limits.threads.max(1) };
    let queue = Queue::new(&forest.roots, threads);
    on_threads(threads, || {
        let mut worker = Worker::new(store, pack, forest, visitor, limits, &queue);
        worker.run();
        worker.harvest()
    })
}

/// Reads objects one by one: loose ones, and those that were damaged where they were read first.
pub fn walk_alone<V: Visitor>(store: &Store, slots: &[u32], visitor: &V, limits: Limits<'_>) -> Vec<Harvest<V::Local>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut reader = Reader::new(store, limits.object_bytes);
        let mut harvest = Harvest { local: visitor.local(), coverage: Coverage::default(), failed: Vec::new() };
        while let Some(slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
            let read = if limits.stop.load(Ordering::Relaxed) { Err(Gap::Stopped) } else { reader.read_slot(slot) };
            match read {
                Ok(object) => {
                    let tally = harvest.coverage.tally(object.kind);
                    tally.objects += 1;
                    tally.bytes += object.text.len() as u64;
                    limits.progress.objects(1, object.text.len() as u64);
                    let visited = Visited { slot, kind: object.kind, counts: true };
                    visitor.whole(&mut harvest.local, visited, &object.text);
                }
                Err(gap) => harvest.failed.push((slot, gap)),
            }
        }
        harvest
    };
    on_threads(if slots.len() < SMALL { 1 } else { limits.threads }, work)
}

/// Does the work on so many threads.
pub fn on_threads<T: Send>(threads: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    if threads <= 1 {
        return vec![work()];
    }
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(&work)).collect();
        let mut done = vec![work()];
        for other in others {
            match other.join() {
                Ok(one) => done.push(one),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    })
}

/// Fewer roots than this are not worth a thread.
const SMALL: usize = 8;
