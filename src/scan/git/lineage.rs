//! Lineage: for objects with findings, the first commit that has them, and where.
//!
//! It costs nothing when nothing was found: the scan has kept the commits and their parents, and no more. If blobs have
//! findings, all trees are walked once more, in delta order, for the numbers of what they name; then commits are gone
//! through with parents first, the oldest first among those, and no tree is entered twice. The first commit to reach a blob is where it
//! was seen first. Merges and renames need no care: a blob is found by its id, wherever it stands.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::commit::{Author, Commit};
use super::forest::Forest;
use super::objects::{Graph, Node};
use super::reader::Reader;
use super::store::{NO_SLOT, Store};
use super::tree::{self, Known, Mode, Unchanged};
use super::walk::{Limits, Made, Visited, Visitor, walk, walk_alone};
use super::{Gaps, ObjectId, ObjectKind};

/// Where an object was first seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The first commit that has it; none for an object that a tag names by itself.
    pub commit: Option<ObjectId>,
    /// Where it stood in that commit, with `/` between names; none for commits and tags.
    pub path: Option<String>,
    pub author: Option<Author>,
    /// When the commit was made, in seconds since 1970.
    pub committed_at: i64,
    /// How many commits come before it, in an order in which no commit comes before its parents.
    pub rank: u32,
}

/// What references lead to, and through which commits and trees.
pub struct Lineage<'s> {
    store: &'s Store,
    /// For each slot the commit, by slot, that reached it first.
    first: HashMap<u32, u32>,
    /// For trees and blobs, the tree that named it when it was reached first.
    within: HashMap<u32, u32>,
    /// For each commit how many come before it.
    ranks: HashMap<u32, u32>,
}

impl<'s> Lineage<'s> {
    /// Follows references. Trees are entered only if `targets`, in rising order, holds blobs or trees.
    pub fn trace(store: &'s Store, tips: &[ObjectId], graph: &Graph, targets: &Targets, limits: Limits<'_>) -> Self {
        let mut lineage = Self { store, first: HashMap::new(), within: HashMap::new(), ranks: HashMap::new() };
        let commits: HashMap<u32, usize> = graph.commits.iter().enumerate().map(|(at, node)| (node.slot, at)).collect();
        let tags: HashMap<u32, u32> = graph.tags.iter().copied().collect();
        let trees = if targets.in_trees { TreeGraph::read(store, targets, limits) } else { TreeGraph::default() };
        let mut reached = Vec::new();
        for tip in tips {
            let mut slot = store.slot(tip.as_bytes()).unwrap_or(NO_SLOT);
            // A tag may name a tag; a circle cannot be made, since ids are hashes, but damaged ones may claim it.
            for _ in 0..MAX_TAGS {
                let Some(target) = tags.get(&slot) else { break };
                lineage.first.entry(slot).or_insert(NO_SLOT);
                slot = *target;
            }
            match commits.get(&slot) {
                Some(at) => reached.push(*at),
                // A tag or a reference may name a blob or a tree by itself.
                None if slot != NO_SLOT => lineage.enter(slot, NO_SLOT, &trees),
                None => {}
            }
        }
        for (rank, at) in (0..).zip(parents_first(store, &graph.commits, &commits, reached)) {
            let node = &graph.commits[at];
            lineage.ranks.insert(node.slot, rank);
            lineage.first.insert(node.slot, node.slot);
            lineage.enter(node.tree, node.slot, &trees);
        }
        lineage
    }

    /// Whether a reference leads to the object.
    pub fn reaches(&self, slot: u32) -> bool {
        self.first.contains_key(&slot)
    }

