//! Changes: what a tree, or the index, has that the trees before it do not have.
//!
//! Folders with the same id hold the same and are not entered, so that a small change costs a few trees, whatever the
//! size of the rest. A merge is compared with all its parents: what one of them has is not the merge's doing, and what
//! none has is, however it came in.

use std::collections::HashMap;
use std::sync::Arc;

use super::direct::DirectReader;
use super::index_file::{CachedTree, Entry, IndexFile};
use super::reader::Object;
use super::tree::{self, Mode};
use super::{Gap, Gaps, ObjectId, ObjectKind};

/// What is there now and was not before.
#[derive(Debug, Default)]
pub struct Changes {
    pub blobs: Vec<Change>,
    /// What stood at paths that are there no more: a file that was moved is still the same file.
    pub gone: Vec<Gone>,
    /// Paths at which another commit of another repository stands now.
    pub submodules: Vec<Vec<u8>>,
}

/// A blob that stands at a path where another one, or none, stood before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub path: Vec<u8>,
    pub id: ObjectId,
    pub before: Vec<ObjectId>,
}

/// What stood somewhere before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    Blob(ObjectId),
    Tree(ObjectId),
}

/// Deeper trees are hostile.
const MAX_DEPTH: usize = 4096;

/// Compares trees, and counts what of them cannot be read.
pub struct Differ<'r, 'd> {
    pub reader: &'r mut DirectReader<'d>,
    pub gaps: &'r mut Gaps,
    pub changes: Changes,
    path: Vec<u8>,
    depth: usize,
}

#[derive(Clone, Copy, PartialEq)]
struct Known {
    mode: Mode,
    id: ObjectId,
}

impl<'r, 'd> Differ<'r, 'd> {
    pub fn new(reader: &'r mut DirectReader<'d>, gaps: &'r mut Gaps) -> Self {
        Self { reader, gaps, changes: Changes::default(), path: Vec::new(), depth: 0 }
    }

    /// What the tree has that none of those before it has.
    pub fn trees(&mut self, new: &ObjectId, before: &[ObjectId]) {
        if before.contains(new) || self.depth > MAX_DEPTH {
            return;
        }
        let Some(tree) = self.tree(new) else { return };
        let trees: Vec<_> = before.iter().filter_map(|id| Some((id, self.tree(id)?))).collect();
        let rows = self.rows(new, &tree.text);
        let old: Vec<_> = trees.iter().map(|(id, tree)| self.rows(id, &tree.text)).collect();
        let (mut rows, mut old) = (rows.as_slice(), old.iter().map(Vec::as_slice).collect::<Vec<_>>());
        // Nearly all rows are those of before.
        if let [only] = old.as_mut_slice() {
            (rows, *only) = without_common_ends(rows, only);
        }
        let mut old: Vec<HashMap<_, _>> = old.iter().map(|rows| rows.iter().copied().collect()).collect();
        self.depth += 1;
        for (name, row) in rows {
            let from: Vec<Known> = old.iter_mut().filter_map(|rows| rows.remove(name)).collect();
            self.at(name, |differ| differ.row(*row, &from));
        }
        self.depth -= 1;
        // With several parents, what one of them left out is no move.
        if let [only] = old.as_slice() {
            self.changes.gone.extend(only.values().filter_map(Known::gone));
        }
    }

    /// What the index has that the tree, that of `HEAD`, has not; all of it if there is no tree yet.
    pub fn index(&mut self, index: &IndexFile, head: Option<ObjectId>) {
        self.entries(index, index.entries(), index.trees.as_ref(), head);
    }

