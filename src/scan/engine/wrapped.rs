//! Wrapped: encoded text that goes on over line breaks, as base64 in mails, certificates and YAML does.
//!
//! ```text
//!   data: |
//!     cHlwaS1BZ0VJY0hsd2FTNX      pieces of the alphabet, joined where a line ends in one
//!     ZjbWNDSkRJek5E...           and the next, behind its indentation, begins with one
//!   next: x
//! ```
//!
//! What a decoder makes of a piece depends on the whole *chain* of pieces that are joined, and on where it stops: on the
//! gaps at its ends. So a chain with its two gaps is the field of everything in it. A line in the middle of a chain is of
//! the alphabet from end to end, and source text has few of those: chains are short where nothing is encoded.

use super::ByteClass;

/// How encoded text is wrapped.
#[derive(Clone, Debug)]
pub struct Wrapped {
    /// The alphabet, and what stands for a line break inside of it.
    pub alphabet: ByteClass,
    /// Blanks that may stand in front of a line.
    pub indent: usize,
}

impl Wrapped {
    /// The first byte that matters to what is decoded at `start`; none if the edge does.
    pub fn first(&self, text: &[u8], start: usize) -> Option<usize> {
        self.gap_before(text, self.chain_start(text, start)).checked_sub(1)
    }

    /// The end of the bytes that matter to what is decoded up to `end`; none if the edge does.
    pub fn last(&self, text: &[u8], end: usize) -> Option<usize> {
        let last = self.gap_after(text, self.chain_end(text, end)) + 1;
        (last <= text.len()).then_some(last)
    }

    /// Whether a line, without its line break, may stand in the middle of a chain: blanks, then the alphabet to its end.
    pub fn may_be_line(&self, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // From its end: most lines end in something else, or have a blank near it.
        let other = line.iter().rposition(|byte| !self.alphabet.has(*byte));
        match other {
            Some(last) if last + 1 == line.len() => false,
            Some(last) => line[..=last].iter().all(|byte| matches!(byte, b' ' | b'\t')),
            None => !line.is_empty(),
        }
    }

    /// The end of the chain that `at` is in, or begins before; at the start of a text anything may have been before.
    fn chain_end(&self, text: &[u8], at: usize) -> usize {
        let is_inside = text.get(at).is_some_and(|byte| self.alphabet.has(*byte));
        let mut end = self.piece_end(text, if is_inside { at } else { self.gap_start(text, at) });
        while let Some(next) = self.joined_after(text, end) {
            end = self.piece_end(text, next);
        }
        end
    }

    fn chain_start(&self, text: &[u8], at: usize) -> usize {
        let is_inside = text[..at].last().is_some_and(|byte| self.alphabet.has(*byte));
        let mut start = self.piece_start(text, if is_inside { at } else { self.gap_end(text, at) });
        while let Some(before) = self.joined_before(text, start) {
            start = self.piece_start(text, before);
        }
        start
    }

    /// Where the piece that follows a gap at `end` begins.
    fn joined_after(&self, text: &[u8], end: usize) -> Option<usize> {
        let is_piece = end == 0 || self.alphabet.has(text[end - 1]);
        let mut at = end + usize::from(text.get(end) == Some(&b'\r'));
        (is_piece && text.get(at) == Some(&b'\n')).then_some(())?;
        at += 1;
        at += blanks(&text[at..], self.indent);
        text.get(at).filter(|byte| self.alphabet.has(**byte)).map(|_| at)
    }

    /// Where the piece before a gap that ends at `start` ends.
    fn joined_before(&self, text: &[u8], start: usize) -> Option<usize> {
        let is_piece = text.get(start).is_none_or(|byte| self.alphabet.has(*byte));
        let mut at = start - blanks_before(&text[..start], self.indent);
        (is_piece && text[..at].ends_with(b"\n")).then_some(())?;
        at -= 1;
        at -= usize::from(text[..at].ends_with(b"\r"));
        (at == 0 || self.alphabet.has(text[at - 1])).then_some(at)
    }

    /// The start of the gap that `at` is in the middle of, else `at`.
    fn gap_start(&self, text: &[u8], at: usize) -> usize {
        let line = at - blanks_before(&text[..at], self.indent);
        if text[..line].ends_with(b"\n") {
            return line - 1 - usize::from(text[..line - 1].ends_with(b"\r"));
        }
        at - usize::from(text[..at].ends_with(b"\r") && text[at..].starts_with(b"\n"))
    }

    /// The end of the gap that `at` is in the middle of, else `at`.
    fn gap_end(&self, text: &[u8], at: usize) -> usize {
        let end = self.gap_after(text, at);
        if text.get(end).is_none_or(|byte| self.alphabet.has(*byte)) { end } else { at }
    }

    /// The end of whatever of a gap follows `at`.
    fn gap_after(&self, text: &[u8], at: usize) -> usize {
        let mut end = at + usize::from(text.get(at) == Some(&b'\r'));
        end += usize::from(text.get(end) == Some(&b'\n'));
        end + blanks(&text[end..], self.indent + 1)
    }

    fn gap_before(&self, text: &[u8], at: usize) -> usize {
        let mut start = at - blanks_before(&text[..at], self.indent + 1);
        start -= usize::from(text[..start].ends_with(b"\n"));
        start - usize::from(text[..start].ends_with(b"\r"))
    }

    fn piece_end(&self, text: &[u8], at: usize) -> usize {
        text[at..].iter().position(|byte| !self.alphabet.has(*byte)).map_or(text.len(), |more| at + more)
    }

    fn piece_start(&self, text: &[u8], at: usize) -> usize {
        text[..at].iter().rposition(|byte| !self.alphabet.has(*byte)).map_or(0, |before| before + 1)
    }

    /// How much of a piece of text has to be looked at because of a change right before it.
    pub fn after_change(&self, piece: &[u8]) -> usize {
        // What the change is in may be a gap, and the chain behind it.
        self.last(piece, self.gap_end(piece, 0)).unwrap_or(piece.len())
    }

    /// How much of a piece of text has to be looked at because of a change right after it.
    pub fn before_change(&self, piece: &[u8]) -> usize {
        let gap = self.gap_before(piece, piece.len());
        piece.len() - self.first(piece, gap).unwrap_or(0)
    }
}

fn blanks(text: &[u8], most: usize) -> usize {
    text.iter().take(most).take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

fn blanks_before(text: &[u8], most: usize) -> usize {
    text.iter().rev().take(most).take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}
