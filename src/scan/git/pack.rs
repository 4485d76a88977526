//! Packs: where an object's bytes are, and what is written before them.
//!
//! Nothing is mapped: entries are read by position into buffers that the caller keeps, so a pack that is cut while it
//! is read costs an error and not the process. A walk reads [`Blocks`], since most entries are shorter than what a
//! call of the system costs, and since git lays what is made from each other side by side.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::ObjectKind;
use super::index::Index;
use super::oid::{HashKind, ObjectId};

/// A pack with its index, objects in the order in which they lie in it.
pub struct Pack {
    file: File,
    pub index: Index,
    /// Where the objects begin, in rising order.
    offsets: Vec<u64>,
    /// Which object of the index that is.
    positions: Vec<u32>,
    /// Where the last object ends.
    end: u64,
    hash_len: usize,
    /// How many objects the pack itself says it has.
    pub declared: u32,
}

/// What stands before an object's compressed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: EntryKind,
    /// Size of the object, or of its delta, once inflated.
    pub size: u64,
    /// Length of what was read.
    pub header_len: usize,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Whole(ObjectKind),
    /// A delta of the entry this many bytes before.
    OffsetDelta(u64),
    /// A delta of a named object.
    RefDelta(ObjectId),
}

/// Why a pack, or a place in it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("the pack is damaged")]
    Damaged,
    #[error("the pack could not be read")]
    Io(#[from] std::io::Error),
}

/// The longest header of an entry: size, then an offset or an id.
const MAX_HEADER: usize = 10 + 32;

const PACK_HEADER: usize = 12;

impl Pack {
    /// Opens a pack. Objects whose offset is outside of it are left out; [`Pack::lost`] counts them.
    pub fn open(path: &Path, index: Index, hash: HashKind) -> Result<Self, PackError> {
        let file = File::open(path)?;
        let mut header = [0; PACK_HEADER];
        file.read_exact_at(&mut header, 0)?;
        let [magic, version, declared] =
            [0, 4, 8].map(|at| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
        if magic != u32::from_be_bytes(*b"PACK") || !matches!(version, 2 | 3) {
            return Err(PackError::Damaged);
        }
        let end = file.metadata()?.len().checked_sub(hash.id_len() as u64).ok_or(PackError::Damaged)?;
        let mut order: Vec<(u64, u32)> = (0..index.len())
            .filter_map(|position| Some((index.offset(position)?, u32::try_from(position).ok()?)))
            .filter(|(offset, _)| (PACK_HEADER as u64..end).contains(offset))
            .collect();
        order.sort_unstable();
        // Two names for one place: only a hostile index has them, and one of the names is false.
        order.dedup_by_key(|(offset, _)| *offset);
        let (offsets, positions) = order.into_iter().unzip();
        Ok(Self { file, index, offsets, positions, end, hash_len: hash.id_len(), declared })
    }

    /// How many objects are in the pack.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// How many objects of the index are not in the pack.
    pub fn lost(&self) -> usize {
        self.index.len() - self.len()
    }

    /// Where the `nth` object begins.
    pub fn offset(&self, nth: usize) -> u64 {
        self.offsets[nth]
    }

    /// The position of the `nth` object in the index.
    pub fn position(&self, nth: usize) -> usize {
        self.positions[nth] as usize
    }

    /// Which object begins at `offset`.
    pub fn nth_at(&self, offset: u64) -> Option<usize> {
        let nth = self.offsets.partition_point(|start| *start < offset);
        (self.offsets.get(nth) == Some(&offset)).then_some(nth)
    }

    /// Reads the bytes of the `nth` object as they are stored: at most `most` of them.
    pub fn read<'b>(&self, nth: usize, most: usize, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], PackError> {
        let start = self.offsets[nth];
        let end = self.offsets.get(nth + 1).copied().unwrap_or(self.end);
        let len = usize::try_from(end - start).map_or(most, |len| len.min(most));
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        self.file.read_exact_at(&mut buffer[..len], start)?;
        Ok(&buffer[..len])
    }