    fn entries(
        &mut self,
        index: &IndexFile,
        mut entries: &[Entry],
        cached: Option<&CachedTree>,
        head: Option<ObjectId>,
    ) {
        if self.depth > MAX_DEPTH || head.is_some() && cached.and_then(|cached| cached.id) == head {
            return;
        }
        let tree = head.and_then(|id| Some((id, self.tree(&id)?)));
        let mut old: HashMap<&[u8], Known> = tree.iter().flat_map(|(id, tree)| self.rows(id, &tree.text)).collect();
        let prefix = self.path.len() + usize::from(!self.path.is_empty());
        self.depth += 1;
        while let Some(first) = entries.first() {
            let rest = index.path(first).get(prefix..).unwrap_or_default();
            let name = rest.split(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
            let is_folder = name.len() < rest.len();
            let len = if is_folder {
                let same = |entry: &Entry| index.path(entry).get(prefix..).is_some_and(|rest| begins(rest, &name));
                entries.partition_point(same)
            } else {
                1
            };
            // In a damaged order a folder may be met twice, and must still be left.
            let (here, left) = entries.split_at(len.max(1));
            entries = left;
            let from = old.remove(name.as_slice());
            if is_folder && !first.is_folder() {
                let folders = cached.map(|cached| cached.folders.as_slice()).unwrap_or_default();
                let cached = folders.iter().find(|folder| folder.name == name);
                let tree = from.filter(|known| known.mode == Mode::Tree).map(|known| known.id);
                self.at(&name, |differ| differ.entries(index, here, cached, tree));
                continue;
            }
            let mode = match first {
                _ if first.is_promised => continue,
                // The ancestor of a conflict is in no branch's tip.
                _ if first.stage == 1 => continue,
                _ if first.is_folder() => Mode::Tree,
                _ if first.is_submodule() => Mode::Submodule,
                _ => Mode::Blob,
            };
            let from: Vec<Known> = from.into_iter().collect();
            self.at(&name, |differ| differ.row(Known { mode, id: first.id }, &from));
        }
        self.depth -= 1;
        self.changes.gone.extend(old.values().filter_map(Known::gone));
    }

    /// What is new in a row of a tree, if there were these at its path before.
    fn row(&mut self, row: Known, before: &[Known]) {
        if before.iter().any(|known| known.mode == row.mode && known.id == row.id) {
            return;
        }
        let of = |mode: Mode| before.iter().filter(move |known| known.mode == mode).map(|known| known.id);
        match row.mode {
            Mode::Blob => {
                let before = of(Mode::Blob).collect();
                self.changes.blobs.push(Change { path: self.path.clone(), id: row.id, before });
            }
            Mode::Submodule => self.changes.submodules.push(self.path.clone()),
            Mode::Tree => self.trees(&row.id, &of(Mode::Tree).collect::<Vec<_>>()),
        }
    }

    fn at(&mut self, name: &[u8], work: impl FnOnce(&mut Self)) {
        let len = self.path.len();
        if len > 0 {
            self.path.push(b'/');
        }
        self.path.extend(name);
        work(self);
        self.path.truncate(len);
    }

    fn tree(&mut self, id: &ObjectId) -> Option<Arc<Object>> {
        match self.reader.read(id) {
            Ok(object) if object.kind == ObjectKind::Tree => Some(object),
            Ok(_) => {
                self.gaps.add(Gap::Damaged, || id.to_string());
                None
            }
            Err(gap) => {
                self.gaps.add(gap, || id.to_string());
                None
            }
        }
    }

    /// The rows of a tree, by their names.
    fn rows<'t>(&mut self, id: &ObjectId, text: &'t [u8]) -> Vec<(&'t [u8], Known)> {
        let mut rest = text;
        let mut rows = Vec::new();
        while !rest.is_empty() {
            let row = tree::row(rest, id.as_bytes().len());
            let Some((row, id)) = row.and_then(|row| Some((row, ObjectId::from_raw(row.id)?))) else {
                self.gaps.add(Gap::Damaged, || id.to_string());
                break;
            };
            rows.push((row.name, Known { mode: row.mode, id }));
            rest = &rest[row.len..];
        }
        rows
    }
}

/// Two lists without what they have in common at their starts and ends.
fn without_common_ends<'l, T: PartialEq>(one: &'l [T], two: &'l [T]) -> (&'l [T], &'l [T]) {
    let head = one.iter().zip(two).take_while(|(one, two)| one == two).count();
    let (one, two) = (&one[head..], &two[head..]);
    let tail = one.iter().rev().zip(two.iter().rev()).take_while(|(one, two)| one == two).count();
    (&one[..one.len() - tail], &two[..two.len() - tail])
}

/// What is in a tree, as what is gone with it; nothing if it cannot be read.
pub fn rows(tree: &ObjectId, reader: &mut DirectReader<'_>) -> Vec<Gone> {
    let mut gaps = Gaps::default();
    let mut differ = Differ::new(reader, &mut gaps);
    let Some(object) = differ.tree(tree) else { return Vec::new() };
    differ.rows(tree, &object.text).iter().filter_map(|(_, known)| known.gone()).collect()
}

impl Known {
    fn gone(&self) -> Option<Gone> {
        match self.mode {
            Mode::Blob => Some(Gone::Blob(self.id)),
            Mode::Submodule => None,
            Mode::Tree => Some(Gone::Tree(self.id)),
        }
    }
}

/// Whether the path goes through the folder.
fn begins(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'))
}
