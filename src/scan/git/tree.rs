//! Trees: names, modes and ids of what is in a directory.

use super::ObjectId;
use crate::scan::engine::{Edit, From};

/// One row of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'t> {
    pub mode: Mode,
    pub name: &'t [u8],
    pub id: &'t [u8],
    /// Length of the row in the tree.
    pub len: usize,
}

/// What a row names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A file, or a symbolic link: a blob.
    Blob,
    /// A commit of another repository.
    Submodule,
    Tree,
}

/// Reads the row at the start of `rest`.
pub fn row(rest: &[u8], hash_len: usize) -> Option<Row<'_>> {
    let space = rest.iter().take(8).position(|byte| *byte == b' ')?;
    let nul = space + 1 + memchr::memchr(0, &rest[space + 1..])?;
    let end = nul.checked_add(1 + hash_len)?;
    let id = rest.get(nul + 1..end)?;
    let mode = match &rest[..space] {
        b"40000" | b"040000" => Mode::Tree,
        b"160000" => Mode::Submodule,
        _ => Mode::Blob,
    };
    Some(Row { mode, name: &rest[space + 1..nul], id, len: end })
}

/// The name that a byte of a tree belongs to.
pub fn name_around<'t>(text: &'t [u8], at: usize, tree: &ObjectId) -> Option<&'t [u8]> {
    let mut start = 0;
    loop {
        let row = row(text.get(start..)?, tree.as_bytes().len())?;
        if at < start + row.len {
            return Some(row.name);
        }
        start += row.len;
    }
}

/// What is remembered of a row of a tree for trees made from it: where it begins, and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub at: u32,
    pub slot: u32,
    /// Whether there is something to be found in its name.
    pub is_telling: bool,
}

/// Reads all rows of a tree. `known` gives what is remembered of a row, if it is an unchanged one; then `look_up` is
/// not asked. `each` is told of every row. `None` if the bytes are not a tree.
pub fn read(
    text: &[u8],
    hash_len: usize,
    mut known: impl FnMut(usize, usize) -> Option<Known>,
    mut look_up: impl FnMut(Row<'_>) -> (u32, bool),
    mut each: impl FnMut(Row<'_>, u32),
    out: &mut Vec<Known>,
) -> Option<()> {
    let mut at = 0;
    while at < text.len() {
        let row = row(&text[at..], hash_len)?;
        let (slot, is_telling) = known(at, row.len).map_or_else(|| look_up(row), |same| (same.slot, same.is_telling));
        each(row, slot);
        out.push(Known { at: u32::try_from(at).ok()?, slot, is_telling });
        at += row.len;
    }
    Some(())
}

/// Finds rows of a new tree that are unchanged rows of its base, asked from the start to the end.
pub struct Unchanged<'a> {
    edit: &'a Edit,
    base: &'a [Known],
    part: usize,
    row: usize,
}

impl<'a> Unchanged<'a> {
    pub fn new(edit: &'a Edit, base: &'a [Known]) -> Self {
        Self { edit, base, part: 0, row: 0 }
    }

    /// What is remembered of the row at `at` of the new tree.
    ///
    /// The row has the same bytes as the one that begins at the same place of the base, since a copied range holds
    /// all of it: so it has the same length and names the same object.
    pub fn find(&mut self, at: usize, len: usize) -> Option<Known> {
        let parts = self.edit.parts();
        while parts.get(self.part).is_some_and(|part| part.at + part.len <= at) {
            self.part += 1;
        }
        let part = parts.get(self.part)?;
        let From::Base(start) = part.from else { return None };
        if at < part.at || at + len > part.at + part.len {
            return None;
        }
        let wanted = u32::try_from(at - part.at + start).ok()?;
        if self.base.get(self.row).is_none_or(|row| row.at != wanted) {
            self.row = self.base.partition_point(|row| row.at < wanted);
        }
        let row = self.base.get(self.row).filter(|row| row.at == wanted)?;
        self.row += 1;
        Some(*row)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_has_mode_name_and_id() {
        let mut bytes = b"40000 src\0".to_vec();
        bytes.extend([7; 20]);
        bytes.extend(b"100644 a b\0");
        bytes.extend([8; 20]);
        let first = row(&bytes, 20).unwrap();
        assert_eq!((first.mode, first.name, first.id), (Mode::Tree, &b"src"[..], &[7; 20][..]));
        let second = row(&bytes[first.len..], 20).unwrap();
        assert_eq!((second.mode, second.name, second.len), (Mode::Blob, &b"a b"[..], 31));
        assert_eq!(row(&bytes[first.len..], 32), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_tree_panic(bytes: Vec<u8>) {
            let _ = read(&bytes, 20, |_, _| None, |_| (0, false), |_, _| {}, &mut Vec::new());
        }
    }
}
