//! Split indexes: one file that many share, and a small one that says how it is meant.
//!
//! [The format](https://git-scm.com/docs/index-format): two bitmaps over the shared entries, those that are gone and those that the
//! small file's first entries stand for. Bitmaps are compressed as EWAH: runs of equal words, then words as they are.

use super::ObjectId;
use super::index_file::{BadIndex, IndexFile, number, take};

/// What the small file says of the shared one.
#[derive(Debug)]
pub struct Link {
    pub base: ObjectId,
    gone: Vec<usize>,
    replaced: Vec<usize>,
}

/// No index has more entries.
const MAX_BITS: usize = 1 << 24;

impl Link {
    pub fn parse(content: &[u8], hash_len: usize) -> Result<Self, BadIndex> {
        let mut rest = content;
        let base = ObjectId::from_raw(take(&mut rest, hash_len)?).ok_or(BadIndex::Damaged)?;
        if rest.is_empty() {
            return Ok(Self { base, gone: Vec::new(), replaced: Vec::new() });
        }
        let gone = bits(&mut rest)?;
        let replaced = bits(&mut rest)?;
        Ok(Self { base, gone, replaced })
    }
}

/// Puts the two together.
pub fn join(own: IndexFile, shared: &IndexFile, link: &Link) -> Result<IndexFile, BadIndex> {
    let mut all = IndexFile::default();
    // Those that stand for a shared entry have no name of their own, so they were sorted to the front.
    let mut mine = own.entries().iter();
    let mut gone = link.gone.iter().copied().peekable();
    let mut replaced = link.replaced.iter().copied().peekable();
    for (at, entry) in shared.entries().iter().enumerate() {
        let is_gone = gone.next_if_eq(&at).is_some();
        let is_replaced = replaced.next_if_eq(&at).is_some();
        let path = shared.path(entry);
        if is_replaced {
            let new = mine.next().ok_or(BadIndex::Damaged)?;
            if !own.path(new).is_empty() {
                return Err(BadIndex::Damaged);
            }
            if !is_gone {
                all.push(path, new);
            }
        } else if !is_gone {
            all.push(path, entry);
        }
    }
    for entry in mine {
        all.push(own.path(entry), entry);
    }
    all.sort();
    all.trees = own.trees;
    Ok(all)
}

/// The places of the ones in a bitmap.
fn bits(rest: &mut &[u8]) -> Result<Vec<usize>, BadIndex> {
    let size = usize::try_from(number(rest)?).map_err(|_| BadIndex::Damaged)?;
    let words = usize::try_from(number(rest)?).map_err(|_| BadIndex::Damaged)?;
    let mut buffer = take(rest, words.checked_mul(8).ok_or(BadIndex::Damaged)?)?;
    number(rest)?;
    if size > MAX_BITS {
        return Err(BadIndex::Damaged);
    }
    let mut ones = Vec::new();
    let mut at = 0;
    while !buffer.is_empty() && at < size {
        let head = word(&mut buffer)?;
        let run = usize::try_from(head >> 1 & 0xffff_ffff).map_err(|_| BadIndex::Damaged)?;
        let end = at.saturating_add(run.saturating_mul(64)).min(size);
        if head & 1 == 1 {
            ones.extend(at..end);
        }
        at = end;
        for _ in 0..head >> 33 {
            let literal = word(&mut buffer)?;
            ones.extend((0..64).filter(|bit| literal >> bit & 1 == 1).map(|bit| at + bit).filter(|bit| *bit < size));
            at = at.saturating_add(64);
        }
    }
    Ok(ones)
}

fn word(buffer: &mut &[u8]) -> Result<u64, BadIndex> {
    let eight = take(buffer, 8)?;
    Ok(eight.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_and_words_are_ones() {
        let mut bytes = Vec::new();
        bytes.extend(140_u32.to_be_bytes());
        bytes.extend(2_u32.to_be_bytes());
        // Two words of ones, then one as it stands.
        bytes.extend((1_u64 | 2 << 1 | 1 << 33).to_be_bytes());
        bytes.extend(0b101_u64.to_be_bytes());
        bytes.extend(0_u32.to_be_bytes());
        let ones = bits(&mut bytes.as_slice()).expect("it is right");
        assert_eq!(ones, (0..128).chain([128, 130]).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_bitmap_panic(bytes: Vec<u8>) {
            let _ = bits(&mut bytes.as_slice());
            let _ = Link::parse(&bytes, 20);
        }
    }
}
