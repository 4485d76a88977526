//! Escaped: pieces of lines that are decoded because of an escape in them.
//!
//! A piece reaches so far to both sides of an escape, on its line; escapes that begin no further than twice that from
//! each other make one piece. So what decides about a hit in a piece is found by walking from it to both sides, on its
//! line, from escape to escape, as long as the next one is [`near`](Escaped::near) enough, and that far once more. Only
//! lines longer than that can be looked at in parts.
//!
//! ```text
//!    lo <- near -> E  E <- hit -> E      E <- near, widest -> hi          the field of a hit
//!    <------ far ------> E  E  E    E ... | seam                          what is looked at because of a change
//! ```
//!
//! Two things must stay true. *A field decides about itself*: whether a lead begins an escape is asked only where all of
//! the longest escape is in the field. And *a window holds each field that holds its change*: a walk that begins at the
//! hit can end one step past the escapes of the hit's own piece, so that a walk of equal steps back from the change would
//! stop short of the piece. The piece has an escape within `near` of any place in it, so steps of twice that find it.

use memchr::{memchr, memchr3_iter, memrchr, memrchr3_iter};

/// How escapes are noticed.
#[derive(Clone, Copy, Debug)]
pub struct Escaped {
    /// How far a piece reaches beyond the first byte of an escape.
    pub reach: usize,
    /// The longest escape.
    pub widest: usize,
    /// What escapes begin with.
    pub leads: [u8; 3],
    /// Whether a text begins with an escape that makes a piece; it looks at no more than the longest escape.
    pub is_escape: fn(&[u8]) -> bool,
}

impl Escaped {
    /// The first byte that matters to what is decoded at `start`; none if the edge does.
    pub fn first(&self, text: &[u8], start: usize) -> Option<usize> {
        self.back(text, start, self.near(), |at| self.begins(text, at))
    }

    /// The end of the bytes that matter to what is decoded up to `end`; none if the edge does.
    pub fn last(&self, text: &[u8], end: usize) -> Option<usize> {
        self.ahead(text, end, self.near(), |at| self.begins(text, at))
    }

    /// How much of a piece of text has to be looked at because of a change right before it.
    pub fn after_change(&self, piece: &[u8]) -> usize {
        self.ahead(piece, 0, self.far(), |at| self.may_begin(piece, at)).unwrap_or(piece.len())
    }

    /// How much of a piece of text has to be looked at because of a change right after it.
    pub fn before_change(&self, piece: &[u8]) -> usize {
        piece.len() - self.back(piece, piece.len(), self.far(), |at| self.may_begin(piece, at)).unwrap_or(0)
    }

    fn back(&self, text: &[u8], mut at: usize, step: usize, is_escape: impl Fn(usize) -> bool) -> Option<usize> {
        let [one, two, three] = self.leads;
        loop {
            let from = at.checked_sub(step);
            let far = from.unwrap_or(0);
            if let Some(line) = memrchr(b'\n', &text[far..at]) {
                // The rest of the line is near, or was passed on the way.
                return Some(far + line);
            }
            match memchr3_iter(one, two, three, &text[far..at]).find(|lead| is_escape(far + lead)) {
                Some(lead) => at = far + lead,
                None => return from,
            }
        }
    }

    fn ahead(&self, text: &[u8], mut at: usize, step: usize, is_escape: impl Fn(usize) -> bool) -> Option<usize> {
        let [one, two, three] = self.leads;
        loop {
            // An escape that begins within the step ends before `to`.
            let to = at + step + self.widest;
            if let Some(line) = memchr(b'\n', &text[at..to.min(text.len())]) {
                return Some(at + line + 1);
            }
            let near = &text[at..(at + step).min(text.len())];
            match memrchr3_iter(one, two, three, near).find(|lead| is_escape(at + lead)) {
                Some(lead) => at += lead + 1,
                None => return (to <= text.len()).then_some(to),
            }
        }
    }

    /// Whether an escape that makes a piece begins at a lead.
    fn begins(&self, text: &[u8], lead: usize) -> bool {
        (self.is_escape)(&text[lead..text.len().min(lead + self.widest)])
    }

    /// The same in a piece of a text, behind which more of it may follow.
    fn may_begin(&self, piece: &[u8], lead: usize) -> bool {
        lead + self.widest > piece.len() || self.begins(piece, lead)
    }

    /// Escapes further from a place than this have nothing to do with it, but through others between them.
    fn near(&self) -> usize {
        2 * self.reach + self.widest
    }

    pub fn far(&self) -> usize {
        2 * (self.near() + self.widest)
    }
}
