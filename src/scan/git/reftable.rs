//! Reftables: references in few files instead of one each.
//!
//! `reftable/tables.list` names tables from the oldest to the newest; what a newer one says of a name is what counts. A
//! [table](https://git-scm.com/docs/reftable) is a row of blocks in which names share their beginnings with the one
//! before:
//!
//! ```text
//!   REFT version block_size …   r length (shared, suffix, type, value)… restarts   r …   i …   o …   g zlib(…)   footer
//!   header                      references                                         indexes      logs
//! ```
//!
//! All references are wanted, so blocks are read one after the other and no index is. Of the logs that of the stash is
//! read: only its newest entry is a reference, and the older ones hang on nothing else. Every length is a lie until it
//! is checked.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use flate2::{Decompress, FlushDecompress, Status};

use super::discover::small_file;
use super::loose::regular_file;
use super::{HashKind, ObjectId};

/// Where a reference leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Id(ObjectId),
    /// Another reference, by its name.
    Name(String),
}

/// What the tables of a repository, or of one of its worktrees, say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reftable {
    pub references: BTreeMap<String, Target>,
    /// What the stash was, by the keys of its log.
    stashes: BTreeMap<Vec<u8>, ObjectId>,
}

/// A table is not there, cannot be read, or is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reftable cannot be read")]
pub struct Unreadable;

/// The largest table that is read, and how much all names of one may take.
const MAX_TABLE: u64 = 512 << 20;
const MAX_NAMES: usize = 512 << 20;
const MAX_NAME: usize = 4096;
const MAX_TABLES: usize = 10_000;

/// Somebody may put tables together while they are read; then the list names others.
const TRIES: usize = 3;

const STASH: &[u8] = b"refs/stash";

impl Reftable {
    /// Reads the tables below a git directory; none if it has no list of them.
    ///
    /// # Errors
    /// Any of them cannot be read: it may say something else of every name.
    pub fn read(git_dir: &Path, hash: HashKind) -> Result<Self, Unreadable> {
        let folder = git_dir.join("reftable");
        if !folder.symlink_metadata().is_ok_and(|about| about.is_dir()) {
            return Ok(Self::default());
        }
        let mut last = Err(Unreadable);
        for _ in 0..TRIES {
            last = Self::read_once(&folder, hash);
            if last.is_ok() {
                break;
            }
        }
        last
    }

    /// Everything that a reference, or an older stash, leads to.
    pub fn ids(&self) -> impl Iterator<Item = ObjectId> {
        let named = self.references.values().filter_map(|target| match target {
            Target::Id(id) => Some(*id),
            Target::Name(_) => None,
        });
        named.chain(self.stashes.values().copied())
    }

    fn read_once(folder: &Path, hash: HashKind) -> Result<Self, Unreadable> {
        let list = small_file(&folder.join("tables.list")).ok_or(Unreadable)?;
        let mut all = Self::default();
        for name in list.lines().map(str::trim).filter(|line| !line.is_empty()).take(MAX_TABLES) {
            // A name leads to no other folder.
            if name.contains(['/', '\\', '\0']) || name.starts_with('.') {
                return Err(Unreadable);
            }
            let mut bytes = Vec::new();
            let file = regular_file(&folder.join(name)).map_err(|_| Unreadable)?;
            file.take(MAX_TABLE + 1).read_to_end(&mut bytes).map_err(|_| Unreadable)?;
            if bytes.len() as u64 > MAX_TABLE {
                return Err(Unreadable);
            }
            all.add(&bytes, hash)?;
        }
        Ok(all)
    }

    /// Adds what a newer table says.
    ///
    /// # Errors
    /// It is damaged, or of another repository's format.
    pub fn add(&mut self, table: &[u8], hash: HashKind) -> Result<(), Unreadable> {
        let table = Table::open(table, hash).ok_or(Unreadable)?;
        table.references(&mut self.references).ok_or(Unreadable)?;
        table.stashes(&mut self.stashes).ok_or(Unreadable)
    }
}

struct Table<'t> {
    /// Without the footer.
    bytes: &'t [u8],
    header_len: usize,
    block_size: usize,
    /// Where the logs begin, if there are any.
    logs: usize,
    id_len: usize,
}

/// What the footer has behind a second header: five places and a checksum.
const FOOTER_REST: usize = 5 * 8 + 4;

impl<'t> Table<'t> {
    fn open(file: &'t [u8], hash: HashKind) -> Option<Self> {
        let header_len = match (file.get(..4)?, file.get(4)?) {
            (b"REFT", 1) if hash == HashKind::Sha1 => 24,
            (b"REFT", 2) => 28,
            _ => return None,
        };
        let name: &[u8] = if hash == HashKind::Sha1 { b"sha1" } else { b"s256" };
        if header_len == 28 && file.get(24..28)? != name {
            return None;
        }
        let footer = file.len().checked_sub(header_len + FOOTER_REST).filter(|at| *at >= header_len)?;
        let (bytes, footer) = file.split_at(footer);
        let (said, sum) = footer.split_at(footer.len() - 4);
        if said.get(..header_len)? != &bytes[..header_len] || crc32fast::hash(said).to_be_bytes() != *sum {
            return None;
        }
        let logs = said.get(header_len + 24..header_len + 32)?;
        let logs = usize::try_from(u64::from_be_bytes(logs.try_into().ok()?)).ok()?;
        Some(Self { bytes, header_len, block_size: number(file, 5)?, logs, id_len: hash.id_len() })
    }

