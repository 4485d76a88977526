//! The forest: which objects of a pack are stored as differences from which others.
//!
//! ```text
//!   root (whole object)          read first, scanned from end to end
//!   ├── a                        light subtrees first ...
//!   │   └── b
//!   └── c  heavy                 ... the heaviest last: its base is given up before it is entered
//!       ├── d
//!       └── e  heavy
//! ```
//!
//! Only the headers of entries are read. Whatever has no way to a root, a circle of deltas or one without its base,
//! is not in the forest and is counted instead. Because the heaviest child comes last and its base is not needed any more by
//! then, a walk holds the bases of light steps only, and there are at most log2(objects) of those on any path,
//! however long the chain of deltas is.

use super::pack::{Entry, EntryKind, Pack, PackError};
use super::store::Store;
use super::{Gap, Gaps, ObjectKind};

/// The delta trees of one pack. Objects are numbered in the order in which they lie in it.
pub struct Forest {
    /// Whole objects, and deltas whose base is not in the pack.
    pub roots: Vec<Root>,
    /// Children of `n` are `children[starts[n]..starts[n + 1]]`, those worth visiting, the heaviest last.
    starts: Vec<u32>,
    children: Vec<u32>,
    kinds: Vec<Option<ObjectKind>>,
    wanted: Vec<bool>,
}

/// Where a delta tree begins.
#[derive(Clone, Copy, Debug)]
pub struct Root {
    pub nth: u32,
    /// The slot of the base, for a delta whose base is elsewhere.
    pub base: Option<u32>,
}

const NONE: u32 = u32::MAX;

impl Forest {
    /// Reads the headers of a pack. `kind_of` tells the kind of an object of another pack; objects of which `wants` says
    /// no are visited only as bases of others.
    pub fn plant(
        store: &Store,
        pack: usize,
        mut kind_of: impl FnMut(u32) -> Option<ObjectKind>,
        wants: impl Fn(u32, ObjectKind) -> bool,
        gaps: &mut Gaps,
    ) -> Result<Self, PackError> {
        let packed = &store.packs[pack];
        let mut parents = vec![NONE; packed.len()];
        let mut kinds = vec![None; packed.len()];
        let mut roots = Vec::new();
        let name = |nth: usize| packed.index.id(packed.position(nth)).to_string();
        packed.headers(|nth, entry| match entry.map(|entry| link(store, packed, nth, entry)) {
            Ok(Link::Inside(parent)) => parents[nth] = parent,
            Ok(Link::Outside(base)) => {
                kinds[nth] = kind_of(base);
                if kinds[nth].is_none() {
                    gaps.add(Gap::Damaged, || name(nth));
                }
                roots.push(Root { nth: number(nth), base: Some(base) });
            }
            Ok(Link::Root(kind)) => {
                kinds[nth] = Some(kind);
                roots.push(Root { nth: number(nth), base: None });
            }
            Ok(Link::Lost) => gaps.add(if store.is_partial { Gap::Promised } else { Gap::Missing }, || name(nth)),
            Err(_) | Ok(Link::Bad) => gaps.add(Gap::Damaged, || name(nth)),
        })?;
        let mut forest = Self { roots, starts: Vec::new(), children: Vec::new(), kinds, wanted: Vec::new() };
        forest.gather_children(&parents);
        forest.prune(store, pack, &parents, wants, gaps);
        Ok(forest)
    }

    pub fn children(&self, nth: u32) -> &[u32] {
        let nth = nth as usize;
        &self.children[self.starts[nth] as usize..self.starts[nth + 1] as usize]
    }

    pub fn kind(&self, nth: u32) -> Option<ObjectKind> {
        self.kinds[nth as usize]
    }

    /// Whether the object itself is to be looked at, not only as a base.
    pub fn wants(&self, nth: u32) -> bool {
        self.wanted[nth as usize]
    }

