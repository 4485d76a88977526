//! Locality: how far around a hit the text decides about it.
//!
//! A detector that is *local* decides about a hit by the hit's **field** alone. With `run` the bytes a token, an encoded
//! text or an escape may consist of, the field of a hit is, from the inside to the outside:
//!
//! ```text
//!   ...first line\n export SNYK_TOKEN=\n  "0b1c...9f-x"  # rotate\n last line...
//!                                          |  hit |
//!                                          |   run  |                1. the whole run of `run` bytes that holds it
//!                 |       back            |          |  ahead  |      2. from there `back` and `ahead`
//! ```
//!
//! That is the field of what stands there in clear. What is decoded from a text has another one, by the [`Form`] it
//! has in the text: the chain of wrapped pieces ([`Wrapped`]) or the neighbourhood of escapes on a line ([`Escaped`])
//! that it was decoded from. What is decoded once more needs nothing new: it depends on the piece that it is in, and so
//! on that piece's field.
//!
//! The contract of a [`Detector`](super::Detector): a hit lies within one run, which has no line break, or has a form
//! that the locality knows; in any slice of a text that contains the field of a hit, the same hit is found, whatever is
//! around the slice; and the edge of a text is to it what as many line breaks are. Where that cannot be, the detector
//! says so: by block markers, from which a block may reach over anything up to `block_len`, and by `whole`, which tells
//! texts that are never looked at in parts.

use std::ops::Range;

use aho_corasick::{AhoCorasick, packed};

use super::{Escaped, Wrapped};

/// How far a detector looks beyond a run: so many bytes, but no further than the line break that is the `lines`th on the
/// way. That one still matters: it must be there. At least one byte, and one line, since what is beside a run ends it.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    pub bytes: usize,
    pub lines: usize,
}

impl Reach {
    fn at_least(self, bytes: usize) -> Self {
        Self { bytes: self.bytes.max(bytes), lines: self.lines.max(1) }
    }
}

/// A set of bytes.
#[derive(Clone, Debug)]
pub struct ByteClass([bool; 256]);

impl ByteClass {
    pub fn of(bytes: impl IntoIterator<Item = u8>) -> Self {
        let mut class = Self([false; 256]);
        for byte in bytes {
            class.0[usize::from(byte)] = true;
        }
        class
    }

    #[inline]
    pub fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }
}

/// What a detector promises about the distance at which bytes matter to it.
pub struct Locality {
    pub run: ByteClass,
    pub back: Reach,
    pub ahead: Reach,
    markers: Markers,
    block_len: usize,
    wrapped: Option<Wrapped>,
    escaped: Option<Escaped>,
    whole: fn(&[u8]) -> bool,
    whole_byte: Option<u8>,
}

/// How a hit stands in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Clear,
    /// Decoded from the neighbourhood of escapes.
    Escaped,
    /// Decoded from a chain of wrapped pieces.
    Wrapped,
}

/// What block markers are looked for with. Sixteen bytes at a time where that is possible: they are looked for in every
/// window.
enum Markers {
    Few(packed::Searcher),
    Many(AhoCorasick),
    None,
}

/// The part of a text that decides about a hit; `lo` is -1, and `hi` one past the length, where the edge itself counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub lo: i64,
    pub hi: i64,
}

impl Locality {
    /// If a run may go on over a line break, no text is ever looked at in parts.
    pub fn new(run: ByteClass, back: Reach, ahead: Reach) -> Self {
        let (back, ahead) = (back.at_least(1), ahead.at_least(1));
        let whole: fn(&[u8]) -> bool = if run.has(b'\n') { |_| true } else { |_| false };
        Self {
            run,
            back,
            ahead,
            markers: Markers::None,
            block_len: 0,
            wrapped: None,
            escaped: None,
            whole,
            whole_byte: None,
        }
    }

    /// Encoded text may be wrapped so.
    pub fn with_wrapped(mut self, wrapped: Wrapped) -> Self {
        self.wrapped = Some(wrapped);
        self
    }

    /// Text may be escaped so.
    pub fn with_escaped(mut self, escaped: Escaped) -> Self {
        self.escaped = Some(escaped);
        self
    }

