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
use std::sync::Arc;

use super::aside::MAX_REBUILT;
use super::discover::{Places, files_ending};
use super::inflate::{Inflated, Inflater};
use super::loose::{self, Loose};
use super::pack::{EntryKind, most_stored, parse_entry};
use super::pack_files::PackFiles;
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
