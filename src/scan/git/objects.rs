//! What a scan does with each object: blobs, commits and tags are searched for tokens, trees and commits are asked
//! whether what they name is there.

use std::collections::HashMap;

use super::commit::{Commit, tagged};
use super::rows::{MadeTree, NoTree, RowLog, Rows};
use super::store::{NO_SLOT, Store};
use super::tree::{self, Mode, Row};
use super::walk::{Made, Visited, Visitor};
use super::{Gap, Gaps, ObjectId, ObjectKind};
use crate::scan::engine::{Detector, Hit, Marks, Outcome, Windows};
use crate::scan::names::MIN_NAME;

/// Searches objects with a detector.
pub struct Search<'a, D> {
    pub store: &'a Store,
    pub detector: &'a D,
    /// Whether a blob that begins so is set aside.
    pub takes: &'a (dyn Fn(&[u8]) -> bool + Sync),
}

/// What a worker has found.
pub struct Found<D: Detector> {
    scratch: D::Scratch,
    windows: Windows,
    /// Bytes of whole texts handed to the detector.
    pub whole_bytes: u64,
    pub hits: Vec<ObjectHits<D::Found>>,
    pub graph: Graph,
    /// What trees name.
    pub rows: RowLog,
    /// Ids that are nowhere, with the first object that names each.
    pub missing: HashMap<ObjectId, u32>,
    /// Other repositories' commits that stand in trees, and under which name.
    pub submodules: HashMap<ObjectId, Vec<u8>>,
    /// Blobs to be opened after the walk.
    pub aside: Vec<u32>,
    pub gaps: Gaps,
}

/// An object with hits.
pub struct ObjectHits<F> {
    pub slot: u32,
    pub kind: ObjectKind,
    pub hits: Vec<Hit<F>>,
}

/// What commits and tags name.
#[derive(Default)]
pub struct Graph {
    pub commits: Vec<Node>,
    /// Tags and what they name.
    pub tags: Vec<(u32, u32)>,
}

/// A commit.
pub struct Node {
    pub slot: u32,
    pub tree: u32,
    pub parents: Box<[u32]>,
    pub committed_at: i64,
}

/// What is remembered of an object for those made from it.
pub enum Seen<F> {
    Rows(Rows),
    Text(Marks<F>),
}

/// Files kept by LFS are replaced by a text that begins so, and is shorter than this.
const LFS_HEAD: &[u8] = b"version https://git-lfs.github.com/spec/";
const LFS_LEN: usize = 1024;

impl<D: Detector> Visitor for Search<'_, D> {
    type Seen = Seen<D::Found>;
    type Local = Found<D>;

    fn local(&self) -> Found<D> {
        Found {
            scratch: self.detector.scratch(),
            windows: Windows::default(),
            whole_bytes: 0,
            hits: Vec::new(),
            graph: Graph::default(),
            rows: RowLog::default(),
            missing: HashMap::new(),
            submodules: HashMap::new(),
            aside: Vec::new(),
            gaps: Gaps::default(),
        }
    }

    fn needs_text(&self, kind: ObjectKind) -> bool {
        // Commits and tags say what they lead to.
        matches!(kind, ObjectKind::Commit | ObjectKind::Tag)
    }

    fn whole(&self, local: &mut Found<D>, object: Visited, text: &[u8]) -> Self::Seen {
        if object.kind == ObjectKind::Tree {
            return Seen::Rows(self.whole_tree(local, object, text));
        }
        if object.kind == ObjectKind::Blob && (self.takes)(text) {
            if object.counts {
                local.aside.push(object.slot);
            }
            return Seen::Text(Marks::unread());
        }
        let marks = Marks::of_whole(self.detector, text, &mut local.scratch);
        local.whole_bytes += text.len() as u64;
        self.note(local, object, text, &marks);
        Seen::Text(marks)
    }

    fn edited(&self, local: &mut Found<D>, object: Visited, made: &Made<'_, Self::Seen>) -> Option<Self::Seen> {
        match (made.base_seen, made.text) {
            (Seen::Rows(rows), _) => Some(Seen::Rows(self.edited_tree(local, object, made, rows))),
            (Seen::Text(base), text) => {
                let base = (made.base, base);
                let edit = (made.edit, made.inserted);
                let Outcome::Done(marks) = local.windows.scan(self.detector, &mut local.scratch, base, edit) else {
                    return None;
                };
                let mut head = Vec::new();
                let text = text.unwrap_or_else(|| {
                    if made.edit.len() < LFS_LEN {
                        made.edit.apply(made.base, made.inserted, &mut head);
                    }
                    &head
                });
                self.note(local, object, text, &marks);
                Some(Seen::Text(marks))
            }
        }
    }
}

impl<D: Detector> Found<D> {
    /// How many bytes the detector was given.
    pub fn detector_bytes(&self) -> u64 {
        self.whole_bytes + self.windows.scanned
    }
}

