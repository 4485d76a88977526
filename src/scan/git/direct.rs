//! Direct reads: single objects of a repository, without opening all of it.
//!
//! A commit hook looks at a few objects of a repository that may have millions. So nothing is listed and no index is
//! held in memory: an id is looked for by halving in the file of each pack's index (only after a thousand of them is it
//! read into memory), and an object is read with the chain of its bases and nothing else. What costs grows with what is asked for and not with the repository.
//!
//! For all objects there is the `Store`, which opens everything once and then never searches.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::aside::MAX_REBUILT;
use super::discover::{Places, files_ending};
use super::inflate::{Inflated, Inflater};
use super::loose::{self, Loose, regular_file};
use super::pack::{EntryKind, most_stored, parse_entry};
use super::reader::Object;
use super::recent::Recent;
use super::{Gap, Gaps, HashKind, ObjectId, delta};
use crate::scan::engine::Edit;

/// A repository whose objects are read one by one.
pub struct Direct {
    directories: Vec<PathBuf>,
    packs: Vec<PackFiles>,
    pub hash: HashKind,
    /// Whether a pack came from a partial clone, so that missing objects are promised ones.
    pub is_partial: bool,
}

/// A pack and its index, open and not read.
struct PackFiles {
    index: File,
    pack: File,
    /// How many objects begin with each byte or a lower one.
    fanout: Vec<u32>,
    is_v2: bool,
    hash_len: u64,
    /// Where the last object ends.
    end: u64,
    /// Objects that were looked for.
    asked: AtomicU32,
    /// The index as a whole, once so many were that reading it costs less than going on without.
    whole: OnceLock<Vec<u8>>,
}

/// After so many objects a pack's index is held in memory.
const MANY: u32 = 1000;

const MAGIC: [u8; 8] = [0xff, b't', b'O', b'c', 0, 0, 0, 2];
const FANOUT: usize = 256 * 4;

impl Direct {
    /// Opens the files of a repository; what cannot be opened is a gap.
    pub fn open(places: &Places, gaps: &mut Gaps) -> Self {
        let mut packs = Vec::new();
        let mut is_partial = false;
        for directory in &places.objects {
            let directory = directory.join("pack");
            if !directory.symlink_metadata().is_ok_and(|about| about.is_dir()) {
                continue;
            }
            is_partial |= !files_ending(&directory, "promisor").is_empty();
            for path in files_ending(&directory, "pack") {
                match PackFiles::open(&path, places.hash) {
                    Some(pack) => packs.push(pack),
                    None => gaps.add(Gap::Pack, || path.file_name().unwrap_or_default().to_string_lossy().into_owned()),
                }
            }
        }
        Self { directories: places.objects.clone(), packs, hash: places.hash, is_partial }
    }

    /// A reader that refuses objects of more than `limit` bytes.
    pub fn reader(&self, limit: u64) -> DirectReader<'_> {
        DirectReader {
            direct: self,
            limit,
            inflater: Inflater::new(),
            stored: Vec::new(),
            delta: Vec::new(),
            edit: Edit::default(),
            recent: Recent::new(),
        }
    }

    /// Where the object is packed: whoever reads many in this order puts few bases together twice.
    pub fn place(&self, id: &ObjectId) -> Option<(usize, u64)> {
        let mut packs = self.packs.iter().enumerate();
        packs.find_map(|(number, pack)| Some((number, pack.find(id.as_bytes())?)))
    }

    /// Whether the object is in the repository.
    pub fn has(&self, id: &ObjectId) -> bool {
        self.packs.iter().any(|pack| pack.find(id.as_bytes()).is_some())
            || self.directories.iter().any(|directory| loose_path(directory, id).symlink_metadata().is_ok())
    }

    /// The objects whose ids begin with these hexadecimal digits: no more than `most` of them.
    pub fn beginning_with(&self, digits: &str, most: usize) -> Vec<ObjectId> {
        let digits = digits.to_ascii_lowercase();
        let mut found = Vec::new();
        if digits.len() < 2 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return found;
        }
        for pack in &self.packs {
            pack.beginning_with(&digits, most, &mut found);
        }
        for directory in &self.directories {
            let entries = fs::read_dir(directory.join(&digits[..2])).into_iter().flatten().flatten();
            let ids = entries.filter_map(|entry| {
                let hex = format!("{}{}", &digits[..2], entry.file_name().to_string_lossy());
                ObjectId::from_hex(hex.as_bytes()).filter(|_| hex.starts_with(&digits))
            });
            found.extend(ids.take(most));
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(most);
        found
    }
}