    fn gather_children(&mut self, parents: &[u32]) {
        let mut starts = vec![0_u32; parents.len() + 1];
        for parent in parents.iter().filter(|parent| **parent != NONE) {
            starts[*parent as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut children = vec![0; starts.last().copied().unwrap_or_default() as usize];
        for (child, parent) in parents.iter().enumerate().filter(|(_, parent)| **parent != NONE) {
            children[next[*parent as usize] as usize] = number(child);
            next[*parent as usize] += 1;
        }
        (self.starts, self.children) = (starts, children);
    }

    /// Hands kinds down, finds what no root leads to, drops what nobody wants, and puts the heaviest child last.
    fn prune(
        &mut self,
        store: &Store,
        pack: usize,
        parents: &[u32],
        wants: impl Fn(u32, ObjectKind) -> bool,
        gaps: &mut Gaps,
    ) {
        let packed = &store.packs[pack];
        let mut order: Vec<u32> = self.roots.iter().map(|root| root.nth).collect();
        let mut at = 0;
        while let Some(nth) = order.get(at).copied() {
            let kind = self.kinds[nth as usize];
            for child in self.starts[nth as usize]..self.starts[nth as usize + 1] {
                let child = self.children[child as usize];
                self.kinds[child as usize] = kind;
                order.push(child);
            }
            at += 1;
        }
        let mut weights = vec![0_u32; packed.len()];
        self.wanted = vec![false; packed.len()];
        for nth in order.iter().rev() {
            let nth = *nth as usize;
            let slot = store.packed_slot(pack, packed.position(nth));
            self.wanted[nth] = self.kinds[nth].is_some_and(|kind| wants(slot, kind));
            weights[nth] += u32::from(self.wanted[nth]);
            if parents[nth] != NONE {
                weights[parents[nth] as usize] += weights[nth];
            }
        }
        let lost = parents.iter().enumerate().filter(|(nth, parent)| **parent != NONE && self.kinds[*nth].is_none());
        for (nth, _) in lost {
            gaps.add(Gap::Damaged, || packed.index.id(packed.position(nth)).to_string());
        }
        self.roots.retain(|root| weights[root.nth as usize] > 0);
        self.keep_heavy(&weights);
    }

    fn keep_heavy(&mut self, weights: &[u32]) {
        let mut kept = Vec::with_capacity(self.children.len());
        let mut starts = Vec::with_capacity(self.starts.len());
        for nth in 0..self.starts.len() - 1 {
            let first = kept.len();
            starts.push(number(first));
            let all = &self.children[self.starts[nth] as usize..self.starts[nth + 1] as usize];
            kept.extend(all.iter().filter(|child| weights[**child as usize] > 0));
            if let Some(heaviest) = (first..kept.len()).max_by_key(|at| weights[kept[*at] as usize]) {
                let last = kept.len() - 1;
                kept.swap(heaviest, last);
            }
        }
        starts.push(number(kept.len()));
        (self.children, self.starts) = (kept, starts);
    }
}

enum Link {
    Bad,
    Inside(u32),
    /// The base is nowhere.
    Lost,
    Outside(u32),
    Root(ObjectKind),
}

fn link(store: &Store, pack: &Pack, nth: usize, entry: Entry) -> Link {
    match entry.kind {
        EntryKind::Whole(kind) => Link::Root(kind),
        EntryKind::OffsetDelta(distance) => {
            let base = pack.offset(nth).checked_sub(distance).filter(|_| distance > 0);
            base.and_then(|offset| pack.nth_at(offset)).map_or(Link::Bad, |base| Link::Inside(number(base)))
        }
        EntryKind::RefDelta(id) => {
            let inside = pack.index.find(id.as_bytes()).and_then(|position| pack.index.offset(position));
            match inside.and_then(|offset| pack.nth_at(offset)) {
                Some(base) => Link::Inside(number(base)),
                None => store.slot(id.as_bytes()).map_or(Link::Lost, Link::Outside),
            }
        }
    }
}

fn number(nth: usize) -> u32 {
    u32::try_from(nth).unwrap_or(NONE)
}
