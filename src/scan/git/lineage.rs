//! Lineage: for objects with findings, the first commit that has them, and where.
//!
//! It costs nothing when nothing was found: the scan has kept the commits, their parents, and how each tree differs from
//! its base, and no more. If blobs have findings, the rows of all trees are told once (see `rows`); then commits are gone
//! through with parents first, the oldest first among those, and no tree is entered twice. The first commit to reach a
//! blob is where it was seen first. Merges and renames need no care: a blob is found by its id, wherever it stands.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::commit::{Author, Commit};
use super::objects::{Graph, Node};
use super::reader::Reader;
use super::rows::{self, RowLog};
use super::store::{NO_SLOT, Store};
use super::tree;
use super::{ObjectId, ObjectKind};

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
    /// For each slot the commit, by slot, that reached it first; [`UNREACHED`] if none did.
    first: Vec<u32>,
    /// For trees and blobs, the tree that named it when it was reached first.
    within: Vec<u32>,
    /// For each commit how many come before it.
    ranks: HashMap<u32, u32>,
}

impl<'s> Lineage<'s> {
    /// Follows references. Trees are entered only if `targets`, in rising order, holds blobs or trees.
    pub fn trace(
        store: &'s Store,
        tips: &[ObjectId],
        (graph, rows): (&Graph, Vec<RowLog>),
        targets: &Targets,
        threads: usize,
    ) -> Self {
        let slots = store.slot_count() as usize;
        let (first, within) = (vec![UNREACHED; slots], vec![NO_SLOT; slots]);
        let mut lineage = Self { store, first, within, ranks: HashMap::new() };
        let commits: HashMap<u32, usize> = graph.commits.iter().enumerate().map(|(at, node)| (node.slot, at)).collect();
        let tags: HashMap<u32, u32> = graph.tags.iter().copied().collect();
        let trees = if targets.in_trees { TreeGraph::of(store, rows, targets, threads) } else { TreeGraph::default() };
        let mut reached = Vec::new();
        for tip in tips {
            let mut slot = store.slot(tip.as_bytes()).unwrap_or(NO_SLOT);
            // A tag may name a tag; a circle cannot be made, since ids are hashes, but damaged ones may claim it.
            for _ in 0..MAX_TAGS {
                let Some(target) = tags.get(&slot) else { break };
                lineage.reach(slot, NO_SLOT);
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
            lineage.first[node.slot as usize] = node.slot;
            lineage.enter(node.tree, node.slot, &trees);
        }
        lineage
    }

    /// Whether a reference leads to the object.
    pub fn reaches(&self, slot: u32) -> bool {
        self.first.get(slot as usize).is_some_and(|commit| *commit != UNREACHED)
    }

    /// Where the object was first seen; `None` if no reference leads to it.
    pub fn provenance(&self, slot: u32, kind: ObjectKind, reader: &mut Reader<'_>) -> Option<Provenance> {
        let commit = self.first.get(slot as usize).copied().filter(|commit| *commit != UNREACHED)?;
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
        while let Some(parent) = self.within.get(here as usize).filter(|parent| **parent != NO_SLOT)
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

    /// Notes that an object was reached. Says whether it was not before.
    fn reach(&mut self, slot: u32, commit: u32) -> bool {
        let is_new = self.first.get(slot as usize) == Some(&UNREACHED);
        if is_new {
            self.first[slot as usize] = commit;
        }
        is_new
    }

    /// Notes everything in a tree that was not reached before.
    fn enter(&mut self, slot: u32, commit: u32, trees: &TreeGraph) {
        if !self.reach(slot, commit) {
            return;
        }
        let mut left = vec![slot];
        while let Some(tree) = left.pop() {
            for child in trees.children(tree) {
                if self.reach(*child, commit) {
                    self.within[*child as usize] = tree;
                    left.push(*child);
                }
            }
        }
    }
}

/// No commit, and no slot: there are fewer.
const UNREACHED: u32 = NO_SLOT - 1;

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
    /// For each slot where the children are of the tree that it is.
    trees: Vec<(u32, u32)>,
    children: Vec<u32>,
}

/// What one thread gathers of the graph.
#[derive(Default)]
struct Part {
    trees: Vec<(u32, usize, usize)>,
    children: Vec<u32>,
}

impl TreeGraph {
    fn of(store: &Store, rows: Vec<RowLog>, targets: &Targets, threads: usize) -> Self {
        let slots = store.slot_count();
        let mut matters = vec![false; slots as usize];
        for slot in rows.iter().flat_map(RowLog::slots).chain(targets.slots.iter().copied()) {
            matters[slot as usize] = true;
        }
        let told = rows::replay(rows, (slots, threads), |part: &mut Part, tree, rows| {
            let start = part.children.len();
            part.children.extend(rows.iter().filter(|slot| matters.get(**slot as usize) == Some(&true)));
            part.trees.push((tree, start, part.children.len()));
        });
        let mut graph = Self { trees: vec![(0, 0); slots as usize], children: Vec::new() };
        for part in told {
            let by = graph.children.len();
            graph.children.extend(part.children);
            for (tree, start, end) in part.trees {
                if let (Ok(start), Ok(end)) = (u32::try_from(start + by), u32::try_from(end + by)) {
                    graph.trees[tree as usize] = (start, end);
                }
            }
        }
        graph
    }

    fn children(&self, tree: u32) -> &[u32] {
        self.trees.get(tree as usize).map_or(&[], |(start, end)| &self.children[*start as usize..*end as usize])
    }
}