impl PackFiles {
    fn open(path: &Path, hash: HashKind) -> Option<Self> {
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

    fn count(&self) -> u64 {
        self.fanout.last().copied().unwrap_or_default().into()
    }

    fn range(&self, first: u8) -> (u64, u64) {
        let before = usize::from(first).checked_sub(1).map_or(0, |before| self.fanout[before]);
        (before.into(), self.fanout[usize::from(first)].into())
    }

    fn read_index(&self, raw: &mut [u8], start: u64) -> Option<()> {
        let Some(whole) = self.whole.get() else { return self.index.read_exact_at(raw, start).ok() };
        let start = usize::try_from(start).ok()?;
        raw.copy_from_slice(whole.get(start..start.checked_add(raw.len())?)?);
        Some(())
    }

    fn hold_index(&self) {
        let Ok(len) = self.index.metadata().map(|about| about.len()) else { return };
        let Ok(len) = usize::try_from(len) else { return };
        let mut whole = vec![0; len];
        if self.index.read_exact_at(&mut whole, 0).is_ok() {
            // Another thread may have been faster.
            let _ = self.whole.set(whole);
        }
    }

    fn id_at(&self, position: u64, raw: &mut [u8]) -> Option<()> {
        let start = if self.is_v2 {
            (8 + FANOUT) as u64 + position * self.hash_len
        } else {
            FANOUT as u64 + position * (4 + self.hash_len) + 4
        };
        self.read_index(raw, start)
    }

    /// The first position whose id is not lower than `raw`.
    fn lower_bound(&self, raw: &[u8]) -> Option<(u64, u64)> {
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
    fn find(&self, raw: &[u8]) -> Option<u64> {
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

    fn offset(&self, position: u64) -> Option<u64> {
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

    fn beginning_with(&self, digits: &str, most: usize, found: &mut Vec<ObjectId>) {
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

    fn read(&self, offset: u64, most: usize, buffer: &mut Vec<u8>) -> Result<usize, Gap> {
        let left = self.end.checked_sub(offset).ok_or(Gap::Damaged)?;
        let len = usize::try_from(left).map_or(most, |left| left.min(most));
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        self.pack.read_exact_at(&mut buffer[..len], offset).map_err(|_| Gap::File)?;
        Ok(len)
    }
}

fn loose_path(directory: &Path, id: &ObjectId) -> PathBuf {
    let hex = id.to_string();
    directory.join(&hex[..2]).join(&hex[2..])
}

/// Reads single objects, with a memory of the last ones: neighbours share bases.
pub struct DirectReader<'d> {
    pub direct: &'d Direct,
    limit: u64,
    inflater: Inflater,
    stored: Vec<u8>,
    delta: Vec<u8>,
    edit: Edit,
    recent: Recent<Place>,
}

/// A pack's number, and where in it.
type Place = (usize, u64);

/// An object that is larger than a reader may hold.
pub enum Large {
    Memory(Arc<Object>),
    Stream(Inflated),
}

/// A part of a file, read by position: others read the same file.
struct Part {
    file: File,
    at: u64,
    end: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// No chain of deltas that git writes is nearly as long; a circle is endless.
const MAX_CHAIN: usize = 10_000;

impl DirectReader<'_> {
    /// Reads an object from any of the places it is stored at.
    ///
    /// # Errors
    /// The reason why the first of them could not be read.
    pub fn read(&mut self, id: &ObjectId) -> Result<Arc<Object>, Gap> {
        let mut first = None;
        for number in 0..self.direct.packs.len() {
            let Some(offset) = self.direct.packs[number].find(id.as_bytes()) else { continue };
            match self.read_packed((number, offset)) {
                Ok(object) => return Ok(object),
                Err(gap) => first = first.or(Some(gap)),
            }
        }
        for directory in &self.direct.directories {
            let path = loose_path(directory, id);
            if path.symlink_metadata().is_err() {
                continue;
            }
            match loose::read(&path, self.limit, &mut self.inflater) {
                Loose::Object(kind, text) => return Ok(Arc::new(Object { kind, text })),
                Loose::Damaged => first = first.or(Some(Gap::Damaged)),
                Loose::TooLarge => first = first.or(Some(Gap::TooLarge)),
                Loose::Unreadable => first = first.or(Some(Gap::File)),
            }
        }
        Err(first.unwrap_or(if self.direct.is_partial { Gap::Promised } else { Gap::Missing }))
    }

    /// The content of an object that is larger than this reader's limit, but of at most `most` bytes. What is stored as
    /// it is can be read as a stream; what is stored as a difference is put together, if it is not larger than a walk of
    /// all objects would put together.
    ///
    /// # Errors
    /// The reason why the first of its places could not be read.
    pub fn read_large(&mut self, id: &ObjectId, most: u64) -> Result<Large, Gap> {
        let mut first = None;
        for number in 0..self.direct.packs.len() {
            let Some(offset) = self.direct.packs[number].find(id.as_bytes()) else { continue };
            match self.read_large_packed((number, offset), most) {
                Ok(large) => return Ok(large),
                Err(gap) => first = first.or(Some(gap)),
            }
        }
        for directory in &self.direct.directories {
            let path = loose_path(directory, id);
            match loose::about(&path, &mut self.inflater) {
                None => {}
                Some((_, size)) if size > most => first = first.or(Some(Gap::TooLarge)),
                Some(_) => match loose::stream(&path) {
                    Ok(bytes) => return Ok(Large::Stream(bytes)),
                    Err(_) => first = first.or(Some(Gap::File)),
                },
            }
        }
        Err(first.unwrap_or(Gap::TooLarge))
    }

    fn read_large_packed(&mut self, (number, offset): Place, most: u64) -> Result<Large, Gap> {
        let pack = &self.direct.packs[number];
        let len = pack.read(offset, 64, &mut self.stored)?;
        let entry = parse_entry(&self.stored[..len], self.direct.hash.id_len()).map_err(|_| Gap::Damaged)?;
        if let EntryKind::Whole(_) = entry.kind {
            if entry.size > most {
                return Err(Gap::TooLarge);
            }
            let file = pack.pack.try_clone().map_err(|_| Gap::File)?;
            let part = Part { file, at: offset + entry.header_len as u64, end: pack.end };
            return Ok(Large::Stream(Inflated::new(part, entry.size)));
        }
        let limit = std::mem::replace(&mut self.limit, most.min(MAX_REBUILT));
        let read = self.read_packed((number, offset));
        self.limit = limit;
        read.map(Large::Memory)
    }

    fn read_packed(&mut self, place: Place) -> Result<Arc<Object>, Gap> {
        let mut chain = Vec::new();
        let mut here = place;
        let mut object = loop {
            if let Some(object) = self.recent.get(here) {
                break object;
            }
            let pack = &self.direct.packs[here.0];
            let len = pack.read(here.1, 64, &mut self.stored)?;
            let entry = parse_entry(&self.stored[..len], self.direct.hash.id_len()).map_err(|_| Gap::Damaged)?;
            let base = match entry.kind {
                EntryKind::Whole(kind) => {
                    let mut text = Vec::new();
                    self.inflate(here, &mut text)?;
                    break self.recent.remember(here, Object { kind, text });
                }
                EntryKind::OffsetDelta(distance) => (here.0, here.1.checked_sub(distance).ok_or(Gap::Damaged)?),
                EntryKind::RefDelta(id) => match pack.find(id.as_bytes()) {
                    Some(offset) => (here.0, offset),
                    // A thin pack that was never completed: git keeps none.
                    None => return Err(Gap::Missing),
                },
            };
            if chain.len() >= MAX_CHAIN {
                return Err(Gap::Damaged);
            }
            chain.push(here);
            here = base;
        };
        while let Some(next) = chain.pop() {
            let mut bytes = std::mem::take(&mut self.delta);
            let inflated = self.inflate(next, &mut bytes);
            self.delta = bytes;
            inflated?;
            if delta::result_len(&self.delta).map_err(|_| Gap::Damaged)? as u64 > self.limit {
                return Err(Gap::TooLarge);
            }
            delta::parse(&self.delta, object.text.len(), &mut self.edit).map_err(|_| Gap::Damaged)?;
            let mut text = Vec::new();
            self.edit.apply(&object.text, &self.delta, &mut text);
            object = self.recent.remember(next, Object { kind: object.kind, text });
        }
        Ok(object)
    }

    fn inflate(&mut self, (number, offset): Place, out: &mut Vec<u8>) -> Result<(), Gap> {
        let pack = &self.direct.packs[number];
        let len = pack.read(offset, FIRST_READ, &mut self.stored)?;
        let entry = parse_entry(&self.stored[..len], self.direct.hash.id_len()).map_err(|_| Gap::Damaged)?;
        if entry.size > self.limit {
            return Err(Gap::TooLarge);
        }
        let size = usize::try_from(entry.size).map_err(|_| Gap::TooLarge)?;
        let most = most_stored(entry.size);
        let len = if most <= FIRST_READ { len } else { pack.read(offset, most, &mut self.stored)? };
        let stored = self.stored.get(entry.header_len..len).ok_or(Gap::Damaged)?;
        self.inflater.inflate(stored, size, out).map_err(|_| Gap::Damaged)
    }
}

/// Most entries are read at once with their header.
const FIRST_READ: usize = 4096;