impl<D: Detector> Search<'_, D> {
    /// Keeps what was found in a text, and what it says. The text of a blob may be left out if it is long.
    fn note(&self, local: &mut Found<D>, object: Visited, text: &[u8], marks: &Marks<D::Found>) {
        if !object.counts {
            return;
        }
        if marks.is_limited {
            local.gaps.add(Gap::Decoding, || self.store.id(object.slot).to_string());
        }
        if !marks.hits.is_empty() {
            local.hits.push(ObjectHits { slot: object.slot, kind: object.kind, hits: marks.hits.clone() });
        }
        match object.kind {
            ObjectKind::Blob if text.len() < LFS_LEN && text.starts_with(LFS_HEAD) => {
                // One that was made from a text, so that it was not set aside before.
                if (self.takes)(text) {
                    local.aside.push(object.slot);
                } else {
                    local.gaps.add(Gap::LfsPointer, || self.store.id(object.slot).to_string());
                }
            }
            ObjectKind::Commit => match Commit::parse(text) {
                Some(commit) => {
                    let tree = self.look_up(local, object.slot, &commit.tree);
                    let parents = commit.parents.iter().map(|id| self.look_up(local, object.slot, id)).collect();
                    let committed_at = commit.committed_at;
                    local.graph.commits.push(Node { slot: object.slot, tree, parents, committed_at });
                }
                None => local.gaps.add(Gap::Damaged, || self.store.id(object.slot).to_string()),
            },
            ObjectKind::Tag => {
                if let Some((id, _)) = tagged(text) {
                    let target = self.look_up(local, object.slot, &id);
                    local.graph.tags.push((object.slot, target));
                }
            }
            ObjectKind::Blob | ObjectKind::Tree => {}
        }
    }

    fn whole_tree(&self, local: &mut Found<D>, object: Visited, text: &[u8]) -> Rows {
        let mut log = std::mem::take(&mut local.rows);
        let look_up = |row: Row<'_>| self.look_at(local, object, row);
        let (rows, read) = log.whole((object.slot, object.counts), text, self.store.hash.id_len(), look_up);
        local.rows = log;
        self.note_tree(local, object, (&rows, &read), || text.to_vec());
        rows
    }

    fn edited_tree(&self, local: &mut Found<D>, object: Visited, made: &Made<'_, Seen<D::Found>>, rows: &Rows) -> Rows {
        let Made { base, edit, inserted, text, .. } = *made;
        let tree = MadeTree { base, rows, edit, inserted, is_base: text.is_some() };
        let mut log = std::mem::take(&mut local.rows);
        let look_up = |row: Row<'_>| self.look_at(local, object, row);
        let (rows, read) = log.edited((object.slot, object.counts), &tree, self.store.hash.id_len(), look_up);
        local.rows = log;
        self.note_tree(local, object, (&rows, &read), || {
            let mut text = Vec::new();
            edit.apply(base, inserted, &mut text);
            text
        });
        rows
    }

    /// The object that a new row names, and whether something is in its name.
    fn look_at(&self, local: &mut Found<D>, object: Visited, row: Row<'_>) -> (u32, bool) {
        let Found { windows, scratch, .. } = &mut *local;
        let is_telling = row.name.len() >= MIN_NAME && !windows.is_empty(self.detector, scratch, row.name);
        if row.mode == Mode::Submodule {
            if let Some(id) = ObjectId::from_raw(row.id) {
                // The same name whichever worker was first.
                let name = local.submodules.entry(id).or_insert_with(|| row.name.to_owned());
                if row.name < name.as_slice() {
                    row.name.clone_into(name);
                }
            }
            return (NO_SLOT, is_telling);
        }
        let slot = self.store.slot(row.id).unwrap_or_else(|| {
            local.missing.extend(ObjectId::from_raw(row.id).map(|id| (id, object.slot)));
            NO_SLOT
        });
        (slot, is_telling)
    }

    fn note_tree(
        &self,
        local: &mut Found<D>,
        object: Visited,
        (rows, read): (&Rows, &Result<(), NoTree>),
        text: impl FnOnce() -> Vec<u8>,
    ) {
        if read.is_err() {
            local.gaps.add(Gap::Damaged, || self.store.id(object.slot).to_string());
        }
        if object.counts && !rows.telling.is_empty() {
            let hits = self.names(local, &text(), &rows.telling);
            local.hits.push(ObjectHits { slot: object.slot, kind: object.kind, hits });
        }
    }

    /// What is found in the names of a tree, in those of the rows that begin there.
    fn names(&self, local: &mut Found<D>, text: &[u8], telling: &[u32]) -> Vec<Hit<D::Found>> {
        let mut hits = Vec::new();
        for at in telling.iter().map(|at| *at as usize) {
            let Some(row) = tree::row(&text[at..], self.store.hash.id_len()) else { continue };
            let name_at = at + row.len - self.store.hash.id_len() - 1 - row.name.len();
            self.detector.scan(row.name, &mut local.scratch, &mut |range, _, found| {
                hits.push(Hit::alone(name_at + range.start, name_at + range.end, found));
            });
        }
        hits
    }

    fn look_up(&self, local: &mut Found<D>, from: u32, id: &ObjectId) -> u32 {
        self.store.slot(id.as_bytes()).unwrap_or_else(|| {
            local.missing.insert(*id, from);
            NO_SLOT
        })
    }
}
