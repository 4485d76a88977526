//! The index: what is about to be committed, from the file in which git keeps it.
//!
//! Versions 2, 3 and 4 of [the format](https://git-scm.com/docs/index-format), with ids of either length, split in two
//! or not, sparse or not. Every length in the file is taken for a lie until it is checked. The file's own checksum is not
//! looked at: git leaves it out on request, and whoever could write the file could write it too.

use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use super::loose::regular_file;
use super::split_index;
use super::{HashKind, ObjectId};

/// An index, its entries in the order of their paths.
#[derive(Debug, Default)]
pub struct IndexFile {
    names: Vec<u8>,
    pub(super) entries: Vec<Entry>,
    /// Trees that would be written for folders in which nothing changed since one was.
    pub trees: Option<CachedTree>,
}

/// A path that would be in the next commit.
#[derive(Clone, Debug)]
pub struct Entry {
    name: Range<usize>,
    pub id: ObjectId,
    pub mode: u32,
    /// 0, or 1 to 3 where two branches are in conflict.
    pub stage: u8,
    /// `git add -N`: there will be such a file, and nothing of it is staged.
    pub is_promised: bool,
}

/// The tree of a folder, if it is known, and those of the folders in it.
#[derive(Debug)]
pub struct CachedTree {
    pub name: Vec<u8>,
    pub id: Option<ObjectId>,
    pub folders: Vec<CachedTree>,
}

/// Why an index cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadIndex {
    #[error("the index is damaged")]
    Damaged,
    #[error("the index could not be read")]
    Io(#[source] std::io::Error),
    #[error("the index has something in it that is not known, `{0}`")]
    Unknown(String),
    #[error("the index has a version that is not known, {0}")]
    Version(u32),
}

const DIRECTORY: u32 = 0o40000;
const SUBMODULE: u32 = 0o160_000;

/// Larger files are no index.
const MAX_BYTES: u64 = 2 << 30;

/// Folders in folders are followed so far.
const MAX_DEPTH: usize = 4096;

impl Entry {
    /// A folder of which nothing is checked out: its id is a tree's.
    pub fn is_folder(&self) -> bool {
        self.mode == DIRECTORY
    }

    pub fn is_submodule(&self) -> bool {
        self.mode == SUBMODULE
    }
}