    /// As `read`, by way of the blocks that were read last.
    pub fn read_near<'b>(&self, nth: usize, most: usize, blocks: &'b mut Blocks) -> Result<&'b [u8], PackError> {
        let start = self.offsets[nth];
        let end = self.offsets.get(nth + 1).copied().unwrap_or(self.end);
        let len = usize::try_from(end - start).map_or(most, |len| len.min(most));
        blocks.read(&self.file, start, len)
    }

    /// The bytes of the `nth` object from `skip` on, as a stream of its own.
    pub fn stored(&self, nth: usize, skip: usize) -> Result<impl Read + 'static, PackError> {
        let end = self.offsets.get(nth + 1).copied().unwrap_or(self.end);
        Ok(Stored { file: self.file.try_clone()?, at: self.offsets[nth] + skip as u64, end })
    }

    /// Reads every entry's header, in order, by few large reads.
    pub fn headers(&self, mut each: impl FnMut(usize, Result<Entry, PackError>)) -> Result<(), PackError> {
        let mut block = vec![0; 64 * 1024];
        let (mut from, mut filled) = (0, 0);
        for nth in 0..self.len() {
            let start = self.offsets[nth];
            let want = MAX_HEADER.min(usize::try_from(self.end - start).unwrap_or(MAX_HEADER));
            if start < from || start + want as u64 > from + filled as u64 {
                from = start;
                filled = usize::try_from(self.end - start).map_or(block.len(), |rest| rest.min(block.len()));
                self.file.read_exact_at(&mut block[..filled], from)?;
            }
            let at = usize::try_from(start - from).map_err(|_| PackError::Damaged)?;
            each(nth, parse_entry(&block[at..at + want], self.hash_len));
        }
        Ok(())
    }

    /// Reads the header at the start of an entry's bytes.
    pub fn entry(&self, bytes: &[u8]) -> Result<Entry, PackError> {
        parse_entry(bytes, self.hash_len)
    }
}

/// The blocks of a pack that a worker has read last, each at its own place.
pub struct Blocks {
    bytes: Vec<u8>,
    /// Which block is at a place, and how much of it there is.
    held: [(u64, usize); BLOCKS],
    /// For what lies in two of them, or is longer.
    joined: Vec<u8>,
}

/// Bytes of a block, and how many are held. What is made from each other lies together, but not in the order in which a
/// walk goes: on real packs larger blocks, or fewer, bring more bytes that are not read.
const BLOCK: usize = 4 << 10;
const BLOCKS: usize = 512;

impl Blocks {
    pub fn new() -> Self {
        Self { bytes: vec![0; BLOCK * BLOCKS], held: [(u64::MAX, 0); BLOCKS], joined: Vec::new() }
    }

    fn read(&mut self, file: &File, start: u64, len: usize) -> Result<&[u8], PackError> {
        let (first, skip) = (start / BLOCK as u64, usize::try_from(start % BLOCK as u64).unwrap_or_default());
        if skip + len <= BLOCK {
            let block = self.block(file, first)?;
            return block.get(skip..skip + len).ok_or_else(cut);
        }
        if self.joined.len() < len {
            self.joined.resize(len, 0);
        }
        if len > BLOCK {
            file.read_exact_at(&mut self.joined[..len], start)?;
            return Ok(&self.joined[..len]);
        }
        let mut joined = std::mem::take(&mut self.joined);
        let head = BLOCK - skip;
        joined[..head]
            .copy_from_slice(self.block(file, first)?.get(skip..).filter(|rest| rest.len() == head).ok_or_else(cut)?);
        joined[head..len].copy_from_slice(self.block(file, first + 1)?.get(..len - head).ok_or_else(cut)?);
        self.joined = joined;
        Ok(&self.joined[..len])
    }

