//! LFS: files that git holds only a pointer to, and that lie beside its objects if they were ever staged or fetched.
//!
//! [The pointer](https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md) names the SHA-256 of the content, and the content's path follows
//! from it. Nothing is fetched.

use std::path::{Path, PathBuf};

/// What is done with pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lfs {
    /// The content is read if it is there, and a gap if it is not.
    Content,
    /// The pointer is all there is to read.
    Pointers,
}

const HEAD: &[u8] = b"version https://git-lfs.github.com/spec/";
const MAX_LEN: usize = 1024;

/// Whether a text is a pointer, and where below the repository's folder its content would be.
pub fn content(text: &[u8], common_dir: &Path) -> Option<PathBuf> {
    if text.len() >= MAX_LEN || !text.starts_with(HEAD) {
        return None;
    }
    let oid = std::str::from_utf8(text).ok()?.lines().find_map(|line| line.strip_prefix("oid sha256:"))?;
    if oid.len() != 64 || !oid.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    Some(common_dir.join("lfs/objects").join(&oid[..2]).join(&oid[2..4]).join(oid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_names_a_path_and_nothing_else_does() {
        let oid = "0123456789abcdef".repeat(4);
        let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12\n");
        let path = content(pointer.as_bytes(), Path::new(".git"));
        assert_eq!(path, Some(PathBuf::from(format!(".git/lfs/objects/01/23/{oid}"))));
        for bad in [pointer.replace("0123", "../../"), pointer.replace("oid", "old"), "x".repeat(9)] {
            assert_eq!(content(bad.as_bytes(), Path::new(".git")), None);
        }
    }
}