    /// Texts with one of the markers are looked at in parts only where the `block_len` bytes from it are untouched.
    ///
    /// A marker has no line break.
    pub fn with_blocks<'a>(mut self, markers: impl IntoIterator<Item = &'a str>, block_len: usize) -> Self {
        let markers: Vec<&str> = markers.into_iter().collect();
        self.markers = match packed::Searcher::new(&markers) {
            _ if markers.is_empty() => Markers::None,
            Some(few) => Markers::Few(few),
            None => AhoCorasick::new(&markers).map_or(Markers::None, Markers::Many),
        };
        if matches!(self.markers, Markers::None) && !markers.is_empty() {
            self.whole = |_| true;
        }
        // A marker that lies on a seam has to be in the window around it.
        let longest = markers.iter().map(|marker| marker.len()).max().unwrap_or_default();
        (self.back, self.ahead) = (self.back.at_least(longest), self.ahead.at_least(longest));
        // Of two markers that overlap the second is not found, but it is no further away than this.
        self.block_len = block_len + longest;
        self
    }

    /// Texts whose first [`HEAD`] bytes are such are never looked at in parts.
    pub fn with_whole(mut self, whole: fn(&[u8]) -> bool) -> Self {
        self.whole = whole;
        self
    }

    /// Texts with such a byte are never looked at in parts.
    pub fn with_whole_byte(mut self, byte: u8) -> Self {
        self.whole_byte = Some(byte);
        self
    }

    /// Whether a text that begins so is never looked at in parts.
    pub fn is_whole(&self, head: &[u8]) -> bool {
        (self.whole)(&head[..head.len().min(HEAD)])
    }

    /// Whether a text is never looked at in parts because these bytes are in it.
    pub fn makes_whole(&self, bytes: &[u8]) -> bool {
        self.whole_byte.is_some_and(|byte| memchr::memchr(byte, bytes).is_some())
    }

    /// Calls back with the place of each block marker.
    pub fn markers(&self, text: &[u8], mut found: impl FnMut(usize)) {
        match &self.markers {
            Markers::Few(few) => few.find_iter(text).for_each(|marker| found(marker.start())),
            Markers::Many(many) => many.find_iter(text).for_each(|marker| found(marker.start())),
            Markers::None => {}
        }
    }

    /// The bytes that a block beginning at `marker` may reach; the edge counts if it could go on there.
    pub fn zone(&self, marker: usize, text_len: usize) -> Field {
        let end = marker + self.block_len;
        Field { lo: signed(marker) - 1, hi: signed(end.min(text_len)) + 1 }
    }

    /// The field of a hit.
    pub fn field(&self, text: &[u8], start: usize, end: usize, form: Form) -> Field {
        let (lo, hi) = match (form, &self.wrapped, &self.escaped) {
            (Form::Wrapped, Some(wrapped), _) => (wrapped.first(text, start), wrapped.last(text, end)),
            (Form::Escaped, _, Some(escaped)) => (escaped.first(text, start), escaped.last(text, end)),
            _ => (
                back_from(text, self.run_start(text, start), self.back),
                ahead_from(text, self.run_end(text, end), self.ahead),
            ),
        };
        Field { lo: lo.map_or(-1, signed), hi: hi.map_or(signed(text.len()) + 1, signed) }
    }

    /// The run that holds `start..end`, if one does.
    pub fn run_around(&self, text: &[u8], start: usize, end: usize) -> Option<Range<usize>> {
        let one = text[start..end].iter().all(|byte| self.run.has(*byte));
        one.then(|| self.run_start(text, start)..self.run_end(text, end))
    }

    /// How much of a piece of text has to be looked at because of a change right before it.
    pub fn after_change(&self, piece: &[u8]) -> usize {
        self.two_lines_after(piece).unwrap_or_else(|| self.far_after(piece))
    }

    /// How much of a piece of text has to be looked at because of a change right after it.
    pub fn before_change(&self, piece: &[u8]) -> usize {
        self.two_lines_before(piece).unwrap_or_else(|| self.far_before(piece))
    }

    /// The answer for text of ordinary lines, which is nearly all of it: the rest of the line and the one after it. Hits
    /// in clear look back to the line before their own; escapes stay on their line; and a chain of wrapped pieces that
    /// goes on over the second line break has all of the second line in it.
    fn two_lines_after(&self, piece: &[u8]) -> Option<usize> {
        self.goes_by_two_lines().then_some(())?;
        let near = &piece[..piece.len().min(self.back.bytes - 1)];
        let mut breaks = memchr::memchr_iter(b'\n', near);
        let (Some(first), Some(second)) = (breaks.next(), breaks.next()) else {
            // All of a short piece.
            return (near.len() == piece.len()).then_some(piece.len());
        };
        (!self.may_be_wrapped(&piece[first + 1..second])).then_some(second + 1)
    }

    /// As `two_lines_after`, the other way round.
    fn two_lines_before(&self, piece: &[u8]) -> Option<usize> {
        self.goes_by_two_lines().then_some(())?;
        let far = piece.len().saturating_sub(self.ahead.bytes - 1);
        let Some(last) = memchr::memrchr(b'\n', &piece[far..]).map(|last| far + last) else {
            return (far == 0).then_some(piece.len());
        };
        let from = (last + 1).saturating_sub(self.back.bytes);
        let Some(before) = memchr::memrchr(b'\n', &piece[from..last]).map(|before| from + before) else {
            return (from == 0).then_some(piece.len());
        };
        (!self.may_be_wrapped(&piece[before + 1..last])).then_some(piece.len() - before)
    }

    fn goes_by_two_lines(&self) -> bool {
        let reach = self.back.bytes.max(self.ahead.bytes);
        self.back.lines == 2 && self.ahead.lines == 1 && self.escaped.is_none_or(|escaped| escaped.far() >= reach)
    }

    fn may_be_wrapped(&self, line: &[u8]) -> bool {
        self.wrapped.as_ref().is_some_and(|wrapped| wrapped.may_be_line(line))
    }

    pub(super) fn far_after(&self, piece: &[u8]) -> usize {
        // The mirror of `field`: the last run that still looks back to the change, then what that run looks ahead to.
        let near = &piece[..piece.len().min(self.back.bytes.saturating_sub(1))];
        let last_run = memchr::memchr_iter(b'\n', near).nth(self.back.lines - 1).unwrap_or(near.len());
        let hits_end = self.run_end(piece, last_run);
        let clear = ahead_from(piece, hits_end, self.ahead).unwrap_or(piece.len());
        let wrapped = self.wrapped.as_ref().map_or(0, |wrapped| wrapped.after_change(piece));
        let escaped = self.escaped.map_or(0, |escaped| escaped.after_change(piece));
        clear.max(wrapped).max(escaped)
    }

    pub(super) fn far_before(&self, piece: &[u8]) -> usize {
        let far = piece.len().saturating_sub(self.ahead.bytes.saturating_sub(1));
        let last_lines = memchr::memrchr_iter(b'\n', &piece[far..]).nth(self.ahead.lines - 1);
        let first_run = last_lines.map_or(far, |line| far + line + 1);
        let hits_start = self.run_start(piece, first_run);
        let clear = piece.len() - back_from(piece, hits_start, self.back).unwrap_or(0);
        let wrapped = self.wrapped.as_ref().map_or(0, |wrapped| wrapped.before_change(piece));
        let escaped = self.escaped.map_or(0, |escaped| escaped.before_change(piece));
        clear.max(wrapped).max(escaped)
    }

    fn run_start(&self, text: &[u8], at: usize) -> usize {
        text[..at].iter().rposition(|byte| !self.run.has(*byte)).map_or(0, |before| before + 1)
    }

    fn run_end(&self, text: &[u8], at: usize) -> usize {
        text[at..].iter().position(|byte| !self.run.has(*byte)).map_or(text.len(), |more| at + more)
    }
}

/// The first byte that matters before `at`; none if the edge does.
fn back_from(text: &[u8], at: usize, reach: Reach) -> Option<usize> {
    let from = at.saturating_sub(reach.bytes);
    let line = memchr::memrchr_iter(b'\n', &text[from..at]).nth(reach.lines - 1);
    line.map(|line| from + line).or(at.checked_sub(reach.bytes))
}

/// The end of the bytes that matter from `at` on; none if the edge does.
fn ahead_from(text: &[u8], at: usize, reach: Reach) -> Option<usize> {
    let to = at.saturating_add(reach.bytes);
    let line = memchr::memchr_iter(b'\n', &text[at..to.min(text.len())]).nth(reach.lines - 1);
    line.map(|line| at + line + 1).or((to <= text.len()).then_some(to))
}

/// What decides whether a text can be looked at in parts.
pub const HEAD: usize = 512;

fn signed(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}