    fn references(&self, all: &mut BTreeMap<String, Target>) -> Option<()> {
        let (mut start, mut at) = (0_usize, self.header_len);
        let mut room = MAX_NAMES;
        while self.bytes.get(at) == Some(&b'r') {
            // Lengths and places of a block count from its start, which for the first one is that of the file.
            let len = number(self.bytes, at + 1)?;
            let block = self.bytes.get(start..start.checked_add(len)?)?;
            let mut records = Records::of(block, at - start + 4, self.id_len)?;
            let mut name = Vec::new();
            while !records.is_over() {
                let kind = records.key(&mut name)?;
                room = room.checked_sub(name.len())?;
                records.varint()?;
                let target = match kind {
                    0 => None,
                    1 => Some(Target::Id(records.id()?)),
                    2 => {
                        let id = records.id()?;
                        records.id()?;
                        Some(Target::Id(id))
                    }
                    3 => Some(Target::Name(String::from_utf8_lossy(records.text()?).into_owned())),
                    _ => return None,
                };
                let name = String::from_utf8_lossy(&name).into_owned();
                match target {
                    Some(target) => all.insert(name, target),
                    None => all.remove(&name),
                };
            }
            // Filled up with zeros to the size of a block, unless the next one follows at once.
            let end = start + len;
            let full = start + self.block_size.max(len);
            start = if self.bytes.get(end).is_some_and(|next| *next != 0) { end } else { full };
            at = start;
        }
        Some(())
    }

    fn stashes(&self, all: &mut BTreeMap<Vec<u8>, ObjectId>) -> Option<()> {
        // Without references, logs come first.
        let mut at = match self.bytes.get(self.header_len) {
            Some(b'g') => self.header_len,
            _ if self.logs == 0 => return Some(()),
            _ => self.logs,
        };
        while self.bytes.get(at) == Some(&b'g') {
            let start = if at == self.header_len { 0 } else { at };
            let head = at - start + 4;
            let body = number(self.bytes, at + 1)?.checked_sub(head)?;
            let (inflated, taken) = inflate(&self.bytes[at + 4..], body)?;
            // Places count from the block's start, as if it were not compressed.
            let mut block = vec![0; head];
            block.extend(inflated);
            let mut records = Records::of(&block, head, self.id_len)?;
            let mut key = Vec::new();
            while !records.is_over() {
                let kind = records.key(&mut key)?;
                if kind == 0 {
                    all.remove(&key);
                    continue;
                }
                records.id()?;
                let new = records.id()?;
                records.text()?;
                records.text()?;
                records.varint()?;
                records.take(2)?;
                records.text()?;
                // Behind the name a zero and the number of the change.
                if key.get(..STASH.len()) == Some(STASH) && key.get(STASH.len()) == Some(&0) {
                    all.insert(key.clone(), new);
                }
            }
            at += 4 + taken;
        }
        Some(())
    }
}

/// The records of a block.
struct Records<'b> {
    bytes: &'b [u8],
    at: usize,
    id_len: usize,
}

impl<'b> Records<'b> {
    /// `first` is where the records of a block begin; at its end are the places of the names that are whole.
    fn of(block: &'b [u8], first: usize, id_len: usize) -> Option<Self> {
        let count = block.len().checked_sub(2)?;
        let restarts = usize::from(u16::from_be_bytes([block[count], block[count + 1]]));
        let end = count.checked_sub(restarts * 3)?;
        (first <= end).then_some(Self { bytes: &block[..end], at: first, id_len })
    }

    fn is_over(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    /// A number in groups of seven bits, as packs write the distance of a base.
    fn varint(&mut self) -> Option<u64> {
        let mut byte = self.take(1)?[0];
        let mut value = u64::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            byte = self.take(1)?[0];
            value = value.checked_add(1)?.checked_mul(128)? | u64::from(byte & 0x7f);
        }
        Some(value)
    }

    fn id(&mut self) -> Option<ObjectId> {
        self.take(self.id_len).and_then(ObjectId::from_raw)
    }

    fn text(&mut self) -> Option<&'b [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        self.take(len)
    }

    /// Reads the next name over the one before, and the type of its value.
    fn key(&mut self, name: &mut Vec<u8>) -> Option<u8> {
        let shared = usize::try_from(self.varint()?).ok()?;
        let suffix = self.varint()?;
        let len = usize::try_from(suffix >> 3).ok()?;
        if shared > name.len() || shared + len.min(MAX_NAME) > MAX_NAME {
            return None;
        }
        name.truncate(shared);
        name.extend(self.take(len)?);
        u8::try_from(suffix & 7).ok()
    }
}

/// Three bytes.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let three = bytes.get(at..at.checked_add(3)?)?;
    Some(usize::from(three[0]) << 16 | usize::from(three[1]) << 8 | usize::from(three[2]))
}

/// The content of a stream of this size, and how long the stream is.
fn inflate(stream: &[u8], size: usize) -> Option<(Vec<u8>, usize)> {
    let mut out = vec![0; size + 1];
    let mut inflater = Decompress::new(true);
    let status = inflater.decompress(stream, &mut out, FlushDecompress::Finish).ok()?;
    let is_exact = status == Status::StreamEnd && inflater.total_out() == size as u64;
    out.truncate(size);
    is_exact.then_some((out, usize::try_from(inflater.total_in()).ok()?))
}
