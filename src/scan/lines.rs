//! Lines: from a byte's place to the line and column that an editor shows.
//!
//! Nothing is counted before there is something to tell, and nothing is counted twice.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memrchr};

/// Counts through one file, chunk by chunk.
#[derive(Default)]
pub struct Lines {
    /// Bytes of the chunk that are counted.
    counted: usize,
    /// Line breaks up to there.
    breaks: u64,
    /// Characters since the last of them.
    characters: u64,
}

/// As editors count: from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

impl Lines {
    /// The position of a byte of the chunk. Bytes are asked for in their order.
    pub fn position(&mut self, chunk: &[u8], at: usize) -> Position {
        let passed = chunk.get(self.counted..at).unwrap_or_default();
        if let Some(last) = memrchr(b'\n', passed) {
            self.breaks += count(passed);
            self.characters = characters(&passed[last + 1..]);
        } else {
            self.characters += characters(passed);
        }
        self.counted = self.counted.max(at);
        Position { line: self.breaks + 1, column: self.characters + 1 }
    }

    /// Goes on to the next chunk, which begins `len` bytes behind the start of this one.
    pub fn advance(&mut self, chunk: &[u8], len: usize) {
        self.position(chunk, self.counted.max(len));
        self.counted -= len;
    }
}

fn count(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// Characters, not bytes: a UTF-8 character begins with a byte that is no continuation.
fn characters(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64
}

/// The line that a byte is in, and the one before it.
pub fn around(text: &[u8], at: usize) -> (Range<usize>, Range<usize>) {
    let start = memrchr(b'\n', &text[..at]).map_or(0, |found| found + 1);
    let end = memchr(b'\n', &text[at..]).map_or(text.len(), |found| at + found);
    let before_end = start.saturating_sub(1);
    let before = memrchr(b'\n', &text[..before_end]).map_or(0, |found| found + 1);
    (start..end, before..before_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_an_editor_across_chunks() {
        let text = "ä1\n22\n\n4é4x".as_bytes();
        let at = text.len() - 1;
        let mut lines = Lines::default();
        assert_eq!(lines.position(text, at), Position { line: 4, column: 4 });
        for cut in 0..at {
            let mut lines = Lines::default();
            lines.position(text, cut);
            lines.advance(text, cut);
            assert_eq!(lines.position(&text[cut..], at - cut), Position { line: 4, column: 4 }, "cut at {cut}");
        }
    }

    #[test]
    fn the_line_and_the_one_before_are_shown() {
        let text = b"one\ntwo\nthree";
        assert_eq!(around(text, 5), (4..7, 0..3));
        assert_eq!(around(text, 0), (0..3, 0..0));
        assert_eq!(around(text, 12), (8..13, 4..7));
    }
}
