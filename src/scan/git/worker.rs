//! A worker of a walk: makes objects from their bases and shows them to the visitor.
//!
//! An object that cannot be read takes with it everything made from it, and each of those is named.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::forest::{Forest, Root};
use super::inflate::Inflater;
use super::pack::{Blocks, Pack, most_stored};
use super::queue::{Queue, Task, Text};
use super::reader::Reader;
use super::store::Store;
use super::walk::{Failed, Harvest, Limits, Made, Visited, Visitor};
use super::{Coverage, Gap, delta};
use crate::scan::engine::Edit;

/// One thread of a walk.
pub struct Worker<'a, V: Visitor> {
    store: &'a Store,
    pack_number: usize,
    pack: &'a Pack,
    forest: &'a Forest,
    visitor: &'a V,
    limits: Limits<'a>,
    queue: &'a Queue<'a, V::Seen>,
    inflater: Inflater,
    blocks: Blocks,
    delta: Vec<u8>,
    edit: Edit,
    spare: Vec<Vec<u8>>,
    local: V::Local,
    coverage: Coverage,
    failed: Vec<Failed>,
    /// Objects and bytes since progress was last told.
    unsaid: (u64, u64),
}

/// A base with children that are still to be made: those from `next` to `end` of its list.
struct Open<S> {
    text: Arc<Text<S>>,
    nth: u32,
    next: usize,
    end: usize,
}

const SAID_AT: u64 = 256;

/// Buffers kept for use again, and the largest of them.
const SPARE: usize = 8;
const SPARE_BYTES: usize = 4 << 20;

impl<'a, V: Visitor> Worker<'a, V> {
    pub fn new(
        store: &'a Store,
        pack_number: usize,
        forest: &'a Forest,
        visitor: &'a V,
        limits: Limits<'a>,
        queue: &'a Queue<'a, V::Seen>,
    ) -> Self {
        Self {
            store,
            pack_number,
            pack: &store.packs[pack_number],
            forest,
            visitor,
            limits,
            queue,
            inflater: Inflater::new(),
            blocks: Blocks::new(),
            delta: Vec::new(),
            edit: Edit::default(),
            spare: Vec::new(),
            local: visitor.local(),
            coverage: Coverage::default(),
            failed: Vec::new(),
            unsaid: (0, 0),
        }
    }

