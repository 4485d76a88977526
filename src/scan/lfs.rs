//! LFS: files that git holds only a pointer to, and that lie beside its objects if they were ever staged or fetched.
//!
//! [The pointer](https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md) names the SHA-256 of the content, and the content's path follows
//! from it. What lies there counts only if it has that hash. Nothing is fetched.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::git;

/// What is done with pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lfs {
    /// The content is read if it is there, and a gap if it is not.
    Content,
    /// The pointer is all there is to read.
    Pointers,
}

/// What git holds in the place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The SHA-256 of the content, in hexadecimal digits.
    oid: String,
    /// Bytes of the content.
    size: u64,
}

/// Why there is no content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// What lies in its place is something else.
    Damaged,
    Missing,
}

const HEAD: &[u8] = b"version https://git-lfs.github.com/spec/";
const MAX_LEN: usize = 1024;

impl Pointer {
    /// A text that is a pointer, and all of it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= MAX_LEN || !text.starts_with(HEAD) {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let oid = text.lines().find_map(|line| line.strip_prefix("oid sha256:"))?;
        let size = text.lines().find_map(|line| line.strip_prefix("size ")?.parse().ok()).unwrap_or(0);
        is_oid(oid).then(|| Self { oid: oid.to_owned(), size })
    }

    pub fn oid(&self) -> &str {
        &self.oid
    }

    /// Opens the content, if it is there and what it should be.
    pub fn open(&self, common_dir: &Path) -> Result<File, Lacking> {
        let path = store(common_dir).join(&self.oid[..2]).join(&self.oid[2..4]).join(&self.oid);
        let mut file = git::regular_file(&path).map_err(|_| Lacking::Missing)?;
        let hash = sha256(&mut file).and_then(|hash| file.rewind().map(|()| hash)).map_err(|_| Lacking::Damaged)?;
        let is_it = hash.iter().zip(self.oid.as_bytes().chunks(2)).all(|(byte, digits)| {
            let digits = std::str::from_utf8(digits).ok();
            digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) == Some(*byte)
        });
        if is_it { Ok(file) } else { Err(Lacking::Damaged) }
    }
}

/// As git holds it.
impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { oid, size } = self;
        write!(f, "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n")
    }
}

fn sha256(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn is_oid(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn store(common_dir: &Path) -> PathBuf {
    common_dir.join("lfs/objects")
}

/// Every content that lies in a repository, as the pointer names it: no link is followed to one.
pub fn contents(common_dir: &Path) -> Vec<(String, PathBuf)> {
    let folders = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
    };
    let files = folders(store(common_dir)).flat_map(folders).flat_map(|folder| std::fs::read_dir(folder).into_iter());
    let mut all: Vec<_> = files
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect();
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_names_a_hash_and_nothing_else_does() {
        let oid = "0123456789abcdef".repeat(4);
        let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12\n");
        let read = Pointer::parse(pointer.as_bytes()).expect("it is one");
        assert_eq!((read.to_string(), read.oid), (pointer.clone(), oid));
        for bad in [pointer.replace("0123", "../../"), pointer.replace("oid", "old"), "x".repeat(9)] {
            assert_eq!(Pointer::parse(bad.as_bytes()), None);
        }
    }
}
