//! Runs: the unbroken pieces of text that are long enough to hold a token.
//!
//! Nearly every token is twenty or more characters of one alphabet without a space. So the finder looks at every
//! twentieth byte only: if that is not a character of a run, no run of twenty covers it, and nineteen bytes were never
//! read. Every byte is looked at twice at most.

use std::ops::Range;

use crate::token::charset;

/// Shortest run that is looked into. A kind without so long a run has another anchor.
pub const MIN_RUN: usize = 20;

/// The runs of a text, in order.
pub struct Runs<'h> {
    haystack: &'h [u8],
    /// No run that was not yielded begins before this.
    at: usize,
}

const IN_RUN: [bool; 256] = {
    let members = charset::RUN.members();
    let mut table = [false; 256];
    let mut at = 0;
    while at < members.len() {
        table[members[at] as usize] = true;
        at += 1;
    }
    table
};

#[inline]
fn in_run(byte: u8) -> bool {
    IN_RUN[usize::from(byte)]
}

impl<'h> Runs<'h> {
    pub fn new(haystack: &'h [u8]) -> Self {
        Self { haystack, at: 0 }
    }
}

impl Iterator for Runs<'_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        let haystack = self.haystack;
        loop {
            let probe = self.at + MIN_RUN - 1;
            if !in_run(*haystack.get(probe)?) {
                self.at = probe + 1;
                continue;
            }
            let before = haystack[self.at..probe].iter().rposition(|byte| !in_run(*byte));
            let start = before.map_or(self.at, |found| self.at + found + 1);
            let after = haystack[probe + 1..].iter().position(|byte| !in_run(*byte));
            let end = after.map_or(haystack.len(), |found| probe + 1 + found);
            self.at = end + 1;
            if end - start >= MIN_RUN {
                return Some(start..end);
            }
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
                match (bytes.get(at).is_some_and(|byte| in_run(*byte)), start) {
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
}