    /// Takes tasks until nobody has any more.
    pub fn run(&mut self) {
        struct OnPanic<'q, 'f, S>(&'q Queue<'f, S>);
        impl<S> Drop for OnPanic<'_, '_, S> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.give_up();
                }
            }
        }
        let _guard = OnPanic(self.queue);
        while let Some(task) = self.queue.take() {
            match task {
                Task::Root(root) => {
                    if let Some(open) = self.root(root) {
                        self.descend(open);
                    }
                }
                Task::Branch(text, nth) => {
                    let made = self.child(&text, nth);
                    self.release(text);
                    if let Some(open) = made {
                        self.descend(open);
                    }
                }
            }
        }
    }

    pub fn harvest(self) -> Harvest<V::Local> {
        Harvest { local: self.local, coverage: self.coverage, failed: self.failed }
    }

    /// Everything made from an object, depth first, the heaviest child of each last.
    fn descend(&mut self, first: Open<V::Seen>) {
        let mut stack = vec![first];
        while let Some(top) = stack.last_mut() {
            let children = self.forest.children(top.nth);
            if top.end - top.next > 1 && self.queue.is_hungry() {
                // The light ones are given away, the heaviest stays.
                let keep = top.end - 1;
                self.queue.give(&top.text, &children[top.next..keep]);
                top.next = keep;
            }
            let nth = children[top.next];
            top.next += 1;
            if top.next < top.end {
                let text = Arc::clone(&top.text);
                if let Some(open) = self.child(&text, nth) {
                    stack.push(open);
                }
            } else if let Some(done) = stack.pop() {
                let made = self.child(&done.text, nth);
                self.release(done.text);
                stack.extend(made);
            }
        }
    }

    fn root(&mut self, root: Root) -> Option<Open<V::Seen>> {
        if let Some(base) = root.base {
            return self.root_elsewhere(root.nth, base);
        }
        let mut bytes = self.buffer();
        match self.inflate(root.nth, &mut bytes) {
            Ok(()) => self.arrive(root.nth, bytes),
            Err(gap) => {
                self.recycle(bytes);
                self.fail(root.nth, gap);
                None
            }
        }
    }

    /// A delta whose base is in another pack, or loose: its base is read for it alone.
    fn root_elsewhere(&mut self, nth: u32, base: u32) -> Option<Open<V::Seen>> {
        let mut reader = Reader::new(self.store, self.limits.object_bytes);
        let made = reader.read_slot(base).and_then(|base| {
            self.read_delta(nth, base.text.len())?;
            let mut bytes = self.buffer();
            bytes.clear();
            self.edit.apply(&base.text, &self.delta, &mut bytes);
            Ok(bytes)
        });
        match made {
            Ok(bytes) => self.arrive(nth, bytes),
            Err(gap) => {
                self.fail(nth, gap);
                None
            }
        }
    }

    /// A whole object.
    fn arrive(&mut self, nth: u32, bytes: Vec<u8>) -> Option<Open<V::Seen>> {
        let object = self.visited(nth)?;
        self.count(object, bytes.len());
        let seen = self.visitor.whole(&mut self.local, object, &bytes);
        self.open(nth, bytes, seen)
    }

    fn child(&mut self, base: &Text<V::Seen>, nth: u32) -> Option<Open<V::Seen>> {
        if let Err(gap) = self.read_delta(nth, base.bytes.len()) {
            self.fail(nth, gap);
            return None;
        }
        let object = self.visited(nth)?;
        self.count(object, self.edit.len());
        let is_base = !self.forest.children(nth).is_empty();
        let mut bytes = self.buffer();
        let has_text = is_base || self.visitor.needs_text(object.kind);
        if has_text {
            bytes.clear();
            self.edit.apply(&base.bytes, &self.delta, &mut bytes);
        }
        let made = Made {
            base: &base.bytes,
            base_seen: &base.seen,
            edit: &self.edit,
            inserted: &self.delta,
            text: has_text.then_some(&*bytes),
        };
        let seen = self.visitor.edited(&mut self.local, object, &made).unwrap_or_else(|| {
            if !has_text {
                bytes.clear();
                self.edit.apply(&base.bytes, &self.delta, &mut bytes);
            }
            self.visitor.whole(&mut self.local, object, &bytes)
        });
        self.open(nth, bytes, seen)
    }

    fn open(&mut self, nth: u32, bytes: Vec<u8>, seen: V::Seen) -> Option<Open<V::Seen>> {
        let end = self.forest.children(nth).len();
        if end == 0 {
            self.recycle(bytes);
            return None;
        }
        Some(Open { text: Arc::new(Text { bytes, seen }), nth, next: 0, end })
    }

    fn visited(&self, nth: u32) -> Option<Visited> {
        let slot = self.store.packed_slot(self.pack_number, self.pack.position(nth as usize));
        Some(Visited { slot, kind: self.forest.kind(nth)?, counts: self.forest.wants(nth) })
    }

    fn count(&mut self, object: Visited, len: usize) {
        if object.counts {
            let tally = self.coverage.tally(object.kind);
            tally.objects += 1;
            tally.bytes += len as u64;
        }
        // All workers count at one place, so they do it seldom.
        self.unsaid = (self.unsaid.0 + 1, self.unsaid.1 + len as u64);
        if self.unsaid.0 >= SAID_AT {
            let (objects, bytes) = std::mem::take(&mut self.unsaid);
            self.limits.progress.objects(objects, bytes);
        }
    }

    fn read_delta(&mut self, nth: u32, base_len: usize) -> Result<(), Gap> {
        let mut bytes = std::mem::take(&mut self.delta);
        let read = self.inflate(nth, &mut bytes);
        self.delta = bytes;
        read?;
        if delta::result_len(&self.delta).map_err(|_| Gap::Damaged)? as u64 > self.limits.object_bytes {
            return Err(Gap::TooLarge);
        }
        delta::parse(&self.delta, base_len, &mut self.edit).map_err(|_| Gap::Damaged)
    }

    fn inflate(&mut self, nth: u32, out: &mut Vec<u8>) -> Result<(), Gap> {
        if self.limits.stop.load(Ordering::Relaxed) {
            return Err(Gap::Stopped);
        }
        let nth = nth as usize;
        let mut stored = self.pack.read_near(nth, FIRST_READ, &mut self.blocks).map_err(|_| Gap::File)?;
        let entry = self.pack.entry(stored).map_err(|_| Gap::Damaged)?;
        if entry.size > self.limits.object_bytes {
            return Err(Gap::TooLarge);
        }
        let size = usize::try_from(entry.size).map_err(|_| Gap::TooLarge)?;
        let most = most_stored(entry.size);
        if most > FIRST_READ && stored.len() == FIRST_READ {
            stored = self.pack.read_near(nth, most, &mut self.blocks).map_err(|_| Gap::File)?;
        }
        self.inflater.inflate(&stored[entry.header_len..], size, out).map_err(|_| Gap::Damaged)
    }

    /// The object cannot be read, and with it nothing that is made from it.
    fn fail(&mut self, nth: u32, gap: Gap) {
        let mut left = vec![nth];
        while let Some(next) = left.pop() {
            if self.forest.wants(next) {
                self.failed.push((self.store.packed_slot(self.pack_number, self.pack.position(next as usize)), gap));
            }
            left.extend(self.forest.children(next));
        }
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE && buffer.capacity() <= SPARE_BYTES {
            self.spare.push(buffer);
        }
    }

    fn release(&mut self, text: Arc<Text<V::Seen>>) {
        if let Ok(text) = Arc::try_unwrap(text) {
            self.recycle(text.bytes);
        }
    }
}

/// Most entries are read at once with their header.
const FIRST_READ: usize = 4096;
