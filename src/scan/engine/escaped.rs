//! Escaped: pieces of lines that are decoded because of an escape in them.
//!
//! A piece reaches so far to both sides of an escape, on its line; escapes nearer than twice that to each other make one
//! piece. So what decides about a piece is what is on its line and, going out from it, nearer than twice the reach to
//! itself or to an escape that is in turn so near: the *cluster*. Only lines longer than that can be looked at in parts.

use memchr::{memchr, memchr3_iter, memrchr, memrchr3_iter};

/// How escapes are noticed.
#[derive(Clone, Copy, Debug)]
pub struct Escaped {
    /// How far a piece reaches beyond an escape.
    pub reach: usize,
    /// The longest escape.
    pub widest: usize,
    /// What escapes begin with.
    pub leads: [u8; 3],
    /// Whether a text begins with an escape that makes a piece.
    pub is_escape: fn(&[u8]) -> bool,
}

impl Escaped {
    /// The first byte that matters to what is decoded at `start`; none if the edge does.
    pub fn first(&self, text: &[u8], start: usize) -> Option<usize> {
        let [one, two, three] = self.leads;
        let mut near = start;
        loop {
            let from = near.checked_sub(self.distance());
            let far = from.unwrap_or(0);
            if let Some(line) = memrchr(b'\n', &text[far..near]) {
                // The rest of the line is near, or was passed on the way.
                return Some(far + line);
            }
            let mut leads = memchr3_iter(one, two, three, &text[far..near]);
            match leads.find(|lead| (self.is_escape)(&text[far + lead..])) {
                Some(lead) if far + lead < near => near = far + lead,
                _ => return from,
            }
        }
    }

    /// The end of the bytes that matter to what is decoded up to `end`; none if the edge does.
    pub fn last(&self, text: &[u8], end: usize) -> Option<usize> {
        let [one, two, three] = self.leads;
        let mut near = end;
        loop {
            let to = near + self.distance();
            let far = to.min(text.len());
            if let Some(line) = memchr(b'\n', &text[near..far]) {
                return Some(near + line + 1);
            }
            let mut leads = memrchr3_iter(one, two, three, &text[near..far]);
            match leads.find(|lead| (self.is_escape)(&text[near + lead..])) {
                Some(lead) if lead > 0 => near += lead,
                _ => return (to <= text.len()).then_some(to),
            }
        }
    }

    /// How much of a piece of text has to be looked at because of a change right before it.
    pub fn after_change(&self, piece: &[u8]) -> usize {
        self.last(piece, 0).unwrap_or(piece.len())
    }

    /// How much of a piece of text has to be looked at because of a change right after it.
    pub fn before_change(&self, piece: &[u8]) -> usize {
        piece.len() - self.first(piece, piece.len()).unwrap_or(0)
    }

    fn distance(&self) -> usize {
        2 * self.reach + self.widest
    }
}
