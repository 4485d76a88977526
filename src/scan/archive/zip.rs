//! zip: read over its central directory (PKWARE's APPNOTE, sections 4.3 and 4.4).
//!
//! The directory at the end says where each member begins and how long it is packed; the local header in front of it
//! is passed over. Members may overlap and sizes may lie: every byte that comes out is paid from the budget.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::super::coverage::Gap;
use super::budget::{Bounded, Budget};
use super::{Format, Member, compressed, name_of};

const END_LEN: usize = 22;
const MAX_COMMENT: u64 = 65_535;
const ENTRY_LEN: usize = 46;
const LOCAL_LEN: usize = 30;
/// A directory of a million members is some hundred megabytes; nobody's package has one.
const MAX_DIRECTORY: u64 = 128 << 20;

struct Entry {
    name: String,
    method: u16,
    encrypted: bool,
    packed: u64,
    at: u64,
}

pub fn read(mut file: impl Read + Seek, budget: &Budget, each: &mut dyn FnMut(Member<'_>)) -> io::Result<()> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let size = file.seek(SeekFrom::End(0))?;
    let (directory_at, directory_len, shift) = directory(&mut file, size)?;
    if directory_len > MAX_DIRECTORY || directory_at.checked_add(directory_len).is_none_or(|end| end > size) {
        return Err(bad());
    }
    file.seek(SeekFrom::Start(directory_at))?;
    let mut directory = Vec::new();
    (&mut file).take(directory_len).read_to_end(&mut directory)?;
    let mut rest = directory.as_slice();
    while rest.len() >= ENTRY_LEN {
        let (entry, behind) = entry(rest).ok_or_else(bad)?;
        rest = behind;
        if !entry.name.ends_with('/') {
            member(&mut file, &entry, shift, budget, each)?;
        }
    }
    Ok(())
}

fn member(
    file: &mut (impl Read + Seek),
    entry: &Entry,
    shift: u64,
    budget: &Budget,
    each: &mut dyn FnMut(Member<'_>),
) -> io::Result<()> {
    if entry.encrypted {
        each(Member::Unread(&entry.name, Gap::Encrypted));
        return Ok(());
    }
    file.seek(SeekFrom::Start(entry.at.saturating_add(shift)))?;
    let mut local = [0; LOCAL_LEN];
    file.read_exact(&mut local)?;
    if !local.starts_with(b"PK\x03\x04") {
        return Err(io::ErrorKind::InvalidData.into());
    }
    file.seek(SeekFrom::Current(i64::from(short(&local, 26)) + i64::from(short(&local, 28))))?;
    let mut packed = file.take(entry.packed);
    let unpacked: Box<dyn Read + '_> = match entry.method {
        0 => Box::new(packed),
        8 => Box::new(flate2::bufread::DeflateDecoder::new(BufReader::with_capacity(32 << 10, packed))),
        12 => compressed::unpack(Format::Bzip2, &mut packed)?,
        93 => compressed::unpack(Format::Zstd, &mut packed)?,
        95 => compressed::unpack(Format::Xz, &mut packed)?,
        _ => {
            each(Member::Unread(&entry.name, Gap::ArchiveFormat));
            return Ok(());
        }
    };
    let mut unpacked = Bounded::new(unpacked, budget);
    each(Member::Named(&entry.name, &mut unpacked));
    if unpacked.finish().is_err() {
        if budget.over().is_some() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // One damaged member does not hide the others.
        each(Member::Unread(&entry.name, Gap::ArchiveDamaged));
    }
    Ok(())
}

/// Where the central directory is, its length, and how many bytes stand in front of the archive (a self-extractor).
fn directory(file: &mut (impl Read + Seek), size: u64) -> io::Result<(u64, u64, u64)> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let tail_len = size.min(END_LEN as u64 + MAX_COMMENT);
    file.seek(SeekFrom::Start(size - tail_len))?;
    let mut tail = Vec::new();
    (&mut *file).take(tail_len).read_to_end(&mut tail)?;
    let found = memchr::memmem::rfind(&tail, b"PK\x05\x06").ok_or_else(bad)?;
    let end = tail.get(found..).and_then(|end| end.first_chunk::<END_LEN>()).ok_or_else(bad)?;
    let end_at = size - tail_len + found as u64;
    let (mut len, mut at) = (u64::from(long(end, 12)), u64::from(long(end, 16)));
    let mut before = end_at;
    let is_full = at == u64::from(u32::MAX) || len == u64::from(u32::MAX) || short(end, 10) == u16::MAX;
    if is_full && let Some(large) = directory64(file, end_at) {
        (at, len, before) = large;
    }
    let real_at = before.checked_sub(len).ok_or_else(bad)?;
    Ok((real_at, len, real_at.saturating_sub(at)))
}

/// The same of a large archive (section 4.3.14), whose locator stands right before the end record.
fn directory64(file: &mut (impl Read + Seek), end_at: u64) -> Option<(u64, u64, u64)> {
    let mut locator = [0; 20];
    file.seek(SeekFrom::Start(end_at.checked_sub(20)?)).ok()?;
    file.read_exact(&mut locator).ok()?;
    let record_at = locator.starts_with(b"PK\x06\x07").then(|| wide(&locator, 8))?;
    let mut record = [0; 56];
    file.seek(SeekFrom::Start(record_at)).ok()?;
    file.read_exact(&mut record).ok()?;
    record.starts_with(b"PK\x06\x06").then(|| (wide(&record, 48), wide(&record, 40), record_at))
}

/// The first entry of the directory, and what is behind it.
fn entry(directory: &[u8]) -> Option<(Entry, &[u8])> {
    let fixed = directory.get(..ENTRY_LEN).filter(|fixed| fixed.starts_with(b"PK\x01\x02"))?;
    let (name_len, extra_len, comment_len) = (short(fixed, 28), short(fixed, 30), short(fixed, 32));
    let name_end = ENTRY_LEN + usize::from(name_len);
    let extra_end = name_end + usize::from(extra_len);
    let name = directory.get(ENTRY_LEN..name_end)?;
    let extra = directory.get(name_end..extra_end)?;
    let rest = directory.get(extra_end + usize::from(comment_len)..)?;
    let (packed, unpacked, at) = (long(fixed, 20), long(fixed, 24), long(fixed, 42));
    // Section 4.5.3: only the fields that are full in the entry are in the extra one, in this order.
    let mut wides = extra_field(extra, 1).unwrap_or_default().chunks_exact(8).map(|eight| wide(eight, 0));
    let mut or_wide = |number: u32| if number == u32::MAX { wides.next().unwrap_or(u64::MAX) } else { number.into() };
    let _unpacked = or_wide(unpacked);
    let (packed, at) = (or_wide(packed), or_wide(at));
    let entry =
        Entry { name: name_of(name), method: short(fixed, 10), encrypted: short(fixed, 8) & 1 != 0, packed, at };
    Some((entry, rest))
}

fn extra_field(mut extra: &[u8], wanted: u16) -> Option<&[u8]> {
    while extra.len() >= 4 {
        let (head, rest) = extra.split_at(4);
        let (field, behind) = rest.split_at_checked(usize::from(short(head, 2)))?;
        if short(head, 0) == wanted {
            return Some(field);
        }
        extra = behind;
    }
    None
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from(short(bytes, at)) | u32::from(short(bytes, at + 2)) << 16
}

fn wide(bytes: &[u8], at: usize) -> u64 {
    u64::from(long(bytes, at)) | u64::from(long(bytes, at + 4)) << 32
}