impl IndexFile {
    /// Reads the file, and the one it shares with others if it is split. No file means that nothing is staged.
    pub fn read(path: &Path, git_dir: &Path, hash: HashKind) -> Result<Self, BadIndex> {
        let Some(bytes) = bytes(path)? else { return Ok(Self::default()) };
        let (own, link) = Self::parse(&bytes, hash)?;
        let Some(link) = link.filter(|link| link.base.as_bytes().iter().any(|byte| *byte != 0)) else {
            return Ok(own);
        };
        let shared = bytes_of_shared(git_dir, &link.base)?;
        let (shared, nested) = Self::parse(&shared, hash)?;
        if nested.is_some() {
            return Err(BadIndex::Damaged);
        }
        split_index::join(own, &shared, &link)
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry's path, with `/` between names.
    pub fn path(&self, entry: &Entry) -> &[u8] {
        &self.names[entry.name.clone()]
    }

    pub(super) fn push(&mut self, path: &[u8], entry: &Entry) {
        let start = self.names.len();
        self.names.extend(path);
        self.entries.push(Entry { name: start..self.names.len(), ..*entry });
    }

    pub(super) fn sort(&mut self) {
        let names = &self.names;
        self.entries
            .sort_by(|one, two| (&names[one.name.clone()], one.stage).cmp(&(&names[two.name.clone()], two.stage)));
    }

    /// Reads the bytes of one file. Those of a split one say which other file they are a part of.
    pub fn parse(bytes: &[u8], hash: HashKind) -> Result<(Self, Option<split_index::Link>), BadIndex> {
        let hash_len = hash.id_len();
        let body = bytes.len().checked_sub(hash_len).map(|end| &bytes[..end]).ok_or(BadIndex::Damaged)?;
        let mut rest = body.strip_prefix(b"DIRC").ok_or(BadIndex::Damaged)?;
        let version = number(&mut rest)?;
        if !(2..=4).contains(&version) {
            return Err(BadIndex::Version(version));
        }
        let count = number(&mut rest)?;
        let mut index = Self::default();
        let mut before = 0..0;
        for _ in 0..count {
            let entry = index.entry(&mut rest, version, hash_len, before)?;
            before = entry.name.clone();
            index.entries.push(entry);
        }
        let mut link = None;
        while !rest.is_empty() {
            let signature = take(&mut rest, 4)?;
            let len = usize::try_from(number(&mut rest)?).map_err(|_| BadIndex::Damaged)?;
            let content = take(&mut rest, len)?;
            match signature {
                b"TREE" => index.trees = cached_tree(&mut { content }, hash_len, 0),
                b"link" => link = Some(split_index::Link::parse(content, hash_len)?),
                b"sdir" => {}
                // Whoever does not know one with a small letter has not understood the file.
                [first, ..] if !first.is_ascii_uppercase() => {
                    return Err(BadIndex::Unknown(String::from_utf8_lossy(signature).into_owned()));
                }
                _ => {}
            }
        }
        // Order is what the search for a folder goes by.
        index.sort();
        Ok((index, link))
    }

    fn entry(
        &mut self,
        rest: &mut &[u8],
        version: u32,
        hash_len: usize,
        before: Range<usize>,
    ) -> Result<Entry, BadIndex> {
        const STAT: usize = 24;
        let all = rest.len();
        take(rest, STAT)?;
        let mode = number(rest)?;
        take(rest, 12)?;
        let id = ObjectId::from_raw(take(rest, hash_len)?).ok_or(BadIndex::Damaged)?;
        let flags = short(rest)?;
        let extended = if version >= 3 && flags & 0x4000 != 0 { short(rest)? } else { 0 };
        let start = self.names.len();
        if version == 4 {
            let cut = varint(rest)?;
            let kept = before.len().checked_sub(cut).ok_or(BadIndex::Damaged)?;
            self.names.extend_from_within(before.start..before.start + kept);
        }
        let len = memchr::memchr(0, rest).ok_or(BadIndex::Damaged)?;
        self.names.extend(take(rest, len)?);
        // In version 4 one zero ends the name; before, so many that the next entry begins at a multiple of eight.
        let used = all - rest.len();
        take(rest, if version == 4 { 1 } else { 8 - used % 8 })?;
        Ok(Entry {
            name: start..self.names.len(),
            id,
            mode,
            stage: u8::try_from(flags >> 12 & 3).unwrap_or_default(),
            is_promised: extended & 0x2000 != 0,
        })
    }
}

fn bytes(path: &Path) -> Result<Option<Vec<u8>>, BadIndex> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        _ => {}
    }
    let file = regular_file(path).map_err(BadIndex::Io)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(BadIndex::Io)?;
    Ok(Some(bytes))
}

fn bytes_of_shared(git_dir: &Path, base: &ObjectId) -> Result<Vec<u8>, BadIndex> {
    let gone = || BadIndex::Io(std::io::Error::from(std::io::ErrorKind::NotFound));
    bytes(&git_dir.join(format!("sharedindex.{base}")))?.ok_or_else(gone)
}

fn cached_tree(rest: &mut &[u8], hash_len: usize, depth: usize) -> Option<CachedTree> {
    let name = until(rest, 0)?.to_vec();
    let count: i64 = std::str::from_utf8(until(rest, b' ')?).ok()?.parse().ok()?;
    let folders: usize = std::str::from_utf8(until(rest, b'\n')?).ok()?.parse().ok()?;
    let id = if count < 0 { None } else { Some(ObjectId::from_raw(take(rest, hash_len).ok()?)?) };
    if depth > MAX_DEPTH {
        return None;
    }
    let folders = (0..folders).map(|_| cached_tree(rest, hash_len, depth + 1)).collect::<Option<_>>()?;
    Some(CachedTree { name, id, folders })
}

