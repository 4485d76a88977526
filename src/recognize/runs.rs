//! Runs: the unbroken pieces of text that are long enough to hold a token.
//!
//! Nearly every token is twenty or more characters of one alphabet without a space. So the finder asks for the last
//! character that a run of twenty would have, and goes backwards from there: if that one does not belong to a run, the
//! nineteen before it need not be read at all. No byte is looked at twice. (The idea is that of Boyer and Moore.)

use std::ops::Range;

use crate::token::charset::{self, Set};

/// Shortest run that is looked into. A kind without so long a run has another anchor.
pub const MIN_RUN: usize = 20;

/// The pieces of a text that are in a set and long enough, in order.
pub struct Runs<'h> {
    haystack: &'h [u8],
    set: Set,
    min: usize,
    /// No piece that was not yielded begins before this.
    at: usize,
}

impl<'h> Runs<'h> {
    /// The runs of a whole text.
    pub fn new(haystack: &'h [u8]) -> Self {
        Self { haystack, set: charset::RUN, min: MIN_RUN, at: 0 }
    }

    /// The pieces of a run in a narrower alphabet. Positions count from the start of the whole text.
    pub fn pieces(haystack: &'h [u8], run: Range<usize>, set: Set, min: usize) -> Self {
        Self { haystack: &haystack[..run.end], set, min, at: run.start }
    }
}

impl Iterator for Runs<'_> {
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

    proptest! {
        #[test]
        fn the_runs_are_those_of_a_plain_reading(text in "[ab .:\\-]{0,200}|[ab]{0,30}( [ab]{15,25}){0,6}") {
            let bytes = text.as_bytes();
            let mut plain = Vec::new();
            let mut start = None;
            for at in 0..=bytes.len() {
                match (bytes.get(at).is_some_and(|byte| charset::RUN.has(*byte)), start) {
                    (true, None) => start = Some(at),
                    (false, Some(from)) => {
                        if at - from >= MIN_RUN {
                            plain.push(from..at);
                        }
                        start = None;
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(Runs::new(bytes).collect::<Vec<_>>(), plain);
        }
    }

    #[test]
    fn a_piece_counts_from_the_start_of_the_text() {
        let text = b"--abc-defg-h";
        let pieces: Vec<_> = Runs::pieces(text, 1..11, charset::ALNUM, 3).collect();
        assert_eq!(pieces, [2..5, 6..10]);
        assert_eq!(Runs::pieces(text, 1..9, charset::ALNUM, 3).collect::<Vec<_>>(), [2..5, 6..9]);
    }
}
