//! Archives: the files inside of a file, read without ever being written to a disk.
//!
//! What a file is, its first bytes say; its name is not asked, so a wheel, a crate, a gem, a jar, a package of `NuGet`
//! and a saved image are what they are: zip, gzip and tar in each other. Everything an archive says about itself (sizes,
//! names, offsets) is taken for a lie until it is checked. What must stay true: one file unpacks to a bounded number of
//! bytes in a bounded time, all layers together, and whatever is not read is told as a [`Gap`].
//!
//! | format | magic | decoder (each in Rust) |
//! |---|---|---|
//! | zip | `PK` | `zip`, over the central directory |
//! | tar, ar | `ustar` at 257, `!<arch>` | `tar`, `ar`, read as a stream |
//! | gz, bz2, xz, zst | RFC 1952, `BZh`, `\xfd7zXZ`, RFC 8878 | flate2 on zlib-rs, bzip2 on libbz2-rs, lzma-rust2, ruzstd |

mod ar;
mod budget;
mod compressed;
mod tar;
mod zip;

use std::io::{self, Cursor, Read, Seek};

use budget::Bounded;
pub use budget::Budget;

use super::coverage::Gap;

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Ar,
    Bzip2,
    Gzip,
    Tar,
    /// An archive of a format that is not read.
    Unread,
    Xz,
    Zip,
    Zstd,
}

impl Format {
    pub fn of(head: &[u8]) -> Option<Self> {
        // Most files are text: one comparison with their first byte settles it, but for a tar.
        let found = match head.first()? {
            0x1f if head.starts_with(b"\x1f\x8b\x08") => Some(Self::Gzip),
            b'P' if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") => Some(Self::Zip),
            0xfd if head.starts_with(b"\xfd7zXZ\0") => Some(Self::Xz),
            0x28 if head.starts_with(b"\x28\xb5\x2f\xfd") => Some(Self::Zstd),
            b'B' if head.len() > 10 && head.starts_with(b"BZh") && &head[4..10] == b"1AY&SY" => Some(Self::Bzip2),
            // Only packages: the members of a static library are not packed, and are found in it as it is.
            b'!' if head.starts_with(b"!<arch>\ndebian-binary") => Some(Self::Ar),
            b'7' if head.starts_with(b"7z\xbc\xaf\x27\x1c") => Some(Self::Unread),
            b'R' if head.starts_with(b"Rar!\x1a\x07") => Some(Self::Unread),
            b'M' if head.starts_with(b"MSCF\0\0\0\0") => Some(Self::Unread),
            b'L' if head.starts_with(b"LZIP\x01") => Some(Self::Unread),
            0x04 if head.starts_with(b"\x04\x22\x4d\x18") => Some(Self::Unread),
            _ => None,
        };
        found.or_else(|| (head.get(257..262)? == b"ustar").then_some(Self::Tar))
    }
}

/// A file inside of an archive.
pub enum Member<'m> {
    /// The archive is one compressed file, which has no name of its own.
    Content(&'m mut dyn Read),
    Named(&'m str, &'m mut dyn Read),
    /// Not readable, and why.
    Unread(&'m str, Gap),
}

/// The bytes of an archive.
pub enum Bytes<'b> {
    Memory(&'b [u8]),
    Seekable(&'b mut dyn ReadSeek),
    /// What was read already, and the rest.
    Stream(&'b [u8], &'b mut dyn Read),
}

pub trait ReadSeek: Read + Seek {}
impl<R: Read + Seek> ReadSeek for R {}

/// Why an archive was left before its end.
pub enum Left {
    Damaged,
    Limit(Gap),
}

/// Zips are read from their end, so that one inside of a stream is held in memory. Larger ones are not read.
const MAX_HELD: u64 = 512 << 20;

/// Calls back with each file of the archive.
pub fn open(format: Format, bytes: Bytes<'_>, budget: &Budget, each: &mut dyn FnMut(Member<'_>)) -> Result<(), Left> {
    let told = match bytes {
        Bytes::Memory(bytes) => read(format, &mut Cursor::new(bytes), budget, each),
        Bytes::Seekable(file) => read(format, file, budget, each),
        Bytes::Stream(head, rest) => {
            let mut stream = Read::chain(head, rest);
            if format == Format::Zip {
                held(&mut stream, budget).and_then(|held| zip::read(Cursor::new(held), budget, each))
            } else {
                read_stream(format, &mut stream, budget, each)
            }
        }
    };
    match (budget.over(), told) {
        (Some(gap), _) => Err(Left::Limit(gap)),
        (None, Ok(())) => Ok(()),
        (None, Err(_)) => Err(Left::Damaged),
    }
}

fn read(format: Format, file: &mut dyn ReadSeek, budget: &Budget, each: &mut dyn FnMut(Member<'_>)) -> io::Result<()> {
    if format == Format::Zip { zip::read(file, budget, each) } else { read_stream(format, file, budget, each) }
}

fn held(stream: &mut dyn Read, budget: &Budget) -> io::Result<Vec<u8>> {
    let mut held = Vec::new();
    Bounded::new(stream, budget).take(MAX_HELD + 1).read_to_end(&mut held)?;
    if held.len() as u64 > MAX_HELD {
        budget.exceed(Gap::ArchiveLimit);
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    Ok(held)
}

fn read_stream(
    format: Format,
    stream: &mut dyn Read,
    budget: &Budget,
    each: &mut dyn FnMut(Member<'_>),
) -> io::Result<()> {
    match format {
        Format::Tar => tar::read(stream, budget, each),
        Format::Ar => ar::read(stream, budget, each),
        Format::Unread | Format::Zip => Err(io::ErrorKind::Unsupported.into()),
        packed => {
            let mut unpacked = Bounded::new(compressed::unpack(packed, stream)?, budget);
            each(Member::Content(&mut unpacked));
            unpacked.finish()
        }
    }
}

/// Reads over what the callback left unread of a member, within the budget.
fn pass(reader: &mut dyn Read) -> io::Result<()> {
    io::copy(reader, &mut io::sink()).map(|_| ())
}

/// The longest name that is kept: one that is cut in the middle of a token would show its beginning.
const MAX_NAME: usize = 4096;

/// A member's name as it may be shown; archives may say anything.
fn name_of(bytes: &[u8]) -> String {
    let name = String::from_utf8_lossy(bytes).replace('\\', "/");
    crate::redact::inert(name.trim_start_matches("./"), MAX_NAME)
}
