//! Runs: the unbroken pieces of text that are long enough to hold a token.
//!
//! Nearly every token is twenty or more characters of one alphabet without a space, and source text has few such
//! pieces. Two finders, because one reads everything and one reads little: [`Runs`] goes over a whole text 64 bytes at
//! a time without a branch that depends on them, and [`Pieces`] over one run.

use std::ops::Range;

use crate::token::charset::Set;

/// Shortest run that is looked into. A kind without so long a run has another anchor.
pub const MIN_RUN: usize = 20;

/// Bytes that are judged together.
const BLOCK: usize = 64;

/// The runs of a text, in order.
pub struct Runs<'h> {
    haystack: &'h [u8],
    /// Where the block begins that is looked at.
    at: usize,
    /// Its bytes that belong to a run, without those of runs that were yielded.
    members: u64,
}

impl<'h> Runs<'h> {
    pub fn new(haystack: &'h [u8]) -> Self {
        Self { haystack, at: 0, members: members_at(haystack, 0) }
    }
}

impl Iterator for Runs<'_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let long = twenty(self.members);
            if long == 0 {
                // A run that the block cuts off is looked at again, from its start.
                self.at += BLOCK - self.members.leading_ones() as usize;
                if self.haystack.len() < self.at + MIN_RUN {
                    return None;
                }
                self.members = members_at(self.haystack, self.at);
                continue;
            }
            let first = long.trailing_zeros();
            let start = self.at + first as usize;
            // The shift brings zeros from above, so this ends with the block at the latest.
            let mut end = first + (self.members >> first).trailing_ones();
            while end as usize == BLOCK {
                self.at += BLOCK;
                self.members = members_at(self.haystack, self.at);
                end = self.members.trailing_ones();
            }
            self.members &= u64::MAX << end;
            return Some(start..self.at + end as usize);
        }
    }
}

/// As `members`, of the block that begins at `at`; what is behind the end of the text belongs to none.
#[inline]
fn members_at(haystack: &[u8], at: usize) -> u64 {
    let rest = haystack.get(at..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        return members(block);
    }
    let mut block = [0; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    members(&block)
}

/// One bit for each byte: whether it belongs to a run.
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch for each byte")]
fn members(block: &[u8; BLOCK]) -> u64 {
    // Comparisons instead of the table: the compiler makes vector instructions of them.
    let mut flags = [0; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(block) {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let digit_or_mark = byte.wrapping_sub(b'-') < 13;
        let mark = (*byte == b'_') | (*byte == b'+') | (*byte == b'~') | (*byte == b'=') | (*byte == b'!');
        *flag = u8::from(letter | digit_or_mark | mark | (*byte == b'$'));
    }
    let mut bits = 0;
    for (at, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
        // The factor moves the lowest bit of each byte to its place in the highest byte.
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= gathered << (8 * at);
    }
    bits
}

/// The bits that are followed by nineteen others.
#[inline]
fn twenty(bits: u64) -> u64 {
    let two = bits & bits >> 1;
    let four = two & two >> 2;
    let eight = four & four >> 4;
    let sixteen = eight & eight >> 8;
    sixteen & four >> 16
}

/// The pieces of a run that are in a narrower alphabet and long enough, in order.
///
/// The last byte that a piece of the wanted length would have is read first, and from there backwards: if that one is
/// not in the alphabet, those before it need not be read at all. (The idea is that of Boyer and Moore.)
pub struct Pieces<'h> {
    /// The text up to the end of the run.
    haystack: &'h [u8],
    set: Set,
    min: usize,
    /// No piece that was not yielded begins before this.
    at: usize,
}

impl<'h> Pieces<'h> {
    /// Positions count from the start of the text.
    pub fn new(haystack: &'h [u8], run: Range<usize>, set: Set, min: usize) -> Self {
        Self { haystack: &haystack[..run.end], set, min, at: run.start }
    }
}

impl Iterator for Pieces<'_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        let Self { haystack, set, min, .. } = *self;
        let mut start = self.at;
        // Everything from `start` up to here is in the set.
        let mut known = start;
        loop {
            let last = start + min;
            let unread = haystack.get(known..last)?;
            let Some(broken) = unread.iter().rposition(|byte| !set.has(*byte)) else {
                let more = haystack[last..].iter().position(|byte| !set.has(*byte));
                let end = more.map_or(haystack.len(), |more| last + more);
                self.at = end + 1;
                return Some(start..end);
            };
            start = known + broken + 1;
            known = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::token::charset;

    fn plain(bytes: &[u8], set: Set, min: usize) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut start = None;
        for at in 0..=bytes.len() {
            match (bytes.get(at).is_some_and(|byte| set.has(*byte)), start) {
                (true, None) => start = Some(at),
                (false, Some(from)) => {
                    if at - from >= min {
                        runs.push(from..at);
                    }
                    start = None;
                }
                _ => {}
            }
        }
        runs
    }

    #[test]
    fn the_comparisons_agree_with_the_table() {
        for byte in 0..=u8::MAX {
            let expected = if charset::RUN.has(byte) { u64::MAX } else { 0 };
            assert_eq!(members(&[byte; BLOCK]), expected, "{byte}");
        }
    }

    #[test]
    fn each_byte_has_its_own_bit() {
        for at in 0..BLOCK {
            let mut block = [b' '; BLOCK];
            block[at] = b'x';
            assert_eq!(members(&block), 1 << at);
        }
    }

    proptest! {
        #[test]
        fn the_runs_are_those_of_a_plain_reading(text in "[ab .:\\-]{0,300}|[ab]{0,200}|[ab]{0,90}([ :][ab]{15,25}){0,9}([ ]{0,70}[ab]{15,70}){0,5}") {
            let bytes = text.as_bytes();
            prop_assert_eq!(Runs::new(bytes).collect::<Vec<_>>(), plain(bytes, charset::RUN, MIN_RUN));
        }

        #[test]
        fn the_pieces_are_those_of_a_plain_reading(text in "[ab.\\-]{0,90}", min in 1..9_usize) {
            let bytes = text.as_bytes();
            let found: Vec<_> = Pieces::new(bytes, 0..bytes.len(), charset::ALNUM, min).collect();
            prop_assert_eq!(found, plain(bytes, charset::ALNUM, min));
        }
    }

    #[test]
    fn a_piece_counts_from_the_start_of_the_text() {
        let text = b"--abc-defg-h";
        let pieces = |end| Pieces::new(text, 1..end, charset::ALNUM, 3).collect::<Vec<_>>();
        assert_eq!(pieces(11), [2..5, 6..10]);
        assert_eq!(pieces(9), [2..5, 6..9]);
    }
}
