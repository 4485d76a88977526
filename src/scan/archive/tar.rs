//! tar: POSIX ustar and pax, and the long names of GNU tar.
//!
//! Blocks of 512 bytes: a header, the content filled up to whole blocks (IEEE Std 1003.1, `pax`). Only regular files
//! are content; links, devices and directories are names.

use std::io::{self, Read};

use super::budget::{Bounded, Budget};
use super::{Member, name_of};

const BLOCK: usize = 512;

/// Longest pax record or GNU name that is read.
const MAX_NAME: u64 = 64 << 10;

pub fn read(stream: &mut dyn Read, budget: &Budget, each: &mut dyn FnMut(Member<'_>)) -> io::Result<()> {
    let mut header = [0; BLOCK];
    let mut long_name: Option<Vec<u8>> = None;
    let mut long_size: Option<u64> = None;
    while read_header(stream, &mut header)? {
        if header.iter().all(|byte| *byte == 0) {
            // Two blocks of zeros end an archive; what is behind them belongs to nobody, but may be a second archive.
            continue;
        }
        if !checksum_fits(&header) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let own_size = number(&header[124..136]).ok_or(io::ErrorKind::InvalidData)?;
        match header[156] {
            b'L' | b'x' if own_size <= MAX_NAME => {
                let mut record = Vec::new();
                Bounded::new((&mut *stream).take(own_size), budget).read_to_end(&mut record)?;
                skip(stream, padding(own_size))?;
                if header[156] == b'L' {
                    long_name = Some(record.split(|byte| *byte == 0).next().unwrap_or_default().to_vec());
                } else {
                    let path = pax(&record, b"path").or_else(|| pax(&record, b"GNU.sparse.name"));
                    long_name = path.map(<[u8]>::to_vec).or(long_name);
                    long_size = pax(&record, b"size").and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
                }
            }
            kind => {
                let size = long_size.take().unwrap_or(own_size);
                let name = long_name.take().unwrap_or_else(|| short_name(&header));
                let mut member = Bounded::new((&mut *stream).take(size), budget);
                if matches!(kind, 0 | b'0' | b'7' | b'S') {
                    each(Member::Named(&name_of(&name), &mut member));
                }
                member.finish()?;
                skip(stream, padding(size))?;
            }
        }
    }
    Ok(())
}

/// Fills a header. `false` at the end of the stream; half a header is an error.
pub fn read_header(stream: &mut dyn Read, header: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < header.len() {
        match stream.read(&mut header[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn skip(stream: &mut dyn Read, len: u64) -> io::Result<()> {
    super::pass(&mut stream.take(len))
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// The sum of the header's bytes, its own field counted as spaces.
fn checksum_fits(header: &[u8; BLOCK]) -> bool {
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    let field: u64 = header[148..156].iter().map(|byte| u64::from(*byte)).sum();
    number(&header[148..156]) == Some(sum - field + 8 * u64::from(b' '))
}

/// Octal digits, or a number in base 256 if the first bit is set (GNU).
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        let (high, low) = field.split_at(field.len() - 8);
        let fits = high.iter().all(|byte| matches!(byte, 0 | 0x80));
        let number = u64::from_be_bytes(low.try_into().ok()?);
        return (fits && number < 1 << 62).then_some(number);
    }
    let digits = field.iter().copied().skip_while(|byte| *byte == b' ').take_while(|byte| !matches!(byte, 0 | b' '));
    digits
        .into_iter()
        .try_fold(0_u64, |number, digit| (b'0'..=b'7').contains(&digit).then(|| number << 3 | u64::from(digit - b'0')))
}

fn short_name(header: &[u8; BLOCK]) -> Vec<u8> {
    let text = |field: &[u8]| field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
    // The old GNU header has other things where POSIX has the prefix.
    if prefix.is_empty() || &header[257..263] != b"ustar\0" { name } else { [prefix, name].join(&b'/') }
}

/// `<length> <key>=<value>\n`, the length in decimal digits and including itself.
fn pax<'r>(mut record: &'r [u8], wanted: &[u8]) -> Option<&'r [u8]> {
    let mut last = None;
    while let Some(space) = record.iter().position(|byte| *byte == b' ') {
        let len: usize = std::str::from_utf8(&record[..space]).ok()?.parse().ok()?;
        let (line, rest) = record.split_at_checked(len)?;
        let field = line.get(space + 1..)?.strip_suffix(b"\n")?;
        if let Some(value) = field.strip_prefix(wanted).and_then(|rest| rest.strip_prefix(b"=")) {
            last = Some(value);
        }
        record = rest;
    }
    last
}
