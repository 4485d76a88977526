//! ar: Debian packages.
//!
//! A header of sixty bytes in front of each member, the size in decimal digits (`ar.h` of any Unix).

use std::io::{self, Read};

use super::budget::{Bounded, Budget};
use super::{Member, name_of};

const MAGIC_LEN: usize = 8;
const HEADER_LEN: usize = 60;

pub fn read(stream: &mut dyn Read, budget: &Budget, each: &mut dyn FnMut(Member<'_>)) -> io::Result<()> {
    stream.read_exact(&mut [0; MAGIC_LEN])?;
    let mut header = [0; HEADER_LEN];
    while super::tar::read_header(stream, &mut header)? {
        if &header[58..] != b"`\n" {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let size: u64 = std::str::from_utf8(&header[48..58])
            .ok()
            .and_then(|digits| digits.trim_end().parse().ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        let name = name_of(header[..16].trim_ascii_end());
        let name = name.trim_end_matches('/');
        let mut member = Bounded::new((&mut *stream).take(size), budget);
        each(Member::Named(if name.is_empty() { "index" } else { name }, &mut member));
        member.finish()?;
        if size % 2 == 1 {
            // The byte that makes the size even may be missing at the very end.
            let _ = stream.read(&mut [0])?;
        }
    }
    Ok(())
}