    fn block(&mut self, file: &File, number: u64) -> Result<&[u8], PackError> {
        let place = usize::try_from(number % BLOCKS as u64).unwrap_or_default();
        let bytes = &mut self.bytes[place * BLOCK..(place + 1) * BLOCK];
        let (held, mut filled) = self.held[place];
        if held != number {
            self.held[place] = (u64::MAX, 0);
            filled = 0;
            while filled < BLOCK {
                match file.read_at(&mut bytes[filled..], number * BLOCK as u64 + filled as u64) {
                    Ok(0) => break,
                    Ok(read) => filled += read,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
            self.held[place] = (number, filled);
        }
        Ok(&bytes[..filled])
    }
}

/// The file ends before the object does.
fn cut() -> PackError {
    PackError::Io(std::io::ErrorKind::UnexpectedEof.into())
}

/// A part of a pack.
struct Stored {
    file: File,
    at: u64,
    end: u64,
}

impl Read for Stored {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = usize::try_from(self.end - self.at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = self.file.read_at(&mut buffer[..len], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// How many bytes of a pack an entry of `size` bytes may take: deflate does not make anything much longer.
pub fn most_stored(size: u64) -> usize {
    usize::try_from(size.saturating_add(size / 8).saturating_add(1024)).unwrap_or(usize::MAX)
}

/// Reads the header of an entry.
pub fn parse_entry(bytes: &[u8], hash_len: usize) -> Result<Entry, PackError> {
    let mut rest = bytes;
    let mut next = || {
        let (byte, tail) = rest.split_first().ok_or(PackError::Damaged)?;
        rest = tail;
        Ok::<u8, PackError>(*byte)
    };
    let first = next()?;
    let mut size = u64::from(first & 0x0f);
    let (mut byte, mut shift) = (first, 4);
    while byte & 0x80 != 0 {
        byte = next()?;
        if shift > 57 {
            return Err(PackError::Damaged);
        }
        size |= u64::from(byte & 0x7f) << shift;
        shift += 7;
    }
    let kind = match first >> 4 & 7 {
        1 => EntryKind::Whole(ObjectKind::Commit),
        2 => EntryKind::Whole(ObjectKind::Tree),
        3 => EntryKind::Whole(ObjectKind::Blob),
        4 => EntryKind::Whole(ObjectKind::Tag),
        6 => {
            let mut byte = next()?;
            let mut distance = u64::from(byte & 0x7f);
            while byte & 0x80 != 0 {
                byte = next()?;
                // Each further byte also counts the distances that fewer bytes could not reach.
                distance = distance.checked_add(1).filter(|one| *one < 1 << 56).ok_or(PackError::Damaged)?;
                distance = distance << 7 | u64::from(byte & 0x7f);
            }
            EntryKind::OffsetDelta(distance)
        }
        7 => {
            let raw = rest.get(..hash_len).ok_or(PackError::Damaged)?;
            rest = &rest[hash_len..];
            EntryKind::RefDelta(ObjectId::from_raw(raw).ok_or(PackError::Damaged)?)
        }
        _ => return Err(PackError::Damaged),
    };
    Ok(Entry { kind, size, header_len: bytes.len() - rest.len() })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_says_kind_and_size() {
        let entry = parse_entry(&[0xb5, 0x0a], 20).unwrap();
        assert_eq!(entry, Entry { kind: EntryKind::Whole(ObjectKind::Blob), size: 165, header_len: 2 });
        let entry = parse_entry(&[0x65, 0x80, 0x00], 20).unwrap();
        assert_eq!(entry, Entry { kind: EntryKind::OffsetDelta(128), size: 5, header_len: 3 });
        let mut named = vec![0x72];
        named.extend([9; 20]);
        let entry = parse_entry(&named, 20).unwrap();
        assert_eq!(entry.kind, EntryKind::RefDelta(ObjectId::from_raw(&[9; 20]).unwrap()));
    }

    #[test]
    fn a_header_that_does_not_end_is_refused() {
        for bad in [&[][..], &[0x90], &[0x60, 0x80], &[0x70, 1, 2], &[0x05], &[0x50], &[0xff; 42]] {
            assert!(parse_entry(bad, 20).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_header_panic(bytes: Vec<u8>) {
            for hash_len in [20, 32] {
                if let Ok(entry) = parse_entry(&bytes, hash_len) {
                    prop_assert!(entry.header_len <= bytes.len());
                }
            }
        }
    }
}