fn until<'b>(rest: &mut &'b [u8], end: u8) -> Option<&'b [u8]> {
    let at = memchr::memchr(end, rest)?;
    let found = &rest[..at];
    *rest = &rest[at + 1..];
    Some(found)
}

pub(super) fn take<'b>(rest: &mut &'b [u8], len: usize) -> Result<&'b [u8], BadIndex> {
    let (taken, left) = rest.split_at_checked(len).ok_or(BadIndex::Damaged)?;
    *rest = left;
    Ok(taken)
}

pub(super) fn number(rest: &mut &[u8]) -> Result<u32, BadIndex> {
    let four = take(rest, 4)?;
    Ok(u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

fn short(rest: &mut &[u8]) -> Result<u16, BadIndex> {
    let two = take(rest, 2)?;
    Ok(u16::from_be_bytes([two[0], two[1]]))
}

/// Each further byte also counts the numbers that fewer bytes could not reach.
fn varint(rest: &mut &[u8]) -> Result<usize, BadIndex> {
    let mut byte = take(rest, 1)?[0];
    let mut value = usize::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        byte = take(rest, 1)?[0];
        value = value.checked_add(1).filter(|one| *one < 1 << 40).ok_or(BadIndex::Damaged)?;
        value = value << 7 | usize::from(byte & 0x7f);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(version: u32, paths: &[&str]) -> Vec<u8> {
        let mut bytes = b"DIRC".to_vec();
        bytes.extend(version.to_be_bytes());
        bytes.extend(u32::try_from(paths.len()).expect("few").to_be_bytes());
        let mut before = "";
        for path in paths {
            let start = bytes.len();
            bytes.extend([0; 24]);
            bytes.extend(0o100_644_u32.to_be_bytes());
            bytes.extend([0; 12]);
            bytes.extend([7; 20]);
            bytes.extend(u16::try_from(path.len()).expect("short").to_be_bytes());
            if version == 4 {
                let same = path.bytes().zip(before.bytes()).take_while(|(one, two)| one == two).count();
                bytes.push(u8::try_from(before.len() - same).expect("short"));
                bytes.extend(&path.as_bytes()[same..]);
                bytes.push(0);
            } else {
                bytes.extend(path.as_bytes());
                let used = bytes.len() - start;
                bytes.extend(vec![0; 8 - used % 8]);
            }
            before = path;
        }
        bytes.extend([0; 20]);
        bytes
    }

    #[test]
    fn paths_of_every_version_are_read() {
        let paths = ["a", "dir/one", "dir/one-two", "dir/other", "z"];
        for version in 2..=4 {
            let (read, link) = IndexFile::parse(&index(version, &paths), HashKind::Sha1).expect("it is right");
            let told: Vec<_> = read.entries().iter().map(|entry| read.path(entry)).collect();
            assert_eq!(told, paths.map(str::as_bytes), "version {version}");
            assert!(link.is_none());
        }
        assert!(matches!(IndexFile::parse(&index(5, &[]), HashKind::Sha1), Err(BadIndex::Version(5))));
    }

    #[test]
    fn what_is_not_known_and_must_be_is_refused() {
        let mut bytes = index(2, &["a"]);
        let end = bytes.len() - 20;
        bytes.splice(end..end, *b"zzzz\0\0\0\0");
        assert!(matches!(IndexFile::parse(&bytes, HashKind::Sha1), Err(BadIndex::Unknown(name)) if name == "zzzz"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_an_index_panic(bytes: Vec<u8>, at in 0_usize..400, version in 2_u32..5) {
            let mut mixed = index(version, &["a", "b/c", "b/d"]);
            let at = at.min(mixed.len());
            let to = (at + bytes.len()).min(mixed.len());
            mixed.splice(at..to, bytes);
            let _ = IndexFile::parse(&mixed, HashKind::Sha1);
        }
    }
}
