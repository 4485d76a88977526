//! Trees: names, modes and ids of what is in a directory.

use super::ObjectId;

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
            if let Some(row) = row(&bytes, 20) {
                prop_assert!(row.len <= bytes.len());
            }
        }
    }
}