    /// Where the object was first seen; `None` if no reference leads to it.
    pub fn provenance(&self, slot: u32, kind: ObjectKind, reader: &mut Reader<'_>) -> Option<Provenance> {
        let commit = *self.first.get(&slot)?;
        let from = if commit == NO_SLOT { slot } else { commit };
        let text = reader.read_slot(from).ok().map(|object| object.text.clone()).unwrap_or_default();
        let author = Author::parse(&text);
        let committed_at = Commit::parse(&text).map(|commit| commit.committed_at);
        let path = matches!(kind, ObjectKind::Blob | ObjectKind::Tree).then(|| self.path(slot, reader));
        Some(Provenance {
            commit: (commit != NO_SLOT).then(|| self.store.id(commit)),
            path,
            committed_at: committed_at.or(author.as_ref().map(|author| author.wrote_at)).unwrap_or_default(),
            author,
            rank: self.ranks.get(&commit).copied().unwrap_or_default(),
        })
    }

    fn path(&self, slot: u32, reader: &mut Reader<'_>) -> String {
        let mut names = Vec::new();
        let mut here = slot;
        while let Some(parent) = self.within.get(&here)
            && names.len() < MAX_DEPTH
        {
            let id = self.store.id(here);
            let name = reader.read_slot(*parent).ok().and_then(|tree| {
                let mut rest = tree.text.as_slice();
                while let Some(row) = tree::row(rest, self.store.hash.id_len()) {
                    if row.id == id.as_bytes() {
                        return Some(String::from_utf8_lossy(row.name).into_owned());
                    }
                    rest = &rest[row.len..];
                }
                None
            });
            names.extend(name);
            here = *parent;
        }
        names.reverse();
        names.join("/")
    }

    /// Notes everything in a tree that was not reached before.
    fn enter(&mut self, slot: u32, commit: u32, trees: &TreeGraph) {
        if slot == NO_SLOT || self.first.contains_key(&slot) {
            return;
        }
        self.first.insert(slot, commit);
        let mut left = vec![slot];
        while let Some(tree) = left.pop() {
            for child in trees.children(tree) {
                if let Entry::Vacant(new) = self.first.entry(*child) {
                    new.insert(commit);
                    self.within.insert(*child, tree);
                    left.push(*child);
                }
            }
        }
    }
}

/// Deeper trees are hostile.
const MAX_DEPTH: usize = 4096;

/// Tags of tags are followed so far.
const MAX_TAGS: usize = 64;

/// The commits that lead to those `reached`, each after its parents, and else the oldest first.
fn parents_first(store: &Store, commits: &[Node], by_slot: &HashMap<u32, usize>, reached: Vec<usize>) -> Vec<usize> {
    let mut known: HashSet<usize> = reached.iter().copied().collect();
    let mut left = reached;
    left.sort_unstable();
    left.dedup();
    let mut waiting: HashMap<usize, usize> = HashMap::new();
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut ready = BinaryHeap::new();
    // By id, not by slot: the order must not depend on how the repository is packed.
    let place = |at: usize| Reverse((commits[at].committed_at, store.id(commits[at].slot), at));
    while let Some(at) = left.pop() {
        let mut parents: Vec<usize> =
            commits[at].parents.iter().filter_map(|parent| by_slot.get(parent).copied()).collect();
        parents.sort_unstable();
        parents.dedup();
        if parents.is_empty() {
            ready.push(place(at));
        } else {
            waiting.insert(at, parents.len());
        }
        for parent in parents {
            children.entry(parent).or_default().push(at);
            if known.insert(parent) {
                left.push(parent);
            }
        }
    }
    let mut order = Vec::with_capacity(known.len());
    while let Some(Reverse((_, _, at))) = ready.pop() {
        order.push(at);
        for child in children.remove(&at).unwrap_or_default() {
            if let Some(count) = waiting.get_mut(&child) {
                *count -= 1;
                if *count == 0 {
                    ready.push(place(child));
                }
            }
        }
    }
    order
}

/// The objects whose lineage is asked for.
#[derive(Default)]
pub struct Targets {
    slots: Vec<u32>,
    in_trees: bool,
}

impl Targets {
    pub fn new(objects: impl IntoIterator<Item = (u32, ObjectKind)>) -> Self {
        let mut targets = Self::default();
        for (slot, kind) in objects {
            targets.in_trees |= matches!(kind, ObjectKind::Blob | ObjectKind::Tree);
            targets.slots.push(slot);
        }
        targets.slots.sort_unstable();
        targets.slots.dedup();
        targets
    }
}

