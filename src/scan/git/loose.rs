//! Loose objects: one file each, a zlib stream that begins with the object's kind and size.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::ObjectKind;
use super::inflate::{Inflated, Inflater};

/// What became of an attempt to read a loose object.
#[derive(Debug)]
pub enum Loose {
    Damaged,
    Object(ObjectKind, Vec<u8>),
    TooLarge,
    Unreadable,
}

/// The longest `kind size\0`.
const MAX_HEADER: usize = 32;

/// Reads a loose object of at most `limit` bytes.
pub fn read(path: &Path, limit: u64, inflater: &mut Inflater) -> Loose {
    // A stream is hardly longer than what it holds, and never much.
    let most = (limit.saturating_add(limit / 8)).saturating_add(4096);
    let mut stored = Vec::new();
    let Ok(file) = regular_file(path) else { return Loose::Unreadable };
    if file.take(most).read_to_end(&mut stored).is_err() {
        return Loose::Unreadable;
    }
    let mut head = [0; MAX_HEADER];
    let Ok(seen) = inflater.peek(&stored, &mut head) else { return Loose::Damaged };
    let Some((kind, size, header_len)) = parse_header(&head[..seen]) else { return Loose::Damaged };
    if size > limit {
        return Loose::TooLarge;
    }
    let Some(total) = usize::try_from(size).ok().and_then(|size| size.checked_add(header_len)) else {
        return Loose::Damaged;
    };
    let mut object = Vec::new();
    if inflater.inflate(&stored, total, &mut object).is_err() {
        return Loose::Damaged;
    }
    object.drain(..header_len);
    Loose::Object(kind, object)
}

/// Kind and size of a loose object.
pub fn about(path: &Path, inflater: &mut Inflater) -> Option<(ObjectKind, u64)> {
    let mut stored = Vec::new();
    regular_file(path).ok()?.take(256).read_to_end(&mut stored).ok()?;
    let mut head = [0; MAX_HEADER];
    let seen = inflater.peek(&stored, &mut head).ok()?;
    parse_header(&head[..seen]).map(|(kind, size, _)| (kind, size))
}

/// The content of a loose object, to be read once.
pub fn stream(path: &Path) -> std::io::Result<Inflated> {
    let mut stored = Vec::new();
    regular_file(path)?.take(256).read_to_end(&mut stored)?;
    let mut head = [0; MAX_HEADER];
    let header = Inflater::new().peek(&stored, &mut head).ok().and_then(|seen| parse_header(&head[..seen]));
    let (_, size, header_len) = header.ok_or(std::io::ErrorKind::InvalidData)?;
    Inflated::new(regular_file(path)?, size).pass(header_len)
}

/// Opens a file that is one: no link, no pipe, no device.
pub fn regular_file(path: &Path) -> std::io::Result<File> {
    if !path.symlink_metadata()?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    File::open(path)
}

/// Reads `kind size\0`.
pub fn parse_header(head: &[u8]) -> Option<(ObjectKind, u64, usize)> {
    let end = memchr::memchr(0, head)?;
    let text = std::str::from_utf8(&head[..end]).ok()?;
    let (kind, size) = text.split_once(' ')?;
    if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((ObjectKind::named(kind)?, size.parse().ok()?, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loose_header_is_kind_and_size() {
        assert_eq!(parse_header(b"blob 12\0rest"), Some((ObjectKind::Blob, 12, 8)));
        for bad in [
            &b"blob 12"[..],
            b"blob \0",
            b"blob -1\0",
            b"blub 1\0",
            b"blob 1 \0",
            b"blob 99999999999999999999\0",
            b"\0",
        ] {
            assert_eq!(parse_header(bad), None);
        }
    }
}
