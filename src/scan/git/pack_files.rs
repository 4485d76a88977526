//! A pack and its index, looked into by position and not read as a whole.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::loose::regular_file;
use super::{Gap, HashKind, ObjectId};

/// A pack and its index, open and not read.
pub struct PackFiles {
    index: File,
    pub pack: File,
    /// How many objects begin with each byte or a lower one.
    fanout: Vec<u32>,
    is_v2: bool,
    hash_len: u64,
    /// Where the last object ends.
    pub end: u64,
    /// Objects that were looked for.
    asked: AtomicU32,
    /// The index as a whole, once so many were that reading it costs less than going on without.
    whole: OnceLock<Vec<u8>>,
}

/// After so many objects a pack's index is held in memory.
const MANY: u32 = 1000;

const MAGIC: [u8; 8] = [0xff, b't', b'O', b'c', 0, 0, 0, 2];
const FANOUT: usize = 256 * 4;

impl PackFiles {
    pub fn open(path: &Path, hash: HashKind) -> Option<Self> {
        let index = regular_file(&path.with_extension("idx")).ok()?;
        let pack = regular_file(path).ok()?;
        let mut head = [0; 8 + FANOUT];
        index.read_exact_at(&mut head, 0).ok()?;
        let is_v2 = head.starts_with(&MAGIC);
        let table = if is_v2 { &head[8..] } else { &head[..FANOUT] };
        let fanout: Vec<u32> =
            table.chunks_exact(4).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]])).collect();
        if fanout.windows(2).any(|pair| pair[0] > pair[1]) {
            return None;
        }
        let hash_len = hash.id_len() as u64;
        let end = pack.metadata().ok()?.len().checked_sub(hash_len)?;
        let (asked, whole) = (AtomicU32::new(0), OnceLock::new());
        Some(Self { index, pack, fanout, is_v2, hash_len, end, asked, whole })
    }

    pub fn count(&self) -> u64 {
        self.fanout.last().copied().unwrap_or_default().into()
    }

    pub fn range(&self, first: u8) -> (u64, u64) {
        let before = usize::from(first).checked_sub(1).map_or(0, |before| self.fanout[before]);
        (before.into(), self.fanout[usize::from(first)].into())
    }

    pub fn read_index(&self, raw: &mut [u8], start: u64) -> Option<()> {
        let Some(whole) = self.whole.get() else { return self.index.read_exact_at(raw, start).ok() };
        let start = usize::try_from(start).ok()?;
        raw.copy_from_slice(whole.get(start..start.checked_add(raw.len())?)?);
        Some(())
    }

    pub fn hold_index(&self) {
        let Ok(len) = self.index.metadata().map(|about| about.len()) else { return };
        let Ok(len) = usize::try_from(len) else { return };
        let mut whole = vec![0; len];
        if self.index.read_exact_at(&mut whole, 0).is_ok() {
            // Another thread may have been faster.
            let _ = self.whole.set(whole);
        }
    }

    pub fn id_at(&self, position: u64, raw: &mut [u8]) -> Option<()> {
        let start = if self.is_v2 {
            (8 + FANOUT) as u64 + position * self.hash_len
        } else {
            FANOUT as u64 + position * (4 + self.hash_len) + 4
        };
        self.read_index(raw, start)
    }

    /// The first position whose id is not lower than `raw`.
    pub fn lower_bound(&self, raw: &[u8]) -> Option<(u64, u64)> {
        let (mut low, high) = self.range(*raw.first()?);
        let mut most = high;
        let mut id = [0; 32];
        while low < most {
            let middle = low + (most - low) / 2;
            let id = &mut id[..usize::try_from(self.hash_len).ok()?];
            self.id_at(middle, id)?;
            if &*id < raw { low = middle + 1 } else { most = middle }
        }
        Some((low, high))
    }

    /// Where the object is in the pack.
    pub fn find(&self, raw: &[u8]) -> Option<u64> {
        if raw.len() as u64 != self.hash_len {
            return None;
        }
        if self.asked.fetch_add(1, Ordering::Relaxed) == MANY {
            self.hold_index();
        }
        let (position, high) = self.lower_bound(raw)?;
        let mut id = [0; 32];
        let id = &mut id[..raw.len()];
        (position < high).then(|| self.id_at(position, id))??;
        (&*id == raw).then(|| self.offset(position))?
    }

    pub fn offset(&self, position: u64) -> Option<u64> {
        let number = |at: u64| {
            let mut four = [0; 4];
            self.read_index(&mut four, at)?;
            Some(u64::from(u32::from_be_bytes(four)))
        };
        if !self.is_v2 {
            return number(FANOUT as u64 + position * (4 + self.hash_len));
        }
        let offsets = (8 + FANOUT) as u64 + self.count() * (self.hash_len + 4);
        let short = number(offsets + position * 4)?;
        if short >> 31 == 0 {
            return Some(short);
        }
        let at = offsets + self.count() * 4 + (short & 0x7fff_ffff) * 8;
        Some(number(at)? << 32 | number(at + 4)?)
    }

    pub fn beginning_with(&self, digits: &str, most: usize, found: &mut Vec<ObjectId>) {
        let Ok(hash_len) = usize::try_from(self.hash_len) else { return };
        let padded = format!("{digits:0<width$}", width = hash_len * 2);
        let Some(first) = ObjectId::from_hex(padded.as_bytes()) else { return };
        let Some((mut position, high)) = self.lower_bound(first.as_bytes()) else { return };
        let mut raw = [0; 32];
        while position < high && found.len() < most && self.id_at(position, &mut raw[..hash_len]).is_some() {
            match ObjectId::from_raw(&raw[..hash_len]) {
                Some(id) if id.to_string().starts_with(digits) => found.push(id),
                _ => return,
            }
            position += 1;
        }
    }

    pub fn read(&self, offset: u64, most: usize, buffer: &mut Vec<u8>) -> Result<usize, Gap> {
        let left = self.end.checked_sub(offset).ok_or(Gap::Damaged)?;
        let len = usize::try_from(left).map_or(most, |left| left.min(most));
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        self.pack.read_exact_at(&mut buffer[..len], offset).map_err(|_| Gap::File)?;
        Ok(len)
    }
}
