//! The store: all objects of a repository by id, and by number.
//!
//! An object's number is its slot. Packs have theirs one after the other, in the order of their indexes, then come
//! the loose objects. An object that is stored twice has two slots and one of them counts: the first.

use std::fs;
use std::path::{Path, PathBuf};

use super::discover::{Places, files_ending};
use super::index::Index;
use super::pack::Pack;
use super::{Error, Gap, Gaps, HashKind, ObjectId};

/// The objects of a repository.
pub struct Store {
    pub packs: Vec<Pack>,
    /// The first slot of each pack, then that of the loose objects.
    starts: Vec<u32>,
    loose: Vec<LooseObject>,
    directories: Vec<PathBuf>,
    pub hash: HashKind,
    /// Whether a pack came from a partial clone, so that missing objects are promised ones.
    pub is_partial: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LooseObject {
    id: ObjectId,
    directory: u32,
}

impl Store {
    /// Opens every pack and lists every loose object; what cannot be opened is a gap.
    pub fn open(places: &Places, gaps: &mut Gaps) -> Result<Self, Error> {
        let mut store = Self {
            packs: Vec::new(),
            starts: Vec::new(),
            loose: Vec::new(),
            directories: places.objects.clone(),
            hash: places.hash,
            is_partial: false,
        };
        for (number, directory) in places.objects.iter().enumerate() {
            let number = u32::try_from(number).map_err(|_| Error::TooMany)?;
            store.open_packs(&directory.join("pack"), gaps);
            store.list_loose(directory, number, gaps);
        }
        store.loose.sort_unstable();
        store.loose.dedup_by_key(|object| object.id);
        let mut start = 0_u32;
        for pack in &store.packs {
            store.starts.push(start);
            let len = u32::try_from(pack.index.len()).map_err(|_| Error::TooMany)?;
            start = start.checked_add(len).ok_or(Error::TooMany)?;
        }
        store.starts.push(start);
        let loose = u32::try_from(store.loose.len()).map_err(|_| Error::TooMany)?;
        start.checked_add(loose).filter(|all| *all < NO_SLOT).ok_or(Error::TooMany)?;
        Ok(store)
    }

    fn open_packs(&mut self, directory: &Path, gaps: &mut Gaps) {
        match directory.symlink_metadata() {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return gaps.add(Gap::Link, || name(directory)),
            Err(_) => return,
        }
        self.is_partial |= !files_ending(directory, "promisor").is_empty();
        for path in files_ending(directory, "pack") {
            match open_pack(&path, self.hash) {
                Ok(pack) => {
                    let unnamed = u64::from(pack.declared).saturating_sub(pack.index.len() as u64);
                    gaps.add_many(Gap::Damaged, unnamed + pack.lost() as u64, || name(&path));
                    self.packs.push(pack);
                }
                Err(gap) => gaps.add(gap, || name(&path)),
            }
        }
    }

    fn list_loose(&mut self, directory: &Path, number: u32, gaps: &mut Gaps) {
        for first in 0..=255_u8 {
            let fan = directory.join(format!("{first:02x}"));
            match fan.symlink_metadata() {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => {
                    gaps.add(Gap::Link, || name(&fan));
                    continue;
                }
                Err(_) => continue,
            }
            let Ok(entries) = fs::read_dir(&fan) else {
                gaps.add(Gap::File, || name(&fan));
                continue;
            };
            for entry in entries.flatten() {
                let file_name = entry.file_name();
                let hex = format!("{first:02x}{}", file_name.to_string_lossy());
                // Anything else there is a temporary file of git's.
                if let Some(id) = ObjectId::from_hex(hex.as_bytes()).filter(|id| id.kind() == self.hash) {
                    self.loose.push(LooseObject { id, directory: number });
                }
            }
        }
    }

    fn loose_start(&self) -> u32 {
        self.starts.last().copied().unwrap_or_default()
    }

    /// How many slots there are.
    pub fn slot_count(&self) -> u32 {
        self.loose_slots().end
    }

    /// The slots of loose objects.
    pub fn loose_slots(&self) -> std::ops::Range<u32> {
        let count = u32::try_from(self.loose.len()).unwrap_or(NO_SLOT);
        self.loose_start()..self.loose_start().saturating_add(count)
    }

    /// The slot of the object at a position of a pack's index.
    pub fn packed_slot(&self, pack: usize, position: usize) -> u32 {
        self.starts[pack] + u32::try_from(position).unwrap_or(NO_SLOT)
    }

    /// The slot that counts for an object.
    pub fn slot(&self, raw: &[u8]) -> Option<u32> {
        self.slots(raw).next()
    }

    /// Every slot of an object.
    pub fn slots<'a>(&'a self, raw: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
        let packed = self.packs.iter().zip(&self.starts).filter_map(move |(pack, start)| {
            let position = u32::try_from(pack.index.find(raw)?).ok()?;
            Some(start + position)
        });
        packed.chain(std::iter::once_with(move || self.loose_slot(raw)).flatten())
    }

    fn loose_slot(&self, raw: &[u8]) -> Option<u32> {
        let at = self.loose.binary_search_by(|object| object.id.as_bytes().cmp(raw)).ok()?;
        Some(self.loose_start() + u32::try_from(at).ok()?)
    }

    /// Whether no slot before this one is the same object's.
    pub fn counts(&self, slot: u32) -> bool {
        // One pack without loose objects, the usual case, has nothing twice.
        (self.packs.len() == 1 && slot < self.loose_start()) || self.slot(self.id(slot).as_bytes()) == Some(slot)
    }

    pub fn id(&self, slot: u32) -> ObjectId {
        match self.place(slot) {
            Place::Loose(at) => self.loose[at].id,
            Place::Packed(pack, position) => self.packs[pack].index.id(position),
        }
    }

    /// Where the object of a slot is.
    pub fn place(&self, slot: u32) -> Place {
        if let Some(at) = slot.checked_sub(self.loose_start()) {
            return Place::Loose(at as usize);
        }
        let pack = self.starts.partition_point(|start| *start <= slot) - 1;
        Place::Packed(pack, (slot - self.starts[pack]) as usize)
    }

    /// The file of a loose object.
    pub fn loose_path(&self, at: usize) -> PathBuf {
        let object = self.loose[at];
        let hex = object.id.to_string();
        self.directories[object.directory as usize].join(&hex[..2]).join(&hex[2..])
    }
}

/// No object.
pub const NO_SLOT: u32 = u32::MAX;

/// Where an object is: the position in the index of a pack, or among the loose ones.
#[derive(Clone, Copy)]
pub enum Place {
    Loose(usize),
    Packed(usize, usize),
}

fn open_pack(path: &Path, hash: HashKind) -> Result<Pack, Gap> {
    let index_path = path.with_extension("idx");
    for file in [path, &index_path] {
        let meta = file.symlink_metadata().map_err(|_| Gap::Pack)?;
        if meta.is_symlink() {
            return Err(Gap::Link);
        }
        if !meta.is_file() {
            return Err(Gap::Pack);
        }
    }
    let bytes = fs::read(&index_path).map_err(|_| Gap::Pack)?;
    let index = Index::parse(bytes, hash).map_err(|_| Gap::Pack)?;
    Pack::open(path, index, hash).map_err(|_| Gap::Pack)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