/// Which trees name which trees and targets.
#[derive(Default)]
struct TreeGraph {
    /// Tree and where its children are, in rising order of trees.
    trees: Vec<(u32, u32, u32)>,
    children: Vec<u32>,
}

impl TreeGraph {
    fn read(store: &Store, targets: &Targets, limits: Limits<'_>) -> Self {
        let visitor = Rows { store, targets };
        let mut graph = Self::default();
        // What cannot be read was counted by the scan.
        let mut gaps = Gaps::default();
        for pack in 0..store.packs.len() {
            let mut reader = Reader::new(store, limits.object_bytes);
            let wants = |slot, kind| kind == ObjectKind::Tree && store.counts(slot);
            let Ok(forest) = Forest::plant(store, pack, |slot| reader.kind(slot).ok(), wants, &mut gaps) else {
                continue;
            };
            for harvest in walk(store, pack, &forest, &visitor, limits) {
                graph.append(harvest.local);
            }
        }
        let loose: Vec<u32> = store.loose_slots().filter(|slot| store.counts(*slot)).collect();
        for harvest in walk_alone(store, &loose, &visitor, limits) {
            graph.append(harvest.local);
        }
        graph.trees.sort_unstable();
        graph
    }

    fn append(&mut self, other: Self) {
        let by = u32::try_from(self.children.len()).unwrap_or(NO_SLOT);
        self.trees.extend(other.trees.into_iter().map(|(tree, start, len)| (tree, start + by, len)));
        self.children.extend(other.children);
    }

    fn children(&self, tree: u32) -> &[u32] {
        let at = self.trees.partition_point(|row| row.0 < tree);
        match self.trees.get(at) {
            Some((found, start, len)) if *found == tree => &self.children[*start as usize..(*start + *len) as usize],
            _ => &[],
        }
    }
}

/// Gathers what trees name.
struct Rows<'a> {
    store: &'a Store,
    targets: &'a Targets,
}

impl Visitor for Rows<'_> {
    type Seen = Vec<Known>;
    type Local = TreeGraph;

    fn local(&self) -> TreeGraph {
        TreeGraph::default()
    }

    fn needs_text(&self, _: ObjectKind) -> bool {
        true
    }

    fn whole(&self, local: &mut TreeGraph, object: Visited, text: &[u8]) -> Vec<Known> {
        self.read(local, object, text, |_, _| None)
    }

    fn edited(&self, local: &mut TreeGraph, object: Visited, made: &Made<'_, Vec<Known>>) -> Option<Vec<Known>> {
        let mut unchanged = Unchanged::new(made.edit, made.base_seen);
        Some(self.read(local, object, made.text?, |at, len| unchanged.find(at, len)))
    }
}

impl Rows<'_> {
    fn read(
        &self,
        local: &mut TreeGraph,
        object: Visited,
        text: &[u8],
        known: impl FnMut(usize, usize) -> Option<Known>,
    ) -> Vec<Known> {
        if object.kind != ObjectKind::Tree {
            return Vec::new();
        }
        let start = local.children.len();
        let mut rows = Vec::with_capacity(text.len() / 32);
        let look_up = |row: tree::Row<'_>| (self.store.slot(row.id).unwrap_or(NO_SLOT), false);
        let each = |row: tree::Row<'_>, slot| {
            let is_target = || self.targets.slots.binary_search(&slot).is_ok();
            if slot != NO_SLOT && (row.mode == Mode::Tree || row.mode == Mode::Blob && is_target()) {
                local.children.push(slot);
            }
        };
        // A damaged tree was counted by the scan; the rows before the damage are good.
        let _ = tree::read(text, self.store.hash.id_len(), known, look_up, each, &mut rows);
        if object.counts && local.children.len() > start {
            let len = local.children.len() - start;
            if let (Ok(start), Ok(len)) = (u32::try_from(start), u32::try_from(len)) {
                local.trees.push((object.slot, start, len));
            }
        } else {
            local.children.truncate(start);
        }
        rows
    }
}
